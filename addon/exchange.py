"""One HTTP exchange: a request in, the engine, the answer past us, a row in the ledger."""

import asyncio
import gc
import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mitmproxy import http

from addon.answers import KNOWN, Answers
from addon.inline import answer as answer_inline
from addon.inline import may_answer
from addon.plans import reading_of, usage_tap
from addon.resending import Resender
from addon.rows import REFUSED, Exchange, describe, error_body, figures, one_line, summary, take_back
from addon.settings import MODES, Settings, parse_profiles
from addon.timed import Rewriter
from addon.view import METADATA, ORIGINAL
from addon.websocket import Socket, Sockets
from headroom import plugins
from headroom.api.live import Live, steps_of
from headroom.bookkeeping import to_row
from headroom.ccr.learning import Learner
from headroom.ccr.originals import Originals, open_originals
from headroom.context.managers import IntelligentContextManager, Manager, RollingWindow
from headroom.context.scoring import word_overlap
from headroom.context.windows import Windows
from headroom.engine import Engine, RawRequest, Rewrite
from headroom.errors import ConfigurationError
from headroom.ledger import Ledger
from headroom.ledger.blocks import Blocks
from headroom.ledger.session_stats import append_run
from headroom.ledger.shared import share
from headroom.models import price_for
from headroom.semantic_cache.cache import FILE, open_cache
from headroom.session.betas import SessionBetaTracker, beta_header, beta_session_key, is_sticky
from headroom.session.identity import lower_headers
from headroom.session.shared import open_memory
from headroom.settings import load_config
from headroom.stores.opening import open_lists
from headroom.subscription import Reading, Subscriptions
from headroom.telemetry import get_toin
from headroom.telemetry.spans import Spans
from headroom.wire.targets import Target, is_provider_host, model_from_path, target
from headroom.wire.usage import UsageReader

