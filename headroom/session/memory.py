"""What was decided about a block before: its replacement, the same bytes for ever after."""

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headroom.stores.sqlite import connect, is_corrupt, is_locked, move_aside

log = logging.getLogger(__name__)
KEEP_SECONDS = 60 * 86400.0
BUSY_SECONDS = 0.1
"""A lock is waited for no longer: a request is waiting for us."""
RETRY_SECONDS = 5.0
IN_MEMORY = 20_000
"""Decisions that are kept in memory when the disk can't take them."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, needs BLOB NOT NULL, replacement TEXT NOT NULL,
    before INTEGER NOT NULL, after INTEGER NOT NULL, saved TEXT NOT NULL, made REAL NOT NULL,
    hash TEXT NOT NULL DEFAULT '', UNIQUE (key, needs));
CREATE INDEX IF NOT EXISTS decisions_made ON decisions (made);
CREATE TABLE IF NOT EXISTS left_alone (session TEXT PRIMARY KEY, reason TEXT NOT NULL, at REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """A block's replacement. ``needs`` are the blocks, as the provider has them, that it refers to: it holds only
    in a body where they all stand before it. ``before`` and ``after`` are tokens, ``saved`` tokens by strategy.

    ``hash`` names the original of what was left out, or what was given back here; "" where nothing was."""

    key: bytes
    replacement: str
    before: int
    after: int
    saved: Mapping[str, int] = field(default_factory=dict)
    needs: frozenset[bytes] = frozenset()
    hash: str = ""


type Known = Mapping[bytes, Sequence[Decision]]
NOTHING: Known = {}


class Memory(Protocol):
    """Decisions by block, and the sessions that are left alone."""

    @property
    def alone(self) -> bool:
        """Whether all requests of a session come through this proxy, so that it can tell when the provider has nothing
        of one cached any more."""
        ...

    @property
    def problem(self) -> str:
        """Why nothing new may be decided now: others could not know of it. "" while all is well."""
        ...

    def look(self, session: str, keys: Callable[[], Iterable[bytes]]) -> "Memory":
        """This memory for one request of a session, which will ask for ``keys``: where that costs a round trip, it is
        one for all of them and for whether the session is left alone."""
        ...

    def find(self, keys: Iterable[bytes]) -> dict[bytes, list[Decision]]:
        """The decisions about these blocks, oldest first."""
        ...

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        """Keep decisions; they are safe when this returns, or the log says that they are not.

        ``known`` is what ``find`` said of their blocks. False when one of them does not hold, since another proxy had
        decided about its block by now, or since it could not be shared: then none may be used before ``find`` is
        asked again.
        """
        ...

    def leave_alone(self, session: str, reason: str) -> None:
        """From now on no request of this session is rewritten."""
        ...

    def left_alone(self, session: str) -> str | None:
        """Why a session is left alone; None when it is not."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class RamMemory:
    """Decisions of this process; for audit, and for when there is no disk."""

    alone, problem = True, ""

    def __init__(self, limit: int = IN_MEMORY) -> None:
        self._decisions: OrderedDict[bytes, list[Decision]] = OrderedDict()
        self._left_alone: dict[str, str] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def look(self, session: str, keys: Callable[[], Iterable[bytes]]) -> Memory:
        return self

    def find(self, keys: Iterable[bytes]) -> dict[bytes, list[Decision]]:
        with self._lock:
            return {key: list(self._decisions[key]) for key in keys if key in self._decisions}

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        with self._lock:
            for decision in decisions:
                list_ = self._decisions.setdefault(decision.key, [])
                if all(decision.needs != other.needs for other in list_):
                    list_.append(decision)
            stand = all(stands(decision, self._decisions[decision.key], known) for decision in decisions)
            while len(self._decisions) > self._limit:
                self._decisions.popitem(last=False)
        return stand

    def all(self) -> list[Decision]:
        """Every decision kept here."""
        return [decision for known in self._decisions.values() for decision in known]

    def clear(self) -> None:
        """Forget the decisions."""
        self._decisions.clear()

    def leave_alone(self, session: str, reason: str) -> None:
        self._left_alone.setdefault(session, reason)

    def left_alone(self, session: str) -> str | None:
        return self._left_alone.get(session)

    def close(self) -> None:
        """Nothing is open."""


class NoMemory(RamMemory):
    """Remembers nothing: each body is decided by itself."""

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        return True


