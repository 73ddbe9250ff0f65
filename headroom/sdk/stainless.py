"""The SDKs of OpenAI and Anthropic, and others made with the same generator (Stainless).

A copy of the program's client is made whose class is a subclass of its own. It overrides the hooks that the SDKs keep
for this: ``_prepare_request``, which may change a request that is ready (Bedrock's client signs it afterwards), and
``_process_response``. So whatever way a request is made, by ``create``, ``parse``, ``stream``, a tool runner's loop or
``with_raw_response``, it passes here as bytes, and the program's own client is untouched.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from functools import cache, cached_property
from typing import Any

from headroom.config import HeadroomMode
from headroom.sdk.calls import Call, Desk
from headroom.sdk.options import from_headers
from headroom.wire.targets import Target, target
from headroom.wire.usage import UsageReader

_call: ContextVar[Call | None] = ContextVar("headroom_call", default=None)
OURS = "x-headroom-"
HIT = "x-headroom-cache"
"""In an answer that no provider gave."""


def is_stainless(client: object) -> bool:
    """Whether a client is one of these."""
    return base_of(client) is not None


def base_of(client: object) -> str | None:
    """SyncAPIClient or AsyncAPIClient; None for another kind of client."""
    for kind in type(client).__mro__:
        if kind.__module__.endswith("._base_client") and kind.__name__ in ("SyncAPIClient", "AsyncAPIClient"):
            return kind.__name__
    return None


def wrapped(client: Any, desk: Desk, family: str) -> Any:
    """A client that does what ``client`` does, by way of ``desk``. ``family``: anthropic or openai."""
    own: type = type(client)
    twin: Any = object.__new__(_class_of(own, base_of(client) == "AsyncAPIClient"))
    vars(twin).update(vars(client))
    for kind in own.__mro__:
        for name, value in vars(kind).items():
            if isinstance(value, cached_property):  # resources that would go on using the client itself
                vars(twin).pop(name, None)
    twin._headroom = desk
    twin._headroom_family = family
    if desk.semantic_cache is not None:
        from headroom.semantic_cache.transport import cached

        twin._client = cached(twin._client, desk.semantic_cache, _may_be_known)
    return twin


def _may_be_known() -> bool:
    """Whether the request that is under way may be answered from the semantic cache."""
    call = _call.get()
    return call is not None and call.mode == HeadroomMode.OPTIMIZE


@cache
def _class_of(kind: type, asynchronous: bool) -> type:
    part = _Async if asynchronous else _Sync

    def copied(self: Any, **changes: Any) -> Any:
        twin = kind.copy(self, **changes)  # type: ignore[attr-defined]
        twin._headroom, twin._headroom_family = self._headroom, self._headroom_family
        return twin

    own = {"copy": copied, "with_options": copied, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (part, kind), own)


class _Base:
    _headroom: Desk | None = None
    _headroom_family = ""
    base_url: Any

    def _headroom_open(self, options: Any, stream: bool) -> Call | None:
        """The call that a request is, and None when it is none of a model."""
        desk = self._headroom
        data = options.json_data
        if desk is None or str(options.method).lower() != "post" or not isinstance(data, dict):
            return None
        aim = _target(self._headroom_family, str(options.url))
        if aim is None:
            return None
        call = Call(aim, from_headers({}), "audit", str(getattr(self.base_url, "host", "")))
        model = data.get("model")
        call.model = model if isinstance(model, str) else ""
        call.stream = stream or bool(data.get("stream"))
        return call

    def _headroom_begin(self, request: Any) -> tuple[Call, dict[str, str]] | None:
        """Take our own headers off a request that is ready; its call, if it has one."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        for name in [name for name in headers if name.startswith(OURS)]:
            del request.headers[name]
        call = _call.get()
        if call is None or self._headroom is None:
            return None
        call.options = from_headers(headers)
        call.mode = self._headroom.mode_of(call.options)
        return call, headers

    def _headroom_answer(
        self, call: Call, response: Any, chunks: Callable[[Any, UsageReader, Callable[[], None]], Any]
    ) -> None:
        """Read what the answer says it used, now or while it passes."""
        desk = self._headroom
        assert desk is not None
        if HIT in response.headers:
            desk.known(call)
            return
        kind = response.headers.get("content-type", "")
        done = response.is_closed or response.is_stream_consumed
        reader = desk.answered(
            call, response.status_code, kind, "" if done else response.headers.get("content-encoding", "")
        )
        if done:
            reader.feed(response.content)
            desk.close_call(call)
        else:
            response.stream = chunks(response.stream, reader, lambda: desk.close_call(call))


