"""What the model is told about each line of an output: whole numbers only, so that every machine computes the same."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from headroom.kompress.vocabulary import LEAST_LINE, NAME, Vocabulary, line_key, parts_of

Ints = npt.NDArray[np.int64]

KINDS = (
    "", "file", "names", "rows", "tree", "paths", "search", "diff", "lint", "json", "log", "test", "build", "html",
    "xml", "table", "csv", "yaml", "mixed", "output",
)  # fmt: skip
"""Kinds of text, as the router tells them; others count as ""."""

ERROR = re.compile(
    r"error|exception|traceback|fail|fatal|panic|warn|denied|refused|undefined|unresolved|cannot|can't|not found"
    r"|no such|invalid|missing|expected|assert|abort|critical|segfault|conflict",
    re.I,
)
"""Lines that speak of errors."""
HEADER = re.compile(
    r"\s*(?:\d+[\t→:-]\s*)?(?:(?:async |export |default |public |private |protected |static |pub |abstract )*"
    r"(?:def|class|function|func|fn|interface|type|struct|enum|impl|trait|module|defmodule|defp)\b"
    r"|#{1,6} |@@ |diff --git)"
)
_STARTS = re.compile(
    r"\s*(?:\d+[\t→:-]\s*)?(?:(?P<imports>import\b|from \S+ import|#include|use |require)"
    r"|(?P<comment>#|//|/?\*|<!--|--|\"\"\"|''')|(?P<decorator>@\w)|(?P<returns>return\b|raise\b|yield\b)"
    r"|(?P<branch>(?:el)?if\b|else\b|for\b|while\b|try\b|except\b|with\b|case\b)"
    r"|(?P<assigns>[\w.\[\]]+\s*[+|-]?=[^=])|(?P<calls>[\w.]+\())"
)
_STARTS_AS = {name: i for i, name in enumerate(_STARTS.groupindex, 1)}
_NUMBERED = re.compile(r"\s*\d+[\t→:-]")
_DIGITS = re.compile(r"\d+")
_OUTPUT_TOKEN = re.compile(rf"\n|{NAME.pattern}")
FAR = 99
"""Stands for: never, nowhere, not at all."""
_WINDOWS = (2, 8)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when an output arrives: the call, what the model said with it, and the conversation before."""

    tool: str = ""
    kind: str = ""
    call: str = ""
    """The call's arguments, as text."""
    said: str = ""
    """What the model said with the call: its intention."""
    subject: str = ""
    """The path or command that the call is about."""
    ranged: bool = False
    """Whether the call asks for a part of a file."""


NAMES = (  # noqa: SIM905 - a list would be five times as long
    "kind tool lines characters turn ranged subject_said call_parts said_parts novel_share position from_start "
    "from_end length indent header starts numbered error digits path_like punctuation "
    "names novel novel_first rarest_novel in_call in_said in_task ever_said recency "
    "part_call part_said part_task part_recent rare_part_said seen_line same_line same_shape blank "
    "in_call_2 in_said_2 part_said_2 part_call_2 part_task_2 novel_2 error_2 "
    "in_call_8 in_said_8 part_said_8 part_call_8 part_task_8 novel_8 error_8 "
    "header_said header_call header_distance header_recency near_said near_call rank_said rank_recent "
    "most_said most_call"
).split()
"""The columns, in their order."""
_FORM = (
    *("length", "indent", "header", "starts", "numbered", "digits", "path_like"),
    *("seen_line", "same_line", "same_shape", "blank", "punctuation"),
)
"""Those that say what form a line has."""


@lru_cache(maxsize=1 << 16)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(set(parts_of(name)))


