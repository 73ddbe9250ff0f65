"""Requests to the proxy itself: model calls of clients that have it as their base URL, and the HTTP API.

They come on the port on which everything else is proxied. What tells them apart is where they are to go: to this port.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mitmproxy import connection, http
from mitmproxy.proxy.mode_specs import RegularMode, UpstreamMode

from addon.exchange import Exchanges
from headroom.api import gate
from headroom.api.gate import Asked, Refusal
from headroom.api.upstreams import HINT, upstream
from headroom.api.world import Running
from headroom.ccr.originals import Originals
from headroom.errors import without_message
from headroom.ledger import Ledger
from headroom.ledger.blocks import Blocks
from headroom.session.identity import lower_headers
from headroom.subscription import Subscriptions

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from headroom.api.live import Live

log = logging.getLogger("headroom")
OWN_PATHS = (
    *("/", "/health", "/livez", "/readyz", "/metrics", "/stats", "/stats-history", "/cache/clear", "/openapi.json"),
    *(
        "/v1/compress",
        "/v1/retrieve",
        "/events",
        "/sessions",
        "/troubles",
        "/retrievals",
        "/subscription",
        "/dashboard",
    ),
)
OWN_BELOW = ("/v1/retrieve/", "/stats/", "/sessions/", "/dashboard/")


class World:
    """What the API reads, of whichever exchanges the proxy has at the moment."""

    def __init__(self, exchanges: Callable[[], Exchanges]) -> None:
        self._exchanges = exchanges
        self.started = time.time()

    @property
    def ledger(self) -> Ledger:
        return self._exchanges().ledger

    @property
    def live(self) -> "Live":
        return self._exchanges().live

    @property
    def originals(self) -> Originals:
        return self._exchanges().originals

    @property
    def blocks(self) -> Blocks:
        return self._exchanges().blocks

    @property
    def subscriptions(self) -> Subscriptions:
        return self._exchanges().subscriptions

    @property
    def running(self) -> Running:
        settings = self._exchanges().settings
        return Running(settings.mode, settings.cache.enabled, settings.budget_usd, settings.workspace, settings.api_key)


class Direct:
    """Lets requests in or refuses them, sends model calls on, and hands the rest to the API."""

    def __init__(self, exchanges: Callable[[], Exchanges]) -> None:
        self._exchanges = exchanges
        self._tunnels: set[str] = set()
        """Client connections that asked for a tunnel: what comes through it is not for us."""
        self._for_api: set[str] = set()
        """Flows of requests that the API answers."""
        self._rate = gate.Rate()
        self._app: Starlette | None = None

    def tunnel(self, flow: http.HTTPFlow) -> None:
        """A client asks for a tunnel; where a key is needed it has to show it."""
        key = self._exchanges().settings.api_key
        if key and not gate.has_proxy_key(flow.request.headers.get("proxy-authorization", ""), key):
            flow.response = http.Response.make(
                407, b"headroom: a key is needed", {"proxy-authenticate": 'Basic realm="headroom"'}
            )
            return
        self._tunnels.add(flow.client_conn.id)

    def gone(self, client: connection.Client) -> None:
        self._tunnels.discard(client.id)

    def request_headers(self, flow: http.HTTPFlow) -> bool:
        """Whether the request is answered here. A model call is not: it gets its provider's name."""
        settings = self._exchanges().settings
        if not self._is_for_us(flow, settings.api_hosts):
            return self._refuses_plain(flow, settings.api_key)
        request = flow.request
        headers = lower_headers(request.headers)
        asked = Asked(request.method, request.path, request.host, request.port, headers)
        own = asked.plain_path in OWN_PATHS or asked.plain_path.startswith(OWN_BELOW)
        refused = gate.refusal(asked, settings.api_key, settings.api_hosts)
        to = None if own else upstream(asked.path, headers)
        if refused is None and own:
            refused = gate.too_large(asked)
            wait = self._rate.wait(str(flow.client_conn.peername[0]))
            if wait:
                refused = Refusal(429, "rate_limit_error", f"too many requests; again in {wait:.2f} s")
        if refused is None and not own and to is None:
            refused = Refusal(404, "not_found", f"there is no {asked.plain_path[:200]} here: {HINT}")
        if refused is not None:
            flow.response = _refusal(refused)
            self._for_api.add(flow.id)
            return True
        if own:
            self._for_api.add(flow.id)
            return True
        assert to is not None
        _send_to(flow, to, settings.api_key)
        return False

    def _is_for_us(self, flow: http.HTTPFlow, names: frozenset[str]) -> bool:
        client = flow.client_conn
        if client.id in self._tunnels or not isinstance(client.proxy_mode, (RegularMode, UpstreamMode)):
            return False
        host, port = flow.request.host.lower(), flow.request.port
        return port == client.sockname[1] or host in names or f"{host}:{port}" in names

    def _refuses_plain(self, flow: http.HTTPFlow, key: str) -> bool:
        """Whether a request to another host, without a tunnel, is refused for want of the key."""
        if not key or flow.client_conn.id in self._tunnels:
            return False
        shown = flow.request.headers.pop("proxy-authorization", "")
        if gate.has_proxy_key(shown, key):
            return False
        flow.response = http.Response.make(407, b"headroom: a key is needed", {"proxy-authenticate": "Basic"})
        self._for_api.add(flow.id)
        return True

    def is_answered_here(self, flow: http.HTTPFlow) -> bool:
        return flow.id in self._for_api

    def over(self, flow: http.HTTPFlow) -> None:
        self._for_api.discard(flow.id)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer it, unless it was refused."""
        if flow.response is not None:
            return
        try:
            if self._app is None:  # a thread loads what it needs: other requests go on meanwhile
                self._app = await asyncio.get_running_loop().run_in_executor(None, self._make)
            flow.response = await _ask(self._app, flow.request)
        except Exception as error:
            log.warning("the API failed: %s", without_message(error))
            flow.response = _refusal(Refusal(500, "internal_error", f"the proxy failed: {type(error).__name__}"))

    def _make(self) -> "Starlette":
        from headroom.api.app import make_app

        return make_app(World(self._exchanges))


def _send_to(flow: http.HTTPFlow, host: str, key: str) -> None:
    """Let a request leave for a provider; nothing that was meant for us goes along."""
    request = flow.request
    request.scheme, request.host, request.port = "https", host, 443
    request.host_header = host
    for name in ("proxy-authorization", "proxy-connection"):
        request.headers.pop(name, None)
    if key and gate.same(gate.bearer(request.headers.get("authorization", "")), key):
        del request.headers["authorization"]


def _refusal(refused: Refusal) -> http.Response:
    import json

    content = json.dumps({"error": {"type": refused.type, "message": f"headroom: {refused.message}"}}).encode()
    headers = {"content-type": "application/json"}
    if refused.status == 429:
        headers["retry-after"] = "1"
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return http.Response.make(refused.status, content, headers)


async def _ask(app: "Starlette", request: http.Request) -> http.Response:
    """The app's answer, whole."""
    path, _, query = request.path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": _unquoted(path),
        "raw_path": path.encode("ascii", "replace"),
        "root_path": "",
        "query_string": query.encode("ascii", "replace"),
        "headers": [(name.lower(), value) for name, value in request.headers.fields],
        "client": None,
        "server": (request.host, request.port),
    }
    body = [request.get_content(strict=False) or b""]
    started: list[Mapping[str, Any]] = []
    content = bytearray()

    async def receive() -> dict[str, Any]:
        if body:
            return {"type": "http.request", "body": body.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            content.extend(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception as error:  # Starlette has answered already, and raises for the server's log
        log.warning("the API failed: %s", without_message(error))
    if not started:
        raise RuntimeError("no answer")
    return http.Response.make(started[0]["status"], bytes(content), list(started[0]["headers"]))


def _unquoted(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path, errors="replace")