log = logging.getLogger("headroom")
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of a request above which it is not read: providers refuse more than that."""
WARN_AT = 0.8
"""Share of the daily budget at which the log says so, once a day."""
WRITE_AFTER = 0.01
"""Seconds after its end that an exchange is written down."""
_SIGNED = ("content-digest", "digest", "content-md5", "x-amz-content-sha256")
_OURS = "x-headroom-"


class Exchanges:
    """All exchanges of a proxy: opens them, closes them, writes them down."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.memory = open_memory(settings.store, settings.workspace / "state.db")
        self.originals = open_originals(settings.store, settings.workspace / "originals.db")
        self.learner = Learner(get_toin(settings.toin), self._kept)
        self.engine = Engine(
            self.memory, settings.cache, originals=self.originals, ccr=settings.ccr, learner=self.learner
        )
        self.engine.windows = _windows(settings, self.originals)
        self.ledger = Ledger(settings.workspace / "ledger.db", settings.savings)
        self.shared = share(self.ledger, settings.store, settings.workspace) if settings.store else None
        if self.shared is not None:
            self.shared.start()
        self.sockets = Sockets(self._raw, self._rewrite, self._close, self._refused)
        self.live = Live()
        self.blocks = Blocks(settings.workspace / "blocks.db")
        self.subscriptions = Subscriptions(settings.subscription)
        self.spans = Spans() if settings.otel else None
        lists = open_lists(settings.store) if settings.store else None
        self.betas = SessionBetaTracker(settings.beta_sessions, lists)
        self.answers = self._answers(settings)
        self._rewriter = Rewriter(self.engine, self.betas)
        self._open: dict[str, Exchange] = {}
        self._upgrades: dict[str, Socket] = {}
        self._wishes: dict[str, dict[str, str]] = {}
        self._resender = Resender()
        self._closed: deque[Exchange] = deque()
        """Exchanges that are over and not yet written down."""
        self._warned_day = 0.0
        self._started = time.time()
        self._writer = ThreadPoolExecutor(1, "headroom-ledger")
        self._writer.submit(price_for, "anthropic", "claude-sonnet-4-5")
        self._writer.submit(plugins.transforms)
        self._writer.submit(self.answers.open)
        self._writer.submit(gc.freeze)  # what is loaded by now stays: looking it through again takes 60 ms each time

    def configure(self, settings: Settings) -> None:
        """Go on with other settings of the same workspace."""
        if (settings.context, settings.context_limit) != (self.settings.context, self.settings.context_limit):
            self.engine.windows = _windows(settings, self.originals)
        if settings.semantic_cache != self.settings.semantic_cache:
            self._writer.submit(self.answers.close)
            self.answers = self._answers(settings)
        self.engine.cache, self.engine.promises.settings = settings.cache, settings.ccr
        if settings.otel != self.settings.otel:
            if self.spans is not None:
                self.spans.close()
            self.spans = Spans() if settings.otel else None
        self.settings = settings

    # --- the request -------------------------------------------------------------------------------------------

    def request_headers(self, flow: http.HTTPFlow) -> None:
        """Our own headers are taken off before anything leaves; what is no model call is not held back."""
        request = flow.request
        if flow.id in self._resender or not is_provider_host(request.pretty_host, self.settings.hosts):
            return
        self._wishes[flow.id] = _take_wishes(request)
        if self._target(request) is None:
            request.stream = True

    def _target(self, request: http.Request) -> Target | None:
        return target(request.pretty_host, request.port, request.path, request.method, self.settings.hosts)

    async def request(self, flow: http.HTTPFlow) -> None:
        request, wishes = flow.request, self._wishes.pop(flow.id, {})
        aim = self._target(request)
        if aim is None or flow.id in self._resender:
            return
        mode = wishes.get("x-headroom-mode", self.settings.mode)
        exchange = Exchange(aim, mode, wishes.get("x-headroom-project"))
        exchange.traceparent = request.headers.get("traceparent", "")
        self._open[flow.id] = exchange
        if request.stream or request.raw_content is None:
            exchange.reason = "streamed: stream_large_bodies is set"
            return
        if mode not in MODES:
            self._refuse(flow, exchange, 400, f"x-headroom-mode is {mode!r}; allowed: {' | '.join(MODES)}")
            return
        try:
            is_sticky()
            asked = parse_profiles("x-headroom-tool-profiles", wishes.get("x-headroom-tool-profiles", ""))
        except ConfigurationError as error:
            self._refuse(flow, exchange, 400, error.message)
            return
        if wishes.get("x-headroom-bypass", "").lower() == "true":
            exchange.mode = mode = "off"
            exchange.reason = "bypass"
        if await self._over_budget(flow, exchange):
            return
        exchange.headers = request.headers.copy()
        headers = lower_headers(request.headers) | wishes
        if request.method == "GET":  # a WebSocket begins with one
            del self._open[flow.id]
            self._upgrades[flow.id] = Socket(aim, headers, mode, exchange.project)
            return
        exchange.bytes_before = exchange.bytes_after = len(request.raw_content)
        try:
            body = request.get_content(strict=True) or b""
        except (ValueError, TypeError):  # names of Python's own codecs, such as rot13, end in the latter
            exchange.reason = f"body not decoded: content-encoding {request.headers['content-encoding'][:40]!r}"
            return
        untouched = _why_untouched(aim, body, headers)
        if untouched:
            exchange.reason = untouched
            return
        exchange.arrived = body
        if mode == "optimize" and aim.kind != "count_tokens" and not exchange.reason:
            exchange.asked = await self.answers.find(
                flow, aim.shape, body, self._rewriter.pool, self.settings.time_budget
            )
            if flow.response is not None:
                exchange.reason = KNOWN
                return
        raw = self._raw(aim, request, headers, body)
        await self._rewrite(exchange, replace(raw, tool_profiles={**raw.tool_profiles, **asked}))
        if exchange.rewrite is not None:
            self._apply(flow, exchange, exchange.rewrite, body, headers)

    def _raw(self, aim: Target, request: http.Request, headers: Mapping[str, str], body: bytes) -> RawRequest:
        host = request.pretty_host
        return RawRequest(
            aim.provider,
            aim.shape,
            request.path,
            headers,
            body,
            model_from_path(request.path) or "",
            host,
            aim.kind == "count_tokens",
            self.settings.drop_billing_line and aim.provider == host,
            self.settings.tool_profiles,
            self.settings.smart_crusher,
        )

    async def _rewrite(self, exchange: Exchange, raw: RawRequest) -> None:
        await self._rewriter.rewrite(exchange, raw, self.settings.time_budget)

    def _apply(
        self, flow: http.HTTPFlow, exchange: Exchange, rewrite: Rewrite, body: bytes, headers: Mapping[str, str]
    ) -> None:
        self._keep_betas(flow, exchange, rewrite, headers)
        flow.metadata[METADATA] = describe(rewrite)
        if rewrite.body == body:
            return
        exchange.original, flow.metadata[ORIGINAL] = flow.request.raw_content, body
        flow.request.content = rewrite.body
        exchange.outcome = "rewritten"
        exchange.bytes_after = len(flow.request.raw_content or b"")
        gain = rewrite.tokens_before - rewrite.tokens_after
        flow.comment = f"headroom: {rewrite.tokens_before:,} -> {rewrite.tokens_after:,} tokens, {gain:,} saved"
        flow.marked = ":green_circle:"

    def _keep_betas(
        self, flow: http.HTTPFlow, exchange: Exchange, rewrite: Rewrite, headers: Mapping[str, str]
    ) -> None:
        name = beta_header(exchange.target.shape)
        if name is None:
            return
        key = beta_session_key(headers, rewrite.model, rewrite.system)
        value = self.betas.merge(exchange.target.provider, key, flow.request.headers.get_all(name))
        if value is not None and exchange.mode == "optimize":
            flow.request.headers[name] = value

    async def _over_budget(self, flow: http.HTTPFlow, exchange: Exchange) -> bool:
        limit = self.settings.budget_usd
        if limit is None:
            return False
        day = time.time() // 86400 * 86400
        spent = await asyncio.get_running_loop().run_in_executor(
            self._writer, (self.shared or self.ledger).spent_usd, day
        )
        if spent < limit:
            if spent >= WARN_AT * limit and self._warned_day != day:
                self._warned_day = day
                log.warning("%.2f of %.2f USD for today (UTC) are spent: above that requests get a 429", spent, limit)
            return False
        reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(day + 86400))
        self._refuse(
            flow, exchange, 429, f"headroom_budget of {limit:.2f} USD a day is used up ({spent:.2f}); resets at {reset}"
        )
        if flow.response is not None:
            flow.response.headers["retry-after"] = str(int(day + 86400 - time.time()) + 1)
        return True

    def _refuse(self, flow: http.HTTPFlow, exchange: Exchange, status: int, message: str) -> None:
        """Answer the client ourselves, in its provider's own error shape; nothing goes upstream."""
        exchange.outcome, exchange.reason, exchange.status = "error", message, status
        content = json.dumps(error_body(exchange.target.shape, status, message)).encode()
        flow.response = http.Response.make(status, content, {"content-type": "application/json"})

    # --- the answer --------------------------------------------------------------------------------------------

    def response_headers(self, flow: http.HTTPFlow) -> None:
        exchange, response = self._open.get(flow.id), flow.response
        if response is None or response.status_code == 101 or flow.id in self._resender:
            return
        if exchange is None:
            response.stream = usage_tap(flow, self._keep_plan) or True
            self._upgrades.pop(flow.id, None)  # the provider does not want it
            return
        exchange.status, exchange.first_byte = response.status_code, time.time() - exchange.started
        if exchange.reason == KNOWN:  # nothing was billed
            return
        exchange.plan = reading_of(response)
        if exchange.original is not None and response.status_code in REFUSED:
            response.stream = False  # the original is sent first, which may be taken
            return
        if may_answer(exchange, response, self.engine):
            response.stream = False
            return
        reader = exchange.reader = UsageReader(
            exchange.target.shape,
            response.headers.get("content-type", ""),
            response.headers.get("content-encoding", ""),
        )

        asked = exchange.asked

        def tap(chunk: bytes) -> bytes:
            reader.feed(chunk)
            if reader.stored is not None:
                self._answered(exchange)  # before it is sent: the next request may go on from it
            if asked is not None:
                asked.add(chunk)
            return chunk

        response.stream = tap

    def _keep_plan(self, reading: Reading) -> None:
        self._writer.submit(self.subscriptions.record, reading)

    async def response(self, flow: http.HTTPFlow) -> None:
        exchange = self._open.get(flow.id)
        if exchange is None or flow.response is None:
            return
        held_back = exchange.reader is None and not flow.response.stream
        if exchange.original is not None and held_back and exchange.status in REFUSED:
            await self._send_original(flow, exchange)
        elif held_back and may_answer(exchange, flow.response, self.engine):
            await answer_inline(flow, exchange, self.engine, self._resender.send)
            exchange.first_byte = time.time() - exchange.started
            exchange.reader = _read_whole(exchange, flow.response)
        if exchange.asked is not None:
            self._writer.submit(self.answers.keep, flow, exchange.asked, exchange.target.shape)
        self.ended(flow)

    async def _send_original(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        """The provider refused a body that we changed, unpaid: send what the client wrote, once.

        If that is taken, the change was at fault, and the session is left alone from now on.
        """
        assert exchange.original is not None and exchange.headers is not None and flow.response is not None
        refusal = flow.response.status_code
        request, answer = await self._resender.send_original(flow, exchange.headers, exchange.original)
        if answer is None:
            exchange.reason = f"refused with {refusal}; the original could not be sent"
            return
        flow.request, flow.response = request, answer
        exchange.status = answer.status_code
        exchange.reader = _read_whole(exchange, answer)
        if exchange.status < 400:
            self._refused(exchange, str(refusal))
        else:
            take_back(exchange, f"refused with {refusal}, the original with {exchange.status}")
        flow.comment, flow.marked = f"headroom: {exchange.reason}", ":red_circle:"
        flow.metadata.pop(ORIGINAL, None)
        if exchange.rewrite is not None:
            flow.metadata[METADATA] = describe(exchange.rewrite)

    def _refused(self, exchange: Exchange, refusal: str) -> None:
        """The provider takes the original but not ours: no request of that session is rewritten any more."""
        take_back(exchange, f"refused with {refusal}: session left alone")
        if exchange.rewrite is not None:
            session = exchange.rewrite.identity.session
            self.engine.leave_alone(session, f"the provider refused a rewritten request with {refusal}")
            log.warning("the provider refused a rewritten request of session %s: it is left alone from now on", session)

    def ended(self, flow: http.HTTPFlow, reason: str = "") -> None:
        """The exchange is over, well or not."""
        exchange = self._open.pop(flow.id, None)
        self._upgrades.pop(flow.id, None)
        self._wishes.pop(flow.id, None)
        if exchange is not None:
            if reason:
                exchange.reason = "; ".join(filter(None, (exchange.reason, f"connection: {reason}")))
            self._close(exchange)

    def upgraded(self, flow: http.HTTPFlow) -> None:
        """A WebSocket is open."""
        socket = self._upgrades.pop(flow.id, None)
        if socket is not None:
            self.sockets.start(flow, socket)

    def _answered(self, exchange: Exchange) -> None:
        stored = exchange.reader.stored if exchange.reader is not None else None
        if exchange.rewrite is not None and stored is not None:
            self.engine.answered(exchange.rewrite, stored)

    def _close(self, exchange: Exchange) -> None:
        """Write it down when the end of its answer is on its way: a thread that computes would hold that up."""
        exchange.ended = time.time()
        stays = exchange.target.shape == "openai-responses"
        if (stays or self.engine.windows is not None) and exchange.rewrite is not None and exchange.reader is not None:
            usage = exchange.reader.usage  # now, not later: the next request may come before it is written down
            if usage is not None and self.engine.windows is not None:
                self.engine.counted(exchange.rewrite, usage)
            self._answered(exchange)
        self._closed.append(exchange)
        asyncio.get_running_loop().call_later(WRITE_AFTER, self._write_next)

    def _write_next(self) -> None:
        if self._closed:
            self._writer.submit(self._write, self._closed.popleft())

    def _write(self, exchange: Exchange) -> None:
        try:
            usage = exchange.reader.usage if exchange.reader else None
            if exchange.rewrite is not None and usage is not None:
                self.engine.cached(exchange.rewrite, usage)
            row = to_row(exchange)
        except Exception as error:
            log.warning("the costs of an exchange could not be told", exc_info=error)
            row = to_row(replace(exchange, reader=None))
        log.info("%s", one_line(row), extra={"exchange": figures(row)})
        (self.shared or self.ledger).record(row)
        if exchange.rewrite is not None:
            self.blocks.add(row.session, row.id, row.time, exchange.rewrite.blocks)
        if exchange.plan is not None:
            self.subscriptions.record(exchange.plan, row.cost_usd, row.cost_without_usd)
        if self.spans is not None:
            self.spans.record(row, exchange.ended - exchange.started, exchange.traceparent)
        self.live.add(row, steps_of(exchange.rewrite.blocks, exchange.arrived) if exchange.rewrite else ())

    def close(self) -> None:
        """Write down what is still open, say what this run came to, let go of the files."""
        for exchange in self._open.values():
            exchange.reason = "; ".join(filter(None, (exchange.reason, "the proxy ended before the answer")))
            self._close(exchange)
        self._open.clear()
        self.sockets.close()
        self._rewriter.close()
        while self._closed:
            self._write_next()
        self._writer.shutdown(wait=True)
        log.info("%s", summary(self.ledger.totals(since=self._started)))
        if self.shared is not None:
            self.shared.close()
        if self.spans is not None:
            self.spans.close()
        self.ledger.close()
        workspace = self.settings.workspace
        append_run(workspace / "ledger.db", workspace / "session_stats.jsonl", self._started)
        self.blocks.close()
        self.memory.close()
        self.betas.close()
        self.learner.close()
        self.originals.close()
        self.answers.close()

    def _answers(self, settings: Settings) -> Answers:
        path = settings.workspace / FILE
        return Answers(settings.semantic_cache, lambda config: open_cache(config, path=path))

    def _kept(self, hash: str) -> tuple[str, str] | None:
        """The tool and the text of an original."""
        original = self.originals.get(hash)
        return (original.tool, original.text) if original is not None else None


def _windows(settings: Settings, originals: Originals) -> Windows | None:
    """What keeps conversations within their models' contexts, where that is asked for."""
    if settings.context == "off":
        return None
    config = load_config()
    manager: Manager = RollingWindow(replace(config.rolling_window, enabled=True))
    if settings.context == "intelligent":
        settings_ = replace(config.intelligent_context, enabled=True)
        manager = IntelligentContextManager(
            settings_, get_toin(settings.toin), originals, word_overlap
        )  # a request waits
    return Windows(manager, originals, settings.context_limit)


def _read_whole(exchange: Exchange, response: http.Response) -> UsageReader:
    reader = UsageReader(exchange.target.shape, response.headers.get("content-type", ""))
    reader.feed(response.get_content(strict=False) or b"")
    return reader


def _take_wishes(request: http.Request) -> dict[str, str]:
    """The x-headroom-* headers, taken off the request: they never go upstream."""
    wishes = {name: value for name, value in lower_headers(request.headers).items() if name.startswith(_OURS)}
    for name in wishes:
        del request.headers[name]
    return wishes


def _why_untouched(aim: Target, body: bytes, headers: Mapping[str, str]) -> str:
    """Why a body may not be looked into; "" when it may."""
    if not aim.rewritable:
        return aim.reason
    if not body:
        return "no body"
    if len(body) > LARGEST_BODY:
        return f"body of {len(body):,} bytes: more than providers take"
    signed = next((name for name in _SIGNED if name in headers), None)
    return f"signed: {signed}" if signed else ""
