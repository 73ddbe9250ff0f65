"""Reading JSON so that it can be written again without changing a value: numbers keep their spelling, and text that
is JSON only in part is found line by line.

The standard decoder with a str subclass for numbers takes twice the time of orjson and a third of a tokenizer's;
orjson would turn 1.0, 1e5 and large integers into something else.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn


class Plain(str):
    """A value that is written as it was spelled, without quotes: a JSON number, or a cell of untyped text."""

    __slots__ = ()


MAX_DEPTH = 64
"""Deeper nesting than this is left alone, on every machine alike; the interpreter's own limit differs."""

_FAILURES = 32  # texts that only look like JSON
_PARTS = 1000  # values that are part of something else
_JSON_START = (
    r"(?=\{\s{0,200}+[\"}]"
    r"|\[\s{0,200}+(?:[\[{\"\]]|-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,9})?\s{0,200}+[,\]]|true|false|null))"
)
_TEXT_START = re.compile(r"\s*+" + _JSON_START)
_LINE_START = re.compile(r"\n" + _JSON_START)
_LABELLED = re.compile(r"\s*+[^\n{\[]{1,200}?[:>]\s*+" + _JSON_START)
_ALONE = re.compile(r"[ \t\r]*+(?:\Z|\n\s*+(?![\])},;]))")
_OPEN = (",", "[", "(", "{")
_BEFORE = 100  # characters looked at for what stands before a value
_FENCE = re.compile(r"```[^\n]*\n\s*\Z")
_SPACE = re.compile(r"\s*+")
_STRING = re.compile(r"\s*+(?=\"[{\[])")


def parse(text: str) -> Any:
    """The value of a text that is JSON from start to end.

    Raises ValueError or RecursionError where it is not, and where writing it again could change it: a key that
    stands twice, NaN.
    """
    return _decoder.decode(text)


def find(text: str) -> Iterator[tuple[int, int, Any]]:
    """(start, end, value) of every object and array that begins a line and ends one, left to right; a label such as
    ``Result:`` may stand before a value that ends the text. A text that is one string with JSON in it is found too.

    A value that is part of something, as in source code, is none: brackets or commas around it say so. Nor is one in
    fenced code, unless the whole text is that: it shows what JSON should look like. After some that are none the
    search ends: each may have been read to its end in vain.
    """
    found = _at(text, _STRING.match(text) or _LABELLED.match(text))
    if found is not None and _SPACE.fullmatch(text, found[1]):
        yield found
        return
    failures = parts = 0
    whole_fence = text.lstrip().startswith("```")
    match = _TEXT_START.match(text) or _LINE_START.search(text)
    while match and failures < _FAILURES and parts < _PARTS:
        found = _at(text, match)
        position = match.end()
        if found is None:
            failures += 1
        else:
            start, position, _ = found
            before = text[max(0, start - _BEFORE) : start]
            fenced = not whole_fence and _FENCE.search(before) is not None
            if not fenced and before.rstrip()[-1:] not in _OPEN and _ALONE.match(text, position):
                yield found
            else:
                parts += 1
        match = _LINE_START.search(text, position)


def _at(text: str, match: re.Match[str] | None) -> tuple[int, int, Any] | None:
    if match is None:
        return None
    try:
        value, end = _decoder.raw_decode(text, match.end())
    except (ValueError, RecursionError):
        return None
    return match.end(), end, value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=Plain, parse_int=Plain, parse_constant=_refuse)
