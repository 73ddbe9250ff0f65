"""Lines of a text, and the numbers that some tools write before them."""

import re
from typing import NamedTuple

_NUMBERED = re.compile(r" *(\d+)[\t→]")


class Line(NamedTuple):
    """One line. ``prefix`` is its number as it was written, "" where none stood; ``number`` is its value."""

    text: str
    prefix: str = ""
    number: int = -1


def looks_numbered(text: str) -> bool:
    """Whether a line starts as numbered ones do: digits, then a tab or an arrow."""
    return _NUMBERED.match(text) is not None


def split(text: str) -> list[Line]:
    """The lines of a text; numbers are told from the text only where the first line has one."""
    raw = text.split("\n")
    if not looks_numbered(raw[0]):
        return [Line(line) for line in raw]
    return [_line(line) for line in raw]


def _line(raw: str) -> Line:
    match = _NUMBERED.match(raw)
    return Line(raw[match.end() :], match[0], int(match[1])) if match else Line(raw)


def write(lines: list[Line]) -> str:
    """The text that ``split`` was given."""
    return "\n".join(line.prefix + line.text for line in lines)
