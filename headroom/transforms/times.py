"""Logs: the time of a line as seconds after the line before.

    2026-11-24T01:02:03.000Z order 17 stored      [+N: N seconds after the time before]
    2026-11-24T01:02:03.137Z order 18 stored      2026-11-24T01:02:03.000Z order 17 stored
    2026-11-24T01:02:05.500Z order 19 stored      +0.137 order 18 stored
    2026-11-24T01:02:05.900Z ERROR disk full      +2.363 order 19 stored
                                                  2026-11-24T01:02:05.900Z ERROR disk full

Only where the times of a text are all written in the same way. A line that speaks of trouble keeps its own: it is the
one that somebody will look for. Whoever adds up has every time to its last digit.
"""

import re
from datetime import date
from typing import NamedTuple

from headroom.transforms.base import Compressed, Context
from headroom.transforms.routine import TROUBLE

LEGEND = "[+N: N seconds after the time before]"
LEAST_LINES = 5
"""Lines with a time below which they stay."""
LONGEST = 86_400
"""Seconds between two lines above which the second keeps its time: a log of days is read by its dates."""

_TIME = re.compile(
    r"(?P<open>\[?)(?:(?P<date>(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d))(?P<between>[T ]))?"
    r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)(?:(?P<point>[.,])(?P<part>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?(?P<close>\]?)(?=[ \t])"
)
_OURS = re.compile(r"^\+\d|^\[\+N: ", re.M)


class _Shape(NamedTuple):
    """What is the same in all times of a text."""

    open: str
    has_date: bool
    between: str
    point: str
    digits: int
    zone: str
    close: str


def compress(text: str, context: Context) -> Compressed | None:
    """Write times as differences; None where they are few, or not all alike."""
    lines = text.split("\n")
    matches = [_TIME.match(line) for line in lines]
    if sum(match is not None for match in matches) < LEAST_LINES or _OURS.search(text):
        return None
    shapes = {_shape(match) for match in matches if match}
    if len(shapes) > 1:
        return None
    digits = shapes.pop().digits
    out = [LEGEND]
    before: int | None = None
    for line, match in zip(lines, matches, strict=True):
        now = _ticks(match, digits) if match else None
        if match is None or now is None:
            out.append(line)
            continue
        since = now - before if before is not None else -1
        if 0 <= since <= LONGEST * 10**digits and not TROUBLE.search(line):
            out.append(_written(since, digits) + line[match.end() :])
        else:
            out.append(line)
        before = now
    short = "\n".join(out)
    return Compressed(short, "times") if len(short) < len(text) else None


def _shape(match: re.Match[str]) -> _Shape:
    part = match["part"] or ""
    return _Shape(
        match["open"],
        match["date"] is not None,
        match["between"] or "",
        match["point"] or "",
        len(part),
        match["zone"] or "",
        match["close"],
    )


def _ticks(match: re.Match[str], digits: int) -> int | None:
    """A time as a whole number of its smallest unit; None for a day that is none."""
    days = 0
    if match["date"]:
        try:
            days = date(int(match["year"]), int(match["month"]), int(match["day"])).toordinal()
        except ValueError:
            return None
    seconds = ((days * 24 + int(match["hour"])) * 60 + int(match["minute"])) * 60 + int(match["second"])
    return int(seconds * 10**digits + int(match["part"] or 0))


def _written(ticks: int, digits: int) -> str:
    seconds, part = divmod(ticks, 10**digits)
    fraction = f"{part:0{digits}}".rstrip("0") if digits else ""
    return f"+{seconds}.{fraction}" if fraction else f"+{seconds}"
