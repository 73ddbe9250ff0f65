"""One request of a program: to the engine, to the provider, into the ledger. The adapters of SDKs call this."""

import atexit
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from headroom.bookkeeping import MAKERS, to_row
from headroom.config import HeadroomConfig, HeadroomMode, crusher_of
from headroom.engine import Engine, Mode, RawRequest, Rewrite
from headroom.errors import without_message
from headroom.inspection import Inspection, as_json, inspect
from headroom.ledger import Exchange, Ledger
from headroom.models import Price, price_for
from headroom.sdk.options import RequestOptions
from headroom.sdk.results import Simulated, SimulationResult, plan_of
from headroom.wire.shapes import read
from headroom.wire.spans import ScanError
from headroom.wire.targets import Target
from headroom.wire.usage import UsageReader

if TYPE_CHECKING:
    from headroom.semantic_cache import SemanticCache

log = logging.getLogger("headroom")
REFUSED = (400, 413, 422)
"""Statuses with which a provider refuses a body unpaid."""


@dataclass(slots=True)
class Call:
    """A request from when it is ready until its answer has been read. Fields as in ``bookkeeping.Told``."""

    target: Target
    options: RequestOptions
    mode: str
    host: str = ""
    model: str = ""
    stream: bool = False
    started: float = field(default_factory=time.time)
    original: bytes = b""
    rewrite: Rewrite | None = None
    outcome: str = "passed"
    reason: str = ""
    status: int = 0
    reader: UsageReader | None = None
    seconds: float = 0.0
    first_byte: float = 0.0
    bytes_before: int = 0
    bytes_after: int = 0
    as_it_came: bool = False
    """The provider refused the rewritten body: the original goes out."""
    closed: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def project(self) -> str | None:
        return self.options.project


