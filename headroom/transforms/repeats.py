"""Lines that already stand in the conversation: a run of them becomes one line that says where they stand.

The reference names the call whose input or output holds the lines, how many they are, the first and the last of
them. It only ever points at what the provider receives before it in the same body, where the first and the last of
the lines stand verbatim; between them that text may itself refer to an earlier one. Of a long line, a stretch that
stands in the conversation is said the same way, within the line.
Matching is linear in the new text: each line has a bounded number of places where it stood before.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from headroom.transforms.line_index import LEAST, MOST_PLACES, PLACES, LineIndex, Run
from headroom.transforms.line_numbers import countable, thin
from headroom.transforms.lines import Line, alike, cut, join, split, write
from headroom.transforms.references import OWN, QUOTED, Source, lines_as, place_of, stretch_as

GAIN = 8
"""Tokens that a reference must save."""
FEW = 12
"""Lines of a run that are counted before all of it is."""
LOOKED_AT = 20_000_000
"""Lines, or characters of long ones, that are looked at to see that each reference can mean one place only."""
PATIENCE = 2 * PLACES
"""Lines that are compared for each line of a text; then the search ends. Source code and JSON need 2 to 9; a text whose
lines are all alike would need as many as it has."""
_NOWHERE = (1 << 62,)


class Place(NamedTuple):
    """A run of a new text that stands ``where``, in ``source``; ``inside``: less than whole lines."""

    run: Run
    where: LineIndex
    source: Source
    inside: bool


def find(lines: list[Line], index: LineIndex) -> Iterator[Place]:
    """The runs of lines that stand in the index or further up in the text itself, none overlapping."""
    own = LineIndex()
    own.open(OWN)
    own.extend(lines)
    mine, above = own.keys[1:], own.places  # a line's place there is one more than its number
    stood = [i for i, key in enumerate(mine) if key in index.places or above.get(key, _NOWHERE)[0] <= i]
    patience, done = index.compared + PATIENCE * len(lines), 0
    for i in stood:
        if i < done:
            continue
        if index.compared + own.compared > patience:
            break
        before = index.longest(mine, i, done, len(index.keys))
        again = own.longest(mine, i, i, i + 1)
        where, run = (own, again) if again.length > before.length else (index, before)
        if _is_enough(lines, run):
            yield from places(lines, run, where)
            done = run.start + run.length
            own.shown[run.start + 1 : done + 1] = bytes(run.length)


def _is_enough(lines: list[Line], run: Run) -> bool:
    """Whether so many characters stand in a run that a reference could be shorter."""
    some = lines[run.start : run.start + min(run.length, LEAST)]
    return sum([len(line.text) + (not line.inside) for line in some]) >= LEAST


def places(lines: list[Line], run: Run, where: LineIndex) -> Iterator[Place]:
    """A run cut where the numbers don't go on, the mark changes or a line is not whole, and what of each part can be
    named."""
    first, source, end = run.start, where.at(run.place), run.start + run.length
    whole_until = end
    if end < len(lines) and lines[end].inside:
        whole_until = next((i for i in range(end - 1, first - 1, -1) if not lines[i].inside), first)
    part = lines[first].inside
    for i in range(first + 1, end + 1):
        if i in (end, whole_until) or (part and not lines[i].inside) or not alike(lines[i - 1], lines[i]):
            inside = part or first >= whole_until
            start, after = _shown_part(lines, first, i, where, run.place - run.start, inside)
            if start < after:
                yield Place(Run(start, after - start, run.place + start - run.start), where, source, inside)
            first, part = i, False


def _shown_part(lines: list[Line], start: int, end: int, where: LineIndex, shift: int, inside: bool) -> tuple[int, int]:
    """What of a part of a run has ends that are shown; of lines that are whole, whole lines."""
    while start < end and not where.shown[start + shift]:
        start += 1
        while not inside and start < end and lines[start].inside:
            start += 1
    while end > start and not where.shown[end - 1 + shift]:
        end -= 1
        while not inside and lines[end].inside:
            end -= 1
    return start, end


@dataclass(frozen=True, slots=True)
class Repeats:
    """``text`` with references, the blocks that it refers to, and tokens saved by ``repeats`` and ``line_numbers``."""

    text: str
    sources: frozenset[int]
    saved: dict[str, int]


def compress(
    text: str,
    index: LineIndex,
    subject: str,
    numbers: bool,
    count: Callable[[str], int],
    tokens: int,
    least_line: int = 0,
) -> Repeats | None:
    """Replace runs of lines that stand in ``index`` by references; with ``numbers`` also thin line numbers.

    ``subject`` is what this text is about, ``tokens`` how many tokens it has. Lines of fewer than ``least_line``
    characters stay whole or go whole. None: nothing was gained.
    """
    lines = split(text)
    numbers = numbers and countable(lines)
    lines = cut(lines)
    out: list[Line] = []
    named: Source | None = None
    sources: set[int] = set()
    done, left = 0, LOOKED_AT
    for place in find(lines, index):
        run = lines[place.run.start : place.run.start + place.run.length]
        if not _is_enough(lines, place.run) or (place.inside and not _is_long(lines, place.run.start, least_line)):
            continue
        if left <= 0:
            break
        where = place_of(place.source, subject, named)
        if place.inside:
            own = place.source is OWN
            texts = _long_until(lines, place.run.start) if own else index.texts(place.run.place)
            left -= sum(map(len, texts))
            reference = _stretch_as(run, where, texts)
        else:
            left -= len(lines) if place.source is OWN else len(index.keys)
            reference = lines_reference(run, place, where)
        if reference is not None and _saves(run, reference, count):
            out += _kept(lines[done : place.run.start], numbers)
            out.append(Line(reference, inside=run[0].inside))
            done = place.run.start + place.run.length
            named = place.source
            sources.add(named.block)
    if not sources and not numbers:
        return None
    result = join(out + _kept(lines[done:], numbers))
    after = count(result)
    if numbers and sources:
        thinned = count(join(_kept(lines, True)))
        saved = {"line_numbers": tokens - thinned, "repeats": thinned - after}
    else:
        saved = {"line_numbers" if numbers else "repeats": tokens - after}
    return Repeats(result, frozenset(sources - {OWN.block}), saved)


def _saves(run: list[Line], reference: str, count: Callable[[str], int]) -> bool:
    """Whether a reference is short enough. Long runs are not counted to their end: their first lines say enough."""
    least = count(reference) + GAIN
    return (len(run) > FEW and count(write(run[:FEW])) > least) or count(write(run)) >= least


def _long_until(lines: list[Line], end: int) -> list[str]:
    """The long lines before a piece, and the part before it of its own."""
    texts: list[list[str]] = []
    for i in range(1, end):
        if lines[i].inside:
            if not lines[i - 1].inside:
                texts.append([lines[i - 1].text])
            texts[-1].append(lines[i].text)
    return ["".join(pieces) for pieces in texts]


def _is_long(lines: list[Line], i: int, least: int) -> bool:
    """Whether the whole line that a piece is in has so many characters."""
    start = i
    while lines[start].inside and start > i - least:
        start -= 1
    size = len(lines[start].text)
    while size < least and start + 1 < len(lines) and lines[start + 1].inside:
        start += 1
        size += len(lines[start].text)
    return size >= least


def _kept(lines: list[Line], numbers: bool) -> list[Line]:
    if numbers:
        lines = thin(lines)
    return [Line(line.prefix + line.text) if line.prefix and not line.inside else line for line in lines]


def lines_reference(run: list[Line], place: Place, where: str, but: str = "") -> str | None:
    """The words that stand for whole lines; None where they could mean other lines. ``but``: what is not as there."""
    length, (start, _, at) = QUOTED, place.run
    whole = [line.text for line in run if not line.inside]
    upto = start + 1 if place.source is OWN else len(place.where.keys)
    for is_first, is_last in place.where.others(at, len(run), len(whole), upto):
        length = 4 * QUOTED
        if (is_first and is_last) or len(run) > len(whole) or len(whole[0]) > length or len(whole[-1]) > length:
            return None
    return lines_as(run, where + but, length)


def _stretch_as(run: list[Line], where: str, texts: Iterable[str]) -> str | None:
    """The words that stand for pieces of one line; None where they could mean others in ``texts``."""
    stretch = "".join([piece.text for piece in run])
    begin, end, seen = stretch[:QUOTED], stretch[-QUOTED:], 0
    for text in texts:
        at = text.find(begin)
        while at >= 0:
            after = at + len(stretch)
            if text.endswith(end, at, after) and after <= len(text) and not text.startswith(stretch, at):
                return None
            seen += 1
            if seen == MOST_PLACES:
                return None
            at = text.find(begin, at + 1)
    return stretch_as(run, where)
