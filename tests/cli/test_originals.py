"""`headroom retrieve` and `headroom originals`: what was left out, exactly as it was."""

import json

import pytest

from headroom.ccr.originals import Original, open_originals, original_of
from tests.cli.conftest import Place

LINES = "".join(f"line {i} of the report, red and green\n" for i in range(40)) + "the odd one: a purple badger\n"
ODD = "a lone \ud800 surrogate,\ttabs and no end of line"


@pytest.fixture
def kept(place: Place) -> tuple[Original, Original]:
    place.workspace.mkdir(mode=0o700)
    originals = open_originals(path=place.workspace / "originals.db")
    found = (original_of(LINES, "one", "Bash", "./report"), original_of(ODD, "two", "Read", "/app/odd.txt"))
    for original in found:
        originals.keep([original])
    originals.close()
    return found


def test_an_original_is_printed_exactly_as_it_was(place: Place, kept: tuple[Original, Original]) -> None:
    done = place.headroom("retrieve", kept[0].hash)
    assert (done.stdout, done.stderr) == (LINES, "")
    assert place.headroom("retrieve", f"[40 lines left out. Retrieve more: hash={kept[0].hash}]").stdout == LINES
    odd = json.loads(place.headroom("retrieve", kept[1].hash, "--json").stdout)
    assert (odd["text"], odd["session"], odd["subject"]) == (ODD, "two", "/app/odd.txt")


def test_with_a_query_the_parts_that_match_come_first(place: Place, kept: tuple[Original, Original]) -> None:
    said = place.headroom("retrieve", kept[0].hash, "--query", "purple badger").stdout
    assert "the odd one: a purple badger\n" in said and len(said) < len(LINES) / 2


def test_what_is_no_hash_and_what_is_unknown_are_told_apart(place: Place, kept: tuple[Original, Original]) -> None:
    wrong = place.headroom("retrieve", "badger", code=1)
    assert wrong.stdout == ""
    assert wrong.stderr == "headroom: 'badger' is not a hash: 24 hex digits, as a marker names them\n"
    unknown = place.headroom("retrieve", "0" * 24, code=1)
    assert unknown.stdout == ""
    assert unknown.stderr == f"headroom: {'0' * 24} is unknown: nothing was kept under it\n"


def test_sessions_and_their_originals_are_listed(place: Place, kept: tuple[Original, Original]) -> None:
    sessions = {one["session"]: one for one in json.loads(place.headroom("originals", "--json").stdout)}
    assert sessions["one"]["originals"] == 1 and sessions["one"]["bytes"] == len(LINES)
    (listed,) = json.loads(place.headroom("originals", "one", "--json").stdout)
    assert (listed["hash"], listed["tool"], listed["subject"]) == (kept[0].hash, "Bash", "./report")
    table = place.headroom("originals", "one").stdout
    assert kept[0].hash in table and "./report" in table
    assert place.headroom("originals", "three").stdout == "nothing was left out in three\n"


def test_without_a_store_that_is_said(place: Place) -> None:
    done = place.headroom("originals", code=1)
    assert "nothing was left out of a request here" in done.stderr


def test_a_wrong_store_is_named(place: Place) -> None:
    place.environment["HEADROOM_STORE_URL"] = "mysql://user:secret@host/db"
    done = place.headroom("originals", code=1)
    assert "HEADROOM_STORE_URL begins with 'mysql'" in done.stderr
    assert "secret" not in done.stderr
