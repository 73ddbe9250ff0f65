"""A client's resources (``client.chat.completions``) with two things more: keywords ``headroom_...``, and ``simulate``.

Everything else is the SDK's own object: attributes, types, signatures, docstrings.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from headroom.sdk.options import HEADER, PREFIX, header_of, split
from headroom.sdk.results import Simulated, SimulationResult

MAKES = ("create", "generate_content")
"""The methods of which ``simulate`` says what they would send."""
_WHOLE = ("WithRawResponse", "WithRawResponses", "WithStreamedResponse", "WithStreamingResponse")
"""How the SDKs' classes end that stand for a whole client, or a resource, with another kind of answers."""


def is_resource(value: object) -> bool:
    """Whether an attribute of a client is a part of it that makes requests."""
    kind = type(value)
    parts = kind.__module__.split(".")
    if parts[:2] == ["google", "genai"]:
        return parts[2:] in (["models"], ["chats"], ["caches"]) or kind.__name__ == "AsyncClient"
    if kind.__name__.endswith(_WHOLE):
        return True
    return "resources" in parts and not inspect.isroutine(value) and not isinstance(value, type)


class Resource:
    """Stands for one of the SDK's resources."""

    __slots__ = ("_resource",)

    def __init__(self, resource: Any) -> None:
        object.__setattr__(self, "_resource", resource)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # for isinstance
        return type(object.__getattribute__(self, "_resource"))

    def __getattr__(self, name: str) -> Any:
        resource = object.__getattribute__(self, "_resource")
        if name == "simulate":
            made = next((method for each in MAKES if callable(method := getattr(resource, each, None))), None)
            if made is None:
                raise AttributeError(f"{type(resource).__name__!r} object has no attribute 'simulate'")
            return _simulating(made)
        value = getattr(resource, name)
        if is_resource(value):
            return Resource(value)
        return _method(value) if inspect.ismethod(value) or inspect.isfunction(value) else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_resource"), name, value)

    def __dir__(self) -> list[str]:
        resource = object.__getattribute__(self, "_resource")
        own = ["simulate"] if any(hasattr(resource, each) for each in MAKES) else []
        return sorted({*dir(resource), *own})

    def __repr__(self) -> str:
        return repr(object.__getattribute__(self, "_resource"))


def _method(method: Callable[..., Any]) -> Callable[..., Any]:
    """The SDK's method, which also takes our keywords; in simulate mode what comes back is the plan."""

    @functools.wraps(method)
    def called(*args: Any, **keywords: Any) -> Any:
        if any(name.startswith(PREFIX) for name in keywords):
            theirs, ours = split(keywords)
            keywords = _with_header(method, theirs, ours)
        try:
            result = method(*args, **keywords)
        except Simulated as simulated:
            return simulated.plan
        return _planned(result) if inspect.iscoroutine(result) else result

    return called


async def _planned(result: Awaitable[Any]) -> Any:
    try:
        return await result
    except Simulated as simulated:
        return simulated.plan


def _simulating(method: Callable[..., Any]) -> Callable[..., Any]:
    """What ``method`` would send, as a plan. Of an asynchronous client it is awaited, like all its methods."""

    def simulate(*args: Any, **keywords: Any) -> SimulationResult | Awaitable[SimulationResult]:
        """Say what would be done to this request; nothing is sent. Takes what ``create`` takes."""
        return _method(method)(*args, **{**keywords, "headroom_mode": "simulate"})  # type: ignore[no-any-return]

    return simulate


def _with_header(method: Callable[..., Any], theirs: dict[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The SDK's keywords with ours in a header of this one request."""
    header = {HEADER: header_of(ours)}
    if "config" in _parameters(method):
        return {**theirs, "config": _with_config(theirs.get("config"), header)}
    return {**theirs, "extra_headers": {**(theirs.get("extra_headers") or {}), **header}}


def _with_config(config: Any, header: Mapping[str, str]) -> Any:
    """Google's config, an object or a dict or none, with a header more."""
    if config is None or isinstance(config, Mapping):
        config = dict(config or {})
        key = "httpOptions" if "httpOptions" in config else "http_options"
        return {**config, key: _with_options(config.get(key), header)}
    return config.model_copy(update={"http_options": _with_options(config.http_options, header)})


def _with_options(options: Any, header: Mapping[str, str]) -> Any:
    if options is None or isinstance(options, Mapping):
        options = dict(options or {})
        return {**options, "headers": {**(options.get("headers") or {}), **header}}
    return options.model_copy(update={"headers": {**(options.headers or {}), **header}})


def _parameters(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(method).parameters
    except (TypeError, ValueError):
        return {}
