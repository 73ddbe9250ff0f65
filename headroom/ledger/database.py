"""The ledger's tables: opening them, adding rows, reading rows and sums."""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from math import inf
from pathlib import Path

from headroom.errors import StorageError
from headroom.ledger.row import Exchange
from headroom.ledger.totals import NUMBERS, Totals, from_numbers, totals_of
from headroom.paths import private_dir
from headroom.stores.files import file_lock
from headroom.stores.sqlite import is_corrupt, move_aside, opened
from headroom.wire.usage import Usage

BUSY_SECONDS = 0.2
"""A lock of another process is waited for no longer: rows wait in memory instead."""
OPENING_SECONDS = 5.0
DISPLAY_SECONDS = 3600.0
"""After so long without a request the next one begins a new display session."""

_USAGE = tuple(f.name for f in fields(Usage))
_PLAIN = tuple(f.name for f in fields(Exchange) if f.name not in ("usage", "saved_by_strategy"))
_COLUMNS = (*_PLAIN, "tokens_saved", "tokens_savable", *_USAGE)

MIGRATIONS: tuple[str, ...] = (
    f"""
    CREATE TABLE exchanges (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time REAL NOT NULL,
        session TEXT NOT NULL, project TEXT NOT NULL, client TEXT NOT NULL, provider TEXT NOT NULL,
        model TEXT NOT NULL, kind TEXT NOT NULL, mode TEXT NOT NULL, status INTEGER NOT NULL,
        outcome TEXT NOT NULL, reason TEXT NOT NULL,
        tokens_before INTEGER NOT NULL, tokens_after INTEGER NOT NULL,
        tokens_saved INTEGER NOT NULL, tokens_savable INTEGER NOT NULL,
        input_tokens INTEGER, cache_write_tokens INTEGER, cache_write_1h_tokens INTEGER, cache_read_tokens INTEGER,
        output_tokens INTEGER,
        cost_usd REAL, input_cost_usd REAL, cost_without_usd REAL, optimizer_saved_usd REAL NOT NULL,
        rewrite_ms REAL NOT NULL, ttfb_ms REAL NOT NULL, bytes_before INTEGER NOT NULL, bytes_after INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX exchanges_time ON exchanges (time, cost_usd);
    CREATE INDEX exchanges_session ON exchanges (session, time);
    CREATE TABLE strategies (
        seq INTEGER NOT NULL REFERENCES exchanges, strategy TEXT NOT NULL, tokens INTEGER NOT NULL,
        PRIMARY KEY (seq, strategy)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE totals (
        scope TEXT NOT NULL, name TEXT NOT NULL, began REAL NOT NULL, last REAL NOT NULL,
        {", ".join(f"{name} {'REAL' if name.endswith('_usd') else 'INTEGER'} NOT NULL" for name in NUMBERS)},
        PRIMARY KEY (scope, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    ALTER TABLE exchanges ADD COLUMN break_part TEXT NOT NULL DEFAULT '';
    ALTER TABLE exchanges ADD COLUMN break_kind TEXT NOT NULL DEFAULT '';
    ALTER TABLE exchanges ADD COLUMN break_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE exchanges ADD COLUMN break_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE exchanges ADD COLUMN break_usd REAL NOT NULL DEFAULT 0
    """,
    "ALTER TABLE exchanges ADD COLUMN detail TEXT NOT NULL DEFAULT ''",
)
"""What brings the tables from one version to the next; the file's ``user_version`` says how many it has had."""

_INSERT = (
    f"INSERT INTO exchanges ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    " ON CONFLICT (id) DO NOTHING RETURNING seq"
)
_ADD = (
    f"INSERT INTO totals (scope, name, began, last, {', '.join(NUMBERS)})"
    f" VALUES (?, ?, ?, ?, {', '.join('?' * len(NUMBERS))}) ON CONFLICT (scope, name) DO UPDATE SET"
    " began = min(began, excluded.began), last = max(last, excluded.last), "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in NUMBERS)
)


def open_database(path: Path) -> sqlite3.Connection:
    """The ledger at ``path``, made or brought up to date if need be, for its owner only; usable from any thread.

    A file that is not a sound database is moved aside and a new one started. Processes open one after another. Raises
    sqlite3.Error, OSError or StorageError where that can't be done.
    """
    private_dir(path.parent)
    with lock_for(path):
        try:
            return _opened(path)
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error) or not move_aside(path, error):
                raise
            return _opened(path)


def lock_for(path: Path) -> AbstractContextManager[None]:
    """Held by a process while it opens the ledger at ``path`` or moves it away."""
    return file_lock(path.with_name(path.name + ".lock"), OPENING_SECONDS)


def add(database: sqlite3.Connection, exchanges: Iterable[Exchange]) -> None:
    """Add storable exchanges and what they add to the totals, all or none; one whose id is there is left out."""
    database.execute("BEGIN IMMEDIATE")
    for exchange in exchanges:
        new = database.execute(_INSERT, _values(exchange)).fetchall()
        if not new:
            continue
        seq, saved = new[0][0], exchange.saved_by_strategy
        database.executemany("INSERT INTO strategies VALUES (?, ?, ?)", [(seq, *item) for item in saved.items()])
        database.execute("DELETE FROM totals WHERE scope = 'display' AND last < ?", (exchange.time - DISPLAY_SECONDS,))
        numbers = totals_of(exchange).numbers()
        database.executemany(_ADD, [(*scope, exchange.time, exchange.time, *numbers) for scope in _scopes(exchange)])
    database.execute("COMMIT")
    # The next write then reads what is on the disk, and sees if that was overwritten.
    database.execute("PRAGMA shrink_memory")


