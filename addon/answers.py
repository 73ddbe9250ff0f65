"""Questions that were answered before: their answers come from the semantic cache, where its settings enable it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from mitmproxy import http

from headroom.config import SemanticCacheConfig
from headroom.errors import without_message
from headroom.semantic_cache import SemanticCache
from headroom.semantic_cache.questions import Question, question, tenant
from headroom.session.identity import lower_headers
from headroom.wire.decoding import decoder
from headroom.wire.usage import UsageReader

log = logging.getLogger("headroom")
KEPT = ("content-type", "request-id", "x-request-id")
"""Headers of an answer that come back with it."""
HIT = "x-headroom-cache"
KNOWN = "answered from the semantic cache"
LARGEST = 8_000_000
"""Bytes of an answer above which no copy is made."""


@dataclass(slots=True)
class Asked:
    """A question that is under way, and what of its answer has passed."""

    question: Question
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, chunk: bytes) -> None:
        """A copy of a part of the answer, while that may be kept."""
        self.size += len(chunk)
        if self.size <= LARGEST:
            self.parts.append(chunk)
        else:
            self.parts.clear()


class Answers:
    """The proxy's semantic cache. A failure costs no more than the chance: the provider is asked."""

    def __init__(self, config: SemanticCacheConfig, opens: Callable[[SemanticCacheConfig], SemanticCache]) -> None:
        self._config, self._opens = config, opens
        self._cache: SemanticCache | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Open it before a question comes: with an embedder that takes some 0.3 s."""
        if self._config.enabled:
            try:
                self._opened()
            except Exception as error:
                log.warning("the semantic cache can't be opened: %s", without_message(error))

    async def find(
        self, flow: http.HTTPFlow, shape: str, body: bytes, pool: Executor, seconds: float
    ) -> "Asked | None":
        """The question of a request, which is answered when that is known; None where it may not be."""
        if not self._config.enabled:
            return None
        asked = _question(flow, shape, body, self._config)
        if asked.reason:
            return None
        work = asyncio.get_running_loop().run_in_executor(pool, self._find, flow, asked)
        await asyncio.wait({work}, timeout=seconds)
        if work.done() and work.result() is not None:
            flow.response = work.result()
            return None
        return Asked(asked)

    def keep(self, flow: http.HTTPFlow, asked: Asked, shape: str) -> None:
        """Keep an answer that has passed whole."""
        response = flow.response
        if response is None or response.status_code != 200 or not asked.parts:
            return
        headers = {name: response.headers[name] for name in KEPT if name in response.headers}
        try:
            decode = decoder(response.headers.get("content-encoding", ""))
            body = b"".join(asked.parts)
            plain = decode(body) if decode else body
            reader = UsageReader(shape, headers.get("content-type", ""))
            reader.feed(plain)
            if reader.error_type is None:  # a stream can end in one
                self._opened().keep(asked.question, headers, plain)
        except Exception as error:
            log.warning("an answer is not kept: %s", without_message(error))

    def close(self) -> None:
        """Let go of the store."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def _find(self, flow: http.HTTPFlow, asked: Question) -> http.Response | None:
        try:
            found = self._opened().find(asked)
        except Exception as error:
            log.warning("the semantic cache fails, the provider is asked: %s", without_message(error))
            return None
        if found is None:
            return None
        headers = {**found.headers, HIT: f"hit; similarity={found.similarity:.3f}"}
        return http.Response.make(200, found.body, headers)

    def _opened(self) -> SemanticCache:
        with self._opening:
            if self._cache is None:
                self._cache = self._opens(self._config)
            return self._cache


def _question(flow: http.HTTPFlow, shape: str, body: bytes, config: SemanticCacheConfig) -> Question:
    request = flow.request.copy()
    request.query.pop("key", None)
    return question(shape, request.pretty_url, body, config, tenant(lower_headers(request.headers)))
