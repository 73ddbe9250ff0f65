"""Lines that already stand in the conversation: a run of them becomes one line that says where they stand.

The reference names the call whose input or result holds the lines, how many they are, the first and the last of
them. It only ever points at lines that the provider receives verbatim in the same body, before the reference.
Matching is linear in the new text: each line has a bounded number of places where it stood before.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from headroom.transforms.line_numbers import countable, thin
from headroom.transforms.lines import Line, split, write

PLACES = 16
"""How many places of one line are remembered: more would make common lines slow and find nothing better."""
QUOTED = 60
"""Characters of the first and of the last line that a reference quotes."""
LEAST = 120
"""Characters in a run below which a reference can't be shorter."""
GAIN = 8
"""Tokens that a reference must save."""
SEED = 4
"""Characters that a line must have to start a search."""

_BARRIER = -0x5EA1ED
_REFERENCE = re.compile(r"\[(?:lines? \d|\d+ lines?: the same as )[^\n]*\]")


@dataclass(frozen=True, slots=True)
class Source:
    """A block whose lines can be referred to. ``name`` says which in plain words ("the output of Read"),
    ``label`` and ``subject`` what it is about ("path", "src/a.py"), ``block`` is its index in the conversation."""

    name: str
    label: str
    subject: str
    block: int


class Place(NamedTuple):
    """A run of ``length`` lines from line ``start`` of a new text on, that stands in ``source``."""

    start: int
    length: int
    source: Source


@dataclass(slots=True)
class LineIndex:
    """The lines that the provider has before it, and where they stand."""

    keys: array[int] = field(default_factory=lambda: array("q"))
    sources: list[Source] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    places: dict[int, list[int]] = field(default_factory=dict)

    def add(self, source: Source, text: str) -> None:
        """Add a text as the provider receives it; references in it are no lines of its own."""
        lines = split(text)
        if len(lines) < 2 and len(text) < LEAST:
            return
        self.sources.append(source)
        self.starts.append(len(self.keys))
        for line in lines:
            if line.text.startswith("[") and _REFERENCE.fullmatch(line.text):
                self.keys.append(_BARRIER)
                continue
            key = hash(line.text)
            if len(line.text) >= SEED:
                places = self.places.get(key)
                if places is None:
                    self.places[key] = [len(self.keys)]
                elif len(places) < PLACES:
                    places.append(len(self.keys))
            self.keys.append(key)
        self.keys.append(_BARRIER)

    def find(self, lines: list[Line]) -> list[Place]:
        """The runs of lines that stand in the index, longest first at each line, none overlapping."""
        mine = [hash(line.text) for line in lines]
        found: list[Place] = []
        done = i = 0
        while i < len(lines):
            best, back = self._longest(mine, i, done, lines)
            start, length = i - back, best[0] + back
            if length and sum(len(line.text) + 1 for line in lines[start : start + length]) >= LEAST:
                source = self.sources[bisect_right(self.starts, best[1]) - 1]
                found.append(Place(start, length, source))
                done = i = start + length
            else:
                i += 1
        return found

    def _longest(self, mine: list[int], i: int, done: int, lines: list[Line]) -> tuple[tuple[int, int], int]:
        """((lines from i on, place), lines before i) of the longest run through line ``i``."""
        keys = self.keys
        longest, before = (0, 0), 0
        for place in self.places.get(mine[i], ()) if len(lines[i].text) >= SEED else ():
            ahead = 1
            while i + ahead < len(mine) and keys[place + ahead] == mine[i + ahead]:
                ahead += 1
            back = 0
            while i - back > done and place > back and keys[place - back - 1] == mine[i - back - 1]:
                back += 1
            if ahead + back > longest[0] + before:
                longest, before = (ahead, place), back
        return longest, before


@dataclass(frozen=True, slots=True)
class Repeats:
    """``text`` with references, the blocks that it refers to, and tokens saved by ``repeats`` and ``line_numbers``."""

    text: str
    sources: frozenset[int]
    saved: dict[str, int]


def compress(
    text: str, index: LineIndex, subject: str, numbers: bool, count: Callable[[str], int], tokens: int
) -> Repeats | None:
    """Replace runs of lines that stand in ``index`` by references; with ``numbers`` also thin line numbers.

    ``subject`` is what this text is about, ``tokens`` how many tokens it has. None: nothing was gained.
    """
    lines = split(text)
    numbered = countable(lines)
    places = []
    for place in index.find(lines):
        run = lines[place.start : place.start + place.length]
        if numbered or run[0].number < 0:  # numbers that can't be counted would be lost
            reference = _reference(run, place.source, subject)
            if count(write(run)) - count(reference) >= GAIN:
                places.append((place, reference))
    numbers = numbers and numbered
    if not places and not numbers:
        return None
    out: list[str] = []
    done = 0
    for place, reference in places:
        out += _kept(lines[done : place.start], numbers)
        out.append(reference)
        done = place.start + place.length
    out += _kept(lines[done:], numbers)
    result = "\n".join(out)
    left = count(result)
    saved = {}
    if numbers and places:
        thinned = count("\n".join(_kept(lines, True)))
        saved = {"line_numbers": tokens - thinned, "repeats": thinned - left}
    else:
        saved = {"line_numbers" if numbers else "repeats": tokens - left}
    return Repeats(result, frozenset(place.source.block for place, _ in places), saved)


def _kept(lines: list[Line], numbers: bool) -> list[str]:
    return [line.prefix + line.text for line in (thin(lines) if numbers else lines)]


def _reference(run: list[Line], source: Source, subject: str) -> str:
    about = f"for the same {source.label}" if subject and source.subject == subject else source.subject
    where = f"{source.name} {about}".rstrip()
    if run[0].number >= 0:
        what = f"lines {run[0].number}-{run[-1].number}" if len(run) > 1 else f"line {run[0].number}"
        what += ": the same as in"
    else:
        what = f"{len(run)} line{'s' if len(run) > 1 else ''}: the same as in"
    quoted = f'"{_quote(run[0])}" to "{_quote(run[-1])}"' if len(run) > 1 else f'"{_quote(run[0])}"'
    return f"[{what} {where} above, {quoted}]"


def _quote(line: Line) -> str:
    text = line.text.strip()
    return text if len(text) <= QUOTED else text[:QUOTED] + "…"