def features(text: str, situation: Situation, vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """One row for each line of ``text``, one column for each of NAMES. All values are whole numbers below 2^24."""
    lines = text.split("\n")
    n = len(lines)
    # every name once: what is known of it
    tokens = _OUTPUT_TOKEN.findall(text)
    ids: dict[str, int] = {"\n": 0}
    at = np.fromiter((ids.setdefault(token, len(ids)) for token in tokens), np.int64, len(tokens))
    is_break = at == 0
    row = np.cumsum(is_break)[~is_break]
    at = at[~is_break]
    words = list(ids)
    u = len(words)
    count = np.bincount(at, minlength=u)
    call_names, said_names = set(NAME.findall(situation.call)), set(NAME.findall(situation.said))
    call_parts, said_parts = frozenset(parts_of(situation.call)), frozenset(parts_of(situation.said))
    task, seen, said, turn = vocabulary.task, vocabulary.seen, vocabulary.said, vocabulary.turn
    known_parts = vocabulary.parts
    in_part = [_parts(word) for word in words]
    spread = Counter(part for parts in in_part for part in parts)
    per_name = np.array(
        [
            (
                word not in seen,
                word in call_names,
                word in said_names,
                word in said,
                min(FAR, turn - said.get(word, turn - FAR)),
                sum(part in call_parts for part in parts),
                sum(part in said_parts for part in parts),
                sum(part in task for part in parts),
                min([FAR, *[turn - known_parts[part] for part in parts if part in known_parts]]),
                max([0, *[1 + 60 // spread[part] for part in parts if part in said_parts]]),
            )
            for word, parts in zip(words, in_part, strict=True)
        ],
        np.int64,
    )
    novel = per_name[:, 0]
    novel[0] = 0
    first = np.zeros(len(at), np.int64)
    first[np.unique(at, return_index=True)[1]] = 1

    def total(values: Ints) -> Ints:
        return np.bincount(row, weights=values, minlength=n).astype(np.int64)

    def least(values: Ints, none: int) -> Ints:
        out = np.full(n, none, np.int64)
        np.minimum.at(out, row, values)
        return out

    columns: dict[str, Ints] = {
        "names": np.bincount(row, minlength=n),
        "novel": total(novel[at]),
        "novel_first": total(novel[at] * first),
        "rarest_novel": least(np.where(novel[at] > 0, count[at], 999), 999),
        "in_call": total(per_name[at, 1]),
        "in_said": total(per_name[at, 2]),
        "ever_said": total(per_name[at, 3]),
        "recency": least(per_name[at, 4], FAR),
        "part_call": total(per_name[at, 5]),
        "part_said": total(per_name[at, 6]),
        "part_task": total(per_name[at, 7]),
        "part_recent": least(per_name[at, 8], FAR),
        "rare_part_said": -least(-per_name[at, 9], 0),
    }
    columns["in_task"] = (columns["part_task"] > 1).astype(np.int64)

    # every line: its form
    keys = [line_key(line) for line in lines]
    shapes = [_DIGITS.sub("0", key) for key in keys]
    same, alike = Counter(keys), Counter(shapes)
    starts = [_STARTS.match(line) for line in lines]
    errors = [ERROR.search(line) is not None for line in lines]
    form = np.array(
        [
            (
                len(line),
                len(line) - len(line.lstrip())
                if not number
                else len(key) and line.find(key[0], number.end()) - number.end(),
                HEADER.match(line) is not None,
                _STARTS_AS[start.lastgroup] if start and start.lastgroup else 0,
                number is not None,
                sum(map(str.isdigit, line[:200])),
                line.count("/"),
                len(key) >= LEAST_LINE and key in vocabulary.lines,
                same[key],
                alike[shape],
                not key,
                line.count("(") + line.count("=") + line.count("{") + line.count(";"),
            )
            for line, key, shape, start, number in zip(
                lines, keys, shapes, starts, map(_NUMBERED.match, lines), strict=True
            )
        ],
        np.int64,
    )
    for i, name in enumerate(_FORM):
        columns[name] = form[:, i]
    columns["error"] = np.array(errors, np.int64)
    index = np.arange(n)
    columns["position"] = index * 1000 // n
    columns["from_start"] = index
    columns["from_end"] = n - 1 - index

    # what stands around it
    for width in _WINDOWS:
        for name in ("in_call", "in_said", "part_said", "part_call", "part_task", "novel", "error"):
            sums = np.concatenate([[0], np.cumsum(columns[name])])
            columns[f"{name}_{width}"] = sums[np.minimum(n, index + width + 1)] - sums[np.maximum(0, index - width)]
    header = np.maximum.accumulate(np.where(columns["header"] > 0, index, -1))
    inside = header >= 0
    for name, of in (("header_said", "part_said"), ("header_call", "part_call")):
        columns[name] = np.where(inside, columns[of][header], 0)
    columns["header_recency"] = np.where(inside, columns["part_recent"][header], FAR)
    columns["header_distance"] = np.where(inside, index - header, 999)
    columns["near_said"] = _distance(columns["in_said"] > 0, index)
    columns["near_call"] = _distance(columns["in_call"] > 0, index)
    columns["rank_said"] = _rank(columns["part_said"])
    columns["rank_recent"] = _rank(-columns["part_recent"])

    # the whole output, the same for all its lines
    whole: Mapping[str, int] = {
        "kind": KINDS.index(situation.kind) if situation.kind in KINDS else 0,
        "tool": tool_class(situation.tool),
        "lines": n,
        "characters": len(text),
        "turn": turn,
        "ranged": situation.ranged,
        "subject_said": min(FAR, max([0, *[1 + turn - said[x] for x in NAME.findall(situation.subject) if x in said]])),
        "call_parts": len(call_parts),
        "said_parts": len(said_parts),
        "novel_share": int(1000 * novel.sum() // u),
        "most_said": int(columns["part_said"].max()),
        "most_call": int(columns["part_call"].max()),
    }
    out = np.empty((n, len(NAMES)), np.float32)
    for i, name in enumerate(NAMES):
        out[:, i] = whole[name] if name in whole else columns[name]
    return out


def tool_class(tool: str) -> int:
    """A coarse class of a tool: 1 shells, 2 file reads, 3 searches, 4 listings, 5 the web, 6 sub-agents, 0 others."""
    name = tool.lower()
    classes = (
        ("bash", "shell", "exec", "command", "terminal", "taskoutput"), ("read", "view", "open_file"),
        ("grep", "search", "rg"), ("glob", "list", "find"), ("fetch", "web"), ("task", "agent"),
    )  # fmt: skip
    return next((i for i, words in enumerate(classes, 1) if any(word in name for word in words)), 0)


def _distance(hit: npt.NDArray[np.bool_], index: Ints) -> Ints:
    """Lines to the nearest hit, at most 999."""
    if not hit.any():
        return np.full(len(index), 999, np.int64)
    places = np.flatnonzero(hit)
    after = np.searchsorted(places, index)
    right = places[np.minimum(after, len(places) - 1)]
    left = places[np.maximum(after - 1, 0)]
    return np.minimum(999, np.minimum(np.abs(right - index), np.abs(index - left)))


def _rank(values: Ints) -> Ints:
    """Which part of the lines has less, in thousandths."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, values) * 1000 // max(1, len(values))
