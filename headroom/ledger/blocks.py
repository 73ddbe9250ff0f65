"""What was done to each block, so that a session can be told afterwards: ${WORKSPACE}/blocks.db.

A row says which tool printed the block, about what (a path, a command), its size before and after, by which strategies,
and why where it was left as it was. The texts themselves are not here. Nothing depends on it: where the disk can't take
it the log says so once, and the proxy goes on.
"""

import json
import logging
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headroom.session.standing import BlockReport
from headroom.stores.sqlite import connect

log = logging.getLogger(__name__)
FILE = "blocks.db"
KEEP_SECONDS = 60 * 86400.0
"""As long as decisions are kept."""
BUSY_SECONDS = 0.2
RETRY_SECONDS = 5.0
SUBJECT = 300
_not_on_a_line = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+").sub

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, exchange TEXT NOT NULL, time REAL NOT NULL, turn INTEGER NOT NULL,
    tool TEXT NOT NULL, subject TEXT NOT NULL, before INTEGER NOT NULL, after INTEGER NOT NULL, saved TEXT NOT NULL,
    reason TEXT NOT NULL, hash TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (session, turn, at, before, after));
CREATE INDEX IF NOT EXISTS blocks_session ON blocks (session, id);
CREATE INDEX IF NOT EXISTS blocks_time ON blocks (time);
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to a block when it was first seen, in the exchange ``exchange`` at ``time`` (unix seconds).

    Sizes are tokens, ``saved`` tokens by strategy; ``reason`` says why a block was left as it was. ``hash`` names the
    original of what was left out.
    """

    exchange: str
    time: float
    turn: int
    tool: str
    subject: str
    before: int
    after: int
    saved: Mapping[str, int]
    reason: str
    hash: str = ""


class Blocks:
    """The rows of a workspace. Any thread may use it, and several processes the same file. Nothing here raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._failing = False
        self._retry_at = 0.0

    def add(self, session: str, exchange: str, time_: float, blocks: Iterable[BlockReport]) -> None:
        """Note the blocks that were new in an exchange; a request that is sent again has no others."""
        rows = [_row(session, exchange, time_, block) for block in blocks if block.new]
        if not rows or not session:
            return
        with self._lock:
            if time.monotonic() < self._retry_at:
                return
            try:
                database = self._open()
                database.execute("BEGIN IMMEDIATE")
                database.executemany(
                    "INSERT OR IGNORE INTO blocks (session, exchange, time, turn, tool, subject, before, after, saved,"
                    " reason, hash, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
                database.execute("COMMIT")
                self._failing = False
            except (sqlite3.Error, OSError) as error:
                self._failed(error)

    def of_session(self, session: str) -> list[Done]:
        """What is known of a session, oldest first."""
        with self._lock:
            try:
                rows: Sequence[tuple[str, float, int, str, str, int, int, str, str, str]] = (
                    self._open()
                    .execute(
                        "SELECT exchange, time, turn, tool, subject, before, after, saved, reason, hash FROM blocks"
                        " WHERE session = ? ORDER BY id",
                        (session,),
                    )
                    .fetchall()
                )
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
                return []
        return [Done(*row[:7], json.loads(row[7]), *row[8:]) for row in rows]

    def close(self) -> None:
        """Forget what is too old to matter and let go of the file."""
        with self._lock:
            if self._database is not None:
                with suppress(sqlite3.Error):
                    self._database.execute("DELETE FROM blocks WHERE time < ?", (time.time() - KEEP_SECONDS,))
                self._database.close()
            self._database, self._retry_at = None, float("inf")

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = connect(self._path, _SCHEMA, BUSY_SECONDS)
        return self._database

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.warning("%s can't be used (%s): `headroom show` will lack what goes on meanwhile", self._path, error)
        self._failing, self._retry_at = True, time.monotonic() + RETRY_SECONDS
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None


def _row(session: str, exchange: str, time_: float, block: BlockReport) -> tuple[object, ...]:
    tool, subject, reason = (_not_on_a_line(" ", text)[:SUBJECT] for text in (block.tool, block.subject, block.reason))
    saved = json.dumps(dict(block.saved))
    sizes = (block.before, block.after, saved, reason, block.hash, block.span[0])
    return session, exchange, time_, block.turn, tool, subject, *sizes
