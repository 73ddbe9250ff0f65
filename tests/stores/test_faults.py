"""What the disk can do to the originals, with real processes: what was kept is there, or keeping it failed."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headroom.ccr.originals import Original, open_originals, original_of
from headroom.errors import StorageError
from headroom.stores import sqlite_entries
from headroom.stores.entries import Limits

ROOT = Path(__file__).parents[2]
MANY = Limits(entries=1_000_000)
WRITER = """
import random, sys
from pathlib import Path
from headroom.ccr.originals import open_originals, original_of
originals = open_originals(path=Path(sys.argv[1]))
rng = random.Random(sys.argv[2])
while True:
    some = [original_of(rng.randbytes(rng.randrange(1, 3000)).hex(), sys.argv[2]) for _ in range(3)]
    originals.keep(some)
    print(*(one.hash for one in some), flush=True)
"""
NO_SPACE = """
import resource, sys
from pathlib import Path
from headroom.ccr.originals import open_originals, original_of
from headroom.errors import StorageError
from headroom.stores import sqlite_entries
sqlite_entries.RETRY_SECONDS = 0.0
originals = open_originals(path=Path(sys.argv[1]))
first = original_of("there was room for this", "s1")
originals.keep([first])
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
import random
kept, refused = [first], []
for number in range(60):
    one = original_of(random.Random(number).randbytes(4000).hex(), "s1")
    try:
        originals.keep([one])
        kept.append(one)
    except StorageError:
        refused.append(one)
assert len(kept) > 1 and refused, (len(kept), len(refused))
assert all(originals.get(one.hash).text == one.text for one in kept)
assert originals.missing(one.hash for one in refused) == {one.hash for one in refused}
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
originals.keep(refused)
originals.close()
originals = open_originals(path=Path(sys.argv[1]))
assert all(originals.get(one.hash).text == one.text for one in kept + refused)
print("DONE")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workspace" / "originals.db"


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def some(count: int, session: str = "s1") -> list[Original]:
    rng = random.Random(session)
    return [original_of(rng.randbytes(2000).hex(), session, "Bash", "cat log") for _ in range(count)]


def test_what_was_kept_outlives_processes_killed_in_mid_write(path: Path) -> None:
    said: set[str] = set()
    for round_number in range(4):
        writers = [python(WRITER, path, f"s{round_number}{number}") for number in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            said |= set(writer.stdout.readline().split())
        time.sleep(random.uniform(0.0, 0.2))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            said |= {word for word in writer.communicate()[0].split() if len(word) == 24}
    originals = open_originals(path=path)
    assert len(said) >= 24
    assert originals.missing(said) == set()
    assert all(originals.get(hash) is not None for hash in said)
    originals.close()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_on_a_full_disk_keeping_fails_and_what_was_kept_stays(path: Path) -> None:
    process = python(NO_SPACE, path)
    assert process.communicate(timeout=60)[0].splitlines() == ["DONE"]
    assert process.returncode == 0


def test_a_locked_file_is_waited_for_a_moment_and_can_be_read_meanwhile(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    originals = open_originals(path=path)
    one, other = some(2)
    originals.keep([one])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    for _ in range(200):
        with pytest.raises(StorageError, match="locked"):
            originals.keep([other])
    assert time.monotonic() - began < 10
    assert len([r for r in caplog.records if "can't be used" in r.getMessage()]) == 1
    found = originals.get(one.hash)
    assert found is not None and found.text == one.text
    blocker.execute("ROLLBACK")
    blocker.close()


def test_after_a_failure_it_works_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_entries, "RETRY_SECONDS", 0.05)
    originals = open_originals(path=path)
    one, other = some(2)
    originals.keep([one])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError):
        originals.keep([other])
    blocker.execute("ROLLBACK")
    blocker.close()
    time.sleep(0.06)
    originals.keep([other])
    assert originals.missing([one.hash, other.hash]) == set()


def test_a_broken_file_is_moved_aside_and_what_is_sound_of_it_is_kept(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    originals = open_originals(path=path, limits=MANY)
    kept = some(300)
    originals.keep(kept)
    originals.close()
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2 // 4096 * 4096
    raw[middle : middle + 8 * 4096] = b"\xff" * (8 * 4096)
    path.write_bytes(raw)
    originals = open_originals(path=path, limits=MANY)
    new = original_of("kept after it broke", "s2")
    for one in kept:
        originals.get(one.hash)
    originals.keep([new])
    there = [one for one in kept if originals.get(one.hash) is not None]
    assert len(there) >= 250
    for one in there:
        found = originals.get(one.hash)
        assert found is not None and found.text == one.text
    assert originals.missing([new.hash]) == set()
    assert list(path.parent.glob("originals.db.corrupt-*"))
    assert "moved to" in caplog.text
    originals.keep(kept)  # the client sends its texts again with every request
    assert originals.missing(one.hash for one in kept) == set()


def test_a_file_that_is_no_database_is_moved_aside(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"no database at all" * 1000)
    originals = open_originals(path=path)
    one = some(1)[0]
    originals.keep([one])
    assert originals.get(one.hash) is not None
    assert len(list(path.parent.glob("originals.db.corrupt-*"))) == 1


def test_a_file_that_is_overwritten_while_in_use_is_replaced(path: Path) -> None:
    originals = open_originals(path=path)
    one, other = some(2)
    originals.keep([one])
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    try:
        originals.keep([other])
    except StorageError:
        return  # the marker is not sent
    again = open_originals(path=path)
    found = again.get(other.hash)
    assert found is not None and found.text == other.text


def test_a_file_that_is_taken_away_is_made_anew(path: Path) -> None:
    originals = open_originals(path=path)
    one, other = some(2)
    originals.keep([one])
    for part in path.parent.iterdir():
        part.unlink()
    assert originals.missing([one.hash]) == {one.hash}
    originals.keep([other])
    again = open_originals(path=path)
    assert again.missing([other.hash]) == set()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    originals = open_originals(path=tmp_path / "file" / "originals.db")
    with pytest.raises(StorageError):
        originals.keep(some(1))


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    originals = open_originals(path=path)
    originals.keep(some(1))
    originals.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="version 99"):
        open_originals(path=path).keep(some(2))
    assert path.read_bytes() == before
