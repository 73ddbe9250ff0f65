"""TOIN watches, forgets names and values, and never changes what a running session gets."""

import json
import logging
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headroom.errors import StorageError, ValidationError
from headroom.telemetry import Toin, ToolSignature, close_toin, get_toin
from headroom.telemetry import toin as module
from headroom.telemetry.patterns import PatternKey
from headroom.telemetry.signature import field_hash, items_of

ITEMS = [{"user_name": f"alice{i}", "last_error": "connection refused" if i == 3 else None, "n": i} for i in range(9)]
SIGNATURE = ToolSignature.from_items(ITEMS)


def compress(toin: Toin, times: int = 1, **more: Any) -> None:
    for _ in range(times):
        toin.record_compression(SIGNATURE, 9, 3, 900, 300, "smart_crusher", items=ITEMS, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toin.json"


def test_the_file_is_where_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Toin().path == Path.home() / "workspace" / "toin.json"
    monkeypatch.setenv("HEADROOM_TOIN_PATH", str(tmp_path / "elsewhere.json"))
    toin = get_toin()
    assert toin.path == tmp_path / "elsewhere.json" and get_toin() is toin
    compress(toin)
    close_toin()
    assert get_toin() is not toin and get_toin().get_stats()["total_compressions"] == 1


def test_compressions_and_retrievals_are_counted_by_mode_family_and_structure(path: Path) -> None:
    toin = Toin(path)
    compress(toin, 3, auth_mode="oauth", model_family="claude-sonnet")
    compress(toin, 1)
    toin.record_retrieval(SIGNATURE, "full", auth_mode="oauth", model_family="claude-sonnet")
    patterns = toin.export_patterns()["patterns"]
    assert set(patterns) == {
        f"oauth|claude-sonnet|{SIGNATURE.structure_hash}",
        f"unknown|unknown|{SIGNATURE.structure_hash}",
    }
    one = patterns[f"oauth|claude-sonnet|{SIGNATURE.structure_hash}"]
    assert (one["compressions"], one["items_before"], one["items_after"]) == (3, 27, 9)
    assert (one["tokens_before"], one["tokens_after"], one["strategies"]) == (2700, 900, {"smart_crusher": 3})
    assert (one["retrievals"], one["full_retrievals"]) == (1, 1)
    stats = toin.get_stats()
    assert (stats["patterns_tracked"], stats["total_compressions"], stats["total_retrievals"]) == (2, 4, 1)
    assert stats["global_retrieval_rate"] == 0.25 and stats["tokens_left_out"] == 2400


def test_no_name_and_no_value_is_written(path: Path) -> None:
    toin = Toin(path)
    compress(toin)
    toin.record_retrieval(SIGNATURE, "search", query="where user_name is alice3", query_fields=["user_name"])
    toin.save()
    written = path.read_text()
    for secret in ("user_name", "last_error", "alice", "refused", "where"):
        assert secret not in written
    (pattern,) = json.loads(written)["patterns"].values()
    assert set(pattern["fields"]) == {field_hash(name) for name in ("user_name", "last_error", "n")}
    assert pattern["fields"][field_hash("user_name")] == [9, 9, 0, 1]
    assert pattern["fields"][field_hash("last_error")] == [9, 1, 1, 0]
    assert pattern["full_retrievals"] == 0
    assert len(field_hash("user_name")) == 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_structures_are_told_by_names_and_types_and_not_by_values() -> None:
    other = [{**item, "user_name": "bob"} for item in ITEMS]
    assert ToolSignature.from_items(other) == SIGNATURE
    assert ToolSignature.from_items([{"user_name": 1}]) != ToolSignature.from_items([{"user_name": "1"}])
    assert ToolSignature.of(json.dumps({"total": 9, "items": ITEMS}), "api") == SIGNATURE
    assert ToolSignature.of("12 passed", "Bash") == ToolSignature.of("something else", "bash")
    assert ToolSignature.of("12 passed", "Bash") != ToolSignature.of("12 passed", "Grep")
    assert items_of("[1, 2]") == items_of("{no json") == items_of("text") == []
    assert len(SIGNATURE.structure_hash) == 24


def test_recommendations_are_those_of_the_start_whatever_is_recorded_meanwhile(path: Path) -> None:
    first = Toin(path)
    for _ in range(20):
        compress(first)
        first.record_retrieval(SIGNATURE)
        assert first.recommendation(SIGNATURE) is None and first.importance(SIGNATURE) == 0
    first.save()
    first.load()
    assert first.recommendation(SIGNATURE) is None and first.error_fields() == frozenset()
    second = Toin(path)
    found = second.recommendation(SIGNATURE)
    assert found is not None and found.skip and found.importance == 1.0
    assert second.error_fields() == {field_hash("last_error")}
    before = second.recommendation(SIGNATURE)
    compress(second, 1000)
    second.save()
    assert second.recommendation(SIGNATURE) == before


@pytest.mark.parametrize(
    ("times", "asked", "skip", "factor"), [(9, 9, None, 0), (20, 2, False, 1.0), (20, 6, False, 2.0), (20, 11, True, 2)]
)
def test_what_follows_from_how_often_something_was_asked_for(
    times: int, asked: int, skip: bool | None, factor: float, path: Path
) -> None:
    toin = Toin(path)
    compress(toin, times)
    for _ in range(asked):
        toin.record_retrieval(SIGNATURE)
    toin.save()
    found = Toin(path).recommendation(SIGNATURE)
    assert (found.skip if found else None) is skip
    if found:
        assert (found.keep_factor, found.importance) == (factor, asked / times)


def test_an_export_comes_in_once_and_never_into_where_it_is_from(path: Path, tmp_path: Path) -> None:
    toin, other = Toin(path), Toin(tmp_path / "other.json")
    compress(toin, 12)
    toin.save()
    export = json.loads(json.dumps(toin.export_patterns()))
    assert toin.import_patterns(export) == 0
    assert Toin(path).import_patterns(export) == 0
    assert other.import_patterns(export) == 1
    assert other.import_patterns(export) == 0
    other.save()
    again = Toin(tmp_path / "other.json")
    assert again.import_patterns(export) == 0
    assert again.get_stats()["total_compressions"] == 12
    assert again.recommendation(SIGNATURE) is not None


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"version": 99},
        {"version": 1, "patterns": []},
        {"version": 1, "patterns": {"a|b": {}}},
        {"version": 1, "patterns": {"a|b|c": {"compressions": -1}}},
        {"version": 1, "patterns": {"a|b|c": {"compressions": "many"}}},
        {"version": 1, "patterns": {"a|b|c": {"fields": {"user_name": [1, 1, 1, 1]}}}},
        {"version": 1, "patterns": {"a|b|c": {"strategies": {"x\n": 1}}}},
        {"version": 1, "patterns": {"a|b|c": 3}},
    ],
)
def test_what_is_no_export_is_refused_whole(data: Any, path: Path) -> None:
    toin = Toin(path)
    with pytest.raises(ValidationError):
        toin.import_patterns(data)
    assert toin.get_stats()["patterns_tracked"] == 0


