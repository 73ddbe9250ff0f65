"""Lines that stand in the conversation but for times and addresses: the lines by reference, and these said.

    ok  shop/orders 0.31s        [3 lines as in Bash go test above, with 0.31s 0.29s 1.2s as its times:
    ok  shop/prices 0.29s        ok shop/orders _ … ok shop/rates _]
    ok  shop/rates 1.2s

A test run, a build or a log comes again with the same lines, and each took another time. What differs is said in the
order in which it stands; every other character is in the lines that the reference names. Not for text that an edit may
quote: these lines stand nowhere as they are.
"""

from array import array
from collections.abc import Callable

from headroom.transforms.line_index import LEAST, LineIndex, Run
from headroom.transforms.line_index import key as key_of
from headroom.transforms.lines import Line, cut, split
from headroom.transforms.references import place_of
from headroom.transforms.repeats import GAIN, PATIENCE, Place, Repeats, lines_reference, places
from headroom.transforms.values import SLOT, masked, values


def compress(text: str, index: LineIndex, subject: str, count: Callable[[str], int], tokens: int) -> Repeats | None:
    """Replace runs of lines that stand in ``index`` but for such values; None: nothing was gained.

    Arguments as those of ``repeats.compress``.
    """
    alike = masked(text) if index.near is not None else None
    if index.near is None or alike is None:
        return None
    lines, raw, said = cut(split(alike)), text.split("\n"), values(text)
    first_value, first_row = _counted(lines)
    out: list[str] = []
    sources: set[int] = set()
    done = 0
    for place in _find(lines, index.near):
        start, end = place.run.start, place.run.start + place.run.length
        run = lines[start:end]
        here = said[first_value[start] : first_value[end]]
        if not here or place.inside or any(line.prefix for line in run):
            continue
        between = ", " if any(" " in value for value in here) else " "
        with_these = f"{here[0]} each" if len(here) > 1 and len(set(here)) == 1 else between.join(here)
        reference = lines_reference(
            run, place, place_of(place.source, subject, None), f", with {with_these} as its times"
        )
        row, after = first_row[start], first_row[end]
        if reference is None or count("\n".join(raw[row:after])) - count(reference) < GAIN:
            continue
        out += [*raw[done:row], reference.replace(SLOT, "_")]
        done = after
        sources.add(place.source.block)
    if not sources:
        return None
    result = "\n".join([*out, *raw[done:]])
    return Repeats(result, frozenset(sources), {"near repeats": tokens - count(result)})


def _find(lines: list[Line], near: LineIndex) -> list[Place]:
    """The runs of lines that stand in the index, none overlapping."""
    mine = array("q", [key_of(line) for line in lines])
    found: list[Place] = []
    done = i = 0
    patience = near.compared + PATIENCE * len(lines)
    while i < len(lines) and near.compared <= patience:
        run = near.longest(mine, i, done, len(near.keys)) if mine[i] in near.places else Run(i, 0, 0)
        if sum(len(line.text) + 1 for line in lines[run.start : run.start + run.length]) >= LEAST:
            found += places(lines, run, near)
            done = run.start + run.length
        i = max(done, i + 1)
    return found


def _counted(lines: list[Line]) -> tuple[list[int], list[int]]:
    """For each line or piece of one, and for the end, how many values and how many whole lines stand before it."""
    before_values, before_rows = [0], [0]
    for i, line in enumerate(lines):
        before_values.append(before_values[-1] + line.text.count(SLOT))
        before_rows.append(before_rows[-1] + (i + 1 == len(lines) or not lines[i + 1].inside))
    return before_values, before_rows
