"""`headroom show`: a session, block by block."""

import time
from dataclasses import asdict
from typing import Any

from headroom import paths
from headroom.cli.output import in_one_line, new_table, print_json, print_table, share
from headroom.cli.stats import as_data, ledger
from headroom.errors import StorageError, ValidationError
from headroom.ledger.blocks import FILE, Blocks, Done

NEWEST = ("", "last")


def show_session(name: str, with_unchanged: bool, as_json: bool) -> None:
    """Print what was done to which block of a session, by its name, the beginning of one, or ``last``. Raises
    HeadroomError."""
    with ledger() as open_ledger:
        session = _named(name, [one.session for one in open_ledger.sessions(100_000)])
        sums = open_ledger.totals(session=session)
    path = paths.workspace_dir() / FILE
    done: list[Done] = []
    if path.exists():
        blocks = Blocks(path)
        done = blocks.of_session(session)
        blocks.close()
    if as_json:
        print_json({"session": session, "totals": as_data(sums), "blocks": [_as_data(one) for one in done]})
        return
    print(f"session {session}: {in_one_line(sums)}")
    shown = [one for one in done if with_unchanged or one.saved]
    if not done:
        print("nothing is known of its blocks: they went through before they were noted, or another workspace's proxy")
    elif not shown:
        print(f"none of its {len(done):,} blocks was written shorter; --all shows why")
    else:
        table = new_table("time", "tool", "about", "done", numbers=("before", "after", "share"))
        for one in shown:
            moment = time.strftime("%H:%M:%S", time.localtime(one.time))
            figures = (f"{one.before:,}", f"{one.after:,}", share(one.before - one.after, one.before))
            table.add_row(moment, one.tool, _short(one.subject), _what(one), *figures)
        print_table(table)
        left = len(done) - len(shown)
        if left:
            print(f"{left:,} more blocks stayed as they were; --all shows them, and why")


def _named(name: str, known: list[str]) -> str:
    """The session that is meant. Raises ValidationError, or StorageError when there is none at all."""
    if not known:
        raise StorageError("no session has gone through the proxy yet", {})
    if name in NEWEST:
        return known[0]
    found = [session for session in known if session == name] or [s for s in known if s.startswith(name)]
    if len(found) == 1:
        return found[0]
    some = f"{len(found)} sessions begin so: {', '.join(found[:3])}" if found else "`headroom sessions` lists all"
    raise ValidationError(f"there is no session {name!r}; {some}", {"field": "SESSION", "found": name})


def _what(one: Done) -> str:
    if not one.saved:
        return one.reason or "left as it was"
    gone = f", the original is {one.hash}" if one.hash else ""
    return ", ".join(sorted(one.saved, key=lambda name: -one.saved[name])) + gone


def _short(subject: str) -> str:
    """The end of a path, the beginning of a command."""
    if len(subject) <= 48:
        return subject
    return f"…{subject[-47:]}" if "/" in subject and " " not in subject else f"{subject[:47]}…"


def _as_data(one: Done) -> dict[str, Any]:
    return asdict(one)
