"""The lines that the provider has before it: where a line stands, and how far a run of lines goes on alike."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from headroom.transforms.lines import LONG, Line, cut, split
from headroom.transforms.references import QUOTED, Source, called, shown_in
from headroom.transforms.values import masked

PLACES = 16
"""How many places of one line are remembered: more would make common lines slow and find nothing better."""
MOST_PLACES = 5_000
"""Places that begin as a reference says, above which it is taken to mean several."""
SEED = 4
"""Characters that a line must have to start a search."""

STRIDE = 16
"""Lines of a run that are compared at once, where as many are alike before them."""
LEAST = 60
"""Characters in a run below which a reference can't be shorter."""

_is_ours = re.compile(
    r"\[(?:the \d+ lines below begin with |again: |\+N: |In this output |An id that ends |the line above \d|ls -l; )"
).match
"""A phrase of a form of ours: to be told that it stands above as well would help nobody. It names nothing."""
_BARRIER = -0x5EA1ED
_INSIDE = 0x1951DE


class Run(NamedTuple):
    """``length`` lines of a new text from line ``start`` on, that stand in an index from ``place`` on."""

    start: int
    length: int
    place: int


def key(line: Line) -> int:
    """Equal for equal lines, another for a piece inside a line."""
    return hash(line.text) ^ _INSIDE if line.inside else hash(line.text)


def _equal(keys: array[int], place: int, mine: array[int], i: int) -> bool:
    return keys[place : place + STRIDE] == mine[i : i + STRIDE]


def _both(quotation: str, shown: bool) -> bool:
    return shown and bool(quotation)


@dataclass(slots=True)
class LineIndex:
    """Lines, and where they stand."""

    keys: array[int] = field(default_factory=lambda: array("q"))
    marks: array[int] = field(default_factory=lambda: array("q"))
    """What of each line a reference quotes."""
    shown: bytearray = field(default_factory=bytearray)
    """Whether a line stands verbatim at its place, so that a reference can name it; blank ones name nothing."""
    sources: list[Source] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    rows: array[int] = field(default_factory=lambda: array("q"))
    """Where lines begin, which are not pieces inside one; also barriers."""
    long: dict[int, list[str]] = field(default_factory=dict)
    """The long lines of a source."""
    called: dict[str, list[int]] = field(default_factory=dict)
    """The sources that references call the same: one to one of them could mean the others."""
    places: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Where lines stand, first places first. Tuples, which the garbage collector does not look at again: there are
    hundreds of thousands of them, and while it looks everything waits."""
    compared: int = 0
    """How many lines ``longest`` looked at."""
    near: "LineIndex | None" = None
    """The lines of texts that have times or addresses, without these."""

    def add(self, source: Source, text: str, replacement: str | None = None) -> None:
        """Add a text as the provider receives it: as it is, or in the form that was made of it."""
        lines = split(text)
        if len(lines) < 2 and len(text) < LEAST:
            return
        pieces = cut(lines)
        shown = shown_in(replacement, pieces) if replacement is not None else None
        if replacement is not None and shown is None:  # another form: only what it shows can be named
            lines = split(replacement)
            pieces = cut(lines)
        self.open(source)
        if pieces is not lines:
            self.long[len(self.sources) - 1] = [line.text for line in lines if len(line.text) >= LONG]
        self.extend(pieces, shown)
        alike = masked(text if replacement is None else replacement)
        if alike is not None:
            if self.near is None:
                self.near = LineIndex()
            self.near.add(source, alike)

    def open(self, source: Source) -> None:
        """What is appended from now on stands in ``source``."""
        self.rows.append(len(self.keys))
        self.keys.append(_BARRIER)
        self.marks.append(_BARRIER)
        self.shown.append(False)
        self.called.setdefault(called(source), []).append(len(self.sources))
        self.sources.append(source)
        self.starts.append(len(self.keys))

    def extend(self, lines: list[Line], shown: list[bool] | None = None) -> None:
        """Add lines. ``shown`` says of each whether the provider sees it verbatim; None: all of them."""
        texts, first = [line.text for line in lines], len(self.keys)
        keys = [key(line) for line in lines]
        quotations = ["" if text[:1] == "[" and _is_ours(text) else text.strip()[:QUOTED] for text in texts]
        self.keys.extend(keys)
        self.marks.extend([hash(quotation) for quotation in quotations])
        self.shown.extend(map(bool, quotations) if shown is None else map(_both, quotations, shown))
        self.rows.extend([place for place, line in enumerate(lines, first) if not line.inside])
        places = self.places
        for place, (number, text) in enumerate(zip(keys, texts, strict=True), first):
            if len(text) >= SEED:
                known = places.get(number)
                if known is None:
                    places[number] = (place,)
                elif len(known) < PLACES:
                    places[number] = (*known, place)

    def longest(self, mine: array[int], i: int, done: int, upto: int) -> Run:
        """The longest run through line ``i`` of ``mine``, not before ``done``, whose ends are shown, and that stands
        before ``upto``."""
        keys, shown, best = self.keys, self.shown, Run(i, 0, 0)
        for place in self.places.get(mine[i], ()):
            if place >= upto:
                break
            ahead, end = 1, min(len(mine) - i, upto - place)
            while ahead < end and keys[place + ahead] == mine[i + ahead]:
                ahead += 1
                if ahead == STRIDE:
                    while ahead + STRIDE <= end and _equal(keys, place + ahead, mine, i + ahead):
                        ahead += STRIDE
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

    def others(self, place: int, length: int, count: int, upto: int) -> Iterator[tuple[bool, bool]]:
        """Each other place that a reference to the ``count`` lines at ``place`` could mean: one in a source of the
        same name, before ``upto``, whose first and last line are quoted alike, and that reads otherwise. Whether
        its first line, and its last, are in fact the same."""
        keys, marks, rows = self.keys, self.marks, self.rows
        whole = keys[place : place + length]
        last = rows[bisect_left(rows, place) + count - 1]
        seen = 0
        for number in self.called[called(self.at(place))]:
            at = self.starts[number]
            end = self.starts[number + 1] - 1 if number + 1 < len(self.starts) else len(keys)
            end = min(end, upto)
            while at < end:
                try:
                    at = marks.index(marks[place], at, end)
                except ValueError:
                    break
                seen += 1
                if seen == MOST_PLACES:
                    yield True, True
                row = bisect_left(rows, at)
                if row + count - 1 >= len(rows) or rows[row + count - 1] >= end:
                    break
                after = rows[row + count] if row + count < len(rows) else len(keys)
                its_last = rows[row + count - 1]
                if rows[row] == at and marks[its_last] == marks[last] and keys[at:after] != whole:
                    yield keys[at] == keys[place], keys[its_last:after] == keys[last : place + length]
                at += 1

    def texts(self, place: int) -> list[str]:
        """The long lines of the sources of one name."""
        return [text for number in self.called[called(self.at(place))] for text in self.long.get(number, ())]
