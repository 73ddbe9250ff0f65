"""``proxy_savings.json``: the ledger's totals for other programs to read, written whole or not at all."""

import fcntl
import json
import os
import sqlite3
import time
from pathlib import Path

SCHEMA_VERSION = 1
HISTORY_POINTS = 500


def write_savings(path: Path, database: sqlite3.Connection) -> None:
    """Write the totals of ``database`` to ``path``. Several processes may do so at once. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = json.dumps(_content(path, database), indent=1)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        os.close(lock)


def _content(path: Path, database: sqlite3.Connection) -> dict[str, object]:
    columns = "requests, tokens_saved, savings_usd, input_tokens, input_cost_usd"
    projects = {
        row[0] or "default": _figures(*row[1:])
        for row in database.execute(f"SELECT project, {columns} FROM totals ORDER BY project")
    }
    lifetime = _figures(
        *database.execute(
            "SELECT COALESCE(SUM(requests), 0), COALESCE(SUM(tokens_saved), 0), COALESCE(SUM(savings_usd), 0),"
            " COALESCE(SUM(input_tokens), 0), COALESCE(SUM(input_cost_usd), 0) FROM totals"
        ).fetchone()
    )
    last = database.execute("SELECT session FROM exchanges ORDER BY time DESC LIMIT 1").fetchone()
    session = _figures(
        *database.execute(
            "SELECT COUNT(*), "
            " COALESCE(SUM((outcome = 'rewritten' AND kind != 'count_tokens') * (tokens_before - tokens_after)), 0),"
            " COALESCE(SUM(cost_without_usd - cost_usd), 0), COALESCE(SUM(input_tokens + cache_write_tokens +"
            " cache_write_1h_tokens + cache_read_tokens), 0), COALESCE(SUM(cost_usd), 0)"
            " FROM exchanges WHERE session = ?",
            (last[0] if last else "",),
        ).fetchone()
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "lifetime": lifetime,
        "display_session": {"id": last[0] if last else "", **session},
        "projects": projects,
        "history": _history(path, lifetime),
    }


def _figures(requests: int, saved: int, usd: float, tokens: int, cost: float) -> dict[str, object]:
    return {
        "requests": requests,
        "tokens_saved": saved,
        "compression_savings_usd": round(usd, 6),
        "total_input_tokens": tokens,
        "total_input_cost_usd": round(cost, 6),
    }


def _history(path: Path, lifetime: dict[str, object]) -> list[object]:
    """The points so far and one for now: at most one a minute, the newest HISTORY_POINTS."""
    try:
        history = json.loads(path.read_text(encoding="utf-8"))["history"]
        assert isinstance(history, list)
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        history = []
    now = int(time.time() // 60 * 60)
    point = {"time": now, **lifetime}
    if history and isinstance(history[-1], dict) and history[-1].get("time") == now:
        history.pop()
    return [*history, point][-HISTORY_POINTS:]
