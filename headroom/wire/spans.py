"""Where values stand in a JSON text, and how to replace some without touching a byte beside them.

Offsets are bytes. The scanner works on the body decoded as Latin-1, where a character is a byte: JSON's structure
is ASCII and the bytes of a multi-byte UTF-8 character are all above it, so they can't be mistaken for structure.
"""

import json
import re
from collections.abc import Callable, Iterable
from json.decoder import JSONDecoder
from json.decoder import scanstring as _scanstring  # type: ignore[attr-defined]
from typing import NamedTuple

import orjson

from headroom.errors import ValidationError

_skip_space = re.compile(r"[ \t\n\r]*").match
scan_string: Callable[[str, int, bool], tuple[str, int]] = _scanstring
_decode_value = JSONDecoder(strict=True).raw_decode
UTF8_BOM = b"\xef\xbb\xbf"
WALKED = 4
"""Levels that are walked in Python, in small steps that let other threads in; deeper, values are small, and the
decoder is quicker."""
SMALL = 8192
"""Characters of a value up to which the decoder is tried first."""


class ScanError(ValidationError):
    """The bytes are not the JSON that this reader needs; ``details["at"]`` is the byte offset."""

    def __init__(self, expected: str, at: int):
        super().__init__(f"expected {expected} at byte {at}", {"at": at, "expected": expected})


class Span(NamedTuple):
    """Bytes ``start`` to ``end`` (exclusive) of a body."""

    start: int
    end: int


class Patch(NamedTuple):
    """``body[start:end]`` becomes ``replacement``; an insertion has ``start == end``."""

    start: int
    end: int
    replacement: bytes


def skip_space(text: str, pos: int) -> int:
    """The offset of the next byte that is not JSON whitespace."""
    if text[pos : pos + 1] > " ":
        return pos
    match = _skip_space(text, pos)
    assert match is not None  # the pattern also matches nothing
    return match.end()


def skip_value(text: str, pos: int, depth: int = 0) -> int:
    """The end of the JSON value that starts at ``pos``. Raises ScanError."""
    mark = text[pos : pos + 1]
    if mark == '"':
        return skip_string(text, pos)
    if depth < WALKED and mark in ("[", "{"):
        try:
            return pos + _decode_value(text[pos : pos + SMALL])[1]
        except (ValueError, RecursionError):
            pass  # it is longer, or not JSON
        if mark == "[":
            return walk_array(text, pos, lambda start: skip_value(text, start, depth + 1))
        return walk_object(text, pos, lambda _, start: skip_value(text, start, depth + 1))
    try:
        return _decode_value(text, pos)[1]
    except (ValueError, StopIteration, RecursionError) as error:
        raise ScanError("a JSON value", pos) from error


def skip_string(text: str, pos: int) -> int:
    """The end of the string whose opening quote is at ``pos``. Raises ScanError."""
    end = pos
    while True:
        end = text.find('"', end + 1)
        if end < 0:
            raise ScanError("the end of a string", pos)
        if text[end - 1] != "\\":
            return end + 1
        if text[end - 2] == "\\" and _backslashes(text, pos + 1, end) % 2 == 0:
            return end + 1


def _backslashes(text: str, start: int, end: int) -> int:
    """How many backslashes stand before ``end``, as far back as ``start``."""
    size = 16
    while True:
        chunk = text[max(start, end - size) : end]
        rest = chunk.rstrip("\\")
        if rest or size >= end - start:
            return len(chunk) - len(rest)
        size *= 4


def walk_array(text: str, pos: int, item: Callable[[int], int]) -> int:
    """Call ``item(start) -> end`` for each element of the array at ``pos``; return the array's end."""
    if text[pos : pos + 1] != "[":
        raise ScanError("[", pos)
    pos = skip_space(text, pos + 1)
    if text[pos : pos + 1] == "]":
        return pos + 1
    while True:
        pos = skip_space(text, item(pos))
        mark = text[pos : pos + 1]
        if mark == "]":
            return pos + 1
        if mark != ",":
            raise ScanError(", or ]", pos)
        pos = skip_space(text, pos + 1)


