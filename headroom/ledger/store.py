"""The append-only ledger in SQLite, shared by all proxies of a workspace."""

import json
import logging
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from headroom.ledger.row import Exchange
from headroom.ledger.savings import write_savings
from headroom.stores.sqlite import connect, is_corrupt, move_aside
from headroom.wire.usage import Usage

log = logging.getLogger(__name__)
BUSY_SECONDS = 2.0
RETRY_SECONDS = 5.0
WAITING = 10_000
"""Rows that are kept in memory while the disk can't take them; beyond that the oldest are lost, and the log says so."""
SAVINGS_SECONDS = 1.0
"""The savings file is written at most so often, and when the ledger is closed."""

_USAGE = tuple(f.name for f in fields(Usage))
_PLAIN = tuple(f.name for f in fields(Exchange) if f.name not in ("usage", "saved_by_strategy"))
_COLUMNS = (*_PLAIN, "saved_by_strategy", *_USAGE)
_TEXT = ("session", "project", "client", "provider", "model", "kind", "mode", "outcome", "reason")
_REAL = ("time", "cost_usd", "cost_without_usd", "optimizer_saved_usd", "rewrite_ms", "ttfb_ms")


def _type(column: str) -> str:
    return "TEXT" if column in (*_TEXT, "saved_by_strategy") else "REAL" if column in _REAL else "INTEGER"


_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS exchanges (
    id TEXT PRIMARY KEY, {", ".join(f"{name} {_type(name)}" for name in _COLUMNS if name != "id")});
CREATE INDEX IF NOT EXISTS exchanges_time ON exchanges (time);
CREATE INDEX IF NOT EXISTS exchanges_session ON exchanges (session, time);
CREATE TABLE IF NOT EXISTS totals (
    project TEXT PRIMARY KEY, requests INTEGER, tokens_saved INTEGER, savings_usd REAL, input_tokens INTEGER,
    input_cost_usd REAL);
