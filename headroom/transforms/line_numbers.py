"""Numbers before the lines of a file: kept where a reader starts, and on every tenth line.

For file reads of clients whose edits address text and not numbers (Claude Code's Read). The text of each line
stays verbatim; the numbers between can be counted.
"""

from headroom.transforms.lines import Line, looks_numbered

STEP = 10


def countable(lines: list[Line]) -> bool:
    """Whether each line has a number, one more than the line before, so that those left out can be counted."""
    first = lines[0].number
    return first >= 0 and all(line.number == first + i for i, line in enumerate(lines))


def thin(lines: list[Line]) -> list[Line]:
    """A run of countable lines with fewer numbers: on the first, on every tenth, and wherever the text itself
    begins as a numbered line does, so that it can't be taken for one."""
    return [
        line if i == 0 or line.number % STEP == 0 or looks_numbered(line.text) else Line(line.text)
        for i, line in enumerate(lines)
    ]
