"""Upstream servers that a test writes itself: a function that is given the open connection, and HTTP/2."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded


class Upstream:
    """A server on loopback. ``serve`` is given each connection, after TLS where there is a ``context``."""

    def __init__(self, serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> None:
        self._serve, self._context = serve, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._connection, args=(self._listener.accept()[0],), daemon=True).start()

    def _connection(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context is None:
                self._serve(connection)
            else:
                with self._context.wrap_socket(connection, server_side=True) as wrapped:
                    self._serve(wrapped)


def read_head(connection: socket.socket) -> bytes:
    """The head of an HTTP/1.1 request, byte by byte, so that nothing of its body is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    return head


@dataclass(slots=True)
class Request2:
    """A request that came over HTTP/2: its header lines in order, its body as it was sent."""

    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Http2:
    """What to give ``Upstream`` for HTTP/2: answers each request with ``answer`` in chunks, and keeps it."""

    answer: Callable[[Request2], tuple[int, dict[str, str], Iterable[bytes]]]
    received: list[Request2] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket) and connection.selected_alpn_protocol() == "h2"
        peer = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        peer.initiate_connection()
        connection.sendall(peer.data_to_send())
        open_requests: dict[int, Request2] = {}
        while data := connection.recv(65536):
            for event in peer.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = [(str(name), str(value)) for name, value in event.headers]
                    open_requests[event.stream_id] = Request2(headers)
                elif isinstance(event, DataReceived):
                    open_requests[event.stream_id].body += event.data
                    peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    request = open_requests.pop(event.stream_id)
                    self.received.append(request)
                    status, headers2, chunks = self.answer(request)
                    peer.send_headers(event.stream_id, [(":status", str(status)), *headers2.items()])
                    for chunk in chunks:
                        peer.send_data(event.stream_id, chunk)
                        connection.sendall(peer.data_to_send())
                    peer.end_stream(event.stream_id)
            connection.sendall(peer.data_to_send())
