"""The parts of a text that match a query, best first."""

import re
from collections.abc import Sequence
from typing import NamedTuple

PART_LINES = 12
"""Lines of a part at most; one ends at a blank line where it has at least a third of that."""
PART_CHARACTERS = 2_000
MOST_CHARACTERS = 16_000
"""Characters of all parts that are shown."""
_WORD = re.compile(r"[^\W_]{2,}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Part(NamedTuple):
    """Lines ``first`` to ``last`` of a text, counted from 1."""

    first: int
    last: int
    text: str


def matching(text: str, query: str, most: int = MOST_CHARACTERS) -> list[Part]:
    """The parts with words of the query, the best first, equals in their order; none where nothing matches."""
    wanted = sorted(set(_words(query)))
    parts = cut(text)
    documents = [_words(part.text) for part in parts]
    if not wanted or not any(set(wanted).intersection(document) for document in documents):
        return []
    scores = _scores(documents, wanted)
    found: list[Part] = []
    for number in sorted(range(len(parts)), key=lambda i: (-scores[i], i)):
        most -= len(parts[number].text)
        if not scores[number] > 0 or (found and most < 0):
            break
        found.append(parts[number])
    return found


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
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def _scores(documents: Sequence[list[str]], wanted: list[str]) -> list[float]:
    import bm25s

    index = bm25s.BM25(backend="numpy")
    index.index([document or [""] for document in documents], show_progress=False)
    known = [word for word in wanted if word in index.vocab_dict]
    return [float(score) for score in index.get_scores(known)]
