"""The cache beneath a provider's SDK: a transport of httpx or httpx2 that answers from it and keeps what passes."""

import copy
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache as once
from importlib import import_module
from typing import Any

from headroom.errors import without_message
from headroom.semantic_cache.cache import Answer, SemanticCache
from headroom.semantic_cache.questions import Question, question, shape_of, tenant
from headroom.wire.decoding import decoder
from headroom.wire.usage import UsageReader

log = logging.getLogger(__name__)
KEPT = ("content-type", "request-id", "x-request-id")
"""Headers of an answer that come back with it."""
HIT = "x-headroom-cache"
ENDS = (b"data: [DONE]", b'"message_stop"', b'"response.completed"', b'"response.incomplete"')
"""Of which one stands in the last event of a stream: SDKs read no further."""
TAIL = 100_000


def cached[ClientT](client: ClientT, cache: SemanticCache, wanted: Callable[[], bool] = lambda: True) -> ClientT:
    """A copy of a client of httpx or httpx2, synchronous or not, that asks the cache first. The client itself is not
    changed; both share their connections. ``wanted`` says for the request that is under way whether it may be."""
    twin: Any = copy.copy(client)
    kind = next(kind for kind in type(client).__mro__ if kind.__module__.partition(".")[0] in ("httpx", "httpx2"))
    module = kind.__module__.partition(".")[0]
    made = _kinds(module)["async" if kind.__name__.startswith("Async") else "sync"]
    twin._transport = made(twin._transport, cache, wanted)
    twin._mounts = {pattern: each and made(each, cache, wanted) for pattern, each in twin._mounts.items()}
    return twin  # type: ignore[no-any-return]


@once
def _kinds(module: str) -> dict[str, Any]:
    """The transports for a module: its clients take none but their own."""
    httpx: Any = import_module(module)

    def response(found: Answer) -> Any:
        headers = {**found.headers, HIT: f"hit; similarity={found.similarity:.3f}"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(found.body))

    class Copy(httpx.SyncByteStream):  # type: ignore[misc]
        """Passes a stream on as it comes, and hands it over when it was read."""

        def __init__(self, stream: Any, keep: Callable[[bytes, bool], None]) -> None:
            self._stream, self._keep, self._parts = stream, keep, [b""]

        def __iter__(self) -> Iterator[bytes]:
            for part in self._stream:
                self._parts.append(part)
                yield part
            self._give(True)

        def _give(self, whole: bool) -> None:
            parts, self._parts = self._parts, []
            if parts:
                self._keep(b"".join(parts), whole)

        def close(self) -> None:
            self._give(False)
            self._stream.close()

    class AsyncCopy(httpx.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, keep: Callable[[bytes, bool], None]) -> None:
            self._stream, self._keep, self._parts = stream, keep, [b""]

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._stream:
                self._parts.append(part)
                yield part
            await self._give(True)

        async def _give(self, whole: bool) -> None:
            from anyio import to_thread

            parts, self._parts = self._parts, []
            if parts:
                await to_thread.run_sync(self._keep, b"".join(parts), whole)

        async def aclose(self) -> None:
            await self._give(False)
            await self._stream.aclose()

    class CacheTransport(httpx.BaseTransport):  # type: ignore[misc]
        """Answers from the cache, else from the transport below."""

        def __init__(self, below: Any, cache: SemanticCache, wanted: Callable[[], bool]) -> None:
            self._below, self._cache, self._wanted = below, cache, wanted

        def handle_request(self, request: Any) -> Any:
            asked = _question(request, request.read(), self._cache) if _asks(request) and self._wanted() else None
            found = _found(self._cache, asked)
            if found is not None:
                return response(found)
            answer = self._below.handle_request(request)
            if asked and not asked.reason and answer.status_code == 200:
                answer.stream = Copy(answer.stream, _keeper(self._cache, asked, request, answer))
            return answer

        def close(self) -> None:
            self._below.close()

    class AsyncCacheTransport(httpx.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self, below: Any, cache: SemanticCache, wanted: Callable[[], bool]) -> None:
            self._below, self._cache, self._wanted = below, cache, wanted

        async def handle_async_request(self, request: Any) -> Any:
            from anyio import to_thread

            asked = (
                _question(request, await request.aread(), self._cache) if _asks(request) and self._wanted() else None
            )
            found = await to_thread.run_sync(_found, self._cache, asked)
            if found is not None:
                return response(found)
            answer = await self._below.handle_async_request(request)
            if asked and not asked.reason and answer.status_code == 200:
                answer.stream = AsyncCopy(answer.stream, _keeper(self._cache, asked, request, answer))
            return answer

        async def aclose(self) -> None:
            await self._below.aclose()

    return {"sync": CacheTransport, "async": AsyncCacheTransport}


def _asks(request: Any) -> bool:
    return request.method == "POST" and bool(shape_of(request.url.path))


def _question(request: Any, body: bytes, cache: SemanticCache) -> Question:
    url = str(request.url.copy_remove_param("key"))
    return question(shape_of(request.url.path), url, body, cache.config, tenant(request.headers))


def _found(cache: SemanticCache, asked: Question | None) -> Answer | None:
    try:
        return cache.find(asked) if asked is not None else None
    except Exception as error:
        log.warning("the semantic cache fails, the provider is asked: %s", without_message(error))
        return None


def _keeper(cache: SemanticCache, asked: Question, request: Any, answer: Any) -> Callable[[bytes, bool], None]:
    headers = {name: answer.headers[name] for name in KEPT if name in answer.headers}
    shape, kind = shape_of(request.url.path), headers.get("content-type", "")
    encoding = answer.headers.get("content-encoding", "")

    def keep(body: bytes, whole: bool) -> None:
        try:
            decode = decoder(encoding)
            plain = decode(body) if decode else body
            if not whole and not any(end in plain[-TAIL:] for end in ENDS):
                return
            reader = UsageReader(shape, kind)
            reader.feed(plain)
            if reader.error_type is None:  # a stream can end in one
                cache.keep(asked, headers, plain)
        except Exception as error:
            log.warning("an answer is not kept: %s", without_message(error))

    return keep
