"""Rows as a proxy writes them."""

import json
import sqlite3
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from headroom.ledger import Exchange
from headroom.wire.usage import Usage

USAGE = Usage(input_tokens=4, cache_write_tokens=500, cache_read_tokens=40_000, output_tokens=300)
TABLES = {"exchanges", "strategies", "totals"}


def exchange(**fields: Any) -> Exchange:
    """A rewritten request of Claude Code that was answered."""
    row = Exchange(
        id=uuid.uuid4().hex,
        time=time.time(),
        session="session-1",
        project="project-1",
        client="claude-code",
        provider="anthropic",
        model="claude-sonnet-4-5",
        kind="messages",
        mode="optimize",
        status=200,
        outcome="rewritten",
        tokens_before=1000,
        tokens_after=700,
        saved_by_strategy={"repeats": 250, "line-numbers": 50},
        usage=USAGE,
        cost_usd=0.02,
        input_cost_usd=0.015,
        cost_without_usd=0.021,
        rewrite_ms=2.5,
        ttfb_ms=800.0,
        bytes_before=4000,
        bytes_after=2800,
    )
    return replace(row, **fields)


def ids(path: Path) -> set[str]:
    """The ids in the ledger file, read by another connection than the ledger's."""
    connection = sqlite3.connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT id FROM exchanges")}
    finally:
        connection.close()


def sound(path: Path) -> bool:
    """Whether SQLite finds the file in order and its running totals say what its rows say."""
    connection = sqlite3.connect(path)
    try:
        [check] = connection.execute("PRAGMA integrity_check").fetchone()
        rows = connection.execute("SELECT count(*), coalesce(sum(tokens_saved), 0) FROM exchanges").fetchone()
        running = connection.execute(
            "SELECT coalesce(sum(requests), 0), coalesce(sum(tokens_saved), 0) FROM totals WHERE scope = 'lifetime'"
        ).fetchone()
    finally:
        connection.close()
    return bool(check == "ok" and rows == running)


def read_json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text("utf-8"))
    assert isinstance(found, dict)
    return found
