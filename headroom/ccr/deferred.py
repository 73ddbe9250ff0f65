"""The answer to a call of our tool, put where the client's says that it has no such tool.

The call passes to the client untouched. An agent answers the model itself and asks again; in that request the proxy
finds the client's result by the call's id, and the original stands there from then on.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from headroom.ccr.parts import items, matching
from headroom.ccr.ways import TOOL
from headroom.stores.entries import State

RETRIEVED = "retrieved"
"""The name under which the ledger has the tokens that came back, below zero."""
_HASH = re.compile(r"[0-9a-f]{24}")

NO_HASH = f"{TOOL} needs the argument hash: the 24 hex digits that a marker in this conversation names."
UNKNOWN = f"{TOOL}: nothing was ever kept under the hash {{}}. Take the hash from a marker in this conversation."
EXPIRED = f"{TOOL}: what had the hash {{}} was kept for a while and is gone now. Run the tool again that printed it."
UNREADABLE = f"{TOOL}: what has the hash {{}} can't be read at the moment. Run the tool again that printed it."
MATCHES = "[{} of {} {}, the parts that match best first. The whole: {} with the hash alone]"
NO_MATCH = "[nothing has a word of the query; the whole:]"
PART = "[lines {}-{}]"
ITEM = "[item {}]"


class Given(NamedTuple):
    """What the model is told; ``hash`` names the original that it got, "" where it got none."""

    text: str
    hash: str = ""


def answer(
    arguments: Mapping[str, object], find: Callable[[str], str | None], state: Callable[[str], State | None]
) -> Given:
    """Answer one call. ``find`` gives the original of a hash, ``state`` says why there is none (None: no telling)."""
    said = arguments.get("hash") or arguments.get("reference") or arguments.get("ref")
    found = _HASH.search(said.lower()) if isinstance(said, str) else None
    if found is None:
        return Given(NO_HASH)
    hash = found[0]
    text = find(hash)
    if text is None:
        why = {"expired": EXPIRED, "unknown": UNKNOWN}.get(state(hash) or "", UNREADABLE)
        return Given(why.format(hash))
    query = arguments.get("query")
    return Given(about(text, query) if isinstance(query, str) and query.strip() else text, hash)


def about(text: str, query: str) -> str:
    """The parts of an original that match a query, best first; the whole where nothing does, or where it is short."""
    parts = matching(text, query)
    if not parts:
        return f"{NO_MATCH}\n{text}"
    array = len(items(text))
    head, kind, whole = (ITEM, "items", array) if array else (PART, "lines", text.count("\n") + 1)
    shown = "\n".join(f"{head.format(part.first, part.last)}\n{part.text}" for part in parts)
    if len(shown) >= len(text):
        return text
    some = len({number for part in parts for number in range(part.first, part.last + 1)})
    return f"{MATCHES.format(some, whole, kind, TOOL)}\n{shown}"
