"""Reading the tables that programs draw: sqlite3, psql, mysql, and the columns of kubectl, docker and gh.

What is not said again is the padding and the lines between the cells.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from headroom.transforms.notation import untyped_all

_MIN_ROWS = 3
_RULE = re.compile(r"[+|├┌└]?[-─]{2,}(?:[-─+|┬┼┴]*[-─]{2,})?[+|┤┐┘]?\Z")
_HEADINGS = re.compile(r"[A-Z][A-Z0-9_ /()%-]*(?:   *[A-Z][A-Z0-9_/()%-]*(?: [A-Z][A-Z0-9_/()%-]*)*)+ *\Z")
_HEADING = re.compile(r"\S+(?: \S+)*")
_COUNT = re.compile(r"(?:\(\d+ rows?\)|\d+ rows? in set.*)\Z")
_LONGEST = 2_000  # characters of a line of a table


class Table(NamedTuple):
    """Rows by column, and what the program said below them, "" for nothing."""

    rows: list[dict[str, str]]
    foot: str


def parse(text: str) -> Table:
    """A text that is one table from start to end.

    Raises ValueError where it is not, or not a plain one: columns that are not left-aligned under their names, a cell
    that holds the sign between cells.
    """
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= _MIN_ROWS or max(map(len, lines[:2])) > _LONGEST:
        raise ValueError("too short for a table, or too wide")
    foot = lines.pop() if _COUNT.match(lines[-1]) else ""
    names, columns = _columns(lines) if _HEADINGS.match(lines[0]) else _drawn(lines)
    if len(set(names)) < len(names) or len(names) < 2 or not all(names):
        raise ValueError("no names for the columns")
    cells = [untyped_all(column) for column in columns]
    if len(cells[0]) < _MIN_ROWS:
        raise ValueError("too few rows")
    return Table([dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)], foot)


def looks_so(lines: Sequence[str]) -> bool:
    """Whether the first lines of a text begin a table."""
    return len(lines) > _MIN_ROWS and (
        _HEADINGS.match(lines[0]) is not None or any(_RULE.match(line) for line in lines[:2])
    )


def _drawn(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """With signs between the cells, and a line below the names."""
    is_rule = [_RULE.match(line) is not None for line in lines]
    body = [line for line, rule in zip(lines, is_rule, strict=True) if not rule]
    if not is_rule[1] and not (is_rule[0] and is_rule[2]):
        raise ValueError("no line below the names")
    sign = "│" if "│" in body[0] else "|"
    framed = body[0][0] == sign
    between = body[0].count(sign)
    rows = []
    for line in body:
        if line.count(sign) != between or len(line) > _LONGEST or (framed and (line[0] != sign or line[-1] != sign)):
            raise ValueError("a line that is no row")
        rows.append([cell.strip(" ") for cell in (line[1:-1] if framed else line).split(sign)])
    names, *rest = rows
    return names, list(map(list, zip(*rest, strict=True)))


def _columns(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """With two blanks or more between the cells, which begin where their names do."""
    found = list(_HEADING.finditer(lines[0]))
    bounds = [*(heading.start() for heading in found), _LONGEST]
    if bounds[0]:
        raise ValueError("the first name does not begin the line")
    columns: list[list[str]] = []
    for start, end in pairwise(bounds):
        cells = [line[start:end] for line in lines[1:]]
        if any(cell[:1] == " " and cell.strip(" ") for cell in cells):
            raise ValueError("a cell that does not begin below its name")
        if end < _LONGEST and any(line[end - 2 : end].strip(" ") for line in lines[1:]):
            raise ValueError("a cell that is longer than its column")
        columns.append([cell.rstrip(" ") for cell in cells])
    if any(len(line) > _LONGEST or not line for line in lines):
        raise ValueError("a line that is no row")
    return [heading[0] for heading in found], columns
