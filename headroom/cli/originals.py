"""`headroom retrieve` and `headroom originals`: what was left out, for people and for agents with a shell."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from headroom import paths
from headroom.ccr.originals import Original, Originals, open_originals
from headroom.cli.output import moment, new_table, print_json, print_table
from headroom.cli.store import chosen_store
from headroom.errors import StorageError, ValidationError

_HASH = re.compile(r"[0-9a-f]{24}")


def show_original(hash: str, query: str, as_json: bool) -> None:
    """Print an original exactly as it was, or the parts of it that match ``query``. Raises ValidationError for what is
    no hash, StorageError when there is no such original."""
    found = _HASH.search(hash.lower())
    if found is None:
        raise ValidationError(f"{hash!r} is not a hash: 24 hex digits, as a marker names them", {"field": "HASH"})
    name = found[0]
    with originals() as kept:
        original = kept.get(name)
        state = "live" if original is not None else kept.state(name)
    if original is None:
        why = {"expired": "was kept and has expired"}.get(state, "is unknown: nothing was kept under it")
        raise StorageError(f"{name} {why}", {"hash": name, "state": state})
    text = original.text
    if query:
        from headroom.ccr.deferred import about

        text = about(text, query)
    if as_json:
        print_json({**_as_data(original), "text": text})
        return
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()


def show_originals(session: str | None, limit: int, as_json: bool) -> None:
    """Print what was left out in a session, or the sessions in which something was. Raises StorageError."""
    with originals() as kept:
        found = kept.of_session(session) if session else []
        holders = [] if session else kept.holders(limit)
    if as_json:
        print_json(
            [_as_data(original) for original in found[-limit:]]
            if session
            else [
                {"session": h.session, "seen": h.seen, "originals": h.entries, "bytes": h.text_bytes} for h in holders
            ]
        )
    elif session and found:
        table = new_table("hash", "made", "tool", "subject", numbers=("bytes",))
        for original in found[-limit:]:
            table.add_row(original.hash, moment(original.made), original.tool, original.subject, f"{original.size:,}")
        print_table(table)
    elif holders:
        table = new_table("session", "last", numbers=("originals", "bytes"))
        for holder in holders:
            table.add_row(holder.session, moment(holder.seen), f"{holder.entries:,}", f"{holder.text_bytes:,}")
        print_table(table)
    else:
        print(f"nothing was left out in {session}" if session else "nothing was left out")


@contextmanager
def originals() -> Iterator[Originals]:
    """The store of the workspace, or the one that is shared. Raises StorageError when there is none."""
    url = chosen_store()
    path = paths.originals_path()
    if not url and not path.exists():
        raise StorageError(f"there is no {path}: nothing was left out of a request here", {"path": str(path)})
    kept = open_originals(url, path)
    try:
        yield kept
    finally:
        kept.close()


def _as_data(original: Original) -> dict[str, object]:
    return {
        "hash": original.hash,
        "session": original.session,
        "tool": original.tool,
        "subject": original.subject,
        "made": original.made,
        "bytes": original.size,
    }