def walk_object(text: str, pos: int, member: Callable[[str, int], int]) -> int:
    """Call ``member(key, start) -> end`` for each value of the object at ``pos``; return the object's end."""
    if text[pos : pos + 1] != "{":
        raise ScanError("{", pos)
    pos = skip_space(text, pos + 1)
    if text[pos : pos + 1] == "}":
        return pos + 1
    while True:
        if text[pos : pos + 1] != '"':
            raise ScanError("a key", pos)
        try:
            key, pos = scan_string(text, pos + 1, True)
        except ValueError as error:
            raise ScanError("a key", pos) from error
        pos = skip_space(text, pos)
        if text[pos : pos + 1] != ":":
            raise ScanError(":", pos)
        pos = skip_space(text, member(key, skip_space(text, pos + 1)))
        mark = text[pos : pos + 1]
        if mark == "}":
            return pos + 1
        if mark != ",":
            raise ScanError(", or }", pos)
        pos = skip_space(text, pos + 1)


def members(text: str, pos: int, value: Callable[[str, int], int] | None = None) -> tuple[dict[str, Span], int]:
    """The spans of an object's values by key, and the object's end.

    A key that stands twice is refused: readers differ in which of the two counts. ``value(key, start) -> end`` may
    read values as they are passed.
    """
    found: dict[str, Span] = {}

    def member(key: str, start: int) -> int:
        if key in found:
            raise ScanError(f"{key!r} only once in an object", start)
        end = value(key, start) if value else skip_value(text, start)
        found[key] = Span(start, end)
        return end

    return found, walk_object(text, pos, member)


def elements(text: str, pos: int) -> list[Span]:
    """The spans of an array's elements."""
    found: list[Span] = []

    def item(start: int) -> int:
        end = skip_value(text, start)
        found.append(Span(start, end))
        return end

    walk_array(text, pos, item)
    return found


def read_string(body: bytes, span: Span | None) -> str | None:
    """The string that stands at ``span``; None when it is not a string, or not one that UTF-8 can carry."""
    if span is None or body[span.start : span.start + 1] != b'"':
        return None
    try:
        value = orjson.loads(body[span.start : span.end])
    except orjson.JSONDecodeError:
        return None  # a lone surrogate, or bytes that are no UTF-8
    return value if isinstance(value, str) else None


def read_value(body: bytes, span: Span) -> object:
    """The value that stands at ``span``, as Python data; None when it can't be read."""
    raw = body[span.start : span.end]
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value: object = json.loads(raw)
            return value
        except (ValueError, RecursionError):
            return None


def quote(text: str) -> bytes:
    """``text`` as a JSON string, in UTF-8 with no more escapes than JSON asks for."""
    return orjson.dumps(text)


def splice(body: bytes, patches: Iterable[Patch]) -> bytes:
    """``body`` with the patches applied; the very same object when there are none.

    Raises ValueError when two patches overlap or one lies outside the body.
    """
    ordered = sorted(patches, key=lambda patch: (patch.start, patch.end))
    if not ordered:
        return body
    parts: list[bytes] = []
    view, done = memoryview(body), 0
    for start, end, replacement in ordered:
        if not done <= start <= end <= len(body):
            raise ValueError(f"patch {start}-{end} overlaps another or leaves the body of {len(body)} bytes")
        parts += (view[done:start], replacement)  # type: ignore[arg-type]  # join takes any buffer
        done = end
    parts.append(view[done:])  # type: ignore[arg-type]
    return b"".join(parts)


def as_it_stood(at: int, patches: Iterable[Patch]) -> int:
    """Where byte ``at`` of a body was before these patches were applied, or the place of the patch that made it."""
    for start, end, replacement in sorted(patches):
        if at < start:
            break
        if at < start + len(replacement):
            return start
        at += end - start - len(replacement)
    return at


def common_prefix(a: bytes, a_start: int, b: bytes, b_start: int) -> int:
    """How many bytes ``a`` from ``a_start`` on and ``b`` from ``b_start`` on have in common."""
    low, high, step = 0, min(len(a) - a_start, len(b) - b_start), 65536
    while low < high and b.startswith(a[a_start + low : a_start + low + step], b_start + low):
        low += step
    high = min(high, low + step)
    low = min(low, high)
    while low < high:
        middle = (low + high + 1) // 2
        if a[a_start + low : a_start + middle] == b[b_start + low : b_start + middle]:
            low = middle
        else:
            high = middle - 1
    return low
