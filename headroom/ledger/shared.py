"""One ledger for several proxies: each has all rows in a file of its own, and tells the others of its rows.

A row goes into the ledger's file first, as ever, and beside it into an outbox (${WORKSPACE}/outbox.db) until the store
has it: none is lost while the store is away or when the process is killed. Rows of others are taken in every second.
What is read from the ledger is then the whole team's. The budget asks the store what the day has cost.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

import zstandard

from headroom.errors import StorageError
from headroom.ledger.row import Exchange, storable
from headroom.ledger.store import Ledger
from headroom.stores.journal import START, Journal, Note
from headroom.stores.opening import open_journal
from headroom.stores.remote import shown
from headroom.stores.sqlite import connect
from headroom.wire.usage import Usage

log = logging.getLogger(__name__)
FILE = "outbox.db"
BATCH = 500
PULL_SECONDS = 1.0
BUSY_SECONDS = 0.5
CLOSING_SECONDS = 3.0
DAY = 86400
_MOST = 1 << 20
_NAMES = frozenset(f.name for f in fields(Exchange))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, day INTEGER NOT NULL, usd REAL NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS position (store TEXT PRIMARY KEY, at TEXT NOT NULL);
"""


class SharedLedger:
    """A ledger, and what keeps it the same as those of other proxies. Nothing but ``sync`` raises."""

    def __init__(self, ledger: Ledger, journal: Journal, outbox: Path, name: str) -> None:
        """``name`` is the store's, for which it is noted how far it was read."""
        self._ledger, self._journal, self._name = ledger, journal, name
        self._path = outbox
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._waiting: list[Note] = []
        """What the outbox could not take."""
        self._changed, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Keep up with the others, in a thread of its own."""
        self._thread = threading.Thread(target=self._keep, name="headroom-shared-ledger", daemon=True)
        self._thread.start()

    def record(self, exchange: Exchange) -> None:
        """Add a row to the ledger here, and soon to those of the others."""
        self._ledger.record(exchange)
        try:
            note = _note(storable(exchange))
        except Exception as error:
            log.error("an exchange can't be told to others: %s", type(error).__name__)
            return
        with self._lock:
            self._waiting.append(note)
            self._put_out()
        self._changed.set()

    def spent_usd(self, since: float) -> float:
        """USD billed on the day that begins at ``since`` (unix seconds), by all proxies; while the store is away, as
        far as is known here."""
        here = self._ledger.spent_usd(since)
        try:
            return max(here, self._journal.spent_usd(int(since // DAY)) + self._unsent_usd(int(since // DAY)))
        except StorageError:
            return here

    def sync(self) -> None:
        """Tell what others have not heard, and take in what they told. Raises StorageError."""
        self._push()
        self._pull()

    def close(self) -> None:
        """Tell what is left, if the store takes it in a moment, and let go of it. The ledger stays open."""
        self._closing.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)
        with suppress(StorageError):
            self._push()
        self._journal.close()
        with self._lock:
            self._put_out()
            if self._waiting:
                log.error("%d exchanges could not be told to other proxies", len(self._waiting))
            if self._database is not None:
                self._database.close()
            self._database = None

    def _keep(self) -> None:
        while not self._closing.is_set():
            with suppress(StorageError):  # the store's own log says that it is away
                self.sync()
            self._changed.wait(PULL_SECONDS)
            self._changed.clear()

    def _push(self) -> None:
        while True:
            with self._lock:
                self._put_out()
                notes = self._unsent()
            if not notes:
                return
            self._journal.append(notes)
            with self._lock:
                self._sent(notes)
            if len(notes) < BATCH:
                return

    def _pull(self) -> None:
        position = self._position()
        while self._ledger.problem is None and not self._closing.is_set():
            rows, after = self._journal.after(position, BATCH)
            self._ledger.take_in(_exchanges(rows))
            if after != position and self._ledger.problem is None:
                self._note_position(after)
                position = after
            if len(rows) < BATCH:
                return

    # --- the outbox; under the lock ---------------------------------------------------------------------------------

    def _put_out(self) -> None:
        if not self._waiting:
            return
        with suppress(sqlite3.Error, OSError):
            self._open().executemany(
                "INSERT OR IGNORE INTO outbox (id, day, usd, data) VALUES (?, ?, ?, ?)", self._waiting
            )
            self._waiting = []

    def _unsent(self) -> list[Note]:
        notes = self._waiting[:BATCH]
        with suppress(sqlite3.Error, OSError):
            rows = self._open().execute("SELECT id, day, usd, data FROM outbox ORDER BY seq LIMIT ?", (BATCH,))
            notes += [Note(*row) for row in rows]
        return notes[:BATCH]

    def _sent(self, notes: list[Note]) -> None:
        ids = {note.id for note in notes}
        self._waiting = [note for note in self._waiting if note.id not in ids]
        with suppress(sqlite3.Error, OSError):  # what is told again is known by its id
            self._open().executemany("DELETE FROM outbox WHERE id = ?", [(id,) for id in ids])

    def _unsent_usd(self, day: int) -> float:
        with self._lock:
            waiting = sum(note.usd for note in self._waiting if note.day == day)
            with suppress(sqlite3.Error, OSError):
                row = self._open().execute("SELECT TOTAL(usd) FROM outbox WHERE day = ?", (day,)).fetchone()
                return waiting + float(row[0])
            return waiting

    def _position(self) -> str:
        with self._lock, suppress(sqlite3.Error, OSError):
            row = self._open().execute("SELECT at FROM position WHERE store = ?", (self._name,)).fetchone()
            return str(row[0]) if row else START
        return START

    def _note_position(self, position: str) -> None:
        with self._lock, suppress(sqlite3.Error, OSError):
            self._open().execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (self._name, position))

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = connect(self._path, _SCHEMA, BUSY_SECONDS)
        return self._database


def share(ledger: Ledger, url: str, workspace: Path) -> SharedLedger | None:
    """The ledger of a workspace with the store at ``url``; None where a store has no journal. Raises
    ConfigurationError."""
    journal = open_journal(url)
    return None if journal is None else SharedLedger(ledger, journal, workspace / FILE, shown(url))


def _note(exchange: Exchange) -> Note:
    said = json.dumps(asdict(exchange), separators=(",", ":")).encode()
    data = zstandard.ZstdCompressor(level=3).compress(said)
    return Note(exchange.id, int(exchange.time // DAY), exchange.cost_usd or 0.0, data)


def _exchanges(rows: Iterable[bytes]) -> list[Exchange]:
    """The rows that can be read; of one that a later version wrote, what this one knows."""
    found = []
    for data in rows:
        try:
            said = json.loads(zstandard.ZstdDecompressor().decompress(data, max_output_size=_MOST))
            usage = said.pop("usage", None)
            known = {name: value for name, value in said.items() if name in _NAMES}
            found.append(Exchange(**known, usage=Usage(**usage) if usage else None))
        except (zstandard.ZstdError, ValueError, TypeError, AttributeError) as error:
            log.warning("a row of another proxy can't be read: %s", type(error).__name__)
    return found
