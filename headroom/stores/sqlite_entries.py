"""Entries in an embedded database: one file, shared by several processes, safe against kill -9."""

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from headroom.errors import StorageError
from headroom.paths import private_dir
from headroom.stores.entries import GONE_SECONDS, SWEEP_SECONDS, SWEPT, Entry, Holder, Limits, State
from headroom.stores.files import file_lock
from headroom.stores.sqlite import is_corrupt, is_locked, move_aside, opened

log = logging.getLogger(__name__)
VERSION = 1
BUSY_SECONDS = 0.1
"""A lock is waited for no longer: a request is waiting for us."""
REPLACING_SECONDS = 1.0
"""Another process that replaces a broken file is waited for no longer."""
RETRY_SECONDS = 5.0
"""After a failure nothing is written for so long: requests go on without us."""
RESCUE_SECONDS = 2.0
"""Time that is spent on reading what is sound in a broken file."""
RESCUED = "rescued"
"""The session of an entry whose own can't be read any more."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, stored INTEGER NOT NULL,
    used REAL NOT NULL, held REAL NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entries_free ON entries (held, used);
CREATE TABLE IF NOT EXISTS holders (
    session TEXT NOT NULL, hash TEXT NOT NULL, tool TEXT NOT NULL, subject TEXT NOT NULL, made REAL NOT NULL,
    PRIMARY KEY (session, hash)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holders_hash ON holders (hash);
CREATE TABLE IF NOT EXISTS sessions (session TEXT PRIMARY KEY, seen REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (hash TEXT PRIMARY KEY, at REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS gone_at ON gone (at);
CREATE TABLE IF NOT EXISTS sums (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO sums VALUES ('entries', 0), ('bytes', 0), ('text_bytes', 0);
CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entries BEGIN
    UPDATE sums SET value = value + CASE name
        WHEN 'entries' THEN 1 WHEN 'bytes' THEN new.stored ELSE new.size END;
END;
CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries BEGIN
    UPDATE sums SET value = value - CASE name
        WHEN 'entries' THEN 1 WHEN 'bytes' THEN old.stored ELSE old.size END;
END;
PRAGMA user_version = {VERSION};
"""
# ``held``: until when a session is known to hold an entry. It is looked up anew only when that time has come.
_HELD = "SELECT MAX(seen) + ? FROM holders JOIN sessions USING (session) WHERE hash = ? AND session != ''"


