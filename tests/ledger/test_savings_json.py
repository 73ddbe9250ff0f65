import itertools
import json
import os
import threading
import time
from pathlib import Path

import pytest

from headroom.ledger import Ledger, database, savings, store
from tests.ledger.rows import exchange, read_json

HOUR = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "proxy_savings.json"


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "workspace" / "ledger.db"


def recorded(ledger_path: Path, path: Path, *rows: object) -> dict[str, object]:
    ledger = Ledger(ledger_path, path)
    for row in rows:
        ledger.record(row)  # type: ignore[arg-type]
    ledger.close()
    return read_json(path)


def test_the_file_has_the_contracts_fields(ledger_path: Path, path: Path) -> None:
    found = recorded(ledger_path, path, exchange(time=1_800_000_000.0))
    assert {"schema_version", "lifetime", "display_session", "projects", "history"} <= set(found)
    figures = {
        "requests": 1,
        "tokens_saved": 300,
        "savings_percent": 30.0,
        "compression_savings_usd": 0.001,
        "cache_savings_usd": 0.0,
        "total_input_tokens": 40_504,
        "total_input_cost_usd": 0.015,
        "total_cost_usd": 0.02,
    }
    when = "2027-01-15T08:00:00Z"
    assert found["schema_version"] == 1
    assert found["lifetime"] == figures
    assert found["display_session"] == {**figures, "started_at": when, "last_activity_at": when}
    assert found["projects"] == {"project-1": {**figures, "last_activity_at": when}}
    assert found["history"] == [
        {
            "timestamp": when,
            "total_tokens_saved": 300,
            "compression_savings_usd": 0.001,
            "total_input_tokens": 40_504,
            "total_input_cost_usd": 0.015,
        }
    ]


def test_what_the_cache_saved_and_what_compression_saved_stand_apart(ledger_path: Path, path: Path) -> None:
    row = exchange(cost_usd=1.0, cost_without_usd=1.5, optimizer_saved_usd=0.6)
    found = recorded(ledger_path, path, row)["lifetime"]
    assert isinstance(found, dict)
    assert (found["cache_savings_usd"], found["compression_savings_usd"]) == (0.6, -0.1)


def test_the_history_says_where_the_sums_stood_after_each_hour(ledger_path: Path, path: Path) -> None:
    start = 1_800_000_000.0
    rows = [exchange(time=start + offset * HOUR) for offset in (0, 0.5, 1, 30)]
    history = recorded(ledger_path, path, *reversed(rows))["history"]
    assert isinstance(history, list)
    assert [(point["timestamp"], point["total_tokens_saved"]) for point in history] == [
        ("2027-01-15T08:00:00Z", 600),
        ("2027-01-15T09:00:00Z", 900),
        ("2027-01-16T14:00:00Z", 1200),
    ]


def test_a_display_session_ends_with_a_pause_of_an_hour(ledger_path: Path, path: Path) -> None:
    start = 1_800_000_000.0
    rows = [exchange(time=start + offset) for offset in (0, HOUR - 1, 2 * HOUR + 5, 2 * HOUR + 6)]
    found = recorded(ledger_path, path, *rows)["display_session"]
    assert isinstance(found, dict)
    assert (found["requests"], found["started_at"]) == (2, "2027-01-15T10:00:05Z")