class SqliteMemory:
    """Decisions in the workspace: they survive a restart, and several proxies share them.

    When the disk fails, what it can't take is kept in memory, the log says so once, and requests go on.
    """

    alone, problem = True, ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ram = RamMemory()
        self._lock = threading.Lock()
        self._failing = False
        self._connection: sqlite3.Connection | None = None
        self._retry_at = 0.0
        with self._lock:
            self._database()

    def look(self, session: str, keys: Callable[[], Iterable[bytes]]) -> Memory:
        return self

    def find(self, keys: Iterable[bytes]) -> dict[bytes, list[Decision]]:
        wanted = list(dict.fromkeys(keys))
        found = self._ram.find(wanted)
        with self._lock:
            database = self._database()
            if database is None:
                return found
            try:
                for start in range(0, len(wanted), 500):
                    some = wanted[start : start + 500]
                    marks = ",".join("?" * len(some))
                    rows = database.execute(
                        "SELECT key, needs, replacement, before, after, saved, hash FROM decisions"
                        f" WHERE key IN ({marks}) ORDER BY id",
                        some,
                    ).fetchall()
                    for row in rows:
                        decision = _decision(row)
                        found.setdefault(decision.key, []).append(decision)
            except sqlite3.Error as error:
                self._failed(error)
        return found

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        if not decisions:
            return True
        with self._lock:
            self._ram.remember(decisions)
            if not self._write():
                self._write()  # a broken file has been moved aside, and a new one waits
        now = self.find(decision.key for decision in decisions)
        return all(stands(decision, now.get(decision.key, ()), known) for decision in decisions)

    def leave_alone(self, session: str, reason: str) -> None:
        self._ram.leave_alone(session, reason)
        with self._lock:
            database = self._database()
            if database is not None:
                try:
                    database.execute(
                        "INSERT OR IGNORE INTO left_alone VALUES (?, ?, ?)", (session, reason, time.time())
                    )
                except sqlite3.Error as error:
                    self._failed(error)

    def left_alone(self, session: str) -> str | None:
        known = self._ram.left_alone(session)
        if known:
            return known
        with self._lock:
            database = self._database()
            if database is None:
                return None
            try:
                row = database.execute("SELECT reason FROM left_alone WHERE session = ?", (session,)).fetchone()
            except sqlite3.Error as error:
                self._failed(error)
                return None
        return str(row[0]) if row else None

    def close(self) -> None:
        """Write what still waits, forget what is too old to matter and let go of the file."""
        with self._lock:
            self._retry_at = 0.0
            if self._ram.all():
                self._write()
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):  # the next one that closes it will do
                    self._connection.execute("DELETE FROM decisions WHERE made < ?", (time.time() - KEEP_SECONDS,))
                self._connection.close()
                self._connection = None
            self._retry_at = float("inf")

    def _write(self) -> bool:
        """Move what is kept in memory to the disk, if it can be used now."""
        database = self._database()
        if database is None or time.monotonic() < self._retry_at:
            return False
        try:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "INSERT OR IGNORE INTO decisions (key, needs, replacement, before, after, saved, made, hash)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(decision) for decision in self._ram.all()],
            )
            database.execute("COMMIT")
            database.execute("PRAGMA shrink_memory")  # so that the next one sees if the file was overwritten
        except sqlite3.Error as error:
            self._failed(error)
            return False
        self._ram.clear()
        if self._failing:
            log.warning("%s can be used again", self._path)
        self._failing = False
        return True

    def _database(self) -> sqlite3.Connection | None:
        if self._connection is None and time.monotonic() >= self._retry_at:
            try:
                self._connection = connect(self._path, _SCHEMA, BUSY_SECONDS)
                _bring_up_to_date(self._connection)
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
        return self._connection

    def _failed(self, error: Exception) -> None:
        """Say it once, and try again a little later: with a fresh connection, but where only a lock is in the way."""
        if not self._failing:
            log.warning(
                "%s can't be used (%s): decisions are kept in memory and would be lost in a restart",
                self._path,
                error,
            )
        self._failing = True
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if self._connection is not None and is_locked(error):
            self._connection.rollback()
            return
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if is_corrupt(error) and move_aside(self._path, error):
            self._retry_at = 0.0


def stands(decision: Decision, now: Sequence[Decision], known: Known) -> bool:
    """Whether a decision is what will be found for its block: of those before it in what there is ``now`` all were
    ``known`` when it was made."""
    seen = {other.needs for other in known.get(decision.key, ())}
    for other in now:
        if other.needs == decision.needs:
            return other.replacement == decision.replacement
        if other.needs not in seen:
            return False
    return True


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    """A file of an earlier version gets the columns that it lacks. Raises sqlite3.Error."""
    if "hash" not in {row[1] for row in database.execute("PRAGMA table_info(decisions)")}:
        try:
            database.execute("ALTER TABLE decisions ADD COLUMN hash TEXT NOT NULL DEFAULT ''")
        except sqlite3.OperationalError as error:
            if "duplicate column" not in str(error):  # another proxy was quicker
                raise


def _row(d: Decision) -> tuple[bytes, bytes, str, int, int, str, float, str]:
    needs, saved = b"".join(sorted(d.needs)), json.dumps(dict(d.saved))
    return d.key, needs, d.replacement, d.before, d.after, saved, time.time(), d.hash


def _decision(row: tuple[bytes, bytes, str, int, int, str, str]) -> Decision:
    key, needs, replacement, before, after, saved, hash = row
    return Decision(
        key,
        replacement,
        before,
        after,
        json.loads(saved),
        frozenset(needs[i : i + 16] for i in range(0, len(needs), 16)),
        hash,
    )
