"""The ledger as one object: rows go in whatever the disk does, sums come out."""

import atexit
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from headroom.errors import HeadroomError, ValidationError
from headroom.ledger import database as tables
from headroom.ledger.row import Exchange, storable
from headroom.ledger.savings import Json, savings, write_savings
from headroom.ledger.totals import Totals, totals_of
from headroom.stores.sqlite import is_corrupt, move_aside

log = logging.getLogger(__name__)
WAITING = 10_000
"""Rows that are kept in memory while the disk can't take them; of more the oldest are lost, and the log says so."""
BATCH = 500
"""Rows in one transaction: others wait for it."""
RETRY_SECONDS = 5.0
GROUPS = ("session", "project", "model", "client", "provider")
"""What sums may be taken by."""
SAVINGS_SECONDS = 1.0
"""The savings file is written at most so often, and when the ledger is closed."""
CLOSING_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """The sums of one session; ``began`` and ``last`` are the times of its first and last exchange (unix seconds)."""

    session: str
    began: float
    last: float
    totals: Totals


@dataclass(frozen=True, slots=True)
class Breaks:
    """Prefixes that broke in the same way: ``part`` and ``kind`` as in ``Exchange``, all messages taken together.
    ``tokens`` were billed once more, in ``times`` requests together, for ``usd``."""

    part: str
    kind: str
    times: int
    tokens: int
    usd: float


