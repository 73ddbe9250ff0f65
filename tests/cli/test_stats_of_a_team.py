"""`headroom stats` shows what went through the proxies of a team, also where none of them runs."""

import contextlib
import json
from pathlib import Path

import pytest

from headroom.ledger import Ledger
from headroom.ledger.shared import share
from tests.cli.conftest import Place
from tests.ledger.rows import exchange
from tests.support.proxy import free_port
from tests.support.servers import redis_program, redis_server


def test_what_other_proxies_recorded_is_shown(place: Place, tmp_path: Path) -> None:
    if redis_program() is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with redis_server() as server:
        ledger = Ledger(tmp_path / "elsewhere" / "ledger.db")
        shared = share(ledger, server.url, tmp_path / "elsewhere")
        assert shared is not None
        with contextlib.closing(ledger), contextlib.closing(shared):
            shared.record(exchange(cost_usd=0.5))
            shared.record(exchange(session="session-2", cost_usd=0.25))
        place.environment |= {"HEADROOM_STORE_URL": server.url, "HEADROOM_STORE_TIMEOUT": "30"}
        for _ in range(2):
            totals = json.loads(place.headroom("stats", "--since", "all", "--json").stdout)["totals"]
            assert (totals["requests"], totals["cost_usd"]) == (2, 0.75)
        sessions = json.loads(place.headroom("sessions", "--json").stdout)
        assert {one["session"] for one in sessions} == {"session-1", "session-2"}


def test_without_the_store_the_figures_are_those_of_this_machine(place: Place) -> None:
    ledger = Ledger(place.workspace / "ledger.db")
    ledger.record(exchange())
    ledger.close()
    place.environment["HEADROOM_STORE_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    done = place.headroom("stats", "--since", "all", "--json")
    assert json.loads(done.stdout)["totals"]["requests"] == 1
    assert "the figures are those of this machine" in done.stderr
