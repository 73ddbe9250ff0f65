"""A proxy between clients and a stand-in provider, and what was seen on both sides of it."""

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.ledger import Exchange as Row
from headroom.ledger import Ledger
from tests.support.proxy import ADDON, ROOT, Mitmdump
from tests.support.standin import Received, Script, StandIn

RECORD = ROOT / "tests" / "support" / "record.py"
PATIENT = ("headroom_time_budget=10000",)
"""A busy machine changes nothing here: what happens when time runs out is for other tests."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the client sent it, before the addon saw it."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed = json.loads(self.body)
        assert isinstance(parsed, dict)
        return parsed

    def header(self, name: str) -> str:
        return ",".join(value for key, value in self.headers if key.lower() == name.lower())


@dataclass(frozen=True, slots=True)
class Exchange:
    """One model call: what the client sent, and what reached the provider."""

    sent: Sent
    received: Received


class World:
    """``provider`` is the stand-in, ``proxy`` the mitmdump with the addon, ``authorities`` what clients trust."""

    def __init__(self, folder: Path, provider: StandIn, proxy: Mitmdump, records: Path) -> None:
        self.provider = provider
        self.proxy = proxy
        self._records = records
        self._begun = 0.0
        self.authorities = folder / "authorities.pem"
        # Hosts that are not ours pass through undecrypted: there clients see the stand-in's own certificate.
        self.authorities.write_bytes(proxy.certificate.read_bytes() + provider.certificate.read_bytes())

    def begin(self, script: Script) -> None:
        """Start a conversation: its answers come from ``script``, and what was seen before is forgotten."""
        self.provider.script = script
        self.provider.received.clear()
        self._begun = time.time()
        for file in self._records.iterdir():
            file.unlink()

    def exchanges(self) -> list[Exchange]:
        """All model calls since ``begin``, in the order in which they reached the provider."""
        sent = {}
        for file in self._records.iterdir():
            entry = json.loads(file.read_text())
            headers = [(name, value) for name, value in entry["headers"]]
            sent[entry["id"]] = Sent(entry["url"], headers, base64.b64decode(entry["body"]))
        return [Exchange(sent[received.id], received) for received in self.provider.received]

    def rows(self, count: int) -> list[Row]:
        """The ledger's ``count`` newest rows since ``begin``; waits for them, they are written after the answer."""
        ledger = Ledger(self.proxy.workspace / "ledger.db")
        try:
            end = time.monotonic() + 15
            while len(rows := [row for row in ledger.recent(count + 1) if row.time >= self._begun]) < count:
                assert time.monotonic() < end, f"{len(rows)} of {count} exchanges are in the ledger"
                time.sleep(0.05)
        finally:
            ledger.close()
        return rows

    def environment(self, home: Path) -> dict[str, str]:
        """The variables for a client of its own: its HOME, the proxy, the authorities; none of ours."""
        home.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "HTTPS_PROXY": self.proxy.url,
            "HTTP_PROXY": self.proxy.url,
            "NODE_EXTRA_CA_CERTS": str(self.authorities),
            "SSL_CERT_FILE": str(self.authorities),
            "REQUESTS_CA_BUNDLE": str(self.authorities),
        }


@contextmanager
def world(folder: Path, *, websocket: bool = True, options: tuple[str, ...] = ()) -> Iterator[World]:
    """Start both servers; at the end stop them and look that nothing went wrong in the stand-in."""
    records = folder / "records"
    records.mkdir()
    environment = {"RECORD_DIR": str(records)}

    def nothing_asked(shape: str, body: dict[str, Any]) -> Any:
        raise AssertionError(f"an {shape} request before any test began")

    with (
        StandIn(folder, nothing_asked, websocket=websocket) as provider,
        Mitmdump(
            folder,
            provider.port,
            provider.certificate,
            (RECORD, ADDON),
            options=(*PATIENT, *options),
            environment=environment,
        ) as proxy,
    ):
        yield World(folder, provider, proxy, records)
    assert provider.failures == []
