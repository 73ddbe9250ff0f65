"""The API over a ledger and a store of its own, without a proxy."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from headroom.api.app import make_app
from headroom.api.live import Live
from headroom.api.world import Running
from headroom.ccr.originals import open_originals
from headroom.ledger import Ledger
from headroom.ledger.blocks import Blocks
from headroom.subscription import Subscriptions


class Place:
    """A world whose parts a test fills."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.live = Live()
        self.blocks = Blocks(folder / "blocks.db")
        self.originals = open_originals(path=folder / "originals.db")
        self.subscriptions = Subscriptions(folder / "subscription_state.json")
        self.running = Running("optimize", True, 10.0, folder)
        self.started = time.time()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.ledger.close()
    made.originals.close()


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    with TestClient(make_app(place), base_url="http://localhost:8787", raise_server_exceptions=False) as made:
        yield made