CREATE TABLE IF NOT EXISTS version (number INTEGER);
INSERT INTO version SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM version);
"""
_SAVED = "(outcome = 'rewritten' AND kind != 'count_tokens') * (tokens_before - tokens_after)"
_INSERT = f"INSERT OR IGNORE INTO exchanges ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_ADD = """
INSERT INTO totals VALUES (?, 1, ?, ?, ?, ?) ON CONFLICT (project) DO UPDATE SET
    requests = requests + 1, tokens_saved = tokens_saved + excluded.tokens_saved,
    savings_usd = savings_usd + excluded.savings_usd, input_tokens = input_tokens + excluded.input_tokens,
    input_cost_usd = input_cost_usd + excluded.input_cost_usd
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over exchanges. Costs cover the exchanges whose usage the provider told."""

    requests: int = 0
    rewritten: int = 0
    errors: int = 0
    tokens_before: int = 0
    tokens_saved: int = 0
    usage: Usage = field(default_factory=lambda: Usage(0, 0, 0, 0, 0))
    cost_usd: float = 0.0
    cost_without_usd: float = 0.0
    optimizer_saved_usd: float = 0.0
    saved_by_strategy: Mapping[str, int] = field(default_factory=dict)


class Ledger:
    """Thread-safe; several processes may share the file. What the disk can't take waits in memory."""

    def __init__(self, path: Path, savings: Path | None = None) -> None:
        self._path = path
        self._savings = savings
        self._lock = threading.Lock()
        self._waiting: deque[Exchange] = deque(maxlen=WAITING)
        self._connection: sqlite3.Connection | None = None
        self._failing = False
        self._retry_at = self._savings_at = 0.0
        with self._lock:
            self._database()

    def record(self, exchange: Exchange) -> None:
        """Add a row. Never raises for the sake of the disk: a row that can't be written is tried again later."""
        with self._lock:
            self._waiting.append(exchange)
            self._write()
            if self._savings is not None and not self._failing and time.monotonic() >= self._savings_at:
                self._savings_at = time.monotonic() + SAVINGS_SECONDS
                self._write_savings()

    def recent(self, limit: int = 100) -> list[Exchange]:
        """The newest rows, newest first."""
        return [_exchange(row) for row in self._rows("SELECT * FROM exchanges ORDER BY time DESC LIMIT ?", (limit,))]

    def totals(
        self, since: float = 0.0, until: float = 1e12, session: str | None = None, project: str | None = None
    ) -> Totals:
        """Sums over the rows from ``since`` up to ``until`` (unix seconds), of one session or project or all."""
        where = "time >= ? AND time < ?"
        arguments: list[object] = [since, until]
        for column, value in (("session", session), ("project", project)):
            if value is not None:
                where += f" AND {column} = ?"
                arguments.append(value)
        sums = (*_USAGE, "cost_usd", "cost_without_usd", "optimizer_saved_usd")
        rows = self._rows(
            f"SELECT COUNT(*), SUM(outcome = 'rewritten'), SUM(outcome = 'error'), SUM(tokens_before), SUM({_SAVED}),"
            f" {', '.join(f'SUM({name})' for name in sums)} FROM exchanges WHERE {where}",
            arguments,
        )
        found = [value or 0 for value in tuple(rows[0])] if rows else [0] * (5 + len(sums))
        saved: Counter[str] = Counter()
        for (text,) in self._rows(
            f"SELECT saved_by_strategy FROM exchanges WHERE {where} AND {_SAVED} AND saved_by_strategy != '{{}}'",
            arguments,
        ):
            saved.update(json.loads(text))
        usage = Usage(*(int(value) for value in found[5 : 5 + len(_USAGE)]))
        requests, rewritten, errors, before, after = (int(value) for value in found[:5])
        cost, cost_without, optimizer = (float(value) for value in found[5 + len(_USAGE) :])
        return Totals(requests, rewritten, errors, before, after, usage, cost, cost_without, optimizer, dict(saved))

    def spent_usd(self, since: float) -> float:
        """USD billed from ``since`` (unix seconds) on, by all proxies of the workspace."""
        rows = self._rows("SELECT SUM(cost_usd) FROM exchanges WHERE time >= ?", (since,))
        return float(rows[0][0] or 0.0) if rows else 0.0

    def sessions(self, limit: int = 100) -> list[tuple[str, int, float]]:
        """(session, requests, time of the last) of the newest sessions."""
        rows = self._rows(
            "SELECT session, COUNT(*), MAX(time) AS last FROM exchanges GROUP BY session ORDER BY last DESC LIMIT ?",
            (limit,),
        )
        return [(str(row[0]), int(row[1]), float(row[2])) for row in rows]

    def close(self) -> None:
        """Write what still waits, then let go of the file."""
        with self._lock:
            self._retry_at = 0.0
            self._write()
            if self._waiting:
                log.warning("%d rows could not be written to %s and are lost", len(self._waiting), self._path)
            if self._savings is not None:
                self._write_savings()
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._retry_at = float("inf")

    def _rows(self, sql: str, values: object) -> list[sqlite3.Row]:
        with self._lock:
            database = self._database()
            if database is None:
                return []
            try:
                return database.execute(sql, values).fetchall()  # type: ignore[arg-type]
            except sqlite3.Error as error:
                self._failed(error)
                return []

    def _write(self) -> None:
        database = self._database()
        if database is None or not self._waiting:
            return
        try:
            database.execute("BEGIN IMMEDIATE")
            for exchange in self._waiting:
                if database.execute(_INSERT, _values(exchange)).rowcount:
                    database.execute(_ADD, _share(exchange))
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)
            return
        self._waiting.clear()
        if self._failing:
            log.warning("%s can be written again", self._path)
            self._failing = False

    def _write_savings(self) -> None:
        database = self._database()
        if database is None or self._savings is None:
            return
        try:
            write_savings(self._savings, database)
        except (sqlite3.Error, OSError) as error:
            if not self._failing:
                log.warning("%s can't be written (%s); the ledger has its figures", self._savings, error)

    def _database(self) -> sqlite3.Connection | None:
        if self._connection is None and time.monotonic() >= self._retry_at:
            try:
                self._connection = connect(self._path, _SCHEMA, BUSY_SECONDS)
                self._connection.row_factory = sqlite3.Row
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
        return self._connection

    def _failed(self, error: Exception) -> None:
        """Say it once, keep the rows, try a fresh connection a little later."""
        if not self._failing:
            log.warning("%s can't be used (%s): rows wait in memory", self._path, error)
        self._failing = True
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if is_corrupt(error) and move_aside(self._path, error):
            self._retry_at = 0.0


def _values(exchange: Exchange) -> list[object]:
    usage = exchange.usage
    return [
        *(getattr(exchange, name) for name in _PLAIN),
        json.dumps(dict(exchange.saved_by_strategy), sort_keys=True),
        *(getattr(usage, name) if usage else None for name in _USAGE),
    ]


def _share(exchange: Exchange) -> tuple[object, ...]:
    """What a row adds to the totals of its project."""
    cost, cost_without = exchange.cost_usd, exchange.cost_without_usd
    saving = cost_without - cost if cost is not None and cost_without is not None else 0.0
    return (
        exchange.project,
        exchange.tokens_saved,
        saving,
        exchange.usage.total_input if exchange.usage else 0,
        cost or 0.0,
    )


def _exchange(row: sqlite3.Row) -> Exchange:
    known = row["input_tokens"] is not None
    return Exchange(
        **{name: row[name] for name in _PLAIN},
        saved_by_strategy=json.loads(row["saved_by_strategy"]),
        usage=Usage(*(row[name] for name in _USAGE)) if known else None,
    )