def test_several_processes_lose_none_of_each_others_counts(path: Path) -> None:
    program = (
        "import sys; from headroom.telemetry import Toin\n"
        "toin = Toin(sys.argv[1])\n"
        "for i in range(20):\n"
        "    toin.record_compression('s', 10, 5, 100, 50, 'x'); toin.record_retrieval('s'); toin.save()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    stats = Toin(path).get_stats()
    assert (stats["total_compressions"], stats["total_retrievals"]) == (80, 80)


def test_a_kill_in_the_midst_of_saving_leaves_a_whole_file(path: Path) -> None:
    program = (
        "import sys; from headroom.telemetry import Toin\n"
        "toin = Toin(sys.argv[1])\n"
        "for i in range(500): toin.record_compression(f's{i}', 10, 5, 100, 50, 'x')\n"
        "toin.save(); print(1, flush=True)\n"
        "while True: toin.record_retrieval('s1'); toin.save()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.kill()
    assert Toin(path).get_stats()["total_compressions"] == 500
    assert not list(path.parent.glob("*.corrupt-*"))


def test_what_was_recorded_is_saved_soon_without_being_asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.02)
    compress(Toin(path))
    end = time.monotonic() + 10
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert Toin(path).get_stats()["total_compressions"] == 1


def test_a_broken_file_is_moved_aside_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text('{"version": 1, "patterns": {"a|b|c": {"compressions": ')
    toin = Toin(path)
    compress(toin)
    toin.save()
    assert Toin(path).get_stats()["total_compressions"] == 1
    (aside,) = path.parent.glob("toin.json.corrupt-*")
    assert aside.read_text().startswith('{"version"')
    assert "can't be understood" in caplog.text


def test_a_place_that_can_not_be_written_loses_nothing_while_the_process_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    toin = Toin(blocked / "toin.json")
    compress(toin)
    with pytest.raises(StorageError, match=r"toin\.json can't be written"):
        toin.save()
    assert toin.get_stats()["total_compressions"] == 1
    with caplog.at_level(logging.WARNING):
        toin._try_to_save()
        toin._try_to_save()
    assert caplog.text.count("is kept in memory") == 1
    blocked.unlink()
    toin.save()
    assert Toin(blocked / "toin.json").get_stats()["total_compressions"] == 1
    assert toin.get_stats()["total_compressions"] == 1


def test_the_longest_unchanged_patterns_go_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PATTERNS", 3)
    toin = Toin(path)
    for number in range(5):
        toin.record_compression(f"s{number}", 1, 1, 1, 1, "x")
        time.sleep(0.002)
    toin.save()
    kept = {PatternKey.parse(name).structure_hash for name in json.loads(path.read_text())["patterns"]}
    assert kept == {"s2", "s3", "s4"}
