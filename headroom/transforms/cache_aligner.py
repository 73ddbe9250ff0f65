"""A system prompt with its volatile parts last: what stands before them is the same in every request."""

import re
from collections.abc import Sequence
from functools import lru_cache

from headroom.transforms.config import CacheAlignerConfig

_after = re.compile(r"(?:[.;](?=\s|$))?[ \t]*").match
_fence = re.compile(r"^[ \t]*```.*?(?:^[ \t]*```|\Z)", re.M | re.S)
_trailing = re.compile(r"[ \t]+$", re.M)
_empty_lines = re.compile(r"\n{3,}")


def align(text: str, config: CacheAlignerConfig) -> str:
    """``text`` with its volatile parts behind a separator at the end. The same text where there are none, or nothing
    else, and where the separator stands in it already."""
    if not config.enabled or config.dynamic_tail_separator in text:
        return text
    parts = volatile(text, config)
    static = without(text, parts)
    if not static.strip():
        return text
    if config.normalize_whitespace:
        static = _empty_lines.sub("\n\n", _trailing.sub("", static))
    tail = "\n".join(text[start:end].strip() for start, end in parts)
    return static + config.dynamic_tail_separator + tail if parts else static


def volatile(text: str, config: CacheAlignerConfig) -> list[tuple[int, int]]:
    """Where the volatile parts of a text are, in order; none in code.

    A part has the punctuation and blanks behind it, and its line's end when nothing else is on the line.
    """
    fences = [match.span() for match in _fence.finditer(text)]
    found = sorted(
        _whole(text, *match.span())
        for pattern in _compiled(tuple(config.dynamic_patterns))
        for match in pattern.finditer(text)
        if match.end() > match.start() and not any(a < match.end() and match.start() < b for a, b in fences)
    )
    parts: list[tuple[int, int]] = []
    for start, end in found:
        if parts and start < parts[-1][1]:
            parts[-1] = parts[-1][0], max(end, parts[-1][1])
        else:
            parts.append((start, end))
    return parts


def without(text: str, parts: Sequence[tuple[int, int]]) -> str:
    """``text`` less these parts of it."""
    kept, done = [], 0
    for start, end in parts:
        kept.append(text[done:start])
        done = end
    return "".join([*kept, text[done:]])


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    found = _after(text, end)
    end = found.end() if found else end
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip() or text[end : end + 1] != "\n":
        return start, end
    return line, end + 1


@lru_cache(16)
def _compiled(patterns: tuple[str, ...]) -> list[re.Pattern[str]]:
    return [re.compile(pattern, re.I | re.M) for pattern in patterns]