class _Sync(_Base):
    def request(self, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        call = self._headroom_open(options, bool(kwargs.get("stream")))
        if call is None:
            return super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
        token = _call.set(call)
        try:
            return super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            if not _again(self._headroom, call, error):
                raise
            try:
                return super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
            except Exception as second:
                _failed(self._headroom, call, second)
                raise
        finally:
            _call.reset(token)

    def _prepare_request(self, request: Any) -> None:
        begun = self._headroom_begin(request)
        if begun is not None and self._headroom is not None:
            body = request.read()
            _replace(request, body, self._headroom.rewritten(begun[0], body, begun[1]))
        super()._prepare_request(request)  # type: ignore[misc]

    def _process_response(self, *args: Any, **kwargs: Any) -> Any:
        call = _call.get()
        if call is not None:
            self._headroom_answer(call, kwargs["response"], _sync_copy)
        return super()._process_response(*args, **kwargs)  # type: ignore[misc]


class _Async(_Base):
    async def request(self, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        call = self._headroom_open(options, bool(kwargs.get("stream")))
        if call is None:
            return await super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
        token = _call.set(call)
        try:
            return await super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
        except Exception as error:
            if not _again(self._headroom, call, error):
                raise
            try:
                return await super().request(cast_to, options, *args, **kwargs)  # type: ignore[misc]
            except Exception as second:
                _failed(self._headroom, call, second)
                raise
        finally:
            _call.reset(token)

    async def _prepare_request(self, request: Any) -> None:
        begun = self._headroom_begin(request)
        if begun is not None and self._headroom is not None:
            from anyio import to_thread

            body = await request.aread()
            call, headers = begun
            _replace(request, body, await to_thread.run_sync(self._headroom.rewritten, call, body, headers))
        await super()._prepare_request(request)  # type: ignore[misc]

    async def _process_response(self, *args: Any, **kwargs: Any) -> Any:
        call = _call.get()
        if call is not None:
            self._headroom_answer(call, kwargs["response"], _async_copy)
        return await super()._process_response(*args, **kwargs)  # type: ignore[misc]


def _again(desk: Desk | None, call: Call, error: Exception) -> bool:
    """Whether to send the original after this error; otherwise it is written down."""
    status = getattr(error, "status_code", 0)
    status = status if isinstance(status, int) else 0
    if desk is None or call.mode == HeadroomMode.SIMULATE:
        return False
    if desk.refuses(call, status):
        return True
    desk.failed(call, status, error)
    return False


def _failed(desk: Desk | None, call: Call, error: Exception) -> None:
    if desk is not None:
        status = getattr(error, "status_code", 0)
        desk.failed(call, status if isinstance(status, int) else 0, error)


def _replace(request: Any, body: bytes, new: bytes) -> None:
    """Put another body into an httpx request."""
    if new == body:
        return
    fresh = type(request)(request.method, request.url, content=new)
    request.stream, request._content = fresh.stream, new
    request.headers["content-length"] = str(len(new))


_HOSTS = {"anthropic": {"host": "anthropic"}, "openai": {"host": "openai"}}


def _target(family: str, url: str) -> Target | None:
    """What a request of the SDK is: told by its path, whatever host the program sends it to."""
    path = "/" + url.split("://", 1)[-1].partition("/")[2] if "://" in url else url
    found = target("host", None, path if path.startswith("/") else f"/{path}", "POST", _HOSTS[family])
    return Target(family, found.shape, found.kind) if found else None


def _sync_copy(stream: Any, reader: UsageReader, done: Callable[[], None]) -> Any:
    kind: type = type(stream)
    return _copy_class(kind, False)(stream, reader, done)


def _async_copy(stream: Any, reader: UsageReader, done: Callable[[], None]) -> Any:
    kind: type = type(stream)
    return _copy_class(kind, True)(stream, reader, done)


@cache
def _copy_class(kind: type, asynchronous: bool) -> type:
    """A stream that passes another on and gives a copy to the reader; of the httpx that ``kind`` belongs to."""
    httpx = sys.modules[kind.__module__.partition(".")[0]]

    class Copied:
        def __init__(self, stream: Any, reader: UsageReader, done: Callable[[], None]) -> None:
            self._stream, self._reader, self._done = stream, reader, done

    class SyncCopied(Copied, httpx.SyncByteStream):  # type: ignore[misc,name-defined]
        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in self._stream:
                    self._reader.feed(chunk)
                    yield chunk
            finally:
                self._done()

        def close(self) -> None:
            self._stream.close()
            self._done()

    class AsyncCopied(Copied, httpx.AsyncByteStream):  # type: ignore[misc,name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self._stream:
                    self._reader.feed(chunk)
                    yield chunk
            finally:
                self._done()

        async def aclose(self) -> None:
            await self._stream.aclose()
            self._done()

    return AsyncCopied if asynchronous else SyncCopied