def recent(
    database: sqlite3.Connection,
    limit: int,
    since: float = 0.0,
    until: float = inf,
    model: str | None = None,
    mode: str | None = None,
    session: str | None = None,
) -> list[Exchange]:
    """The newest exchanges, newest first: from ``since`` to before ``until``, of one model, mode and session or of
    all."""
    given = {"model": model, "mode": mode, "session": session}
    wanted = {column: value for column, value in given.items() if value is not None}
    rows = database.execute(
        f"SELECT seq, {', '.join(_COLUMNS)} FROM exchanges WHERE time >= ? AND time < ?"
        f"{''.join(f' AND {column} = ?' for column in wanted)} ORDER BY time DESC, seq DESC LIMIT ?",
        (since, until, *wanted.values(), limit),
    ).fetchall()
    found = []
    for row in rows:
        saved = database.execute("SELECT strategy, tokens FROM strategies WHERE seq = ?", (row[0],)).fetchall()
        values = dict(zip(_COLUMNS, row[1:], strict=True))
        usage = [values[name] for name in _USAGE]
        found.append(
            Exchange(
                **{name: values[name] for name in _PLAIN},
                saved_by_strategy=dict(saved),
                usage=None if usage[0] is None else Usage(*usage),
            )
        )
    return found


def totals(
    database: sqlite3.Connection, since: float, until: float, session: str | None, project: str | None
) -> Totals:
    """Sums over the rows from ``since`` to before ``until`` (unix seconds), of one session or project or of all."""
    where, values = "time >= ? AND time < ?", [since, until]
    names = []
    for column, value in (("session", session), ("project", project)):
        if value is not None:
            where += f" AND {column} = ?"
            names.append(value)
    numbers = database.execute(
        f"SELECT {', '.join(NUMBERS.values())} FROM exchanges WHERE {where}", (*values, *names)
    ).fetchone()
    saved = database.execute(
        "SELECT strategy, SUM(tokens) FROM exchanges JOIN strategies USING (seq)"
        f" WHERE {where} AND tokens_saved != 0 GROUP BY strategy",
        (*values, *names),
    ).fetchall()
    return from_numbers(numbers, dict(saved))


def grouped(database: sqlite3.Connection, column: str, since: float) -> list[tuple[str, Totals]]:
    """Sums over the rows from ``since`` (unix seconds) on for each value of a column, the dearest first."""
    rows = database.execute(
        f"SELECT {column}, {', '.join(NUMBERS.values())} FROM exchanges WHERE time >= ? GROUP BY {column}"
        f" ORDER BY TOTAL(cost_usd) DESC, COUNT(*) DESC, {column}",
        (since,),
    ).fetchall()
    return [(row[0], from_numbers(row[1:])) for row in rows]


def reasons(database: sqlite3.Connection, since: float) -> list[tuple[str, int]]:
    """Why requests that were to be rewritten were not, from ``since`` (unix seconds) on, each with how often."""
    return database.execute(
        "SELECT reason, COUNT(*) FROM exchanges WHERE time >= ? AND mode = 'optimize' AND kind != 'count_tokens'"
        " AND outcome != 'rewritten' GROUP BY reason ORDER BY COUNT(*) DESC, reason",
        (since,),
    ).fetchall()


def breaks(database: sqlite3.Connection, since: float) -> list[tuple[str, str, int, int, float]]:
    """What clients changed of what they had sent before, from ``since`` (unix seconds) on, the dearest first: where
    (messages taken together), what it was, how often, tokens billed once more, USD for them."""
    return database.execute(
        "SELECT CASE WHEN break_part LIKE 'message %' THEN 'messages' ELSE break_part END AS part, break_kind,"
        " COUNT(*), SUM(break_tokens), TOTAL(break_usd) FROM exchanges WHERE time >= ? AND break_kind != ''"
        " GROUP BY part, break_kind ORDER BY TOTAL(break_usd) DESC, COUNT(*) DESC, part, break_kind",
        (since,),
    ).fetchall()


def spent_usd(database: sqlite3.Connection, since: float) -> float:
    """USD billed from ``since`` (unix seconds) on."""
    return float(database.execute("SELECT TOTAL(cost_usd) FROM exchanges WHERE time >= ?", (since,)).fetchone()[0])


def running_totals(
    database: sqlite3.Connection, scope: str, order: str, limit: int
) -> list[tuple[str, float, float, Totals]]:
    """(name, time of the first and of the last exchange, sums) of a scope: lifetime, display, project, session, hour.

    ``order`` is the column by which the greatest come first.
    """
    rows: Sequence[tuple[str, float, float]] = database.execute(
        f"SELECT name, began, last, {', '.join(NUMBERS)} FROM totals WHERE scope = ? ORDER BY {order} DESC LIMIT ?",
        (scope, limit),
    ).fetchall()
    return [(row[0], row[1], row[2], from_numbers(row[3:])) for row in rows]


def _opened(path: Path) -> sqlite3.Connection:
    return opened(path, lambda database: _migrate(path, database), BUSY_SECONDS)


def _migrate(path: Path, database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{path} has version {version}; this headroom knows {len(MIGRATIONS)} and leaves it alone.",
            {"path": str(path), "found": version, "expected": len(MIGRATIONS)},
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        database.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")


def _values(exchange: Exchange) -> list[object]:
    usage = exchange.usage
    return [
        *(getattr(exchange, name) for name in (*_PLAIN, "tokens_saved", "tokens_savable")),
        *(getattr(usage, name) if usage else None for name in _USAGE),
    ]


def _scopes(exchange: Exchange) -> list[tuple[str, str]]:
    hour = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(exchange.time))
    scopes = [("lifetime", ""), ("display", ""), ("hour", hour)]
    if exchange.project:
        scopes.append(("project", exchange.project))
    if exchange.session:
        scopes.append(("session", exchange.session))
    return scopes
