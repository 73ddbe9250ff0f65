"""What the newest message names and only a left-out part has is added to that message, before anybody asks for it.

The parts are taken from the originals that the request itself still brings. Only names that hardly stand for anything
else count (ids, paths, identifiers of several words), only where they stand nowhere in what the provider gets, and only
where few lines have them: what fits many places answers nothing.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from headroom.telemetry.signature import items_of

EXPANDED = "expanded"
"""The name under which the ledger has the tokens that were added, below zero."""
BUDGET = 400
"""Tokens that are added to one message at most."""
AROUND = 2
"""Lines before and after one that has the name."""
MOST_PLACES = 3
"""Lines or items that have a name; what stands in more of them is no name of one thing."""
MOST_NAMES = 20
LONGEST = 20_000
"""Characters of a message that is looked through."""
LINE_CHARACTERS = 1_000
"""A line of more is not shown."""
PART = "[of what was left out of {} above, {}:]"
_NAME = re.compile(
    r"(?<![\w./:-])(?:"
    r"[\w./-]*\w\.[A-Za-z]\w*:\d+"  # a line of a file
    r"|(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[\w-]*\w(?:\.\w+)*"  # an id of letters and digits
    r"|\d{4,}"  # a number
    r"|[A-Za-z]\w*_\w+|[a-z]+[a-z0-9]*(?:[A-Z][a-z0-9]+)+|(?:[A-Z][a-z0-9]+){2,}"  # an identifier of several words
    r"|[\w-]+(?:/[\w.-]+)+"  # a path
    r")(?![\w/-])",
    re.ASCII,
)


class Left(NamedTuple):
    """A text of which something was left out: as it came, as it stands now, its tool, its identity in the request."""

    text: str
    stands: str
    tool: str
    identity: bytes


class Added(NamedTuple):
    """What is added to a message, and to which texts it belongs."""

    text: str
    sources: frozenset[bytes]


def names(said: str) -> list[str]:
    """The names in a message that hardly stand for anything else, in their order."""
    if len(said) > LONGEST:
        return []
    found = dict.fromkeys(name for name in _NAME.findall(said) if len(name) >= 4)
    return list(found)[:MOST_NAMES]


def expansion(
    said: str, left: Iterable[Left], stands_elsewhere: Callable[[str], bool], count: Callable[[str], int]
) -> Added | None:
    """What belongs to a message that says ``said``; None for nothing.

    ``stands_elsewhere`` says whether a name stands in the request outside of the originals and of the newest messages.
    """
    wanted = names(said)
    texts = list(left) if wanted else []
    out: list[str] = []
    sources: set[bytes] = set()
    tokens = 0
    for name in wanted:
        holds = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])").search
        has = [one for one in texts if name in one.text]
        if len(has) != 1 or holds(has[0].stands) or stands_elsewhere(name):
            continue
        part = _part(has[0], holds)
        if part is None or part in out:
            continue
        size = count(part)
        if tokens + size > BUDGET:
            continue
        tokens += size
        out.append(part)
        sources.add(has[0].identity)
    return Added("\n".join(out), frozenset(sources)) if out else None


def _part(left: Left, holds: Callable[[str], object]) -> str | None:
    """The few items or lines that have the name; None where there are none, or many."""
    tool = left.tool or "a result"
    items = items_of(left.text)
    if len(items) > 1:
        written = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items]
        found = [number for number, item in enumerate(written) if holds(item)]
        if not 0 < len(found) <= MOST_PLACES:
            return None
        where = "items " + ", ".join(str(number + 1) for number in found)
        return "\n".join((PART.format(tool, where), *(written[number] for number in found)))
    lines = left.text.split("\n")
    found = [number for number, line in enumerate(lines) if holds(line)]
    if not 0 < len(found) <= MOST_PLACES:
        return None
    parts = []
    for first, last in _around(found, len(lines)):
        shown = lines[first : last + 1]
        if max(map(len, shown)) > LINE_CHARACTERS:
            return None
        parts.append("\n".join((PART.format(tool, f"lines {first + 1}-{last + 1}"), *shown)))
    return "\n".join(parts)


def _around(found: list[int], end: int) -> list[tuple[int, int]]:
    """The stretches around lines, each (first, last)."""
    stretches: list[tuple[int, int]] = []
    for number in found:
        first, last = max(0, number - AROUND), min(end - 1, number + AROUND)
        if stretches and first <= stretches[-1][1] + 1:
            stretches[-1] = (stretches[-1][0], last)
        else:
            stretches.append((first, last))
    return stretches