class Ledger:
    """Every exchange of a workspace. Any thread may use it, and several processes the same file.

    Nothing here raises for the sake of the disk. What it can't take waits in memory and is written when it can; the
    log says so once, and ``problem`` while it lasts. What is read covers the waiting rows too.
    """

    def __init__(self, path: Path, savings: Path | None = None) -> None:
        """``savings`` is where proxy_savings.json is kept up to date while rows come in."""
        self._path = path
        self._savings = savings
        self._lock = threading.Lock()
        self._waiting: deque[Exchange] = deque()
        self._lost = 0
        self._recorded = Totals()
        self._problem: str | None = None
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._suspect = False
        self._open_at = self._write_at = 0.0
        self._keeper: threading.Thread | None = None
        self._changed, self._closing = threading.Event(), threading.Event()
        self._savings_due = self._savings_failing = False
        with self._lock:
            self._database()

    @property
    def problem(self) -> str | None:
        """Why rows wait in memory; None while all is well."""
        return self._problem

    @property
    def recorded(self) -> Totals:
        """The sums of what this object was given, whatever other processes add to the same file."""
        return self._recorded

    def record(self, exchange: Exchange) -> None:
        """Add a row. When this returns it outlives the process, or ``problem`` says why it doesn't. Never raises."""
        try:
            row = storable(exchange)
        except Exception as error:  # a field of a wrong type
            log.error("an exchange can't be written down: %s", type(error).__name__)
            return
        with self._lock:
            self._waiting.append(row)
            self._recorded += totals_of(row)
            self._write()
            self._savings_due = self._savings is not None
            if self._closing.is_set():
                log.error("an exchange came after the ledger was closed and is lost")
            elif self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="headroom-ledger-keeper", daemon=True)
                self._keeper.start()
                atexit.register(self.close)
        self._changed.set()

    def take_in(self, exchanges: Iterable[Exchange]) -> None:
        """Add rows that other proxies recorded in files of their own; those that are here already are left out."""
        rows = [storable(exchange) for exchange in exchanges]
        if not rows:
            return
        with self._lock:
            self._waiting.extend(rows)
            self._write()
            self._savings_due = self._savings is not None
        self._changed.set()

    def totals(
        self,
        since: float | None = None,
        until: float | None = None,
        session: str | None = None,
        project: str | None = None,
    ) -> Totals:
        """Sums over the rows from ``since`` to before ``until`` (unix seconds), of one session or project or of all."""
        begin, end = 0.0 if since is None else since, 1e12 if until is None else until
        with self._lock:
            found = self._read(lambda database: tables.totals(database, begin, end, session, project)) or Totals()
            for row in self._waiting:
                wanted = session in (None, row.session) and project in (None, row.project)
                if wanted and begin <= row.time < end:
                    found += totals_of(row)
        return found

    def recent(
        self,
        limit: int = 100,
        since: float | None = None,
        until: float | None = None,
        model: str | None = None,
        mode: str | None = None,
        session: str | None = None,
    ) -> list[Exchange]:
        """The newest exchanges, newest first: from ``since`` to before ``until`` (unix seconds), of one model, mode
        and session or of all."""
        begin, end = 0.0 if since is None else since, 1e12 if until is None else until
        with self._lock:
            rows = self._read(lambda database: tables.recent(database, limit, begin, end, model, mode, session)) or []
            waiting = [
                row
                for row in self._waiting
                if begin <= row.time < end
                and model in (None, row.model)
                and mode in (None, row.mode)
                and session in (None, row.session)
            ]
            rows = sorted((*waiting, *rows), key=lambda row: row.time, reverse=True) if waiting else rows
        return rows[:limit]

    def spent_usd(self, since: float) -> float:
        """USD billed from ``since`` (unix seconds) on, by all proxies of the workspace, where the usage is known."""
        with self._lock:
            spent = self._read(lambda database: tables.spent_usd(database, since)) or 0.0
            return spent + sum(row.cost_usd or 0.0 for row in self._waiting if row.time >= since)

    def sessions(self, limit: int = 100) -> list[SessionTotals]:
        """The sessions with the newest exchanges, newest first; rows that still wait are not in their sums."""
        with self._lock:
            found = self._read(lambda database: tables.running_totals(database, "session", "last", limit)) or []
        return [SessionTotals(*row) for row in found]

    def by(self, column: str, since: float = 0.0) -> list[tuple[str, Totals]]:
        """The sums from ``since`` (unix seconds) on by one of GROUPS, the dearest first.

        Rows that still wait are not in them. Raises ValidationError for another column.
        """
        if column not in GROUPS:
            raise ValidationError(f"column is {column!r}; allowed: {' | '.join(GROUPS)}", {"field": "column"})
        with self._lock:
            return self._read(lambda database: tables.grouped(database, column, since)) or []

    def hours(self, limit: int = 24 * 31) -> list[tuple[str, Totals]]:
        """The newest hours with exchanges (``2026-01-02T03:00:00Z``) and their sums, newest first.

        Rows that still wait are not in them; nor are strategies.
        """
        with self._lock:
            found = self._read(lambda database: tables.running_totals(database, "hour", "name", limit)) or []
        return [(name, sums) for name, _, _, sums in found]

    def reasons(self, since: float = 0.0) -> list[tuple[str, int]]:
        """Why requests that were to be rewritten were not, with how often, the most frequent first."""
        with self._lock:
            return self._read(lambda database: tables.reasons(database, since)) or []

    def breaks(self, since: float = 0.0) -> list[Breaks]:
        """What clients changed of what they had sent before, the dearest first."""
        with self._lock:
            return [Breaks(*row) for row in self._read(lambda database: tables.breaks(database, since)) or []]

    def close(self) -> None:
        """Write what still waits and the savings file, then let go of both. May be called twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._changed.set()
        if self._keeper is not None:
            self._keeper.join()
            atexit.unregister(self.close)
        with self._lock:
            self._open_at = self._write_at = 0.0
            if self._waiting and (database := self._database()) is not None:
                with suppress(sqlite3.Error):
                    database.execute(f"PRAGMA busy_timeout = {int(1000 * CLOSING_SECONDS)}")
            self._write()
        self._write_savings()
        with self._lock:
            self._drop()
            self._open_at = float("inf")
            if self._waiting:
                log.error("%d exchanges could not be written to %s and are lost", len(self._waiting), self._path)

    def _keep(self) -> None:
        """Write what waits and the savings file, in a thread of its own."""
        while not self._closing.is_set():
            self._changed.wait(RETRY_SECONDS if self._waiting or self._savings_due else None)
            self._changed.clear()
            if self._closing.is_set():
                return
            with self._lock:
                self._write()
            self._write_savings()
            self._closing.wait(SAVINGS_SECONDS)

    def _write(self) -> None:
        """Write what waits, if it is time to try."""
        again = False
        while self._waiting and time.monotonic() >= self._write_at:
            database = self._database()
            if database is None:
                break
            batch = list(islice(self._waiting, BATCH))
            try:
                tables.add(database, batch)
            except sqlite3.Error as error:
                if self._failed(error) and not again:
                    again = True
                    continue
                self._write_at = time.monotonic() + RETRY_SECONDS
                break
            for _ in batch:
                self._waiting.popleft()
            self._works()
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._lost += 1

    def _read[T](self, query: Callable[[sqlite3.Connection], T]) -> T | None:
        """What the database says; None when it can't be read."""
        database = self._database()
        if database is None:
            return None
        try:
            return query(database)
        except sqlite3.Error as error:
            self._failed(error)
            return None

    def _database(self) -> sqlite3.Connection | None:
        """The open database; None when there is none and it is too early to try again.

        A connection that had an I/O error is replaced when a new one can be had; until then it may still be read.
        """
        if self._connection is not None and _identity(self._path) != self._file:
            log.warning("%s was taken away while it was in use: it is opened anew", self._path)
            self._drop()
        if (self._connection is None or self._suspect) and time.monotonic() >= self._open_at:
            try:
                fresh = tables.open_database(self._path)
            except (sqlite3.Error, OSError, HeadroomError) as error:
                self._open_at = time.monotonic() + RETRY_SECONDS
                self._say(error)
            else:
                self._drop()
                self._connection, self._file, self._suspect = fresh, _identity(self._path), False
        return self._connection

    def _failed(self, error: sqlite3.Error) -> bool:
        """Come back to a clean state. True when a broken file was moved aside and it can be tried again at once."""
        if not is_corrupt(error):
            self._say(error)
            self._suspect = getattr(error, "sqlite_errorcode", 0) & 0xFF in (
                sqlite3.SQLITE_IOERR,
                sqlite3.SQLITE_CANTOPEN,
            )
            self._open_at = time.monotonic() + RETRY_SECONDS
            if self._connection is not None and self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            return False
        self._drop()
        try:
            with tables.lock_for(self._path):
                same = _identity(self._path) == self._file  # or has another process done it?
                cleared = not same or move_aside(self._path, error)
        except OSError:
            cleared = False
        if not cleared:
            self._say(error)
        return cleared

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _say(self, error: Exception) -> None:
        if self._problem is None:
            log.warning("%s can't be used (%s): exchanges are kept in memory until it can", self._path, error)
        self._problem = str(error)

    def _works(self) -> None:
        if self._problem is not None:
            log.warning("%s can be used again; %d exchanges were lost", self._path, self._lost)
        self._problem, self._lost = None, 0

    def _write_savings(self) -> None:
        if self._savings is None or not self._savings_due:
            return
        self._savings_due = False
        try:
            written = write_savings(self._savings, self._content)
        except (OSError, HeadroomError) as error:
            self._savings_due = True
            if not self._savings_failing:
                log.warning("%s can't be written (%s); the ledger has its figures", self._savings, error)
            self._savings_failing = True
        else:
            self._savings_due = self._savings_due or not written
            self._savings_failing = False

    def _content(self) -> Json | None:
        with self._lock:
            return self._read(savings)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at a path."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
