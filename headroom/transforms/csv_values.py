"""Reading CSV and TSV as a list of like objects."""

import csv
import io
import re
from itertools import takewhile

from headroom.transforms.notation import untyped_all

_NAME = re.compile(r"[^\W\d][\w .#%()/$-]{0,59}\Z")
_DELIMITERS = ",\t;|"
_MIN_ROWS = 3
_SAMPLE = 50  # rows


def parse(text: str) -> list[dict[str, str]]:
    """The rows of a text that is a header and rows of as many cells; raises ValueError where it is not.

    Lines that end in a carriage return and rows of other lengths make it something else.
    """
    if "\r" in text or "\0" in text:
        raise ValueError("not a plain table")
    header, _, rest = text.partition("\n")
    names, delimiter = _names(header)
    if len(_sample(rest, names, delimiter)) < _MIN_ROWS:
        raise ValueError("too few rows like the header")
    try:
        rows = list(csv.reader(io.StringIO(rest.rstrip("\n"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError("not a plain table") from error
    if set(map(len, rows)) != {len(names)}:
        raise ValueError("a row of another length")
    columns = [untyped_all(column) for column in zip(*rows, strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def says_something_twice(text: str) -> bool:
    """Whether the same rows could be written shorter: a column that may be constant, or quotes around cells."""
    header, _, rest = text.partition("\n")
    names, delimiter = _names(header)
    columns = zip(*_sample(rest, names, delimiter), strict=False)
    return '"' in rest or any(len(set(column)) == 1 for column in columns)


def _sample(rest: str, names: list[str], delimiter: str) -> list[list[str]]:
    lines = (line.split(delimiter) for line in rest.split("\n", _SAMPLE)[:_SAMPLE] if line)
    return list(takewhile(lambda cells: len(cells) >= len(names), lines))


def _names(header: str) -> tuple[list[str], str]:
    if len(header) > 10_000:
        raise ValueError("a line too long for a header")
    delimiter = max(_DELIMITERS, key=header.count)
    names = header.split(delimiter)
    if len(names) < 3 or len(set(names)) < len(names) or not all(map(_NAME.match, names)):
        raise ValueError("no names in the first line")
    return names, delimiter
