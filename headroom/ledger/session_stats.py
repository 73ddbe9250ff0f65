"""session_stats.jsonl: what became of the sessions of each run of a proxy, a line each, for other programs."""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from headroom.ledger.store import Ledger, SessionTotals
from headroom.paths import private_dir

log = logging.getLogger(__name__)
LARGEST = 5_000_000
"""Bytes above which the file is put aside as session_stats.jsonl.1 first."""


def append_run(ledger: Path, path: Path, since: float) -> None:
    """Add the sessions that were heard of ``since`` (unix seconds), as a ledger that is written has them."""
    kept = Ledger(ledger)
    try:
        append_sessions(path, [session for session in kept.sessions() if session.last >= since])
    finally:
        kept.close()


def append_sessions(path: Path, sessions: Iterable[SessionTotals]) -> None:
    """Add a line for each session: its name, when it began and was heard of last (unix seconds), and its sums so far.

    Several proxies may write one file. That it can't be written is logged."""
    lines = [json.dumps(_line(session), separators=(",", ":")) for session in sessions]
    if not lines:
        return
    try:
        private_dir(path.parent)
        if path.exists() and path.stat().st_size > LARGEST:
            path.replace(path.with_name(f"{path.name}.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        log.warning("%s can't be written: %s", path, error.strerror)


def _line(session: SessionTotals) -> dict[str, object]:
    sums = asdict(session.totals)
    usage = sums.pop("usage")
    named = {"session": session.session, "began": session.began, "last": session.last}
    return {**named, **sums, **usage, "saved_usd": session.totals.saved_usd}
