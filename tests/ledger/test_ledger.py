import logging
import os
import sqlite3
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.ledger import Exchange, Ledger, Totals, database
from headroom.ledger.row import NAME_CHARACTERS, REASON_CHARACTERS
from headroom.wire.usage import Usage
from tests.ledger.rows import TABLES, USAGE, exchange, ids, sound


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workspace" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(path)
    yield opened
    opened.close()


def test_what_is_recorded_is_read_back(ledger: Ledger, path: Path) -> None:
    whole = exchange(reason="no time left", optimizer_saved_usd=-0.001)
    bare = Exchange(id="0" * 32, time=1.0)
    for row in (bare, whole):
        ledger.record(row)
    assert ledger.recent() == [whole, bare]
    assert ids(path) == {whole.id, bare.id}


def test_recent_gives_the_newest_first_whenever_they_were_written(ledger: Ledger) -> None:
    for when in (30.0, 10.0, 40.0, 20.0):
        ledger.record(exchange(time=when))
    assert [row.time for row in ledger.recent(3)] == [40, 30, 20]


def test_an_exchange_recorded_twice_counts_once(ledger: Ledger) -> None:
    row = exchange()
    ledger.record(row)
    ledger.record(row)
    assert ledger.totals().requests == 1
    assert ledger.sessions()[0].totals.requests == 1


def test_totals_sum_up_what_was_billed_and_saved(ledger: Ledger) -> None:
    ledger.record(exchange())
    ledger.record(exchange(cost_usd=0.03, input_cost_usd=0.02, cost_without_usd=0.03, optimizer_saved_usd=-0.005))
    sums = ledger.totals()
    assert (sums.requests, sums.rewritten, sums.errors) == (2, 2, 0)
    assert (sums.tokens_before, sums.tokens_saved) == (2000, 600)
    assert sums.usage == USAGE + USAGE
    assert sums.saved_by_strategy == {"repeats": 500, "line-numbers": 100}
    assert (sums.cost_usd, sums.input_cost_usd, sums.cost_without_usd) == pytest.approx((0.05, 0.035, 0.051))
    assert sums.saved_usd == pytest.approx(0.001)
    assert sums.compression_saved_usd == pytest.approx(0.006)


def test_totals_of_a_time_a_session_and_a_project(ledger: Ledger) -> None:
    for when, session, project in ((10.0, "a", "x"), (20.0, "a", "y"), (30.0, "b", "x")):
        ledger.record(exchange(time=when, session=session, project=project))
    assert ledger.totals(since=20).requests == 2
    assert ledger.totals(until=20).requests == 1
    assert ledger.totals(since=10, until=30).requests == 2
    assert ledger.totals(session="a").requests == 2
    assert ledger.totals(project="x").requests == 2
    assert ledger.totals(session="a", project="x").requests == 1
    assert ledger.totals(session="c") == Totals()


def test_sessions_come_with_their_sums_newest_first(ledger: Ledger) -> None:
    for when, session in ((10.0, "old"), (20.0, "new"), (15.0, "old"), (5.0, "")):
        ledger.record(exchange(time=when, session=session))
    found = ledger.sessions()
    assert [(s.session, s.began, s.last, s.totals.requests) for s in found] == [("new", 20, 20, 1), ("old", 10, 15, 2)]
    assert len(ledger.sessions(1)) == 1


def test_spent_is_what_was_billed_since(ledger: Ledger) -> None:
    for when, cost in ((10.0, 1.0), (20.0, 2.0), (30.0, 4.0)):
        ledger.record(exchange(time=when, cost_usd=cost))
    ledger.record(exchange(time=40.0, usage=None, cost_usd=None, cost_without_usd=None))
    assert ledger.spent_usd(20) == 6
    assert ledger.spent_usd(0) == 7
    assert ledger.spent_usd(50) == 0


@pytest.mark.parametrize(
    "unpaid",
    [
        {"outcome": "unchanged"},
        {"outcome": "passed"},
        {"outcome": "resent"},
        {"outcome": "error"},
        {"status": 429},
        {"status": 529},
        {"status": 0},
        {"kind": "count_tokens"},
        {"mode": "audit", "outcome": "unchanged"},
    ],
)
def test_tokens_count_as_saved_only_where_a_shorter_request_was_answered(
    unpaid: dict[str, object], ledger: Ledger
) -> None:
    ledger.record(exchange(**unpaid))
    sums = ledger.totals()
    assert (sums.tokens_saved, sums.saved_by_strategy) == (0, {})
    assert sums.tokens_savable == (300 if "mode" in unpaid else 0)


