"""The originals of what was left out come back exactly as they came."""

import sqlite3
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom import paths
from headroom.ccr.originals import Originals, hash_of, open_originals, original_of
from headroom.errors import ConfigurationError
from headroom.stores.entries import Limits


@pytest.fixture
def originals(tmp_path: Path) -> Originals:
    return open_originals(path=tmp_path / "originals.db")


ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=400)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=5))
def test_any_text_comes_back_exactly(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    originals = open_originals(path=tmp_path_factory.mktemp("any") / "originals.db")
    kept = [original_of(text, "s1", "Bash", "ls") for text in texts]
    originals.keep(kept)
    for one in kept:
        found = originals.get(one.hash)
        assert found is not None
        assert (found.text, found.session, found.tool, found.subject) == (one.text, "s1", "Bash", "ls")
        assert found.size == len(one.text.encode("utf-8", "surrogatepass"))
    originals.close()


def test_a_hash_is_24_hex_digits_of_sha_256_over_utf_8() -> None:
    assert hash_of("hello\n") == "5891b5b522d5df086d0ff0b110fbd9d2"[:24]
    assert original_of("hello\n", "s").hash == hash_of("hello\n")
    assert len(hash_of("\ud800")) == 24


def test_by_default_they_are_in_the_workspace_for_their_owner_only() -> None:
    originals = open_originals()
    originals.keep([original_of("some text", "s1")])
    files = list(paths.workspace_dir().glob("originals.db*"))
    assert {path.name for path in files} >= {"originals.db", "originals.db-wal"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(paths.workspace_dir().stat().st_mode) == 0o700
    originals.close()


def test_tool_output_takes_a_fraction_of_its_size(originals: Originals) -> None:
    text = "".join(
        f"2026-11-25T12:00:{n % 60:02} INFO worker-{n % 8} request {n} took {n * 7 % 90} ms\n" for n in range(9000)
    )
    originals.keep([original_of(text, "s1")])
    stats = originals.stats()
    assert stats["text_bytes"] == len(text)
    assert stats["bytes"] < len(text) / 4


def test_what_the_disk_made_of_a_text_is_never_given_out_and_can_be_kept_anew(
    originals: Originals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = original_of("exactly this", "s1")
    originals.keep([one])
    with sqlite3.connect(tmp_path / "originals.db") as database:
        database.execute("UPDATE entries SET data = ?", (b"\x28\xb5\x2f\xfd" + b"no zstd frame",))
    assert originals.get(one.hash) is None
    assert "not what was kept" in caplog.text
    assert originals.missing([one.hash]) == {one.hash}
    originals.keep([one])
    found = originals.get(one.hash)
    assert found is not None and found.text == "exactly this"


def test_the_time_to_live_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADROOM_CCR_TTL_SECONDS", "0.05")
    originals = open_originals(path=tmp_path / "short.db", limits=None)
    one = original_of("read once", "")
    originals.keep([one])
    import time

    time.sleep(0.06)
    assert originals.state(one.hash) == "expired"


@pytest.mark.parametrize("value", ["soon", "0", "-5", "inf", "nan"])
def test_a_wrong_time_to_live_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_CCR_TTL_SECONDS", value)
    with pytest.raises(ConfigurationError, match=r"^HEADROOM_CCR_TTL_SECONDS\b.* is .*; expected "):
        open_originals()


def test_the_limits_are_those_of_the_contract() -> None:
    assert Limits().ttl == 1800
    assert Limits().entries == 1000
