"""Every marker ever sent to a living session can be retrieved: many requests, and the proxy killed again and again."""

import argparse
import contextlib
import hashlib
import http.client
import json
import random
import re
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.support.clients import HOST
from headroom.ccr.originals import Originals, hash_of, open_originals
from headroom.stores.remote import TIMEOUT
from tests.support.answers import Answer, whole
from tests.support.proxy import Mitmdump
from tests.support.servers import postgres_server, redis_server
from tests.support.standin import Received, StandIn

TURNS = 20
"""Requests of a session."""
ITEMS = 60
"""Records in what a tool returns."""
CLIENTS = 4
PATIENCE = 200
"""Attempts at a request, while the proxy is killed and started."""
OPTIONS = (
    "headroom_profile=balanced",
    "headroom_retrieval=tool",
    "headroom_tool_profiles=catalogue=normal",
    "headroom_time_budget=10000",
)
_marker = re.compile(r"Retrieve more[^:]*: hash=([0-9a-f]{24})")


@dataclass(slots=True)
class Soak:
    """What was found: ``requests`` that were answered, ``restarts``, ``markers`` that reached the provider, those of
    them that could not be retrieved (``lost``), and blocks that reached it in two forms (``changed``)."""

    requests: int = 0
    restarts: int = 0
    again: int = 0
    """Requests that were under way when the proxy was killed, and were sent once more."""
    markers: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    changed: int = 0

    @property
    def failed(self) -> bool:
        return bool(self.lost or self.changed or not self.markers)


class Provider(StandIn):
    """Notes every marker that reaches it, and whether a block is what it was in the request before."""

    def __init__(self, folder: Path, found: Soak) -> None:
        super().__init__(folder, lambda shape, body: Answer("Done."))
        self._found = found
        self._blocks: dict[str, bytes] = {}
        self._noting = threading.Lock()

    def keep(self, received: Received) -> None:
        for message in received.json["messages"]:
            for block in message["content"]:
                if block["type"] != "tool_result":
                    continue
                digest = hashlib.sha256(block["content"].encode()).digest()
                with self._noting:
                    self._found.markers.update(_marker.findall(block["content"]))
                    self._found.changed += self._blocks.setdefault(block["tool_use_id"], digest) != digest

    def decide(self, received: Received, body: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
        answer = self.script("anthropic", body)
        return answer, whole("anthropic", answer, received.bill, "claude-sonnet-4-5")


class Session:
    """An agent that asks a catalogue again and again; what it was told last comes last."""

    def __init__(self, number: int) -> None:
        self.id = f"{number:08x}-0000-4000-8000-000000000000"
        self._random = random.Random(number)
        self._messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": self.id}]}]
        self.texts: list[str] = []

    def bodies(self, turns: int) -> Iterator[bytes]:
        """The requests of the session, the whole history in each."""
        tools = [{"name": "catalogue", "description": "Lists items.", "input_schema": {"type": "object"}}]
        for turn in range(turns):
            fields = {
                "model": "claude-sonnet-4-5",
                "max_tokens": 100,
                "stream": True,
                "system": "You buy.",
                "tools": tools,
            }
            yield json.dumps({**fields, "messages": self._messages}).encode()
            call = f"toolu_{turn}_{self.id}"
            self.texts.append(json.dumps([self._item(number) for number in range(ITEMS)]))
            use = {"type": "tool_use", "id": call, "name": "catalogue", "input": {"page": turn}}
            result = {"type": "tool_result", "tool_use_id": call, "content": self.texts[-1]}
            self._messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]

    def _item(self, number: int) -> dict[str, Any]:
        price = self._random.randrange(100_000)
        return {"id": 1000 + number, "name": f"item {self._random.randrange(10**6)}", "price": price, "stock": "yes"}