def test_a_request_on_a_websocket_counts_as_answered(ledger: Ledger) -> None:
    ledger.record(exchange(status=101))
    assert ledger.totals().tokens_saved == 300


def test_where_the_usage_is_unknown_no_saving_in_usd_is_kept(ledger: Ledger) -> None:
    ledger.record(exchange(usage=None, optimizer_saved_usd=5.0))
    ledger.record(exchange(cost_usd=None, cost_without_usd=7.0))
    ledger.record(exchange(cost_usd=float("nan"), cost_without_usd=7.0))
    assert {(row.cost_usd, row.input_cost_usd, row.cost_without_usd) for row in ledger.recent()} == {(None, None, None)}
    assert (ledger.totals().saved_usd, ledger.totals().optimizer_saved_usd) == (0, 0)


def test_a_cost_with_no_word_of_the_cost_without_us_saves_nothing(ledger: Ledger) -> None:
    ledger.record(exchange(cost_usd=0.5, cost_without_usd=None))
    assert ledger.totals().saved_usd == 0
    assert ledger.totals().cost_without_usd == 0.5


ROWS = st.builds(
    exchange,
    time=st.floats(0, 2e9),
    session=st.sampled_from(["", "a", "b"]),
    project=st.sampled_from(["", "x", "y"]),
    kind=st.sampled_from(["messages", "count_tokens"]),
    mode=st.sampled_from(["optimize", "audit", "off"]),
    status=st.sampled_from([0, 101, 200, 429]),
    outcome=st.sampled_from(["rewritten", "unchanged", "error"]),
    tokens_after=st.integers(0, 1200),
    usage=st.none() | st.builds(Usage, *[st.integers(0, 10**6)] * 5),
    cost_usd=st.none() | st.floats(0, 10),
    input_cost_usd=st.none() | st.floats(0, 10),
    cost_without_usd=st.none() | st.floats(-1, 10),
    optimizer_saved_usd=st.floats(-1, 1),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ROWS, max_size=12))
