"""The parts of a text that match a query, best first: one rule for whoever asks, a model, a program or a user."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

PART_LINES = 12
"""Lines of a part at most; one ends at a blank line where it has at least a third of that."""
PART_CHARACTERS = 2_000
MOST_CHARACTERS = 16_000
"""Characters of all parts that are shown."""
_WORD = re.compile(r"[^\W_]{2,}|\d")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


_blank = re.compile(r"[ \t\n\r]*").match
_item = json.JSONDecoder().raw_decode


class Part(NamedTuple):
    """Lines ``first`` to ``last`` of a text, counted from 1; of an array that is ``items`` one of these."""

    first: int
    last: int
    text: str


def matching(text: str, query: str, most: int = MOST_CHARACTERS) -> list[Part]:
    """The parts with words of the query, the best first, equals in their order; none where nothing matches.

    The parts of a JSON array are its items, those of any other text some lines.
    """
    written = items(text)
    parts = [Part(number, number, item) for number, item in enumerate(written, 1)] if written else cut(text)
    found: list[Part] = []
    for number in best([part.text for part in parts], query):
        most -= len(parts[number].text)
        if found and most < 0:
            break
        found.append(parts[number])
    return found


def best(documents: Sequence[str], query: str) -> list[int]:
    """The numbers of the documents that have words of a query, the best first, equals in their order: BM25.

    A word that all have tells none from another: it counts only where no other word of the query is found.
    """
    words = [_words(document) for document in documents]
    wanted = set(_words(query))
    frequent = Counter(word for document in words for word in wanted.intersection(document))
    telling = sorted(word for word in frequent if frequent[word] < len(words)) or sorted(frequent)
    if not telling:
        return []
    scores = _scores(words, telling)
    return [i for i in sorted(range(len(words)), key=lambda i: (-scores[i], i)) if scores[i] > 0]


def items(text: str) -> list[str]:
    """The items of a JSON array as they are written there; none for any other text."""
    at = _after(text, 0)
    if text[at : at + 1] != "[":
        return []
    found: list[str] = []
    at = _after(text, at + 1)
    try:
        while True:
            start, (_, at) = at, _item(text, at)
            found.append(text[start:at])
            at = _after(text, at)
            if text[at : at + 1] == "]":
                return found if _after(text, at + 1) == len(text) else []
            if text[at : at + 1] != ",":
                return []
            at = _after(text, at + 1)
    except (ValueError, RecursionError):
        return []


def cut(text: str) -> list[Part]:
    """A text in parts of some lines; a very long line is cut too."""
    parts: list[Part] = []
    lines: list[str] = []
    size, first = 0, 1
    for number, line in enumerate(text.split("\n"), 1):
        if lines and (len(lines) == PART_LINES or size + len(line) > PART_CHARACTERS):
            parts.append(Part(first, number - 1, "\n".join(lines)))
            lines, size, first = [], 0, number
        if len(line) > PART_CHARACTERS:
            pieces = [line[start : start + PART_CHARACTERS] for start in range(0, len(line), PART_CHARACTERS)]
            parts += [Part(number, number, piece) for piece in pieces]
            first = number + 1
            continue
        lines.append(line)
        size += len(line)
        if not line.strip() and len(lines) >= PART_LINES // 3:
            parts.append(Part(first, number, "\n".join(lines)))
            lines, size, first = [], 0, number + 1
    if lines:
        parts.append(Part(first, first + len(lines) - 1, "\n".join(lines)))
    return parts


def _words(text: str) -> list[str]:
    """The words of a text; an identifier of several, such as getUser, is found whole and by each of them."""
    found = _WORD.findall(text)
    parts = [part for word in found if _CAMEL.search(word) for part in _WORD.findall(_CAMEL.sub(" ", word))]
    return [word.lower() for word in (*found, *parts)]


def _after(text: str, at: int) -> int:
    """Behind the blanks that stand at a place."""
    blank = _blank(text, at)
    return blank.end() if blank else at


def _scores(documents: Sequence[list[str]], wanted: list[str]) -> list[float]:
    import bm25s

    index = bm25s.BM25(backend="numpy")
    index.index([document or [""] for document in documents], show_progress=False)
    return [float(score) for score in index.get_scores(wanted)]