class SqliteEntries:
    """Entries in the file at ``path``, made if absent, readable by its owner only.

    A file that is not a sound database is moved aside; what can be read of it goes into the new one.
    """

    def __init__(self, path: Path, limits: Limits | None = None, sound: Callable[[Entry], bool] = bool) -> None:
        """``sound`` tells whether what was read of a broken file is what had been written."""
        self._path = path
        self._limits = limits or Limits()
        self._sound = sound
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._problem = ""
        self._open_at = self._write_at = 0.0
        self._sweep_at = 0.0
        self._touched: dict[str, float] = {}

    def put(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        with self._lock:
            self._do(lambda database: self._put(database, entries), writes=True)

    def get(self, hash: str) -> Entry | None:
        with self._lock:
            return self._do(lambda database: self._get(database, hash))

    def state(self, hash: str) -> State:
        with self._lock:
            return self._do(lambda database: self._state(database, hash))

    def missing(self, hashes: Iterable[str]) -> set[str]:
        wanted = set(hashes)
        if not wanted:
            return wanted
        now = time.time()
        with self._lock:
            return self._do(lambda database: {hash for hash in wanted if self._live(database, hash, now) is None})

    def forget(self, hash: str) -> None:
        with self._lock:
            self._do(lambda database: self._forget(database, hash), writes=True)

    def touch(self, session: str) -> None:
        now = time.time()
        with self._lock:
            if now - self._touched.get(session, 0.0) < self._limits.hold / 30:
                return
            self._do(lambda database: _see(database, {session}, now), writes=True)
            self._touched[session] = now
            if len(self._touched) > 10_000:
                self._touched.clear()

    def of_session(self, session: str) -> list[Entry]:
        with self._lock:
            rows = self._do(
                lambda database: database.execute(
                    "SELECT hash, session, tool, subject, made, size, x'' FROM holders JOIN entries USING (hash)"
                    " WHERE session = ? ORDER BY made, hash",
                    (session,),
                ).fetchall()
            )
        return [Entry(*row) for row in rows]

    def holders(self, limit: int = 100) -> list[Holder]:
        with self._lock:
            rows = self._do(
                lambda database: database.execute(
                    "SELECT session, seen, COUNT(*), SUM(size) FROM sessions JOIN holders USING (session)"
                    " JOIN entries USING (hash) GROUP BY session ORDER BY seen DESC, session LIMIT ?",
                    (limit,),
                ).fetchall()
            )
        return [Holder(*row) for row in rows]

    def stats(self) -> Mapping[str, int]:
        with self._lock:
            return self._do(_stats)

    def close(self) -> None:
        with self._lock:
            self._drop()
            self._open_at, self._problem = float("inf"), "it is closed"

    def _put(self, database: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        now = time.time()
        with _writing(database):
            new = [entry for entry in entries if _row(database, entry.hash) is None]
            self._sweep(database, now, len(new), sum(len(entry.data) for entry in new))
            for entry in entries:
                held = now + self._limits.hold if entry.session else 0.0
                database.execute(
                    "INSERT INTO entries (hash, size, stored, used, held, data) VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (hash) DO UPDATE SET"
                    " used = max(used, excluded.used), held = max(held, excluded.held)",
                    (entry.hash, entry.size, len(entry.data), now, held, entry.data),
                )
                database.execute(
                    "INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?, ?)",
                    (entry.session, entry.hash, entry.tool, entry.subject, entry.made),
                )
                database.execute("DELETE FROM gone WHERE hash = ?", (entry.hash,))
            _see(database, {entry.session for entry in entries if entry.session}, now)
        # What is read next is then read from the disk, and it shows if that was overwritten.
        database.execute("PRAGMA shrink_memory")

    def _get(self, database: sqlite3.Connection, hash: str) -> Entry | None:
        now = time.time()
        used = self._live(database, hash, now)
        if used is None:
            return None
        holder = database.execute(
            "SELECT session, tool, subject, made FROM holders WHERE hash = ? ORDER BY made DESC LIMIT 1", (hash,)
        ).fetchone() or ("", "", "", used)
        session, tool, subject, made = holder
        size, data = database.execute("SELECT size, data FROM entries WHERE hash = ?", (hash,)).fetchone()
        if now - used > self._limits.ttl / 30:
            with contextlib.suppress(sqlite3.OperationalError):  # it can be read where nothing can be written
                database.execute("UPDATE entries SET used = ? WHERE hash = ?", (now, hash))
        return Entry(hash, session, tool, subject, made, size, data)

    def _live(self, database: sqlite3.Connection, hash: str, now: float) -> float | None:
        """When an entry that can be had was used last; None when there is none."""
        row = _row(database, hash)
        if row is None:
            return None
        used, held = row
        alive = max(held, used + self._limits.ttl) >= now or _held(database, hash, self._limits.hold) >= now
        return float(used) if alive else None

    def _state(self, database: sqlite3.Connection, hash: str) -> State:
        if self._live(database, hash, time.time()) is not None:
            return "live"
        known = database.execute(
            "SELECT 1 FROM gone WHERE hash = ? UNION ALL SELECT 1 FROM entries WHERE hash = ?", (hash, hash)
        ).fetchone()
        return "unknown" if known is None else "expired"

    def _sweep(self, database: sqlite3.Connection, now: float, coming: int, size: int) -> None:
        """Make room for ``coming`` entries of ``size`` bytes: take out what has expired and, where that is not enough,
        the longest unused that no session holds."""
        sums = dict(database.execute("SELECT name, value FROM sums").fetchall())
        more = sums["entries"] + coming - self._limits.entries
        stored = sums["bytes"] + size - self._limits.bytes
        if now < self._sweep_at and more <= 0 and stored <= 0:
            return
        self._sweep_at = now + min(SWEEP_SECONDS, self._limits.ttl)
        expired = self._free(
            database, now, "SELECT hash, stored FROM entries WHERE held < ? AND used < ?", now - self._limits.ttl
        )
        more, stored = more - len(expired), stored - sum(expired.values())
        self._remove(database, expired, now)
        if more > 0 or stored > 0:
            longest = self._free(database, now, "SELECT hash, stored FROM entries WHERE held < ? ORDER BY used")
            evicted = []
            for hash, size in longest.items():
                if more <= 0 and stored <= 0:
                    break
                evicted.append(hash)
                more, stored = more - 1, stored - size
            self._remove(database, evicted, now)
        if stored > 0:
            raise StorageError(
                f"{self._path} is full: {sums['bytes']:,} of {self._limits.bytes:,} bytes are held by living sessions.",
                {"path": str(self._path), "bytes": sums["bytes"], "limit": self._limits.bytes},
            )
        database.execute("DELETE FROM gone WHERE at < ?", (now - GONE_SECONDS,))
        database.execute(
            "DELETE FROM sessions WHERE session IN (SELECT session FROM sessions WHERE seen < ? AND NOT EXISTS"
            " (SELECT 1 FROM holders WHERE holders.session = sessions.session) LIMIT ?)",
            (now - self._limits.hold, SWEPT),
        )

    def _free(self, database: sqlite3.Connection, now: float, query: str, *values: float) -> dict[str, int]:
        """Entries that no session holds, with their sizes; of those that one holds, it is noted until when."""
        found: dict[str, int] = {}
        for hash, size in database.execute(f"{query} LIMIT {SWEPT}", (now, *values)).fetchall():
            held = _held(database, hash, self._limits.hold)
            if held < now:
                found[hash] = size
            else:
                database.execute("UPDATE entries SET held = ? WHERE hash = ?", (held, hash))
        return found

    def _forget(self, database: sqlite3.Connection, hash: str) -> None:
        with _writing(database):
            self._remove(database, [hash], time.time())

    def _remove(self, database: sqlite3.Connection, hashes: Iterable[str], now: float) -> None:
        keys = [(hash,) for hash in hashes]
        database.executemany("DELETE FROM entries WHERE hash = ?", keys)
        database.executemany("DELETE FROM holders WHERE hash = ?", keys)
        database.executemany("INSERT OR REPLACE INTO gone VALUES (?, ?)", [(*key, now) for key in keys])

    def _do[T](self, work: Callable[[sqlite3.Connection], T], writes: bool = False) -> T:
        """What ``work`` says of the database, in one attempt more when a broken file could be replaced."""
        if writes and time.monotonic() < self._write_at:
            raise self._unusable()
        try:
            try:
                done = work(self._database())
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error):
                    raise
                self._replace(error)
                done = work(self._database())
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            raise self._unusable() from error
        if writes and self._problem:
            log.warning("%s can be used again", self._path)
            self._problem = ""
        return done

    def _database(self) -> sqlite3.Connection:
        if self._connection is not None and _identity(self._path) != self._file:
            log.warning("%s was taken away while it was in use: it is opened anew", self._path)
            self._drop()
        if self._connection is None:
            if time.monotonic() < self._open_at:
                raise self._unusable()
            private_dir(self._path.parent)
            try:
                self._connection = opened(self._path, self._prepare, BUSY_SECONDS)
            except sqlite3.DatabaseError as error:
                if not is_corrupt(error):
                    raise
                self._replace(error)
            self._file = _identity(self._path)
        assert self._connection is not None
        return self._connection

    def _prepare(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StorageError(
                f"{self._path} has version {version}; this headroom knows {VERSION} and leaves it alone.",
                {"path": str(self._path), "found": version, "expected": VERSION},
            )
        if version < VERSION:
            database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")

    def _replace(self, error: sqlite3.Error) -> None:
        """Start a new file in the place of a broken one, with what can still be read of that."""
        self._drop()
        with file_lock(self._path.with_name(self._path.name + ".lock"), REPLACING_SECONDS):
            before = set(self._path.parent.glob(f"{self._path.name}.corrupt-*"))
            if not move_aside(self._path, error):
                raise error
            self._connection = opened(self._path, self._prepare, BUSY_SECONDS)
            self._file = _identity(self._path)
            new = set(self._path.parent.glob(f"{self._path.name}.corrupt-*")) - before
        for aside in [path for path in new if not path.name.endswith(("-wal", "-shm"))]:
            rescued = 0
            for entry in filter(self._sound, _rescued(aside)):
                self._put(self._connection, [entry])
                rescued += 1
            log.warning("%d originals of %s could be read and are kept", rescued, aside.name)

    def _failed(self, error: Exception) -> None:
        if not self._problem:
            log.warning("%s can't be used (%s): nothing is left out of requests until it can", self._path, error)
        self._problem = str(error)
        self._write_at = time.monotonic() + RETRY_SECONDS
        if self._connection is None:
            self._open_at = self._write_at
        elif not is_locked(error):
            self._drop()

    def _unusable(self) -> StorageError:
        return StorageError(f"{self._path} can't be used: {self._problem}", {"path": str(self._path)})

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


@contextmanager
def _writing(database: sqlite3.Connection) -> Iterator[None]:
    """All that is written in it, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _see(database: sqlite3.Connection, sessions: Iterable[str], now: float) -> None:
    database.executemany(
        "INSERT INTO sessions VALUES (?, ?) ON CONFLICT (session) DO UPDATE SET seen = max(seen, excluded.seen)",
        [(session, now) for session in sessions],
    )


def _row(database: sqlite3.Connection, hash: str) -> tuple[float, float] | None:
    """When an entry was used last and until when it is known to be held (unix seconds)."""
    row: tuple[float, float] | None = database.execute(
        "SELECT used, held FROM entries WHERE hash = ?", (hash,)
    ).fetchone()
    return row


def _held(database: sqlite3.Connection, hash: str, seconds: float) -> float:
    """Until when sessions hold an entry (unix seconds)."""
    until = database.execute(_HELD, (seconds, hash)).fetchone()[0]
    return float(until or 0.0)


def _stats(database: sqlite3.Connection) -> dict[str, int]:
    sums = dict(database.execute("SELECT name, value FROM sums").fetchall())
    sums["sessions"] = database.execute("SELECT COUNT(*) FROM sessions").fetchone()[0]
    return sums


def _rescued(path: Path) -> Iterator[Entry]:
    """What can be read of a broken database, newest first; whether it is whole, its hash tells."""
    end = time.monotonic() + RESCUE_SECONDS
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return
    with contextlib.closing(database):
        try:
            last = database.execute("SELECT MAX(id) FROM entries").fetchone()[0] or 0
        except sqlite3.Error:
            return
        for number in range(last, 0, -1):
            if time.monotonic() > end:
                return
            try:
                row = database.execute("SELECT hash, size, data FROM entries WHERE id = ?", (number,)).fetchone()
            except sqlite3.Error:
                continue
            if row is None:
                continue
            hash, size, data = row
            try:
                holders = database.execute(
                    "SELECT session, tool, subject, made FROM holders WHERE hash = ?", (hash,)
                ).fetchall()
            except sqlite3.Error:
                holders = []
            for session, tool, subject, made in holders or [(RESCUED, "", "", time.time())]:
                yield Entry(hash, session, tool, subject, made, size, data)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at a path."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
