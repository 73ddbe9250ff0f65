"""``proxy_savings.json``: the ledger's sums for other programs to read."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from headroom.ledger.database import running_totals
from headroom.ledger.files import write_whole
from headroom.ledger.totals import Totals
from headroom.paths import private_dir
from headroom.stores.files import file_lock

log = logging.getLogger(__name__)
SCHEMA_VERSION = 1
SOURCE = "headroom ledger"
LOCK_SECONDS = 5.0
PROJECTS = 200
HISTORY_HOURS = 720

type Json = dict[str, object]


def write_savings(path: Path, content: Callable[[], Json | None]) -> bool:
    """Write ``content()`` to ``path``, whole or not at all; False when there is none.

    It is asked for while no other process writes, so the last to write has read last. What another program left there
    is moved aside first. Raises OSError or StorageError.
    """
    private_dir(path.parent)
    with file_lock(path.with_name(path.name + ".lock"), LOCK_SECONDS):
        found = content()
        if found is None:
            return False
        _move_foreign(path)
        write_whole(path, json.dumps(found, indent=1).encode())
    return True


def savings(database: sqlite3.Connection) -> Json:
    """The sums: of all time, since the last pause of an hour, by project (the newest), and hour by hour up to now."""
    [lifetime] = [row[3] for row in running_totals(database, "lifetime", "name", 1)] or [Totals()]
    display = running_totals(database, "display", "name", 1)
    return {
        "schema_version": SCHEMA_VERSION,
        "source": SOURCE,
        "lifetime": _figures(lifetime),
        "display_session": {
            **_figures(display[0][3] if display else Totals()),
            "started_at": _iso(display[0][1]) if display else None,
            "last_activity_at": _iso(display[0][2]) if display else None,
        },
        "projects": {
            name: {**_figures(sums), "last_activity_at": _iso(last)}
            for name, _, last, sums in running_totals(database, "project", "last", PROJECTS)
        },
        "history": _history(database, lifetime),
    }


def _history(database: sqlite3.Connection, lifetime: Totals) -> list[Json]:
    """Where the lifetime's sums stood at the end of each hour that had requests, oldest first."""
    points: list[Json] = []
    saved, usd = lifetime.tokens_saved, lifetime.compression_saved_usd
    tokens, cost = lifetime.usage.total_input, lifetime.input_cost_usd
    for hour, _, _, sums in running_totals(database, "hour", "name", HISTORY_HOURS):
        points.append(
            {
                "timestamp": hour,
                "total_tokens_saved": saved,
                "compression_savings_usd": round(usd, 6),
                "total_input_tokens": tokens,
                "total_input_cost_usd": round(cost, 6),
            }
        )
        saved, usd = saved - sums.tokens_saved, usd - sums.compression_saved_usd
        tokens, cost = tokens - sums.usage.total_input, cost - sums.input_cost_usd
    return points[::-1]


def _figures(sums: Totals) -> Json:
    before = sums.tokens_before
    return {
        "requests": sums.requests,
        "tokens_saved": sums.tokens_saved,
        "savings_percent": round(100 * sums.tokens_saved / before, 2) if before else 0.0,
        "compression_savings_usd": round(sums.compression_saved_usd, 6),
        "cache_savings_usd": round(sums.optimizer_saved_usd, 6),
        "total_input_tokens": sums.usage.total_input,
        "total_input_cost_usd": round(sums.input_cost_usd, 6),
        "total_cost_usd": round(sums.cost_usd, 6),
    }


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _move_foreign(path: Path) -> None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return
    except ValueError:
        content = None
    if isinstance(content, dict) and content.get("source") == SOURCE:
        return
    aside = path.with_name(f"{path.name}.before-{int(time.time())}")
    path.rename(aside)
    log.warning("%s was not written by this ledger: moved to %s", path, aside.name)