class _Clients:
    """Threads that play one session after another; what a killed proxy left unanswered they send once more."""

    def __init__(self, proxy: Mitmdump, requests: int, found: Soak) -> None:
        self._proxy, self._requests, self._found = proxy, requests, found
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()
        self.up = threading.Event()
        self.texts: dict[str, str] = {}
        self.failures: list[BaseException] = []
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(CLIENTS)]

    @property
    def over(self) -> bool:
        return self._found.requests >= self._requests or bool(self.failures)

    def _work(self) -> None:
        connection: http.client.HTTPSConnection | None = None
        try:
            while not self.over:
                with self._lock:
                    session = Session(next(self._numbers))
                for body in session.bodies(TURNS):
                    with self._lock:
                        self.texts.update((hash_of(text), text) for text in session.texts[-1:])
                    connection = self._send(connection, body, session.id)
                    if self.over:
                        break
        except BaseException as error:
            self.failures.append(error)

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._proxy.certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", self._proxy.port, context=context, timeout=60)
        connection.set_tunnel(HOST)
        return connection

    def _send(
        self, connection: http.client.HTTPSConnection | None, body: bytes, session: str
    ) -> http.client.HTTPSConnection:
        headers = {"content-type": "application/json", "x-claude-code-session-id": session, "x-api-key": "sk-ant-soak"}
        failures = 0
        while True:
            self.up.wait()
            try:
                connection = connection or self._connect()
                connection.request("POST", "/v1/messages?beta=true", body, headers)
                answer = connection.getresponse()
                said = answer.read()
                assert answer.status == 200 and said.rstrip().endswith(b'"message_stop"}'), (answer.status, said[-500:])
            except (OSError, http.client.HTTPException):
                failures += 1
                if failures > PATIENCE:
                    raise
                if connection is not None:
                    connection.close()
                connection = None
                with self._lock:
                    self._found.again += 1
                time.sleep(0.05)
                continue
            with self._lock:
                self._found.requests += 1
            return connection


def soak(folder: Path, requests: int, every: int, console: Console | None = None, url: str = "") -> Soak:
    """Send ``requests``, kill the proxy after each ``every`` of them, and look before each start for what was
    promised. ``url``: where originals and decisions are, "" the workspace."""
    found = Soak()
    with Provider(folder, found) as provider:
        options = (*OPTIONS, f"headroom_store={url}") if url else OPTIONS
        patience = {TIMEOUT: "30"}  # a busy machine is no server that hangs
        proxy = Mitmdump(folder, provider.port, provider.certificate, options=options, environment=patience)

        def originals() -> contextlib.closing[Originals]:
            return contextlib.closing(open_originals(url, proxy.workspace / "originals.db"))

        clients = _Clients(proxy, requests, found)
        try:
            proxy.start()
            clients.up.set()
            for thread in clients.threads:
                thread.start()
            while not clients.over:
                goal = min(requests, found.requests + every)
                while found.requests < goal and not clients.failures:
                    time.sleep(0.005)
                if clients.over:
                    break
                clients.up.clear()  # those under way go on and find the proxy gone
                proxy.stop(signal.SIGKILL)
                found.restarts += 1
                with originals() as kept:
                    found.lost |= kept.missing(found.markers.copy())
                proxy.start()
                clients.up.set()
                if console is not None:
                    console.print(
                        f"{found.requests:,} requests, {len(found.markers):,} markers, {len(found.lost)} lost"
                    )
            for thread in clients.threads:
                thread.join(60)
        finally:
            proxy.stop(signal.SIGKILL)
        if clients.failures:
            raise clients.failures[0]
        for failure in provider.failures:
            if not isinstance(failure, ValueError):  # a proxy that is killed ends its request anywhere
                raise failure
        with originals() as kept:
            found.lost |= _different(kept, found.markers, clients.texts)
    return found


def _different(kept: Originals, hashes: set[str], texts: Mapping[str, str]) -> set[str]:
    """Those of ``hashes`` for which the store does not give what the tool had printed."""
    found = ((hash, kept.get(hash)) for hash in hashes)
    return {hash for hash, original in found if original is None or original.text != texts.get(hash)}


@contextlib.contextmanager
def _server(store: str) -> Iterator[str]:
    """The URL of a store whose server runs as long as this, "" where it needs none."""
    if store == "sqlite":
        yield ""
        return
    with redis_server() if store == "redis" else postgres_server() as server:
        yield server.url


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,500 requests and 3 restarts")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=500, help="requests between two kills")
    parser.add_argument("--store", choices=("sqlite", "redis", "postgresql"), default="sqlite")
    options, _ = parser.parse_known_args(arguments)
    console, began = Console(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, _server(options.store) as url:
        found = soak(Path(folder), 1_500 if options.quick else options.requests, options.every, console, url)
    console.print(
        f"{found.requests:,} requests in {time.monotonic() - began:.0f} s, {found.restarts} times kill -9,"
        f" {found.again} requests sent once more; {len(found.markers):,} markers, {len(found.lost)} lost,"
        f" {found.changed} blocks changed"
    )
    return int(found.failed)
