"""Google's SDK google-genai.

Like the others: a copy of the program's client whose one way to the network, its API client, is of a subclass that
takes requests and answers past us. All that the SDK does on top of it, chats and calling functions by itself included,
goes the same way.
"""

import copy
import json
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from headroom.cache.explicit import ExplicitCaches
from headroom.config import HeadroomMode
from headroom.sdk.calls import Call, Desk
from headroom.sdk.options import from_headers
from headroom.wire.targets import Target, model_from_path, target

_call: ContextVar[Call | None] = ContextVar("headroom_genai_call", default=None)
OURS = "x-headroom-"
HIT = "x-headroom-cache"
"""In an answer that no provider gave."""
LOST = frozenset({400, 403, 404})
"""How a cache that is gone, or that a request may not name, is refused."""
_HOST = {"host": "gemini"}


def is_genai(client: object) -> bool:
    """Whether a client is Google's."""
    return any(kind.__module__ == "google.genai.client" and kind.__name__ == "Client" for kind in type(client).__mro__)


def explicit_caches(client: Any) -> ExplicitCaches:
    """Explicit caches that a client makes, renews and deletes."""
    return ExplicitCaches(_CacheCalls(client._api_client))


def wrapped(client: Any, desk: Desk, caches: ExplicitCaches | None = None) -> Any:
    """A client that does what ``client`` does, by way of ``desk``; with ``caches`` also by way of these."""
    kind: type = type(client._api_client)
    api: Any = object.__new__(_class_of(kind))
    vars(api).update(vars(client._api_client))
    api._headroom, api._caches = desk, caches
    if desk.semantic_cache is not None:
        from headroom.semantic_cache.transport import cached

        for name in ("_httpx_client", "_async_httpx_client"):
            if vars(api).get(name) is not None:
                setattr(api, name, cached(getattr(api, name), desk.semantic_cache, _may_be_known))
    twin = copy.copy(client)
    for name, value in vars(client).items():
        if value is client._api_client:
            setattr(twin, name, api)
        elif getattr(value, "_api_client", None) is client._api_client:
            setattr(twin, name, type(value)(api))
        elif name.startswith("_nextgen") or type(value).__module__.startswith("google.genai._gaos"):
            setattr(twin, name, None)
    return twin


def _may_be_known() -> bool:
    """Whether the request that is under way may be answered from the semantic cache."""
    call = _call.get()
    return call is not None and call.mode == HeadroomMode.OPTIMIZE


@cache
def _class_of(kind: type) -> type:
    return type(kind.__name__, (_Api, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


@dataclass(slots=True)
class _Bodies:
    """A request as it came, without a cache, and the cache that it names."""

    original: Any
    without_cache: Any = None
    cache: str = ""


class _CacheCalls:
    """Explicit caches by way of the program's own client."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = str(body["model"])
        vertex = f"projects/{self._api.project}/locations/{self._api.location}/publishers/google/models/{name}"
        model = vertex if self._api.vertexai else f"models/{name}"
        told = json.loads(self._api.request("post", "cachedContents", {**body, "model": model}).body)
        assert isinstance(told, dict)
        return told

    def renew(self, name: str, ttl: str) -> None:
        self._api.request("patch", name, {"ttl": ttl})

    def delete(self, name: str) -> None:
        self._api.request("delete", name, {})


class _Api:
    _headroom: Desk | None = None
    _caches: ExplicitCaches | None = None
    vertexai: bool | None

    def __del__(self) -> None:
        """The connections are the original's, which closes them."""

    def _request(self, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:
        desk, call = self._headroom, _begin(self._headroom, http_request, stream)
        if desk is None or call is None:
            return super()._request(http_request, http_options, stream)  # type: ignore[misc]
        bodies = self._bodies(call, http_request)
        _call.set(call)
        while True:
            try:
                response = super()._request(http_request, http_options, stream)  # type: ignore[misc]
                return _answered(desk, call, response, stream)
            except Exception as error:
                if not self._again(call, http_request, bodies, error):
                    raise

    async def _async_request(self, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:
        from anyio import to_thread

        desk, call = self._headroom, _begin(self._headroom, http_request, stream)
        if desk is None or call is None:
            return await super()._async_request(http_request, http_options, stream)  # type: ignore[misc]
        bodies = await to_thread.run_sync(self._bodies, call, http_request)
        _call.set(call)
        while True:
            try:
                response = await super()._async_request(http_request, http_options, stream)  # type: ignore[misc]
                return _answered(desk, call, response, stream)
            except Exception as error:
                if not await to_thread.run_sync(self._again, call, http_request, bodies, error):
                    raise

    def _bodies(self, call: Call, http_request: Any) -> "_Bodies":
        """What is sent, and what instead where the provider refuses it."""
        bodies = _Bodies(http_request.data)
        self._rewrite(call, http_request)
        if self._caches is not None and call.mode == HeadroomMode.OPTIMIZE and call.target.kind != "count_tokens":
            used = self._caches.use(http_request.data, call.model)
            if used is not None:
                bodies.without_cache = http_request.data
                http_request.data, bodies.cache = used
        return bodies

    def _again(self, call: Call, http_request: Any, bodies: "_Bodies", error: Exception) -> bool:
        """Whether the request is sent once more in another form, which it then has."""
        desk, status = self._headroom, _status(error)
        assert desk is not None
        if bodies.cache and self._caches is not None and status in LOST:
            self._caches.refused(bodies.cache)
            bodies.cache, http_request.data = "", bodies.without_cache
            return True
        if desk.refuses(call, status):
            http_request.data = bodies.original
            return True
        desk.failed(call, status, error)
        return False

    def _rewrite(self, call: Call, http_request: Any) -> None:
        assert self._headroom is not None
        body = json.dumps(http_request.data).encode()  # as the SDK writes it
        new = self._headroom.rewritten(call, body, {name.lower(): str(v) for name, v in http_request.headers.items()})
        if new != body:  # as bytes where the SDK takes them, so that they are the proxy's
            as_json = self._caches is not None or self.vertexai
            http_request.data = json.loads(new) if as_json else new


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
    if HIT in {name.lower() for name in response.headers or ()}:
        desk.known(call)
        return response
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
