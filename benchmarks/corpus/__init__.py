"""Single outputs of tools, and what must not get lost of them.

``outputs`` holds what make.py made; ``facts.json`` says for each which call gave it, and lists planted facts: error
lines, ids, outliers, the odd row out. A fact is a text, or several parts of one that a result may pull apart (the
path and the line of a search hit, the cells of a row): they must stand in this order, or on one line.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUTPUTS = Path(__file__).parent / "outputs"
FACTS = Path(__file__).parent / "facts.json"

Fact = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Output:
    """One output: the call that gave it, what the user was after, and its facts. ``written``: by code."""

    name: str
    text: str
    tool: str
    arguments: Mapping[str, Any]
    query: str
    written: bool
    facts: tuple[Fact, ...]


def load() -> list[Output]:
    """The corpus, in the order of facts.json."""
    found = json.loads(FACTS.read_text())
    return [
        Output(
            name,
            (OUTPUTS / name).read_text(),
            one["tool"],
            one["arguments"],
            one["query"],
            one["written"],
            tuple(one["facts"]),
        )
        for name, one in found.items()
    ]


_SIGNS = re.compile(r"^\[In this output ((?:[^\n`]+ stands for `[^\n]*?`(?:, )?)+)\]\n", re.M)
_SIGN = re.compile(r"(\S) stands for `([^\n]*?)`(?=, |\Z)")
_SHARED = re.compile(r'\[the (\d+) lines below begin with "(.*?)"(?: and, after one word, go on with "(.*)")?\]')


_IDS = "[An id that ends in … is the one above that begins so]\n"
_CUT_ID = re.compile(r"([\w-]+)…")
_FRAME = re.compile(r"^( *)(same file|[^\s:]+):(\d+) in (?=\S)", re.M)


def read(result: str) -> str:
    """A result as its own notes say to read it: signs that stand for phrases, ids that are said in full once, the
    beginnings that lines share, frames of tracebacks; one that is a JSON string, as its text."""
    if result[:1] == result[-1:] == '"':
        with contextlib.suppress(ValueError):
            result = str(json.loads(result))
    legend = _SIGNS.match(result)
    if legend:
        result = result[legend.end() :]
        for sign, phrase in reversed(_SIGN.findall(legend[1])):
            result = result.replace(sign, phrase)
    if _IDS in result:
        head, result = result.split(_IDS, 1)
        result = head + _CUT_ID.sub(lambda cut: _whole_id(cut[1], result[: cut.start()]), result)
    lines: list[str] = []
    left, before, after = 0, "", ""
    for line in result.split("\n"):
        if shared := _SHARED.fullmatch(line):
            left, before, after = int(shared[1]), shared[2], shared[3] or ""
        elif left:
            left -= 1
            lines.append(before + (line.replace(" ", after, 1) if after else line))
        else:
            lines.append(line)
    text, path = "\n".join(lines), ""

    def frame(found: re.Match[str]) -> str:
        nonlocal path
        path = path if found[2] == "same file" else found[2]
        return f'{found[1]}File "{path}", line {found[3]}, in '

    return _FRAME.sub(frame, text) if "Traceback (most recent call last):" in text else text


def _whole_id(begin: str, above: str) -> str:
    """The first id above that begins so."""
    found = re.search(rf"(?<![\w./-]){re.escape(begin)}[\w-]+", above)
    return found[0] if found else f"{begin}…"


def missing(facts: Iterable[Fact], result: str) -> list[Fact]:
    """The facts that a result no longer says."""
    text = read(result)
    lines = text.split("\n")
    return [fact for fact in facts if not _stands([fact] if isinstance(fact, str) else fact, text, lines)]


def fidelity(facts: Sequence[Fact], result: str) -> float:
    """The share of the facts that a result says."""
    return 1 - len(missing(facts, result)) / len(facts)


def _stands(parts: Sequence[str], text: str, lines: Sequence[str]) -> bool:
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return any(all(part in line for part in parts) for line in lines)
        at += len(part)
    return True
