"""A mitmproxy script, loaded before the addon: what clients sent, before anything touched it, one JSON file each.

Files in RECORD_DIR: {id: the answer's request-id header, url, headers, body (base64)}; for a WebSocket the headers are
the handshake's and the id is the handshake answer's with the number of the message: ``req_000003.1``.
"""

import base64
import json
import os
from pathlib import Path

from mitmproxy import http


class Record:
    def __init__(self) -> None:
        self.folder = Path(os.environ["RECORD_DIR"])
        self.waiting: dict[str, bytes] = {}
        self.messages: dict[str, int] = {}
        self.count = 0

    def request(self, flow: http.HTTPFlow) -> None:
        self.waiting[flow.id] = flow.request.content or b""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        body = self.waiting.pop(flow.id, b"")
        self.write(flow, flow.response.headers.get("request-id", ""), body)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        assert flow.websocket is not None and flow.response is not None
        message = flow.websocket.messages[-1]
        if message.from_client:
            number = self.messages[flow.id] = self.messages.get(flow.id, 0) + 1
            self.write(flow, f"{flow.response.headers.get('request-id', '')}.{number}", message.content)

    def write(self, flow: http.HTTPFlow, identity: str, body: bytes) -> None:
        self.count += 1
        entry = {
            "id": identity,
            "url": flow.request.pretty_url,
            "headers": [(name.decode(), value.decode("latin-1")) for name, value in flow.request.headers.fields],
            "body": base64.b64encode(body).decode(),
        }
        (self.folder / f"{self.count:04d}.json").write_text(json.dumps(entry))


addons = [Record()]
