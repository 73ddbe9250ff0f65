"""A stand-in for every provider on loopback: TLS, HTTP/1.1, streams and Codex's WebSocket; a script decides answers.

    with StandIn(folder, script) as provider:
        ...  # provider.port, provider.certificate, provider.received

``script(shape, body)`` is given the parsed request (for a WebSocket and with ``previous_response_id``: the whole
conversation) and returns the Answer. It runs in the thread of its connection. What is not a model call gets ``{}``.
"""

import base64
import gzip
import hashlib
import json
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import brotli  # type: ignore[import-untyped]
import zstandard
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage

from tests.support.answers import Answer, Bill, Event, error, output_tokens, stream, unique, whole
from tests.support.billing import PrefixCache
from tests.support.certificates import Authority

Json = dict[str, Any]
Script = Callable[[str, Json], Answer]


@dataclass(slots=True)
class Received:
    """One request as it reached the provider. ``id`` is the answer's ``request-id`` header.

    ``body`` is decoded (gzip and the like), ``answer`` the bytes of the answer without chunking; for a WebSocket both
    are one message each way, and ``headers`` those of the handshake. ``bill`` is what the usage in the answer says.
    """

    id: str
    method: str
    host: str
    path: str
    headers: list[tuple[str, str]]
    shape: str | None
    body: bytes
    websocket: bool = False
    answer: bytes = b""
    bill: Bill = field(default_factory=Bill)

    @property
    def json(self) -> Json:
        parsed = json.loads(self.body)
        assert isinstance(parsed, dict)
        return parsed

    def header(self, name: str) -> str:
        """All lines of a header, joined by commas; "" when there is none."""
        return ",".join(value for key, value in self.headers if key.lower() == name.lower())


def shape_of(path: str) -> str | None:
    """The shape of the requests that go to a path; None when it is not a model call."""
    path = urlsplit(path).path
    if path.endswith(("/messages", "/messages/count_tokens", ":rawPredict", ":streamRawPredict")):
        return "anthropic"
    if path.endswith("/chat/completions"):
        return "openai-chat"
    if path.endswith("/responses"):
        return "openai-responses"
    return "gemini" if path.endswith((":generateContent", ":streamGenerateContent")) else None