def test_sums_over_rows_running_sums_and_sums_of_waiting_rows_agree(rows: list[Exchange]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written, waiting = Ledger(Path(folder) / "ledger.db"), Ledger(Path("/dev/null/ledger.db"))
        for row in rows:
            written.record(row)
            waiting.record(row)
        for session in (None, "a"):
            one, other = written.totals(session=session), waiting.totals(session=session)
            assert one.numbers() == pytest.approx(other.numbers())
            assert one.saved_by_strategy == other.saved_by_strategy
        for found in written.sessions():
            assert found.totals.numbers() == pytest.approx(written.totals(session=found.session).numbers())
        assert [row.id for row in written.recent()] == [row.id for row in written.recent(1000)]
        assert written.spent_usd(1e9) == pytest.approx(waiting.spent_usd(1e9))
        written.close()
        waiting.close()


def test_no_column_can_hold_content_but_a_bounded_reason(ledger: Ledger, path: Path) -> None:
    secret = "sk-ant-api03-" + "x" * 50_000 + "\nthe user's words\u2028and more"
    names = ("session", "project", "client", "provider", "model", "kind", "mode", "outcome", "break_part", "break_kind")
    ledger.record(exchange(**dict.fromkeys((*names, "reason", "detail"), secret), saved_by_strategy={secret: 1}))
    connection = sqlite3.connect(path)
    texts = {}
    for table in TABLES:
        for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
            assert kind in ("TEXT", "INTEGER", "REAL")
            if kind == "TEXT":
                texts[table, column] = [row[0] for row in connection.execute(f"SELECT {column} FROM {table}")]
    connection.close()
    assert {column for table, column in texts if table == "exchanges"} == {"id", *names, "reason", "detail"}
    assert set(texts) - {("exchanges", c) for c in ("id", *names, "reason", "detail")} == {
        ("strategies", "strategy"),
        ("totals", "scope"),
        ("totals", "name"),
    }
    for (_, column), values in texts.items():
        longest = REASON_CHARACTERS if column == "reason" else NAME_CHARACTERS
        assert all(len(value) <= longest and value.isprintable() for value in values)


def test_the_schema_has_all_fields_of_an_exchange_and_no_other() -> None:
    own = {f.name for f in fields(Exchange)} - {"usage", "saved_by_strategy"}
    connection = sqlite3.connect(":memory:")
    for script in database.MIGRATIONS:
        connection.executescript(script)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(exchanges)")}
    assert columns == own | {f.name for f in fields(Usage)} | {"seq", "tokens_saved", "tokens_savable"}
    connection.close()


@pytest.mark.parametrize(
    "odd",
    [
        {"model": "\ud800\x00\n" * 10},
        {"reason": "\ud800\x00\r\n\u2028"},
        {"tokens_before": 10**30, "tokens_after": -(10**30), "bytes_before": 2**64},
        {"usage": Usage(10**30, -(10**30), 0, 0, 10**20)},
        {"time": float("nan")},
        {"time": -5.0},
        {"time": 1e300},
        {"rewrite_ms": float("inf"), "ttfb_ms": float("nan"), "cost_usd": 1e308, "cost_without_usd": -1e308},
        {"saved_by_strategy": {f"s{i}": i for i in range(1000)}},
        {"saved_by_strategy": {"a\n": 1, "a\t": 2}},
    ],
)
def test_an_odd_row_is_stored_within_bounds_and_holds_nothing_up(odd: dict[str, object], ledger: Ledger) -> None:
    for _ in range(3):
        ledger.record(exchange(**odd))
    after = exchange(time=time.time() + 60)
    ledger.record(after)
    assert ledger.problem is None
    assert ledger.totals().requests == 4
    assert after in ledger.recent()


def test_a_row_of_wrong_types_is_told_in_the_log_and_left_out(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    ledger.record(exchange(model=5, reason="the words"))
    assert ledger.totals().requests == 0
    assert [record.getMessage() for record in caplog.records] == ["an exchange can't be written down: TypeError"]


def test_files_are_for_their_owner_only_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = Ledger(path, path.with_name("proxy_savings.json"))
        ledger.record(exchange())
        end = time.monotonic() + 5
        while not path.with_name("proxy_savings.json").exists() and time.monotonic() < end:
            time.sleep(0.01)
        modes = {part.name: stat.S_IMODE(part.stat().st_mode) for part in path.parent.iterdir()}
        ledger.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "proxy_savings.json"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_threads_may_share_a_ledger(ledger: Ledger, path: Path) -> None:
    rows = [[exchange() for _ in range(40)] for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda mine: list(map(ledger.record, mine)), rows))
    assert ids(path) == {row.id for mine in rows for row in mine}
    assert sound(path)


def test_two_ledgers_of_one_process_on_one_file_keep_each_others_locks(path: Path) -> None:
    first = Ledger(path)
    first.record(exchange())
    Ledger(path).close()
    other = Ledger(path)
    # a stranger that is the last to leave, as far as it knows, would take the write-ahead log with it
    code = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT 1 FROM exchanges'); c.close()"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert path.with_name("ledger.db-wal").exists()
    last = exchange()
    first.record(last)
    assert last.id in ids(path)
    first.close()
    other.close()
    assert sound(path)


def test_times_and_sessions_are_found_by_index(ledger: Ledger, path: Path) -> None:
    connection = sqlite3.connect(path)

    def plan(where: str) -> str:
        return str(
            connection.execute(f"EXPLAIN QUERY PLAN SELECT total(cost_usd) FROM exchanges WHERE {where}").fetchall()
        )

    assert "COVERING INDEX exchanges_time" in plan("time >= 5")
    assert "INDEX exchanges_session" in plan("session = 'a' AND time >= 5")
    connection.close()


def test_a_row_costs_the_caller_less_than_some_milliseconds(ledger: Ledger) -> None:
    took = []
    for _ in range(200):
        row = exchange()
        began = time.perf_counter()
        ledger.record(row)
        took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.005


def test_an_older_file_is_brought_up_to_date_and_keeps_its_rows(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = exchange()
    ledger.record(row)
    ledger.close()
    step = "ALTER TABLE exchanges ADD COLUMN later INTEGER NOT NULL DEFAULT 7"
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, step))
    for _ in range(2):
        newer = Ledger(path)
        assert newer.recent() == [row]
        newer.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT later FROM exchanges").fetchall() == [(7,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(database.MIGRATIONS),)
    connection.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = exchange()
    ledger.record(row)
    ledger.close()
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, "DROP TABLE totals; SELECT nonsense"))
    broken = Ledger(path)
    assert broken.problem is not None and "nonsense" in broken.problem
    broken.close()
    monkeypatch.undo()
    again = Ledger(path)
    assert again.problem is None
    assert again.recent() == [row]
    again.close()


def test_a_file_of_a_newer_version_is_left_alone(ledger: Ledger, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    caplog.clear()
    newer = Ledger(path)
    newer.record(exchange())
    assert newer.totals().requests == 1
    newer.close()
    assert ids(path) == set()
    assert ["has version 99" in r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [True]


def test_closing_twice_and_recording_afterwards_is_harmless(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    ledger.record(exchange())
    ledger.close()
    ledger.close()
    ledger.record(exchange())
    assert "after the ledger was closed" in caplog.text
