"""Which requests are ours: the hosts that are decrypted, the paths on them, and what stands in their bodies.

Signed requests are never ours. AWS signs a request with its body (Bedrock): a changed one is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from headroom.errors import ConfigurationError

Kind = Literal["messages", "count_tokens", "chat", "responses", "generate", "stream_generate"]
HOST_SHAPES = ("anthropic", "openai", "openai-chat", "openai-responses", "gemini")
"""What a host of ``headroom_hosts`` may speak; openai is both of OpenAI's shapes."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is: whose, in which shape its body, and for what.

    ``provider`` is anthropic, openai, gemini, vertex, azure or, for hosts that the user named, their name.
    ``reason`` says why a request that is not ``rewritable`` is not.
    """

    provider: str
    shape: str
    kind: Kind
    rewritable: bool = True
    reason: str = ""


_Ways = Mapping[str, tuple[str, Kind]]
_Routes = tuple[tuple[re.Pattern[str], str, Kind], ...]

_MESSAGES: _Ways = {
    "/messages": ("anthropic", "messages"),
    "/messages/count_tokens": ("anthropic", "count_tokens"),
}
_CHAT: _Ways = {"/chat/completions": ("openai-chat", "chat")}
_RESPONSES: _Ways = {
    "/responses": ("openai-responses", "responses"),
    "/responses/compact": ("openai-responses", "responses"),
    "/responses/input_tokens": ("openai-responses", "count_tokens"),
}
_GENERATE: _Ways = {
    "/[^/:]+:generateContent": ("gemini", "generate"),
    "/[^/:]+:streamGenerateContent": ("gemini", "stream_generate"),
    "/[^/:]+:countTokens": ("gemini", "count_tokens"),
}
_RAW_PREDICT: _Ways = {
    "/count-tokens:rawPredict": ("anthropic", "count_tokens"),
    "/[^/:]+:(?:rawPredict|streamRawPredict)": ("anthropic", "messages"),
}


def _routes(ways_below: Mapping[str, _Ways]) -> _Routes:
    return tuple(
        (re.compile(start + end), shape, kind)
        for start, ways in ways_below.items()
        for end, (shape, kind) in ways.items()
    )


_VERSION = r"/v1(?:(?:alpha|beta)\d*)?"
_LOCATION = r"/projects/[^/]+/locations/[^/]+"
_VERTEX = f"{_VERSION}(?:{_LOCATION})?"
# Host names, the provider behind them, and where on them requests go.
_HOSTS: tuple[tuple[re.Pattern[str], str, _Routes], ...] = tuple(
    (re.compile(name), provider, _routes(ways))
    for name, provider, ways in (
        (r"api\.anthropic\.com", "anthropic", {"/v1": _MESSAGES}),
        # eu.api.openai.com and others: https://developers.openai.com/api/docs/guides/data-residency
        (r"(?:[a-z]{2}\.)?api\.openai\.com", "openai", {"/v1": {**_CHAT, **_RESPONSES}}),
        (r"chatgpt\.com", "openai", {"/backend-api/codex": _RESPONSES}),
        (
            r"generativelanguage\.googleapis\.com",
            "gemini",
            {f"{_VERSION}/(?:models|tunedModels)": _GENERATE, f"{_VERSION}/openai": _CHAT},
        ),
        # A region, all of them, or (aiplatform.eu.rep) some. Not the mtls hosts, whose clients show a certificate.
        (
            r"(?:[a-z0-9-]+-)?aiplatform\.googleapis\.com|aiplatform\.[a-z0-9-]+\.rep\.googleapis\.com",
            "vertex",
            {
                f"{_VERTEX}/(?:publishers/google/models|endpoints)": _GENERATE,
                f"{_VERTEX}/publishers/anthropic/models": _RAW_PREDICT,
                f"{_VERTEX}/endpoints/openapi": _CHAT,
            },
        ),
        (r"claude\.googleapis\.com", "vertex", {f"/v1{_LOCATION}/workspaces/[^/]+/invoke/v1": _MESSAGES}),
        (
            r"[a-z0-9-]+\.(?:openai|services\.ai)\.azure\.(?:com|us)",
            "azure",
            {
                "/openai/(?:v1|deployments/[^/]+)": _CHAT,
                "/models": _CHAT,
                "(?:/api/projects/[^/]+)?/openai(?:/v1)?": _RESPONSES,
                "/anthropic/v1": _MESSAGES,
            },
        ),
    )
)
_EXTRA = {
    "anthropic": _routes({"(?:/.+)?/v1": _MESSAGES}),
    "openai": _routes({"(?:/.+)?": {**_CHAT, **_RESPONSES}}),
    "openai-chat": _routes({"(?:/.+)?": _CHAT}),
    "openai-responses": _routes({"(?:/.+)?": _RESPONSES}),
    "gemini": _routes({"(?:/.+)?": _GENERATE}),
}
_signed_host = re.compile(
    r"(?:.+\.)?bedrock(?:-[a-z-]+)?\.(?:.+\.)?amazonaws\.com(?:\.cn)?"
    r"|(?:.+\.)?(?:bedrock-mantle|aws-external-anthropic)\..+\.api\.aws"
).fullmatch
_invoke = re.compile(r"/model/[^/]+/(?:invoke|converse)(?:-with-response-stream|-stream)?").fullmatch
_model = re.compile(r"/(?:models|tunedModels)/([^/:]+):[A-Za-z]+$").search
_deployment = re.compile(r"/openai/deployments/([^/]+)/").search
_host_with_port = re.compile(
    r"(?P<host>(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
).fullmatch


def is_provider_host(host: str, extra_hosts: Mapping[str, str]) -> bool:
    """Whether connections to ``host`` are decrypted; ``extra_hosts`` as ``parse_hosts`` gives them.

    A port in ``extra_hosts`` is not looked at: at this point it is not known.
    """
    host = _plain(host)
    if _signed_host(host):
        return False
    return any(name.fullmatch(host) for name, _, _ in _HOSTS) or _extra_shape(host, None, extra_hosts) is not None


def target(host: str, port: int | None, path: str, method: str, extra_hosts: Mapping[str, str]) -> Target | None:
    """What a request to this address is; None when it is none of ours. ``path`` may have a query."""
    host, path = _plain(host), _clean(path)
    if _signed_host(host):
        signed = method == "POST" and _invoke(path)
        return Target("bedrock", "anthropic", "messages", False, "signed by AWS with its body") if signed else None
    shape = _extra_shape(host, port, extra_hosts)
    if shape is not None:
        return _find(host, _EXTRA[shape], path, method)
    for name, provider, routes in _HOSTS:
        if name.fullmatch(host):
            return _find(provider, routes, path, method)
    return None


def model_from_path(path: str) -> str | None:
    """The model that a path names (Gemini, Vertex AI, Azure deployments); None when the body does."""
    path = _clean(path)
    found = _model(path) or _deployment(path)
    return found[1] if found and found[1] != "count-tokens" else None


def parse_hosts(spec: str) -> dict[str, str]:
    """``host=shape,host2:8443=shape,*.example.com=shape`` as a mapping. Raises ConfigurationError."""
    hosts: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in spec.split(","))):
        host, _, shape = (part.strip().lower() for part in entry.partition("="))
        found = _host_with_port(host.removesuffix("."))
        if shape not in HOST_SHAPES:
            raise _wrong(entry, f"host=shape with a shape of {' | '.join(HOST_SHAPES)}")
        if not found or not 0 < int(found["port"] or 443) < 65536:
            raise _wrong(entry, "a host name or address, with a port or without, or *.example.com, and no path")
        if _signed_host(found["host"]):
            raise _wrong(entry, "no host of AWS Bedrock: its requests are signed with their bodies")
        if hosts.setdefault(found[0], shape) != shape:
            raise _wrong(entry, f"one shape for a host, and {found[0]} has {hosts[found[0]]} already")
    return hosts


def _find(provider: str, routes: _Routes, path: str, method: str) -> Target | None:
    if method != "POST" and not (method == "GET" and path.endswith("/responses")):  # a WebSocket begins with a GET
        return None
    for route, shape, kind in routes:
        if route.fullmatch(path):
            return Target(provider, shape, kind)
    return None


def _extra_shape(host: str, port: int | None, extra_hosts: Mapping[str, str]) -> str | None:
    """The shape that the user gave this host: by its own name, else by the nearest ``*.`` above it."""
    parts = host.split(".")
    for name in (f"[{host}]" if ":" in host else host, *(f"*.{'.'.join(parts[i:])}" for i in range(1, len(parts)))):
        shape = extra_hosts.get(f"{name}:{port}") or extra_hosts.get(name)
        if shape is None and port is None:
            shape = next((shape for key, shape in extra_hosts.items() if key.startswith(f"{name}:")), None)
        if shape is not None:
            return shape
    return None


def _plain(host: str) -> str:
    return host.lower().strip("[]").removesuffix(".")


def _clean(path: str) -> str:
    """The path alone: no query, no escapes, no empty parts."""
    plain = unquote(path.partition("?")[0].partition("#")[0])
    return re.sub(r"/{2,}", "/", plain).rstrip("/")


def _wrong(entry: str, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        f"headroom_hosts has {entry!r}; allowed: {allowed}",
        {"setting": "headroom_hosts", "value": entry, "allowed": allowed},
    )
