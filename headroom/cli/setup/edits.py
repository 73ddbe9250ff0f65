"""What is changed in a client's file, and how it is taken back: only our own words, whatever else stands there."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headroom.errors import ConfigurationError

BEGIN, END = "# >>> headroom", "# <<< headroom"
_block = re.compile(rf"(?:\A|(?<=\n)){re.escape(BEGIN)}\n(?:.*\n)*?{re.escape(END)}(?:\n|\Z)")


class Edit(Protocol):
    """A change of a text. Raises ConfigurationError where it can't be made without harm."""

    def make(self, text: str) -> str:
        """The text with the change; the same where it has been made already."""
        ...

    def undo(self, text: str, before: str) -> str:
        """The text without the change; ``before`` is what it was before it was made."""
        ...


@dataclass(frozen=True, slots=True)
class JsonEdit:
    """Values in a JSON object, each at a path of names."""

    values: Mapping[Sequence[str], object]
    choice: str = ""
    """Why none of the values may be changed where another stands; "" where it may."""

    def make(self, text: str) -> str:
        return _dumped(self._with(_object(text)), text)

    def undo(self, text: str, before: str) -> str:
        held, old = _object(text), _object(before)
        for path, value in self.values.items():
            if _at(held, path) != value:
                continue  # it is somebody else's by now
            was = _at(old, path)
            if was is None:
                _remove(held, path, old)
            else:
                _put(held, path, was)
        return _dumped(held, text)

    def _with(self, held: dict[str, Any]) -> dict[str, Any]:
        for path, value in self.values.items():
            found = _at(held, path)
            if self.choice and found not in (None, value):
                raise ConfigurationError(f"its {'.'.join(path)} is {found!r}: {self.choice}", {"found": found})
            _put(held, path, value)
        return held


@dataclass(frozen=True, slots=True)
class LinesEdit:
    """Lines of our own at the end of a text, between two comments. ``names``: what no other line may set already."""

    lines: Sequence[str]
    names: Sequence[str]

    def make(self, text: str) -> str:
        rest = _block.sub("", text)
        for name in self.names:
            found = re.search(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*[=:].*$", rest, re.M)
            if found:
                raise ConfigurationError(
                    f"it says {name} itself: take the line {found[0].strip()[:60]!r} out first", {"name": name}
                )
        end = "" if not rest or rest.endswith("\n") else "\n"
        return rest + end + "".join(f"{line}\n" for line in (BEGIN, *self.lines, END))

    def undo(self, text: str, before: str) -> str:
        return _block.sub("", text)


def written(text: str, paths: Iterable[Sequence[str]]) -> dict[Sequence[str], object]:
    """What stands at these paths in a text that we wrote."""
    held = _object(text)
    return {path: _at(held, path) for path in paths}


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise ConfigurationError(f"it is no plain JSON ({error}): comments can't be kept", {}) from error
    if not isinstance(found, dict):
        raise ConfigurationError("it is no JSON object", {})
    return found


def _at(held: dict[str, Any], path: Sequence[str]) -> object:
    found: Any = held
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _put(held: dict[str, Any], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        inner = held.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"its {name!r} is no object", {"name": name})
        held = inner
    held[path[-1]] = value


def _remove(held: dict[str, Any], path: Sequence[str], old: dict[str, Any]) -> None:
    """Take a value out, and the objects around it that were made for it."""
    for length in range(len(path), 0, -1):
        around = _at(held, path[: length - 1]) if length > 1 else held
        inner = path[length - 1]
        if not isinstance(around, dict) or (length < len(path) and around.get(inner)):
            return
        if length < len(path) and _at(old, path[:length]) is not None:
            return
        around.pop(inner, None)


def _dumped(held: dict[str, Any], text: str) -> str:
    """As JSON with the text's own indent; the very text where it says the same."""
    if text.strip() and json.loads(text) == held:
        return text
    indent = re.search(r"\{\r?\n([ \t]+)", text)
    return json.dumps(held, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n"
