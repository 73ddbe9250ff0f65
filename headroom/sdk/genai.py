"""Google's SDK google-genai.

Like the others: a copy of the program's client whose one way to the network, its API client, is of a subclass that
takes requests and answers past us. All that the SDK does on top of it, chats and calling functions by itself included,
goes the same way.
"""

import copy
import json
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from headroom.sdk.calls import Call, Desk
from headroom.sdk.options import from_headers
from headroom.wire.targets import Target, model_from_path, target

OURS = "x-headroom-"
_HOST = {"host": "gemini"}


def is_genai(client: object) -> bool:
    """Whether a client is Google's."""
    return any(kind.__module__ == "google.genai.client" and kind.__name__ == "Client" for kind in type(client).__mro__)


def wrapped(client: Any, desk: Desk) -> Any:
    """A client that does what ``client`` does, by way of ``desk``."""
    kind: type = type(client._api_client)
    api: Any = object.__new__(_class_of(kind))
    vars(api).update(vars(client._api_client))
    api._headroom = desk
    twin = copy.copy(client)
    for name, value in vars(client).items():
        if value is client._api_client:
            setattr(twin, name, api)
        elif getattr(value, "_api_client", None) is client._api_client:
            setattr(twin, name, type(value)(api))
        elif name.startswith("_nextgen") or type(value).__module__.startswith("google.genai._gaos"):
            setattr(twin, name, None)
    return twin


@cache
def _class_of(kind: type) -> type:
    return type(kind.__name__, (_Api, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


class _Api:
    _headroom: Desk | None = None

    def __del__(self) -> None:
        """The connections are the original's, which closes them."""

    def _request(self, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:
        desk, call = self._headroom, _begin(self._headroom, http_request, stream)
        if desk is None or call is None:
            return super()._request(http_request, http_options, stream)  # type: ignore[misc]
        data = http_request.data
        self._rewrite(call, http_request)
        try:
            response = super()._request(http_request, http_options, stream)  # type: ignore[misc]
        except Exception as error:
            if not desk.refuses(call, _status(error)):
                desk.failed(call, _status(error), error)
                raise
            http_request.data = data
            try:
                response = super()._request(http_request, http_options, stream)  # type: ignore[misc]
            except Exception as second:
                desk.failed(call, _status(second), second)
                raise
        return _answered(desk, call, response, stream)

    async def _async_request(self, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:
        from anyio import to_thread

        desk, call = self._headroom, _begin(self._headroom, http_request, stream)
        if desk is None or call is None:
            return await super()._async_request(http_request, http_options, stream)  # type: ignore[misc]
        data = http_request.data
        await to_thread.run_sync(self._rewrite, call, http_request)
        try:
            response = await super()._async_request(http_request, http_options, stream)  # type: ignore[misc]
        except Exception as error:
            if not desk.refuses(call, _status(error)):
                desk.failed(call, _status(error), error)
                raise
            http_request.data = data
            try:
                response = await super()._async_request(http_request, http_options, stream)  # type: ignore[misc]
            except Exception as second:
                desk.failed(call, _status(second), second)
                raise
        return _answered(desk, call, response, stream)

    def _rewrite(self, call: Call, http_request: Any) -> None:
        assert self._headroom is not None
        body = json.dumps(http_request.data).encode()  # as the SDK writes it
        new = self._headroom.rewritten(call, body, {name.lower(): str(v) for name, v in http_request.headers.items()})
        if new != body:
            http_request.data = json.loads(new)


def _begin(desk: Desk | None, http_request: Any, stream: bool) -> Call | None:
    """The call that a request is; None when it is none of a model. Our own headers are taken off."""
    headers = {name.lower(): str(value) for name, value in http_request.headers.items()}
    if any(name.startswith(OURS) for name in headers):
        http_request.headers = {k: v for k, v in http_request.headers.items() if not k.lower().startswith(OURS)}
    if desk is None or not isinstance(http_request.data, dict):
        return None
    url = urlsplit(str(http_request.url))
    found = target("host", None, _path(url.path), str(http_request.method).upper(), _HOST)
    if found is None:
        return None
    options = from_headers(headers)
    call = Call(Target("gemini", found.shape, found.kind), options, desk.mode_of(options), url.hostname or "")
    call.model, call.stream = model_from_path(url.path) or "", stream
    return call


def _path(path: str) -> str:
    """The path with the model as a path of its own: models may have a slash in their names."""
    head, mark, tail = path.rpartition("/models/")
    return f"{head}{mark}{tail.replace('/', '_')}"


def _answered(desk: Desk, call: Call, response: Any, stream: bool) -> Any:
    reader = desk.answered(call, 200, "application/json")
    if not stream:
        for part in response.response_stream or ():
            reader.feed(part.encode() if isinstance(part, str) else part)
        desk.close_call(call)
        return response
    segments, async_segments = response.segments, response.async_segments

    def copied() -> Iterator[Any]:
        try:
            for segment in segments():
                reader.feed_event(json.dumps(segment).encode())
                yield segment
        finally:
            desk.close_call(call)

    async def async_copied() -> AsyncIterator[Any]:
        try:
            async for segment in async_segments():
                reader.feed_event(json.dumps(segment).encode())
                yield segment
        finally:
            desk.close_call(call)

    response.segments, response.async_segments = copied, async_copied
    return response


def _status(error: BaseException) -> int:
    code = getattr(error, "code", 0)
    return code if isinstance(code, int) else 0
