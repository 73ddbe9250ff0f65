"""`headroom show`: what was done to which block of a session."""

import json
import logging
import sqlite3
import stat
from pathlib import Path

import pytest

from headroom.ledger.blocks import Blocks
from headroom.session.standing import BlockReport
from tests.cli.conftest import Place

BLOCK = BlockReport((0, 9), 3, "Bash", "pytest\n-q", 100, 20, {"logs": 80}, "", True)


@pytest.mark.e2e
def test_a_session_is_told_block_by_block_after_its_proxy_has_ended(place: Place) -> None:
    place.run(place.client_command("amber", 2))
    said = place.headroom("show").stdout
    assert "headroom" not in said and said.startswith("session ") and " 2 requests, " in said
    (line,) = [line for line in said.splitlines() if " repeats " in line]
    assert "run" in line
    assert "1 more blocks stayed as they were" in said
    data = json.loads(place.headroom("show", "last", "--json").stdout)
    first, second = data["blocks"]  # each once, though it was sent twice
    assert first["saved"] == {} and first["reason"] and second["before"] > 10 * second["after"]
    assert second["before"] - second["after"] == sum(second["saved"].values())
    assert data["totals"]["requests"] == 2
    every = place.headroom("show", data["session"][:6], "--all").stdout
    assert first["reason"] in every
    assert "there is no session 'nobody'; `headroom sessions` lists" in place.headroom("show", "nobody", code=1).stderr
    assert stat.S_IMODE((place.workspace / "blocks.db").stat().st_mode) == 0o600
    assert b"is said twice" not in (place.workspace / "blocks.db").read_bytes()


def test_only_new_blocks_are_noted_each_on_one_line(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "blocks.db")
    other = BLOCK._replace(span=(20, 90), saved={}, reason="short")
    for exchange in ("e1", "e2"):  # the client sent it again
        blocks.add("s", exchange, 1.0, [BLOCK, BLOCK._replace(new=False, turn=1), other])
    blocks.add("", "e2", 1.0, [BLOCK])
    one, two = blocks.of_session("s")
    assert (one.tool, one.subject, one.saved, one.exchange) == ("Bash", "pytest -q", {"logs": 80}, "e1")
    assert two.reason == "short" and blocks.of_session("another") == [] == blocks.of_session("")
    blocks.close()


def test_where_the_disk_fails_the_log_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "blocks.db").mkdir()
    blocks = Blocks(tmp_path / "blocks.db")
    with caplog.at_level(logging.WARNING, "headroom"):
        for _ in range(3):
            blocks.add("s", "e", 1.0, [BLOCK])
        assert blocks.of_session("s") == []
    assert caplog.text.count("headroom show") == 1
    blocks.close()


def test_what_is_old_is_forgotten(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "blocks.db")
    blocks.add("s", "e", 1.0, [BLOCK])
    blocks.close()
    database = sqlite3.connect(tmp_path / "blocks.db")
    assert database.execute("SELECT COUNT(*) FROM blocks").fetchone() == (0,)
    database.close()
