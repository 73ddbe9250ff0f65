"""What tells tool outputs of one structure from those of another, without a name or a value."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAMPLE = 5
"""Items of an array that are looked at for its structure."""
DEPTH = 4
_ERROR = re.compile(
    r"(?i)\b(?:error|errors|exception|traceback|fail(?:ed|ure|ures)?|fatal|panic|denied|refused|timed? ?out|critical)\b"
)


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """``structure_hash``: 24 hex digits over field names with the types of their values, or for what is no JSON over
    the tool's name. ``fields``: of each top-level field the first 8 hex digits of its name's SHA-256."""

    structure_hash: str
    fields: tuple[str, ...] = ()

    @classmethod
    def from_items(cls, items: Sequence[Any]) -> "ToolSignature":
        """Of the items of an array, or of one object in a list."""
        shapes = sorted({shape for item in items[:SAMPLE] for shape in _shapes(item, "", 0)})
        return cls(_hash("json\n" + "\n".join(shapes), 24), tuple(sorted({field_hash(k) for k in _names(items)})))

    @classmethod
    def of(cls, text: str, tool: str = "") -> "ToolSignature":
        """Of a tool's output."""
        items = items_of(text)
        return cls.from_items(items) if items else cls(_hash(f"text\n{tool.strip().lower()}", 24))


def field_hash(name: str) -> str:
    """What stands for a field's name."""
    return _hash(name, 8)


def items_of(text: str) -> list[Any]:
    """The items of a JSON text: of its array, or of the longest array in its object; else the object itself. Empty for
    what is no JSON, or JSON without objects."""
    start = text.lstrip()[:1]
    if start not in ("[", "{"):
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    arrays = [value] if isinstance(value, list) else [part for part in value.values() if isinstance(part, list)]
    best = max(arrays, key=len, default=[])
    if any(isinstance(item, dict) for item in best):
        return list(best)
    return [value] if isinstance(value, dict) and value else []


def field_figures(items: Sequence[Any]) -> dict[str, tuple[int, int, int]]:
    """By hashed name of each top-level field: items that have it, in which it says something, and an error."""
    found: dict[str, list[int]] = {}
    for item in items:
        if isinstance(item, Mapping):
            for name, value in item.items():
                figures = found.setdefault(field_hash(str(name)), [0, 0, 0])
                figures[0] += 1
                if says_something(value):
                    figures[1] += 1
                    figures[2] += is_error(str(name), value)
    return {name: (a, b, c) for name, (a, b, c) in found.items()}


def says_something(value: object) -> bool:
    """Whether a value is more than absence."""
    return value not in (None, "", 0, False, [], {}, "ok", "none", "null")


def is_error(name: str, value: object) -> bool:
    """Whether a field that says something speaks of an error."""
    if _ERROR.search(name.replace("_", " ")):
        return True
    return isinstance(value, str) and _ERROR.search(value[:500]) is not None


def _names(items: Sequence[Any]) -> Iterator[str]:
    for item in items[:SAMPLE]:
        if isinstance(item, Mapping):
            yield from map(str, item)


def _shapes(value: object, path: str, depth: int) -> Iterator[str]:
    """Each path with the type found there; names stay in the hash alone."""
    if isinstance(value, Mapping) and depth < DEPTH:
        for name, part in value.items():
            yield from _shapes(part, f"{path}\0{name}", depth + 1)
    elif isinstance(value, list) and depth < DEPTH:
        for part in value[:SAMPLE]:
            yield from _shapes(part, f"{path}\0[]", depth + 1)
    else:
        yield f"{path}:{_type(value)}"


def _type(value: object) -> str:
    if value is None:
        return ""  # a field that is sometimes null has the type of its other values
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
