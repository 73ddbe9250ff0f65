"""Numbers before the lines of a file: kept where a reader starts, and on every tenth line.

For file reads of clients whose edits address text and not numbers (Claude Code's Read). The text of each line
stays verbatim; the numbers between can be counted. For ``nl`` and ``cat -n`` all numbers stay, and the blanks that
align them go.
"""

import re

from headroom.transforms.base import Compressed, Context
from headroom.transforms.lines import Line, looks_numbered

STEP = 10
LEAST_LINES = 4
"""Aligned numbers below which the blanks stay."""
_ALIGNED = re.compile(r"^(?=[ 0-9]{6}[\t→]) +([0-9]+)(?=[\t→])", re.M)
_NOT_ALIGNED = re.compile(r"^[0-9]{1,5}[\t→]", re.M)


def unalign(text: str, context: Context) -> Compressed | None:
    """Numbers that ``nl`` and ``cat -n`` write into six columns, without the blanks before them.

    None where they are not in order (then they are no line numbers), or where some lines begin without blanks.
    """
    numbers = list(map(int, _ALIGNED.findall(text)))
    if len(numbers) < LEAST_LINES or _NOT_ALIGNED.search(text):
        return None
    steps = list(map(int.__sub__, numbers[1:], numbers))
    if 10 * steps.count(1) < 8 * len(steps):
        return None
    return Compressed(_ALIGNED.sub(r"\1", text), "line_numbers")


def countable(lines: list[Line]) -> bool:
    """Whether each line has a number, one more than the line before, so that those left out can be counted.

    What a client says after the file, in tags of its own behind an empty line, has none.
    """
    first = lines[0].number
    end = next((i for i, line in enumerate(lines) if line.number < 0), len(lines))
    said = lines[end:]
    if said and not (len(said) > 1 and not said[0].text and said[1].text.startswith("<")):
        return False
    return all(line.number == first + i for i, line in enumerate(lines[:end])) and first >= 0


def thin(lines: list[Line]) -> list[Line]:
    """A run of countable lines with fewer numbers: on the first, on every tenth, on the file's last before something
    else is said, and wherever the text itself begins as a numbered line does, so that it can't be taken for one."""
    last = len(lines) - 1
    return [
        line
        if i == 0
        or line.inside
        or line.number % STEP == 0
        or looks_numbered(line.text)
        or (i < last and lines[i + 1].number < 0)
        else Line(line.text)
        for i, line in enumerate(lines)
    ]
