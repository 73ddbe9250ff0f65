"""A provider on loopback that does next to nothing, in a process of its own: reads a request, streams a short answer.

``python -m benchmarks.support.provider FOLDER`` writes authority.pem there and prints its port.
"""

import json
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.support.certificates import Authority
from tests.support.proxy import ROOT

SECONDS = "x-answer-seconds"
"""The request header that says how long the answer takes to stream."""
PARTS = 16
LAST = b'{"type":"message_stop"}'
"""What a whole answer ends with."""


def answer(size: int) -> list[dict[str, Any]]:
    """The events of an answer to a request of ``size`` bytes, most of which were cached."""
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 500,
        "cache_read_input_tokens": max(0, size // 4 - 500),
        "output_tokens": 1,
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    return [
        {"type": "message_start", "message": {**message, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Done."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        left = size
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        events = (
            f"event: {e['type']}\ndata: {json.dumps(e, separators=(',', ':'))}\n\n".encode() for e in answer(size)
        )
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        pause = float(self.headers.get(SECONDS, 0)) / PARTS
        for event in events:
            if pause and b'"text_delta"' in event:
                for _ in range(PARTS):  # as a model writes, a few words at a time
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                    time.sleep(pause)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections end when the proxies do."""


class Provider:
    """The process, while its context lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "authority.pem"
        self.port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__, str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


def main(folder: Path) -> None:
    server = _Server(("127.0.0.1", 0), _Handler)
    context = Authority(folder).server_context()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
