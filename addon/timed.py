"""The engine's answer to a request in the time that the request has; else what was decided before."""

import asyncio
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from addon.rows import Exchange
from headroom.engine import Engine, Mode, RawRequest, Rewrite
from headroom.errors import without_message
from headroom.session.betas import SessionBetaTracker, beta_header, beta_session_key
from headroom.wire.spans import ScanError

log = logging.getLogger("headroom")
WORKERS = 2
GRACE = 5.0
"""Seconds that a request whose time is up waits for what was decided before: without it the prefix that the provider
has cached would break, and it would take the provider longer to read it again."""
SWITCH_SECONDS = 0.001
"""How long a worker may keep the interpreter from the event loop."""


class Rewriter:
    """Asks the engine in threads of its own; the event loop only waits."""

    def __init__(self, engine: Engine, betas: SessionBetaTracker) -> None:
        self._engine, self._betas = engine, betas
        self.pool = ThreadPoolExecutor(WORKERS, "headroom")
        self._reserve = ThreadPoolExecutor(1, "headroom-held")
        """Never busy with deciding, so that what was decided before is found at once."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._warm = self.pool.submit(engine.prepare)

    async def rewrite(self, exchange: Exchange, raw: RawRequest, budget: float) -> None:
        """Ask the engine, for ``budget`` seconds; whatever goes wrong, the reason is noted and the request stays as it
        came."""
        if not self._warm.done():
            await asyncio.wrap_future(self._warm)
        began, verdict = time.monotonic(), threading.Lock()
        work = asyncio.get_running_loop().run_in_executor(
            self.pool, self._decide, raw, cast(Mode, exchange.mode), began + 0.8 * budget, verdict
        )
        try:
            done, _ = await asyncio.wait({work}, timeout=budget)
            if not done and verdict.acquire(blocking=False):
                work.cancel()  # what has not begun never does; what has gives up before it remembers anything
                exchange.reason = f"time budget of {1000 * budget:.0f} ms exceeded"
                exchange.rewrite = await self._held(exchange, raw)
            else:
                exchange.rewrite = await work
        except TimeoutError:
            exchange.outcome = "passed"
        except ScanError as error:
            exchange.outcome, exchange.reason = "passed", f"body not read: {error.message}"
        except Exception as error:
            exchange.outcome, exchange.reason = "error", f"engine: {type(error).__name__}"
            log.warning("the engine failed, the request leaves as it came: %s", without_message(error))
        else:
            exchange.reason = exchange.reason or exchange.rewrite.reason
            exchange.outcome = "unchanged"
        exchange.seconds = time.monotonic() - began

    async def _held(self, exchange: Exchange, raw: RawRequest) -> Rewrite:
        """What was decided before, for a request whose time is up: it must hold, or the provider's cache is lost.

        Raises TimeoutError for a session of which nothing was rewritten yet: its original goes out.
        """
        if exchange.mode == "optimize":
            work = asyncio.get_running_loop().run_in_executor(self._reserve, self._hold, raw)
            try:
                rewrite = await asyncio.wait_for(work, GRACE)
            except TimeoutError:
                exchange.reason += f", and {GRACE:.0f} s more for what was decided before"
                raise
            if rewrite.body is not raw.body:
                exchange.reason += ": only what was decided before"
                return rewrite
        raise TimeoutError

    def _decide(self, raw: RawRequest, mode: Mode, until: float, verdict: threading.Lock) -> Rewrite:
        return self._with_betas(raw, mode, self._engine.rewrite(raw, mode, until, verdict))

    def _hold(self, raw: RawRequest) -> Rewrite:
        return self._with_betas(raw, "optimize", self._engine.hold(raw))

    def _with_betas(self, raw: RawRequest, mode: Mode, rewrite: Rewrite) -> Rewrite:
        """Learn, off the event loop, what other proxies have sent in this session."""
        name = beta_header(raw.shape)
        if name is not None and mode == "optimize":
            key = beta_session_key(raw.headers, rewrite.model, rewrite.system)
            self._betas.share(raw.provider, key, [raw.headers.get(name, "")])
        return rewrite

    def close(self) -> None:
        """Wait for what is under way."""
        self.pool.shutdown(wait=True)
        self._reserve.shutdown(wait=True)
