"""The session, played through the proxy: one Turn for each request."""

import http.client
import json
import ssl
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from headroom.demo.project import Project
from headroom.demo.provider import HOST, Provider, Received
from headroom.demo.proxy import Mitmdump
from headroom.demo.session import Json, Session
from headroom.errors import HeadroomError
from headroom.ledger import Exchange, Ledger

PATIENCE = 10.0
"""Seconds to wait for an answer, or for the ledger to have it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and its answer: what is new in it, its body as it left the client, and as it reached the provider;
    ``row`` is what the ledger says of it."""

    new: str
    sent: bytes
    received: Received
    row: Exchange


class Stage:
    """The stand-in provider, and the proxy before it."""

    def __init__(self, provider: Provider, proxy: Mitmdump) -> None:
        self.provider = provider
        self.proxy = proxy
        self.ledger_path = proxy.workspace / "ledger.db"

    def play(self) -> Iterator[Turn]:
        """Run the session to its end. Raises HeadroomError when a request fails."""
        trust = ssl.create_default_context(cafile=self.proxy.certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", self.proxy.port, timeout=PATIENCE, context=trust)
        connection.set_tunnel(HOST, 443)
        ledger = Ledger(self.ledger_path)
        session, project = Session(str(uuid.uuid4())), Project()
        new = "the task"
        try:
            while new:
                sent, known = session.body(), len(self.provider.received)
                content = _ask(connection, sent)
                if len(self.provider.received) != known + 1:
                    raise HeadroomError(f"request {known + 1} did not reach the provider", {"request": known + 1})
                row = _row(ledger, known + 1)
                if row.usage is None or row.cost_usd is None or row.cost_without_usd is None:
                    raise HeadroomError(f"the ledger has no bill for request {known + 1}", {"request": known + 1})
                yield Turn(new, sent, self.provider.received[-1], row)
                session.answered(content)
                new = ""
                for call in content:
                    if call["type"] == "tool_use":
                        session.used(call["id"], project.use(call["name"], call["input"]))
                        new = _about(call)
        finally:
            ledger.close()
            connection.close()


def prefixes_kept(turns: Sequence[Turn]) -> int:
    """How many requests read from the provider's cache all that stood there after the request before them."""
    bills = [turn.received.usage for turn in turns]
    return sum(
        later.cache_read_tokens >= earlier.cache_read_tokens + earlier.cache_write_tokens
        for earlier, later in pairwise(bills)
    )


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Provider and proxy, running, all their files in ``folder``."""
    with Provider(folder) as provider, Mitmdump(folder, provider.port, provider.certificate) as proxy:
        yield Stage(provider, proxy)


def _ask(connection: http.client.HTTPSConnection, body: bytes) -> list[Json]:
    """Send a request, read the streamed answer, and put its blocks together."""
    headers = {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "user-agent": "headroom-demo",
        "x-headroom-project": "demo",
    }
    try:
        connection.request("POST", "/v1/messages?beta=true", body, headers)
        response = connection.getresponse()
        raw = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise HeadroomError(f"no answer through the proxy: {error}", {"error": str(error)}) from error
    if response.status != 200:
        raise HeadroomError(f"the provider's answer is {response.status}: {raw[:500]}", {"status": response.status})
    blocks: list[Json] = []
    for line in raw.splitlines():
        event = json.loads(line[6:]) if line.startswith("data: ") else {}
        if event.get("type") == "content_block_start":
            blocks.append(event["content_block"])
        elif event.get("type") == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            if delta["type"] == "text_delta":
                block["text"] += delta["text"]
            else:
                block["input"] = json.loads(delta["partial_json"])
    return blocks


def _row(ledger: Ledger, number: int) -> Exchange:
    """The ledger's row for the request just answered; it is written a moment after the answer has passed."""
    end = time.monotonic() + PATIENCE
    while len(rows := ledger.recent(number)) < number:
        if time.monotonic() > end:
            raise HeadroomError(f"request {number} is not in the ledger", {"request": number})
        time.sleep(0.01)
    return rows[0]


def _about(call: Json) -> str:
    """A tool call in a few words."""
    arguments = call["input"]
    if call["name"] == "Bash":
        return f"$ {arguments['command']}"
    subject = arguments.get("file_path") or arguments.get("pattern")
    return f"{call['name']} {str(subject).rpartition('/')[2]}"
