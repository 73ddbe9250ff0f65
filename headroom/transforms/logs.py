"""Logs and the output of tools: blocks of lines that come again, and beginnings that lines share, said once."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import groupby

from headroom.transforms.base import Compressed, Context
from headroom.transforms.terminal import AGAIN

NAMED = '[again: the {} lines above from "{}" on, block {}]'
"""Stands for lines of the same text, counted from the first one that is the quoted line, and names them."""

NAMED_ONE = '[again: the line above, "{}", block {}]'

NAMED_AGAIN = "[again: block {}]"

SHARED = '[the {} lines below begin with "{}"]'
SHARED_AROUND = '[the {} lines below begin with "{}" and, after one word, go on with "{}"]'

QUOTED = 40
"""Characters of a line that tell it from the others; where it has more, the quotation ends with"""
CUT = "…"

SEED = 12
"""Characters that such a beginning must have."""

MIN_GAIN = 6
"""Tokens that a phrase must save."""

MIN_SHARED = 12
MAX_SHARED = 200
"""Characters at the beginning of lines that are said once."""

MIN_SHARED_GAIN = 40
"""Characters that saying it once must save."""

_OUR_BEGINNING = "[again: "
_OURS = re.compile(r"^\[(?:again: |the \d+ lines below begin )", re.M)
_TOKEN_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-"


def compress(text: str, context: Context) -> Compressed | None:
    """Say once what comes again; whoever reads from top to bottom has every line.

    Not for file contents and diffs, whose lines must stand as they are.
    """
    lines = text.split("\n")
    if len(lines) < 4 or _OURS.search(text):
        return None
    out = "\n".join(_share(_name(lines, context.count)))
    return Compressed(out, "log") if len(out) < len(text) else None


def _name(lines: list[str], count: Callable[[str], int]) -> list[str]:
    """References in place of blocks that stand above."""
    seeds = {line for line, times in Counter(lines).items() if times > 1 and len(line.strip()) >= SEED}
    if not seeds:
        return lines
    beginnings = _beginnings(lines, seeds)
    out: list[str] = []
    first: dict[str, int] = {}  # where a line stands first in ``out``
    named: dict[tuple[int, int], str] = {}  # (place in ``out``, number of lines) -> what to say from now on
    i = 0
    while i < len(lines):
        line = lines[i]
        if line in seeds:
            place = first.setdefault(line, len(out))
            if place < len(out) and line in beginnings:
                length = 1
                end = min(len(lines) - i, len(out) - place)
                while length < end and out[place + length] == lines[i + length]:
                    length += 1
                reference = named.get((place, length))
                if reference is None:
                    quote, number = beginnings[line], len(named) + 1
                    reference = NAMED.format(length, quote, number) if length > 1 else NAMED_ONE.format(quote, number)
                    if count("\n".join(lines[i : i + length])) - count(reference) >= MIN_GAIN:
                        named[place, length] = NAMED_AGAIN.format(number)
                    else:
                        reference = ""
                if reference:
                    out.append(reference)
                    i += length
                    continue
        out.append(line)
        i += 1
    return _fold(out) if named else out


def _beginnings(lines: list[str], seeds: set[str]) -> dict[str, str]:
    """What to quote of each seed: the line, or its first characters; nothing where one before it begins so."""
    wanted = {line.strip()[:QUOTED].rstrip() for line in seeds}
    taken: dict[str, str] = {}
    for line in lines:
        beginning = line.strip()[:QUOTED].rstrip()
        if beginning in wanted and beginning not in taken:
            taken[beginning] = line
    return {
        line: beginning if len(line.strip()) <= QUOTED else beginning + CUT
        for beginning, line in taken.items()
        if line in seeds and not beginning.endswith(CUT)
    }


def _fold(lines: list[str]) -> list[str]:
    """Equal references in a row as one and a phrase."""
    out: list[str] = []
    for line, run in groupby(lines):
        times = len(list(run))
        if times > 2 and line.startswith(_OUR_BEGINNING):
            out += [line, AGAIN.format(times - 1)]
        else:
            out += [line] * times
    return out


def _share(lines: list[str]) -> list[str]:
    """What consecutive lines begin with in a line above them."""
    out: list[str] = []
    i = 0
    while i < len(lines):
        if i + 1 == len(lines) or lines[i][:MIN_SHARED] != lines[i + 1][:MIN_SHARED]:
            out.append(lines[i])
            i += 1
            continue
        prefix, length = _prefix(lines, i)
        run = lines[i : i + length]
        if length > 2:
            rests = [line[len(prefix) :] for line in run]
            whole, gain = _said_once(run, rests, prefix, "")
            parts, gain_of_parts = _in_parts(run, rests, prefix)
            run = parts if gain_of_parts > gain else whole
        out += run
        i += length
    return out


def _said_once(lines: list[str], rests: list[str], prefix: str, after: str) -> tuple[list[str], int]:
    """The lines with what they share above them, and the characters saved; the lines themselves where they are few."""
    phrase = SHARED_AROUND.format(len(lines), prefix, after) if after else SHARED.format(len(lines), prefix)
    gain = len(prefix + after) * len(lines) - len(phrase)
    if len(lines) < 3 or gain < MIN_SHARED_GAIN:
        return lines, 0
    return [phrase, *([rest.replace(after, " ", 1) for rest in rests] if after else rests)], gain


def _in_parts(lines: list[str], rests: list[str], prefix: str) -> tuple[list[str], int]:
    """The same, for each part of the lines that also goes on alike after the first word."""
    out: list[str] = []
    gain = start = i = 0
    while i <= len(lines):
        after, length = _after_a_word(rests, i) if i < len(lines) else ("", 3)
        if length > 2:  # what lies between two parts first
            for since, until, shared in ((start, i, ""), (i, i + length, after)):
                said, saved = _said_once(lines[since:until], rests[since:until], prefix, shared)
                out += said
                gain += saved
            start = i + length
        i += length
    return out, gain


def _after_a_word(rests: list[str], start: int) -> tuple[str, int]:
    """What lines from ``start`` on go on with after one word, from the blank on, and how many do."""
    common = _to_blank(rests[start])
    end = start + 1
    while common and end < len(rests):
        word, blank, rest = rests[end].partition(" ")
        if not word or not f" {rest}".startswith(common):
            shorter = _common(common, blank + rest) if word else ""
            shorter = shorter[: shorter.rfind(" ") + 1]
            run = end - start
            if len(shorter) < MIN_SHARED or (run > 1 and len(shorter) * (run + 1) < len(common) * run):
                break
            common = shorter
        end += 1
    return common, end - start


def _to_blank(rest: str) -> str:
    """The text after the first word, up to its last blank."""
    word, blank, rest = rest.partition(" ")
    common = (blank + rest)[:MAX_SHARED]
    common = common[: common.rfind(" ") + 1]
    return common if word and len(common) >= MIN_SHARED else ""


def _prefix(lines: list[str], start: int) -> tuple[str, int]:
    """What the line at ``start`` and lines after it begin with, and how many do; it ends between words."""
    prefix = _cut(lines[start][:MAX_SHARED])
    end = start + 1
    if len(prefix) < MIN_SHARED or prefix.startswith(_OUR_BEGINNING):
        return "", 1
    while end < len(lines):
        if not lines[end].startswith(prefix):
            shorter = _common(prefix, lines[end])
            run = end - start
            if len(shorter.strip()) < MIN_SHARED or (run > 1 and len(shorter) * (run + 1) < len(prefix) * run):
                break
            prefix = shorter
        end += 1
    return prefix, end - start


def _common(one: str, other: str) -> str:
    if one[:MIN_SHARED] != other[:MIN_SHARED]:
        return ""
    low, high = MIN_SHARED, len(one)
    while low < high:
        middle = (low + high + 1) // 2
        if other.startswith(one[:middle]):
            low = middle
        else:
            high = middle - 1
    return _cut(one[:low])


def _cut(beginning: str) -> str:
    """Up to where a word or a part of a time ends: ``FAILED tests/a.py::`` keeps no part of the path."""
    prefix = beginning.rstrip(_TOKEN_CHARACTERS)
    if prefix.endswith(":") and not prefix[-2:-1].isdigit():
        prefix = prefix[: prefix.rfind(" ") + 1]
    return prefix
