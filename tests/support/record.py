"""A mitmproxy script, loaded before the addon: what clients sent, before anything touched it, one JSON file each.

Files in RECORD_DIR: {id: the answer's request-id header, url, headers, body (base64)}; for a WebSocket the headers are
the handshake's and the id is the handshake answer's with the number of the message: ``req_000003.1``.
"""

import base64
import json
import os
import time
from pathlib import Path

from mitmproxy import http


class Record:
    def __init__(self) -> None:
        self.folder = Path(os.environ["RECORD_DIR"])
        self.waiting: dict[str, tuple[list[tuple[str, str]], bytes]] = {}
        self.messages: dict[str, int] = {}

    def request(self, flow: http.HTTPFlow) -> None:
        self.waiting[flow.id] = (headers(flow), flow.request.content or b"")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        self.write(flow, flow.response.headers.get("request-id", ""), *self.waiting.pop(flow.id))

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        assert flow.websocket is not None and flow.response is not None
        message = flow.websocket.messages[-1]
        if message.from_client:
            number = self.messages[flow.id] = self.messages.get(flow.id, 0) + 1
            identity = f"{flow.response.headers.get('request-id', '')}.{number}"
            self.write(flow, identity, headers(flow), message.content)

    def write(self, flow: http.HTTPFlow, identity: str, sent: list[tuple[str, str]], body: bytes) -> None:
        entry = {
            "id": identity,
            "url": flow.request.pretty_url,
            "headers": sent,
            "body": base64.b64encode(body).decode(),
        }
        # no file of a proxy that ran before is written over
        (self.folder / f"{time.time_ns()}-{flow.id}.json").write_text(json.dumps(entry))


def headers(flow: http.HTTPFlow) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("latin-1")) for name, value in flow.request.headers.fields]


addons = [Record()]
