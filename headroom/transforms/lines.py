"""Lines of a text, and what tools write before them: numbers, and the marks of a diff; long lines in pieces."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_NUMBERED = re.compile(r" *(\d+)[\t→]")
_NUMBERED_BY_ANY = re.compile(r" *(\d{1,7})[\t→:-]")
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@")
_MARKS = (" ", "+", "-")
LONG = 200
"""Characters of a line that is cut into pieces,"""
PIECE = 24
"""each at least so long, up to where a value, a tag or a word ends."""
_PIECE = re.compile(rf".{{{PIECE}}}[^,;>\s]*+[,;>\s]?|.+", re.S)


class Line(NamedTuple):
    """One line, or a piece of a long one. ``prefix`` is what a tool wrote before the line, "" where nothing;
    ``number`` is its number, or -1. ``inside``: the piece goes on where the one before it ended."""

    text: str
    prefix: str = ""
    number: int = -1
    inside: bool = False


def looks_numbered(text: str) -> bool:
    """Whether a line starts as numbered ones do: digits, then a tab or an arrow."""
    return _NUMBERED.match(text) is not None


@lru_cache(maxsize=4)  # a text is compressed, and then added to the index
def split(text: str) -> list[Line]:
    """The lines of a text, in a list that nobody may change. A number is told from the text where the line before or
    after has its neighbour, or the whole text is a numbered file (of which some numbers may have been left out); a
    diff's mark, inside a hunk."""
    raw = text.split("\n")
    file = looks_numbered(raw[0])
    numbers = [_number(line) for line in raw]
    lines: list[Line] = []
    in_hunk = False
    for i, line in enumerate(raw):
        number, width = numbers[i]
        if number >= 0 and (
            (i and numbers[i - 1][0] == number - 1)
            or (i + 1 < len(raw) and numbers[i + 1][0] == number + 1)
            or (file and line[width - 1] in "\t→")
        ):
            lines.append(Line(line[width:], line[:width], number))
            continue
        if line.startswith("@@"):
            in_hunk = _HUNK.match(line) is not None
        elif in_hunk and line[:1] in _MARKS:
            lines.append(Line(line[1:], line[:1]))
            continue
        elif line and in_hunk:
            in_hunk = False
        lines.append(Line(line))
    return lines


def _number(line: str) -> tuple[int, int]:
    """(number, width of the prefix), or (-1, 0)."""
    match = _NUMBERED_BY_ANY.match(line) if line[:1] == " " or line[:1].isdigit() else None
    return (int(match[1]), match.end()) if match else (-1, 0)


def cut(lines: list[Line]) -> list[Line]:
    """The same lines with long ones in pieces: equal stretches of two lines become equal pieces."""
    if all(len(line.text) < LONG for line in lines):
        return lines
    out: list[Line] = []
    for line in lines:
        if len(line.text) < LONG:
            out.append(line)
        else:
            pieces = _PIECE.findall(line.text)
            out += [Line(piece, line.prefix, line.number, i > 0) for i, piece in enumerate(pieces)]
    return out


def alike(a: Line, b: Line) -> bool:
    """Whether ``b`` can follow ``a`` in one reference: its number is the next, its mark the same."""
    if b.inside:
        return True
    if a.number >= 0:
        return b.number == a.number + 1 and a.prefix[-1:] == b.prefix[-1:]
    return b.number < 0 and a.prefix == b.prefix


def write(lines: list[Line]) -> str:
    """The text that ``split`` was given."""
    text = "".join([line.text if line.inside else f"\n{line.prefix}{line.text}" for line in lines])
    return text[1:] if text.startswith("\n") else text


def join(lines: Iterable[Line]) -> str:
    """Lines without what stands before them; a piece inside a line directly after the one before it."""
    text = "".join([line.text if line.inside else "\n" + line.text for line in lines])
    return text[1:] if text.startswith("\n") else text
