"""A stand-in for api.anthropic.com on loopback: TLS, streamed answers that are known in advance, a bill for each."""

import datetime
import json
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from headroom.demo.billing import PrefixCache
from headroom.demo.session import ANSWERS, Json, Say
from headroom.wire.usage import Usage

HOST = "api.anthropic.com"
PAUSE = 0.03
"""Seconds between the events of an answer: a model takes its time too."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it reached the provider: its path, its body, and what was billed for it."""

    path: str
    body: bytes
    usage: Usage


class Provider:
    """The server, while its context lasts. ``certificate`` is the file that mitmproxy has to trust."""

    def __init__(self, folder: Path) -> None:
        self.received: list[Received] = []
        self.certificate = folder / "provider.pem"
        self._cache = PrefixCache()
        _write_certificate(self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, raw: bytes) -> Iterator[Json]:
        """The events that answer a request: what the model says next, given how often it has spoken."""
        body = json.loads(raw)
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        say = ANSWERS[turn]
        said = len(say.words) + len(json.dumps(say.arguments or {}))
        usage = self._cache.bill(body, said // 4 + 1)
        self.received.append(Received(path, raw, usage))
        return _events(say, turn, str(body["model"]), usage)


def _events(say: Say, turn: int, model: str, usage: Usage) -> Iterator[Json]:
    """An answer as the Messages API streams it."""
    billed = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": 1,
    }
    message = {"id": f"msg_{turn:04d}", "type": "message", "role": "assistant", "model": model, "content": []}
    yield {"type": "message_start", "message": {**message, "usage": billed, "stop_reason": None}}
    blocks: list[tuple[Json, Json]] = []
    if say.words:
        blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": say.words}))
    if say.tool:
        call = {"type": "tool_use", "id": f"toolu_{turn:04d}", "name": say.tool, "input": {}}
        blocks.append((call, {"type": "input_json_delta", "partial_json": json.dumps(say.arguments)}))
    for index, (block, delta) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": "tool_use" if say.tool else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": usage.output_tokens}}
    yield {"type": "message_stop"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: Provider

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is the client's to notice; anything else is a mistake of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the table tells."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        events = self.server.provider.answer(self.path, raw)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            time.sleep(PAUSE)
        self.wfile.write(b"0\r\n\r\n")


def _write_certificate(path: Path) -> None:
    """Key and certificate for HOST, signed by itself, good for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.touch(0o600)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
