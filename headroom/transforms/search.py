"""Search hits under their file: ``path:12:text`` lines become ``path:`` once, then ``12:text`` lines.

The form of ``rg --heading``. The path stands in full, a blank line ends its hits, the text of a hit is verbatim.
"""

import re
from itertools import groupby
from operator import itemgetter

from headroom.transforms.base import Compressed, Context

MAX_HITS = 100
"""Hits that are kept in all when lines may be left out."""

MIN_HITS = 3
"""Hits that each file keeps then."""

LEFT_OUT = "[{} more hits, in lines {}]"
"""Stands for hits that were left out."""

_WINDOWS = r"(?:[A-Za-z]:\\)?"
_LETTER = r"(?=[^\s:A-Za-z_]*+[A-Za-z_])"
_NO_TIME = r"(?!\d{4}-\d\d-\d\dT?\d)"
_NUMBERED = re.compile(rf"({_WINDOWS}{_NO_TIME}{_LETTER}[^\s:]++):(?=\d+:)")
_PLAIN = re.compile(rf"({_WINDOWS}{_NO_TIME}{_LETTER}(?=[^\s:./]*+[./])[^\s:]++):(?!//)")
_HEADING = re.compile(r"\S+:\Z")
_NUMBER_DASH = re.compile(r"-(?=\d+-)")
_DASH = re.compile(r"-")
_NEEDS_SIGN = re.compile(r"[:-]|\d+[:-]")
_CHUNK_END = "--"
_MAX_DASHES = 16


_Hit = tuple[str, str, str]
"""A line: its path, "" where it is no hit; the colon or dash after it; and what follows."""

_path = itemgetter(0)


def compress(text: str, context: Context) -> Compressed | None:
    """Group the hits of grep, ripgrep and git grep, their context lines too, and what linters write like them.

    With ``lossless`` off and more than ``MAX_HITS`` hits, each file keeps those with most words of the query, and
    the numbers of the other lines.
    """
    body = text.rstrip("\n")
    lines = body.split("\n")
    matches = list(map(_NUMBERED.match, lines))
    numbered = len(matches) - matches.count(None) > 1
    if not numbered:
        matches = list(map(_PLAIN.match, lines))
        if len(matches) - matches.count(None) < 2:
            return None
    hits = _hits(lines, matches, _NUMBER_DASH if numbered else _DASH)
    groups = [(path, list(run)) for path, run in groupby(hits, key=_path)]
    if all(not path or len(run) == 1 for path, run in groups):
        return None
    signs = not numbered and any(path and (sign != ":" or _NEEDS_SIGN.match(rest)) for path, sign, rest in hits)
    room = 0 if context.lossless or not numbered else _room(groups)
    words = frozenset(re.findall(r"\w{3,}", context.query.lower()))
    out: list[str] = []
    left_out = 0
    for path, run in groups:
        if not path or len(run) == 1:
            literal = ["".join(hit) for hit in run]
            if any(line.endswith(":") and _HEADING.match(line) for line in literal):
                return None
            out += literal
            continue
        rests = [sign + rest for _, sign, rest in run] if signs else [rest for _, _, rest in run]
        if "" in rests or (
            _CHUNK_END in rests and any(hit[1] and rest == _CHUNK_END for hit, rest in zip(run, rests, strict=True))
        ):
            return None
        if room and len(rests) > room:
            rests = _best(rests, words, room)
            left_out += len(run) - room
        out += [path + ":", *rests, ""]
    if not out[-1]:
        out.pop()
    result = "\n".join(out) + text[len(body) :]
    return Compressed(result, "search", not left_out, left_out) if len(result) < len(text) else None


def _hits(lines: list[str], matches: list[re.Match[str] | None], dash: re.Pattern[str]) -> list[_Hit]:
    known = {match[1] for match in matches if match}
    hits: list[_Hit] = [
        (match[1], ":", line[match.end() :]) if match else _around(line, known, dash)
        for line, match in zip(lines, matches, strict=True)
    ]
    for i in range(1, len(hits) - 1):
        if hits[i][2] == _CHUNK_END and not hits[i][0] and hits[i - 1][0] == hits[i + 1][0]:
            hits[i] = (hits[i - 1][0], "", _CHUNK_END)
    return hits


def _around(line: str, known: set[str], dash: re.Pattern[str]) -> _Hit:
    """A line of context, ``path-12-text``; only paths that have a hit count."""
    if known and "-" in line:
        for tries, found in enumerate(dash.finditer(line)):
            if line[: found.start()] in known:
                return line[: found.start()], "-", line[found.end() :]
            if tries == _MAX_DASHES:
                break
    return "", "", line


def _room(groups: list[tuple[str, list[_Hit]]]) -> int:
    """Hits that each file keeps; 0 when all are few enough."""
    counts = [len(run) for path, run in groups if path]
    return 0 if sum(counts) <= MAX_HITS else max(MIN_HITS, MAX_HITS // len(counts))


def _best(rests: list[str], words: frozenset[str], room: int) -> list[str]:
    """The ``room`` lines with most words of the query, in their order, and the numbers of the others."""

    def rank(i: int) -> tuple[int, int]:
        return -len(words.intersection(re.findall(r"\w{3,}", rests[i].lower()))), i

    chosen = set(sorted(range(len(rests)), key=rank)[:room])
    others = [re.split("[:-]", rest, maxsplit=1)[0] for i, rest in enumerate(rests) if i not in chosen]
    return [rests[i] for i in sorted(chosen)] + [LEFT_OUT.format(len(others), ", ".join(others))]
