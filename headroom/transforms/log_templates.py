"""Long logs: of lines that differ in numbers and names only, the first and the last, and how many there were.

Only where lines may be left out. Lines that speak of trouble stay, and lines unlike most others.
"""

import re
from collections import Counter
from itertools import groupby

from headroom.transforms.base import Compressed, Context
from headroom.transforms.routine import TROUBLE

MIN_LINES = 40
"""Lines of a log worth counting."""

RARE = 4
"""Lines of one template that all stay."""

MAX_TEMPLATES = 20
"""Templates that are named at the end, the most frequent first."""

GAP = "[{} lines left out]"
COUNTS = "[left out, # for what differs:]"

TIME = re.compile(
    r"\W{0,2}(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d{2}/\w{3}/\d{4}[: ]\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|\d\d:\d\d:\d\d|\d{10,13}\b|\d{4}/\d\d/\d\d \d\d:\d\d|[IWEF]\d{4} \d\d:\d\d:\d\d)"
)
"""How a log's line begins: with a date and time, a time, or seconds since 1970."""

_DIFFERS = re.compile(r"\"[^\"]*\"|'[^']*'|\d[\w.:,/-]*|\b(?=[a-fA-F-]*\d)[0-9a-fA-F-]{8,}\b")


def compress(text: str, context: Context) -> Compressed | None:
    """Cut a log down to what is special in it."""
    lines = text.split("\n")
    if context.lossless or len(lines) < MIN_LINES or 2 * sum(map(bool, map(TIME.match, lines))) < len(lines):
        return None
    templates = [_DIFFERS.sub("#", line[:400]) for line in lines]
    counts = Counter(templates)
    last = {template: i for i, template in enumerate(templates)}
    first = {template: i for i, template in reversed(list(enumerate(templates)))}
    kept = [
        counts[template] <= RARE or i in (first[template], last[template]) or TROUBLE.search(line) is not None
        for i, (line, template) in enumerate(zip(lines, templates, strict=True))
    ]
    out: list[str] = []
    gone: Counter[str] = Counter()
    at = 0
    for keep, run in groupby(kept):
        length = len(list(run))
        if keep or length == 1:
            out += lines[at : at + length]
        else:
            out.append(GAP.format(length))
            gone.update(templates[at : at + length])
        at += length
    if not gone:
        return None
    named = gone.most_common(MAX_TEMPLATES)
    out += [COUNTS, *(f"{times} x {template}" for template, times in named)]
    return Compressed("\n".join(out), "log", lossless=False, left_out=sum(gone.values()))