def test_only_the_newest_projects_are_listed_but_all_count(
    ledger_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(savings, "PROJECTS", 2)
    found = recorded(ledger_path, path, *(exchange(project=name, time=5e8 + i) for i, name in enumerate("abc")))
    assert found["projects"].keys() == {"b", "c"}  # type: ignore[attr-defined]
    assert found["lifetime"]["requests"] == 3  # type: ignore[index]


def test_the_file_is_written_soon_off_the_callers_thread_and_at_most_once_a_second(
    ledger_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[tuple[float, str]] = []

    def noted(*arguments: object) -> bool:
        writes.append((time.monotonic(), threading.current_thread().name))
        return savings.write_savings(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write_savings", noted)
    ledger = Ledger(ledger_path, path)
    end = time.monotonic() + 1.6
    while time.monotonic() < end:
        ledger.record(exchange())
        time.sleep(0.01)
    assert read_json(path)["lifetime"]["requests"] > 0
    assert 1 <= len(writes) <= 2
    assert {name for _, name in writes} == {"headroom-ledger-keeper"}
    assert all(later - earlier >= 1.0 for (earlier, _), (later, _) in itertools.pairwise(writes))
    ledger.close()
    assert read_json(path)["lifetime"]["requests"] == Ledger(ledger_path).totals().requests


def test_a_ledger_that_is_only_read_writes_no_file(ledger_path: Path, path: Path) -> None:
    recorded(ledger_path, path, exchange())
    path.unlink()
    ledger = Ledger(ledger_path, path)
    assert ledger.totals().requests == 1
    ledger.close()
    assert not path.exists()


def test_writing_the_file_reads_only_running_sums(ledger_path: Path) -> None:
    ledger = Ledger(ledger_path)
    for _ in range(3):
        ledger.record(exchange())
    connection = database.open_database(ledger_path)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    assert savings.savings(connection)["lifetime"]
    connection.close()
    ledger.close()
    assert asked and not any("exchanges" in sql for sql in asked)


def test_a_reader_never_sees_half_a_file(ledger_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SAVINGS_SECONDS", 0.0)
    ledger = Ledger(ledger_path, path)
    for number in range(100):
        ledger.record(exchange(project=f"project-{number}"))
        if path.exists():
            assert read_json(path)["lifetime"]["requests"] <= number + 1
    ledger.close()
    assert read_json(path)["lifetime"]["requests"] == 100


def test_two_proxies_write_one_file_with_the_sums_of_both(ledger_path: Path, path: Path) -> None:
    first, second = Ledger(ledger_path, path), Ledger(ledger_path, path)
    first.record(exchange(project="a"))
    second.record(exchange(project="b"))
    second.close()
    first.close()
    assert read_json(path)["projects"].keys() == {"a", "b"}


@pytest.mark.parametrize("content", ['{"schema_version": 6, "lifetime": {"requests": 99}}', "not json", "[]", ""])
def test_a_file_of_another_program_is_moved_aside_once(content: str, ledger_path: Path, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(content)
    for _ in range(2):
        assert recorded(ledger_path, path, exchange())["schema_version"] == 1
    [aside] = path.parent.glob("proxy_savings.json.before-*")
    assert aside.read_text() == content


def test_a_file_that_cannot_be_written_is_said_once_and_the_ledger_goes_on(
    ledger_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SAVINGS_SECONDS", 0.01)
    monkeypatch.setattr(store, "RETRY_SECONDS", 0.01)
    (tmp_path / "file").touch()
    ledger = Ledger(ledger_path, tmp_path / "file" / "proxy_savings.json")
    for _ in range(5):
        ledger.record(exchange())
        time.sleep(0.02)
    ledger.close()
    assert len([record for record in caplog.records if "proxy_savings.json can't be written" in record.message]) == 1
    assert Ledger(ledger_path).totals().requests == 5


def test_a_leftover_of_a_killed_writer_is_no_obstacle(ledger_path: Path, path: Path) -> None:
    path.parent.mkdir()
    path.with_name(".proxy_savings.json.new").write_text('{"half')
    assert recorded(ledger_path, path, exchange())["schema_version"] == 1
    assert {part.name for part in path.parent.iterdir()} == {"proxy_savings.json", "proxy_savings.json.lock"}


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(ledger_path: Path, path: Path) -> None:
    path.parent.mkdir()
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.with_name(".proxy_savings.json.new").symlink_to(victim)
    ledger = Ledger(ledger_path, path)
    ledger.record(exchange())
    ledger.close()
    assert victim.read_text() == "precious"
    assert not os.path.lexists(path) or json.loads(path.read_text())