class Desk:
    """Takes the calls of one client. Any thread may use it."""

    def __init__(
        self,
        config: HeadroomConfig,
        engine: Engine,
        ledger: Ledger,
        context_limit: Callable[[str], int],
        closes: Sequence[Callable[[], None]] = (),
        semantic_cache: "SemanticCache | None" = None,
        prices: Callable[[str, str], Price] = price_for,
    ) -> None:
        """``context_limit``: tokens that fit into a model. ``prices``: what a maker's model costs. ``closes`` lets go
        of what the engine works on. ``semantic_cache`` has answers to questions that were asked before, where the
        program wants that."""
        self.semantic_cache = semantic_cache
        self._prices = prices
        self.config, self.engine, self.ledger = config, engine, ledger
        self._context_limit, self._closes = context_limit, closes
        self.counts = {"requests_total": 0, "requests_optimized": 0, "requests_audit": 0, "tokens_saved_total": 0}
        self.counts["cache_hits"] = 0
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, "headroom-sdk")
        self._waiting: set[Future[None]] = set()
        self._open = True
        atexit.register(self.close)

    def mode_of(self, options: RequestOptions) -> str:
        """audit, optimize, simulate or, for a request that is to be left alone, off."""
        return "off" if options.bypass else str(options.mode or self.config.default_mode)

    def rewritten(self, call: Call, body: bytes, headers: Mapping[str, str]) -> bytes:
        """What goes out for ``body``: what the engine makes of it, and the body itself when anything goes wrong.

        Raises Simulated in simulate mode: nothing goes out.
        """
        call.original, call.bytes_before, call.bytes_after = body, len(body), len(body)
        if call.as_it_came:
            return body
        began = time.monotonic()
        try:
            self._rewrite(call, body, headers)
        except ScanError as error:
            call.outcome, call.reason = "passed", f"body not read: {error.message}"
        except Exception as error:
            call.outcome, call.reason = "error", f"engine: {type(error).__name__}"
            log.warning("the engine failed, the request leaves as it came: %s", without_message(error))
        call.seconds = time.monotonic() - began
        if call.mode == HeadroomMode.SIMULATE:
            raise Simulated(self._plan(call))
        if call.rewrite is None or call.rewrite.body == body:
            return body
        call.outcome, call.bytes_after = "rewritten", len(call.rewrite.body)
        return call.rewrite.body

    def _rewrite(self, call: Call, body: bytes, headers: Mapping[str, str]) -> None:
        options, target = call.options, call.target
        raw = RawRequest(
            target.provider,
            target.shape,
            "",
            headers,
            body,
            call.model,
            call.host,
            target.kind == "count_tokens",
            tool_profiles={**self.config.tool_profiles, **options.tool_profiles},
            smart_crusher=crusher_of(self.config),
            keep_turns=options.keep_turns,
            cached_tokens=options.cache_prefix_tokens,
            context_limit=self._context_limit(call.model),
            output_buffer=options.output_buffer_tokens,
        )
        mode = "audit" if call.mode == HeadroomMode.SIMULATE else call.mode
        call.rewrite = self.engine.rewrite(raw, cast(Mode, mode))
        call.reason, call.outcome = call.rewrite.reason, "unchanged"

    def answered(self, call: Call, status: int, content_type: str = "", encoding: str = "") -> UsageReader:
        """The provider answers; what it sends is given to the reader that this returns."""
        call.status, call.first_byte = status, time.time() - call.started
        if call.as_it_came:
            self._taken_back(call)
        call.reader = UsageReader(call.target.shape, content_type, encoding)
        return call.reader

    def refuses(self, call: Call, status: int) -> bool:
        """Whether a refusal may be our doing: then the original is to be sent, once. ``call.as_it_came`` is set."""
        if status not in REFUSED or call.outcome != "rewritten" or call.as_it_came:
            return False
        call.as_it_came = True
        return True

    def known(self, call: Call) -> None:
        """The answer was known from before: the provider was not asked, nothing was billed and nothing saved of it."""
        call.status, call.first_byte = 200, time.time() - call.started
        call.outcome, call.reason, call.rewrite, call.reader = "passed", "answered from the semantic cache", None, None
        call.bytes_after = call.bytes_before
        with self._lock:
            self.counts["cache_hits"] += 1
        self.close_call(call)

    def failed(self, call: Call, status: int, error: BaseException) -> None:
        """No answer came, or one that says what is wrong."""
        call.status = status
        call.outcome, call.reason = "error", type(error).__name__
        self.close_call(call)

    def close_call(self, call: Call) -> None:
        """The answer has been read, or nobody reads on."""
        with self._lock:
            if call.closed or not self._open:
                return
            call.closed = True
            future = self._writer.submit(self._write, call)
            self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)

    def flush(self) -> None:
        """Wait until all that is over is written down."""
        for future in list(self._waiting):
            future.result()

    def close(self) -> None:
        """Write down what is over, and let go of the ledger."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        self._writer.shutdown()
        self.ledger.close()
        for close in self._closes:
            close()
        atexit.unregister(self.close)

    def _write(self, call: Call) -> None:
        try:
            row = self._row(call)
            self.ledger.record(row)
            self._count(row)
        except Exception as error:
            log.error("a request can't be written down: %s", without_message(error))

    def _row(self, call: Call) -> Exchange:
        rewrite, usage = call.rewrite, call.reader.usage if call.reader else None
        if rewrite is not None and usage is not None:
            self.engine.settle(rewrite, usage)
        found = _inspected(call)
        return to_row(call, as_json(found, call.stream) if found else "", self._prices)

    def _count(self, row: Exchange) -> None:
        with self._lock:
            self.counts["requests_total"] += 1
            self.counts["requests_optimized"] += row.outcome == "rewritten"
            self.counts["requests_audit"] += row.mode == "audit"
            self.counts["tokens_saved_total"] += row.tokens_saved
            self.counts["cache_hits"] += bool(row.usage and row.usage.cache_read_tokens)

    def _taken_back(self, call: Call) -> None:
        """The provider took the original, so the change was at fault: the session is left alone from now on."""
        reason = "the provider refused the rewritten request"
        call.outcome, call.reason, call.bytes_after = "resent", reason, call.bytes_before
        if call.rewrite is not None:
            self.engine.leave_alone(call.rewrite.identity.session, reason)
            call.rewrite = call.rewrite.taken_back(reason)

    def _plan(self, call: Call) -> SimulationResult:
        found = _inspected(call)
        if call.rewrite is None or found is None:
            return SimulationResult()
        price = self._prices(MAKERS[call.target.shape], call.rewrite.model)
        return plan_of(call.rewrite, found, price)


def _inspected(call: Call) -> Inspection | None:
    try:
        return inspect(read(call.target.shape, call.original)) if call.original else None
    except ScanError:
        return None
