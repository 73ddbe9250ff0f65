"""Codex's WebSocket: each ``response.create`` that the client sends is a request, the events after it its answer.

What is new in a request is rewritten in the light of what was said on the connection before (``headroom.wire.chain``),
as it would be in a request that says everything.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from mitmproxy import ctx, http, websocket

from addon.rows import REFUSED, Exchange, take_back
from headroom.engine import RawRequest
from headroom.subscription import EVENT, from_event
from headroom.wire.chain import Chain
from headroom.wire.spans import Span, read_value, splice
from headroom.wire.targets import Target
from headroom.wire.usage import UsageReader

_CREATE = b'"response.create"'
_ENDS = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"')
_ERROR = b'"error"'
_HEAD = 256
"""Bytes at the start of an event in which its type is looked for."""


@dataclass(slots=True)
class Socket:
    """An open connection, and the exchange that is under way on it."""

    target: Target
    headers: dict[str, str]
    mode: str
    project: str | None
    exchange: Exchange | None = None
    answered: bool = False
    chain: Chain = field(default_factory=Chain)
    refusal: str = ""
    """With what the provider refused a changed request, until it has answered the original."""


class Sockets:
    """All provider WebSockets of a proxy."""

    def __init__(
        self,
        raw: Callable[[Target, http.Request, Mapping[str, str], bytes], RawRequest],
        rewrite: Callable[[Exchange, RawRequest], Awaitable[None]],
        close: Callable[[Exchange], None],
        refused: Callable[[Exchange, str], None],
    ) -> None:
        self._raw, self._rewrite, self._close, self._refused = raw, rewrite, close, refused
        self._open: dict[str, Socket] = {}

    def start(self, flow: http.HTTPFlow, socket: Socket) -> None:
        """The provider has agreed to the upgrade."""
        self._open[flow.id] = socket

    async def message(self, flow: http.HTTPFlow) -> None:
        """The newest message of a flow: a request to rewrite, or an event to read."""
        socket = self._open.get(flow.id)
        if socket is None or flow.websocket is None:
            return
        message = flow.websocket.messages[-1]
        if not message.from_client:
            self._event(flow, socket, message)
        elif not message.injected and _CREATE in message.content:
            await self._request(flow, socket, message)

    async def _request(self, flow: http.HTTPFlow, socket: Socket, message: websocket.WebSocketMessage) -> None:
        if socket.exchange is not None:
            self._close(socket.exchange)
        body = message.content
        exchange = socket.exchange = Exchange(socket.target, socket.mode, socket.project)
        exchange.reader = UsageReader(socket.target.shape)
        exchange.status, socket.answered, socket.refusal = 101, False, ""
        exchange.bytes_before = exchange.bytes_after = len(body)
        whole = await asyncio.to_thread(socket.chain.ask, body)
        raw = self._raw(socket.target, flow.request, socket.headers, whole.body if whole else body)
        raw = replace(raw, whole=True)
        exchange.arrived = raw.body
        await self._rewrite(exchange, raw)
        rewrite = exchange.rewrite
        if rewrite is None or rewrite.body == raw.body:
            return
        exchange.outcome = "rewritten"  # be it what the provider has of the requests before
        sent = splice(body, whole.own(rewrite.patches)) if whole else rewrite.body
        if sent != body:
            exchange.original, exchange.bytes_after = body, len(sent)
            message.content = sent

    def _event(self, flow: http.HTTPFlow, socket: Socket, message: websocket.WebSocketMessage) -> None:
        exchange = socket.exchange
        if exchange is None or exchange.reader is None:
            return
        if not exchange.first_byte:
            exchange.first_byte = time.time() - exchange.started
        exchange.reader.feed_event(message.content)
        socket.chain.hear(message.content)
        head = message.content[:_HEAD]
        if EVENT.encode() in head:
            exchange.plan = from_event(message.content) or exchange.plan
        failed = _ERROR in head and exchange.reader.error_type is not None
        if failed and not socket.answered and exchange.original is not None and _is_refusal(message.content):
            # the provider refused a request that we changed: its answer is withheld, the original sent in its place
            message.drop()
            ctx.master.commands.call("inject.websocket", flow, False, exchange.original, True)
            socket.refusal, exchange.original = exchange.reader.error_type or "error", None
            exchange.reader = UsageReader(socket.target.shape)
            return
        if socket.refusal and failed:
            take_back(exchange, f"refused with {socket.refusal}, the original with {exchange.reader.error_type}")
        elif socket.refusal:
            self._refused(exchange, socket.refusal)
        socket.answered, socket.refusal = True, ""
        if failed or any(end in head for end in _ENDS):
            self._close(exchange)
            socket.exchange = None

    def end(self, flow: http.HTTPFlow) -> None:
        """The connection is closed, by whichever side."""
        self._end(self._open.pop(flow.id, None))

    def close(self) -> None:
        """The proxy ends."""
        for socket in self._open.values():
            self._end(socket)
        self._open.clear()

    def _end(self, socket: Socket | None) -> None:
        if socket is not None and socket.exchange is not None:
            socket.exchange.reason = socket.exchange.reason or "connection closed before the answer was complete"
            self._close(socket.exchange)


def _is_refusal(event: bytes) -> bool:
    """Whether an error says that the request was wrong, and not that there were too many or that something broke."""
    said = read_value(event, Span(0, len(event)))
    error = said.get("error") if isinstance(said, dict) else None
    status = said.get("status") if isinstance(said, dict) else None
    return status in REFUSED or (isinstance(error, dict) and error.get("type") == "invalid_request_error")
