"""What the disk can do to a ledger, with real processes: whatever it is, no row is lost that can be kept."""

import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headroom.ledger import Ledger, store
from tests.ledger.rows import exchange, ids, read_json, sound

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from headroom.ledger import Ledger
from tests.ledger.rows import exchange
ledger = Ledger(Path(sys.argv[1]), Path(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    row = exchange()
    ledger.record(row)
    print(row.id, flush=True)
ledger.close()
"""
NO_SPACE = """
import logging, resource, sys, time
from pathlib import Path
from headroom.ledger import Ledger, store
from tests.ledger.rows import exchange
store.RETRY_SECONDS = 0.05
logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
ledger = Ledger(Path(sys.argv[1]), Path(sys.argv[2]))
rows = [exchange(reason="x" * 300) for _ in range(120)]
for row in rows[:20]:
    ledger.record(row)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
for row in rows[20:100]:
    ledger.record(row)
print("PROBLEM", ledger.problem)
assert ledger.problem and ledger.totals().requests == 100, ledger.totals()
assert round(ledger.spent_usd(0), 6) == 2.0 and len(ledger.recent(1000)) == 100
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
time.sleep(0.1)
for row in rows[100:]:
    ledger.record(row)
assert ledger.problem is None and ledger.totals().requests == 120, ledger.totals()
ledger.close()
print("DONE")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workspace" / "ledger.db"


@pytest.fixture
def json_path(path: Path) -> Path:
    return path.with_name("proxy_savings.json")


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_several_processes_at_once_lose_nothing(path: Path, json_path: Path) -> None:
    writers = [python(WRITER, path, json_path, 60) for _ in range(4)]
    said = {line for writer in writers for line in writer.communicate(timeout=60)[0].split()}
    assert [writer.returncode for writer in writers] == [0] * 4
    assert len(said) == 240
    assert ids(path) == said
    assert sound(path)
    assert read_json(json_path)["lifetime"]["requests"] == 240


def test_a_process_killed_in_mid_write_loses_no_row_it_had_recorded(path: Path, json_path: Path) -> None:
    said: set[str] = set()
    for _ in range(4):
        writers = [python(WRITER, path, json_path, 100_000) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            said.add(writer.stdout.readline().strip())
        time.sleep(random.uniform(0.0, 0.2))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            said |= {line for line in writer.communicate()[0].split() if len(line) == 32}
    assert said <= ids(path)
    assert len(ids(path) - said) <= 8  # recorded, but killed before it was said
    assert sound(path)
    ledger = Ledger(path, json_path)
    ledger.record(exchange())
    ledger.close()
    assert read_json(json_path)["lifetime"]["requests"] == len(ids(path))
    assert {part.name for part in path.parent.iterdir()} <= {
        *("ledger.db", "ledger.db.lock", "proxy_savings.json", "proxy_savings.json.lock", ".proxy_savings.json.new")
    }


def test_a_full_disk_is_said_once_and_the_rows_are_written_when_there_is_room(path: Path, json_path: Path) -> None:
    process = python(NO_SPACE, path, json_path)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 0, lines
    assert lines[-1] == "DONE"
    assert len([line for line in lines if "ledger.db can't be used" in line]) == 1
    assert len([line for line in lines if "ledger.db can be used again; 0 exchanges were lost" in line]) == 1
    assert len(ids(path)) == 120
    assert sound(path)
    assert read_json(json_path)["lifetime"]["requests"] == 120


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another connection is in the midst of a write."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_locked_database_is_said_once_read_all_the_same_and_written_later(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RETRY_SECONDS", 0.3)
    ledger = Ledger(path)
    ledger.record(exchange(cost_usd=1.0))
    with locked(path):
        began = time.monotonic()
        for _ in range(50):
            ledger.record(exchange(cost_usd=1.0))
        assert time.monotonic() - began < 3
        assert ledger.problem is not None and "locked" in ledger.problem
        assert ledger.totals().requests == 51
        assert ledger.spent_usd(0) == 51
        assert len(ids(path)) == 1
    assert eventually(lambda: len(ids(path)) == 51), "nobody called, yet the rows must be written"
    assert ledger.problem is None
    ledger.close()
    assert len(warnings(caplog)) == 2
    assert sound(path)


def test_rows_that_wait_are_written_when_the_ledger_is_closed(path: Path) -> None:
    ledger = Ledger(path)
    with locked(path):
        ledger.record(exchange())
    ledger.close()
    assert len(ids(path)) == 1


def test_beyond_a_bound_the_oldest_waiting_rows_are_lost_and_counted(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "WAITING", 10)
    monkeypatch.setattr(store, "RETRY_SECONDS", 60.0)
    ledger = Ledger(path)
    rows = [exchange() for _ in range(15)]
    with locked(path):
        for row in rows:
            ledger.record(row)
    ledger.close()
    assert ids(path) == {row.id for row in rows[5:]}
    assert "5 exchanges were lost" in warnings(caplog)[-1]


def test_rows_that_nothing_could_take_are_reported_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(Path("/dev/null/ledger.db"), Path("/dev/null/proxy_savings.json"))
    for _ in range(3):
        ledger.record(exchange())
    assert ledger.totals().requests == 3
    ledger.close()
    said = warnings(caplog)
    assert len([line for line in said if "can't be used" in line]) == 1
    assert said[-1] == "3 exchanges could not be written to /dev/null/ledger.db and are lost"


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(20_000))


def torn_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8_000))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6_000])