class StandIn:
    """The server. ``websocket=False`` refuses upgrades, as an older provider would."""

    def __init__(self, folder: Path, script: Script, *, websocket: bool = True) -> None:
        authority = Authority(folder)
        self.certificate = authority.certificate
        self.script = script
        self.websocket = websocket
        self.received: list[Received] = []
        """Model calls, in the order in which they arrived."""
        self.others: list[Received] = []
        """What else clients asked for: settings, telemetry, updates."""
        self.failures: list[BaseException] = []
        """What went wrong in a script or in the stand-in itself; a test looks that there is nothing."""
        self._cache = PrefixCache()
        self._responses: dict[str, list[Any]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.standin = self
        context = authority.server_context()
        # the handshake happens in the connection's own thread: one slow client holds no other up
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def keep(self, received: Received) -> None:
        (self.others if received.shape is None else self.received).append(received)

    def decide(self, received: Received, body: Json) -> tuple[Answer, Json]:
        """The script's answer to a request, and the whole of it as JSON."""
        shape = received.shape
        assert shape is not None
        history = body
        if shape == "openai-responses":
            earlier = self._responses.get(str(body.get("previous_response_id")), [])
            history = {**body, "input": [*earlier, *_listed(body.get("input"))]}
        # Codex opens its WebSocket with a request that is not to be answered, to save time later
        answer = Answer() if body.get("generate") is False else self.script(shape, history)
        if answer.status != 200:
            return answer, error(shape, answer)
        bill = self._cache.bill(shape, history)
        received.bill = replace(Bill(answer.used) if answer.used else bill, output=output_tokens(answer))
        complete = whole(shape, answer, received.bill, str(body.get("model") or _model(received.path)))
        if shape == "openai-responses":
            self._responses[complete["id"]] = [*history["input"], *complete["output"]]
        return answer, complete


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [{"role": "user", "content": value}]


def _decoded(raw: bytes, coding: str) -> bytes:
    match coding:
        case "gzip":
            return gzip.decompress(raw)
        case "deflate":
            return zlib.decompress(raw)
        case "br":
            return bytes(brotli.decompress(raw))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    return raw


def _model(path: str) -> str:
    return urlsplit(path).path.rpartition("/")[2].partition(":")[0]


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    standin: StandIn

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections end in all sorts of ways here, and that is no failure; anything else is."""
        failure = sys.exception()
        if failure is not None and not isinstance(failure, OSError):
            self.standin.failures.append(failure)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    connection: ssl.SSLSocket

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: tests look at what was received."""

    def do_GET(self) -> None:
        standin = self.server.standin
        if self.headers.get("upgrade", "").lower() != "websocket":
            self._other()
        elif standin.websocket and shape_of(self.path) == "openai-responses":
            self._serve_websocket()
        else:
            self._send(426, {"error": {"message": "no WebSocket here", "type": "invalid_request_error"}})

    def do_POST(self) -> None:
        standin = self.server.standin
        received = self._receive(shape_of(self.path))
        standin.keep(received)
        if received.shape is None:
            self._reply(received, 200, {})
            return
        try:
            body = received.json
        except (ValueError, AssertionError, RecursionError):
            self._reply(received, 400, error(received.shape, Answer("the body is not a JSON object", status=400)))
            return
        if urlsplit(self.path).path.endswith("/count_tokens"):
            self._reply(received, 200, {"input_tokens": len(received.body) // 4})
            return
        answer, complete = standin.decide(received, body)
        if answer.status != 200:
            self._reply(received, answer.status, complete, answer.headers.items())
        elif body.get("stream") or "streamGenerateContent" in self.path:
            if received.shape == "openai-chat" and not (body.get("stream_options") or {}).get("include_usage"):
                del complete["usage"]
            self._stream(received, answer, complete)
        else:
            self._reply(received, 200, complete, answer.headers.items())

    def _other(self) -> None:
        received = self._receive(None)
        self.server.standin.keep(received)
        self._reply(received, 404, {})

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _other

    def _receive(self, shape: str | None) -> Received:
        raw = _decoded(self._read(), self.headers.get("content-encoding", ""))
        headers = list(self.headers.items())
        host = self.headers.get("host", "")
        return Received(unique("req_"), self.command, host, self.path, headers, shape, raw)

    def _read(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        out = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            out += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(out)

    def _reply(self, received: Received, status: int, body: Json, headers: Iterable[tuple[str, str]] = ()) -> None:
        received.answer = json.dumps(body).encode()  # before it is sent, for then a test may look
        self._send(status, body, [("request-id", received.id), *headers])

    def _send(self, status: int, body: Json, headers: Iterable[tuple[str, str]] = ()) -> None:
        data = json.dumps(body).encode()
        self._head(status, [("content-type", "application/json"), ("content-length", str(len(data))), *headers])
        self.wfile.write(b"" if self.command == "HEAD" else data)

    def _head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, received: Received, answer: Answer, complete: Json) -> None:
        assert received.shape is not None
        events = stream(received.shape, complete)
        as_list = received.shape == "gemini" and "sse" not in parse_qs(urlsplit(self.path).query).get("alt", [])
        kind = "application/json" if as_list else "text/event-stream; charset=utf-8"
        own = [("content-type", kind), ("transfer-encoding", "chunked"), ("request-id", received.id)]
        self._head(200, [*own, *answer.headers.items()])
        sent = bytearray()
        for count, (name, data) in enumerate(events):
            if answer.cut_after is not None and count >= answer.cut_after:
                self._break()
                break
            time.sleep(answer.delay)
            answer.pace(count)
            chunk = f"{',' if count else '['}{data}\n" if as_list else _sse(name, data)
            sent += chunk.encode()
            received.answer = bytes(sent)
            self._chunk(chunk.encode())
        else:
            if as_list:
                received.answer += b"]"
                self._chunk(b"]")
            self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _break(self) -> None:
        """Reset the connection: what was sent stays sent, an ordinary end never comes."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _serve_websocket(self) -> None:
        """Codex's: each message of the client is a request, each event of the answer a message."""
        key = self.headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        upgrade = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept)]
        connection = unique("req_")
        self._head(101, [*upgrade, ("request-id", connection)])
        self.close_connection = True
        peer = Connection(ConnectionType.SERVER)
        parts: list[str] = []
        messages = 0
        while data := self.connection.recv(65536):
            peer.receive_data(data)
            for event in peer.events():
                if isinstance(event, TextMessage):
                    parts.append(event.data)
                    if event.message_finished:
                        messages += 1
                        self._answer_message(peer, "".join(parts), f"{connection}.{messages}")
                        parts.clear()
                elif isinstance(event, Ping):
                    self.connection.sendall(peer.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.connection.sendall(peer.send(event.response()))
                    return
                else:
                    assert not isinstance(event, BytesMessage), "the client sends text"

    def _answer_message(self, peer: Connection, text: str, identity: str) -> None:
        host, headers = self.headers.get("host", ""), list(self.headers.items())
        received = Received(
            identity, "GET", host, self.path, headers, "openai-responses", text.encode(), websocket=True
        )
        standin = self.server.standin
        standin.keep(received)
        answer, complete = standin.decide(received, received.json)
        if answer.status != 200:
            events: Iterable[Event] = [(None, json.dumps({"type": "error", "status": answer.status, **complete}))]
        else:
            events = stream("openai-responses", complete)
        messages = []
        for count, (_, data) in enumerate(events):
            if answer.cut_after is not None and count >= answer.cut_after:
                self._break()
                return
            time.sleep(answer.delay)
            answer.pace(count)
            message: Message[str] = TextMessage(data)
            self.connection.sendall(peer.send(message))
            messages.append(data)
        received.answer = "\n".join(messages).encode()


def _sse(name: str | None, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"
