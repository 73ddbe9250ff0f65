"""Lines that already stand in the conversation: a run of them becomes one line that says where they stand.

The reference names the call whose input or output holds the lines, how many they are, the first and the last of
them. It only ever points at what the provider receives before it in the same body, where the first and the last of
the lines stand verbatim; between them that text may itself refer to an earlier one.
Matching is linear in the new text: each line has a bounded number of places where it stood before.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from headroom.transforms.line_numbers import countable, thin
from headroom.transforms.lines import Line, alike, split, write

PLACES = 16
"""How many places of one line are remembered: more would make common lines slow and find nothing better."""
QUOTED = 40
"""Characters of the first and of the last line that a reference quotes."""
LEAST = 100
"""Characters in a run below which a reference can't be shorter."""
GAIN = 16
"""Tokens that a reference must save."""
SEED = 4
"""Characters that a line must have to start a search."""
PATIENCE = 2 * PLACES
"""Lines that are compared for each line of a text; then the search ends. Source code and JSON need 2 to 9; a text whose
lines are all alike would need as many as it has."""

_BARRIER = -0x5EA1ED
_REFERENCE = re.compile(
    r"\[(?:lines? (?P<first>\d+)(?:-(?P<last>\d+))?|(?P<count>\d+) lines?(?:, each after \"[ +-]\")?)"
    r": the same as [^\n]*\]"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A block whose lines can be referred to. ``name`` says which in plain words ("the output of Read"),
    ``label`` and ``subject`` what it is about ("path", "src/a.py"), ``block`` is its index in the conversation."""

    name: str
    label: str
    subject: str
    block: int


OWN = Source("this output", "", "", -1)


class Run(NamedTuple):
    """``length`` lines of a new text from line ``start`` on, that stand in an index from ``place`` on."""

    start: int
    length: int
    place: int


class Place(NamedTuple):
    """A run of ``length`` lines from line ``start`` of a new text on, that stands in ``source``."""

    start: int
    length: int
    source: Source


@dataclass(slots=True)
class LineIndex:
    """The lines that the provider has before it, and where they stand."""

    keys: array[int] = field(default_factory=lambda: array("q"))
    shown: bytearray = field(default_factory=bytearray)
    """Whether a line stands verbatim at its place, so that a reference can name it; blank ones name nothing."""
    sources: list[Source] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    places: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Where lines stand, first places first. Tuples, which the garbage collector does not look at again: there are
    hundreds of thousands of them, and while it looks everything waits."""

    compared: int = 0
    """How many lines ``longest`` looked at."""

    def add(self, source: Source, text: str, replacement: str | None = None) -> None:
        """Add a text as the provider receives it: as it is, or in the form that ``compress`` gave it."""
        lines = split(text)
        if len(lines) < 2 and len(text) < LEAST:
            return
        shown = _shown(lines, replacement) if replacement is not None else None
        if replacement is not None and shown is None:  # another form: only what it shows can be named
            lines = split(replacement)
        self.open(source)
        for i, line in enumerate(lines):
            self.append(hash(line.text), len(line.text), bool(line.text.strip()) and (shown is None or shown[i]))

    def open(self, source: Source) -> None:
        """What is appended from now on stands in ``source``."""
        self.append(_BARRIER, 0, False)
        self.sources.append(source)
        self.starts.append(len(self.keys))

    def append(self, key: int, length: int, shown: bool = True) -> None:
        """Add one line of ``length`` characters."""
        if length >= SEED:
            places = self.places.get(key, ())
            if len(places) < PLACES:
                self.places[key] = (*places, len(self.keys))
        self.keys.append(key)
        self.shown.append(shown)

    def longest(self, mine: list[int], i: int, done: int) -> Run:
        """The longest run through line ``i`` of ``mine``, not before ``done``, whose ends are shown."""
        keys, shown, best = self.keys, self.shown, Run(i, 0, 0)
        for place in self.places.get(mine[i], ()):
            ahead, end = 1, min(len(mine) - i, len(keys) - place)
            while ahead < end and keys[place + ahead] == mine[i + ahead]:
                ahead += 1
            back = 0
            while i - back > done and keys[place - back - 1] == mine[i - back - 1]:
                back += 1
            self.compared += ahead + back
            while ahead + back > best.length and not shown[place + ahead - 1]:
                ahead -= 1
            while ahead + back > best.length and not shown[place - back]:
                back -= 1
            if ahead + back > best.length:
                best = Run(i - back, ahead + back, place - back)
        return best

    def at(self, place: int) -> Source:
        """The source that a place lies in."""
        return self.sources[bisect_right(self.starts, place) - 1]


def _shown(lines: list[Line], replacement: str) -> list[bool] | None:
    """For each line of a text whether ``replacement`` still shows it; None when that is not a form of ours."""
    shown: list[bool] = []
    for line in replacement.split("\n"):
        match = _REFERENCE.fullmatch(line) if line.startswith("[") else None
        if match is None:
            if len(shown) >= len(lines) or not line.endswith(lines[len(shown)].text):
                return None
            shown.append(True)
        else:
            first, last, count = match["first"], match["last"], match["count"]
            shown += [False] * (int(count) if count else int(last or first) - int(first) + 1)
    return shown if len(shown) == len(lines) else None


def find(lines: list[Line], index: LineIndex) -> Iterator[Place]:
    """The runs of lines that stand in the index or further up in the text itself, none overlapping."""
    mine = [hash(line.text) for line in lines]
    own = LineIndex()
    own.open(OWN)
    done = i = 0
    patience = index.compared + PATIENCE * len(lines)
    while i < len(lines) and index.compared + own.compared <= patience:
        if mine[i] not in index.places and mine[i] not in own.places:
            own.append(mine[i], len(lines[i].text), bool(lines[i].text.strip()))
            i += 1
            continue
        before, again = index.longest(mine, i, done), own.longest(mine, i, i)
        where, run = (own, again) if again.length > before.length else (index, before)
        if sum(len(line.text) + 1 for line in lines[run.start : run.start + run.length]) >= LEAST:
            yield from _pieces(lines, run, where)
            done = run.start + run.length
        upto = max(done, i + 1)
        for j in range(i, upto):
            own.append(mine[j], len(lines[j].text), done <= i and bool(lines[j].text.strip()))
        i = upto


def _pieces(lines: list[Line], run: Run, index: LineIndex) -> Iterator[Place]:
    """A run cut where the numbers don't go on or the mark changes; pieces whose ends are not shown are left out."""
    first, source = run.start, index.at(run.place)
    for i in range(run.start + 1, run.start + run.length + 1):
        if i == run.start + run.length or not alike(lines[i - 1], lines[i]):
            place = run.place - run.start
            if index.shown[place + first] and index.shown[place + i - 1]:
                yield Place(first, i - first, source)
            first = i


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
    numbers = numbers and countable(lines)
    places: list[tuple[Place, str]] = []
    for place in find(lines, index):
        run = lines[place.start : place.start + place.length]
        if sum(len(line.text) + 1 for line in run) < LEAST:
            continue
        reference = _reference(run, place.source, subject, places[-1][0].source if places else None)
        if count(write(run)) - count(reference) >= GAIN:
            places.append((place, reference))
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
    if numbers and places:
        thinned = count("\n".join(_kept(lines, True)))
        saved = {"line_numbers": tokens - thinned, "repeats": thinned - left}
    else:
        saved = {"line_numbers" if numbers else "repeats": tokens - left}
    return Repeats(result, frozenset(place.source.block for place, _ in places) - {OWN.block}, saved)


def _kept(lines: list[Line], numbers: bool) -> list[str]:
    return [line.prefix + line.text for line in (thin(lines) if numbers else lines)]


def _reference(run: list[Line], source: Source, subject: str, before: Source | None) -> str:
    first, last = run[0], run[-1]
    if first.number >= 0:
        what = f"lines {first.number}-{last.number}" if len(run) > 1 else f"line {first.number}"
    else:
        what = f"{len(run)} line{'s' if len(run) > 1 else ''}"
        if first.prefix:
            what += f', each after "{first.prefix}"'
    if source is OWN:
        where = "further up in this output"
    elif source == before:
        where = "in the one just named"
    elif subject and source.subject == subject:
        where = f"in {source.name} for the same {source.label} above"
    else:
        where = f"in {f'{source.name} {source.subject}'.rstrip()} above"
    quoted = f'"{_quote(first)}" to "{_quote(last)}"' if len(run) > 1 else f'"{_quote(first)}"'
    return f"[{what}: the same as {where}, {quoted}]"


def _quote(line: Line) -> str:
    text = line.text.strip()
    return text if len(text) <= QUOTED else text[:QUOTED] + "…"