def torn_pages(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[4096:] = os.urandom(len(whole) - 4096)
    path.write_bytes(whole)


@pytest.mark.parametrize("damage", [garbage, torn_header, cut_short, torn_pages])
def test_a_corrupt_file_is_moved_aside_and_a_new_one_started(
    damage: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(path)
    for _ in range(100):
        ledger.record(exchange())
    ledger.close()
    damage(path)
    damaged = path.read_bytes()
    caplog.clear()
    ledger = Ledger(path)
    row = exchange()
    ledger.record(row)
    assert ledger.problem is None
    assert [found.id for found in ledger.recent()] == [row.id]
    ledger.close()
    assert ids(path) == {row.id}
    assert sound(path)
    [aside] = path.parent.glob("ledger.db.corrupt-*[0-9]")
    assert aside.name.removeprefix("ledger.db.corrupt-").isdigit()
    assert aside.stat().st_size == len(damaged)
    assert [aside.name in line for line in warnings(caplog)] == [True]


def test_a_file_that_breaks_while_it_is_open_is_moved_aside_and_the_row_goes_into_a_new_one(path: Path) -> None:
    ledger = Ledger(path)
    for _ in range(100):
        ledger.record(exchange())
    other = Ledger(path)
    checkpoint = sqlite3.connect(path)
    checkpoint.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    checkpoint.close()
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
    rows = [exchange() for _ in range(4)]
    ledger.record(rows[0])
    other.record(rows[1])
    ledger.record(rows[2])
    other.record(rows[3])
    ledger.close()
    other.close()
    assert ids(path) == {row.id for row in rows}
    assert len(list(path.parent.glob("ledger.db.corrupt-*[0-9]"))) == 1


def test_a_file_that_is_overwritten_under_its_only_user_takes_no_row_with_it(path: Path) -> None:
    ledger = Ledger(path)
    ledger.record(exchange())
    for part in (path, path.with_name("ledger.db-wal")):
        with part.open("r+b") as file:
            file.write(b"garbage " * (part.stat().st_size // 8))
    rows = [exchange() for _ in range(3)]
    for row in rows:
        ledger.record(row)
    ledger.close()
    assert ids(path) == {row.id for row in rows}
    assert sound(path)


@pytest.mark.parametrize("take_away", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("elsewhere"))])
def test_a_workspace_that_is_taken_away_in_mid_run_is_made_again(take_away: Callable[[Path], None], path: Path) -> None:
    ledger = Ledger(path)
    ledger.record(exchange())
    take_away(path.parent)
    rows = [exchange() for _ in range(3)]
    for row in rows:
        ledger.record(row)
    assert ledger.problem is None
    ledger.close()
    assert ids(path) == {row.id for row in rows}


def test_a_transaction_that_fails_half_way_holds_nobody_up(path: Path) -> None:
    ledger = Ledger(path)
    other = sqlite3.connect(path, isolation_level=None, timeout=0.1)
    other.execute("ALTER TABLE strategies RENAME TO away")
    ledger.record(exchange())
    assert ledger.problem is not None and "strategies" in ledger.problem
    other.execute("ALTER TABLE away RENAME TO strategies")
    other.close()
    ledger.close()
    assert len(ids(path)) == 1
    assert sound(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are found in /proc")
def test_a_connection_that_the_system_broke_is_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RETRY_SECONDS", 0.01)
    ledger = Ledger(path)
    ledger.record(exchange())
    unwritable = os.open("/dev/null", os.O_RDONLY)
    for link in list(Path("/proc/self/fd").iterdir()):
        if link.is_symlink() and str(link.readlink()) == f"{path}-wal":
            os.dup2(unwritable, int(link.name))
    os.close(unwritable)
    ledger.record(exchange())
    assert ledger.problem == "disk I/O error"
    assert eventually(lambda: ledger.problem is None)
    ledger.close()
    assert len(ids(path)) == 2


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder in which this process, if need be for the moment not as root, may change nothing."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = os.geteuid() == 0
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("there_before", [True, False])
def test_a_read_only_workspace_is_said_once_and_its_rows_stay_in_memory(
    there_before: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "RETRY_SECONDS", 0.0)
    with as_nobody() as folder:
        path = folder / "ledger.db"
        if there_before:
            Ledger(path).close()
            path.chmod(0o444)
        folder.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(65534)
        ledger = Ledger(path, folder / "proxy_savings.json")
        for _ in range(5):
            ledger.record(exchange())
        assert ledger.totals().requests == 5
        assert ledger.problem is not None
        ledger.close()
        assert not (folder / "proxy_savings.json").exists()
    said = [line for line in warnings(caplog) if "ledger.db can't be used" in line]
    assert len(said) == 1


def eventually(what: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
