"""The way back: what headroom.transforms.notation wrote is read again into the value that it was given."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from headroom.transforms.json_values import Plain, parse
from headroom.transforms.notation import REPEATS

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BARE = re.compile(r"[^,{}\[\]\n\"]*")
_BARE_KEY = re.compile(r"[^,:?{}\[\]\n\"<>]+")
_NAMES: dict[str, Any] = {"true": True, "false": False, "null": None}
_CELL = object()
_OWN_KEY = object()
_MISSING = object()


@dataclass
class _Entry:
    key: str
    optional: bool = False
    node: Any = _CELL
    same_as: Any = None


@dataclass
class _Object:
    entries: list[_Entry]
    last: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class _Array:
    elements: list[Any]


@dataclass
class _Done:
    value: Any


class Json:
    """A string that holds JSON: what counts of it is the value."""

    def __init__(self, value: Any) -> None:
        self.value = value


def read(text: str, untyped: bool = False) -> Any:
    """The value of a text that ``notation.write`` made; ``untyped`` where every bare cell is text."""
    reader = _Reader(text.removeprefix(REPEATS), untyped)
    value = reader.final(reader.node())
    assert reader.at == len(reader.text), reader.text[reader.at :]
    return value


def read_lines(text: str) -> list[Any]:
    """The objects of a text that ``notation.write_lines`` made."""
    reader = _Reader(text.removeprefix(REPEATS), False)
    first = reader.node()
    if isinstance(first, _Object) and _varies(first):
        return reader.rows(first)
    values = [reader.final(first)]
    while reader.at < len(reader.text):
        reader.take("\n")
        values.append(reader.final(reader.node()))
    return values


def same(read_back: Any, original: Any) -> bool:
    """Equal with the same types, spelling of numbers and order of keys."""
    if isinstance(read_back, Json):
        return type(original) is str and same(read_back.value, parse(original))
    if type(read_back) is not type(original):
        return False
    if isinstance(read_back, dict):
        return list(read_back) == list(original) and all(same(read_back[k], original[k]) for k in read_back)
    if isinstance(read_back, list):
        return len(read_back) == len(original) and all(map(same, read_back, original))
    return bool(read_back == original)


def _varies(node: Any) -> bool:
    if isinstance(node, _Object):
        return any(e.node is _CELL or _varies(e.node) for e in node.entries)
    return isinstance(node, _Array) and any(map(_varies, node.elements))


class _Reader:
    def __init__(self, text: str, untyped: bool) -> None:
        self.text = text
        self.at = 0
        self.untyped = untyped

    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> None:
        assert self.text.startswith(expected, self.at), (expected, self.text[self.at : self.at + 80])
        self.at += len(expected)

    def node(self) -> Any:
        """A value, or the shape of one."""
        if self.next() == "{":
            return self._object()
        if self.next() == "[":
            return self._array()
        return _Done(self._scalar())

    def final(self, node: Any) -> Any:
        if isinstance(node, _Done):
            return node.value
        if isinstance(node, _Array):
            return [self.final(e) for e in node.elements]
        assert not any(e.node is _CELL or e.same_as for e in node.entries), "a key without a value"
        return {e.key: self.final(e.node) for e in node.entries}

    def _scalar(self) -> Any:
        if self.next() == '"':
            return self._string()
        if self.text.startswith("json(", self.at):
            self.take("json(")
            value = self.final(self.node())
            self.take(")")
            return Json(value)
        match = _BARE.match(self.text, self.at)
        assert match
        self.at = match.end()
        if match[0] in _NAMES and not self.untyped:
            return _NAMES[match[0]]
        return Plain(match[0]) if self.untyped or _NUMBER.match(match[0]) else match[0]

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        assert match
        self.at = match.end()
        return str(json.loads(match[0]))

    def _key(self) -> str:
        if self.next() == '"':
            return self._string()
        match = _BARE_KEY.match(self.text, self.at)
        assert match, self.text[self.at : self.at + 40]
        self.at = match.end()
        return match[0]

    def _object(self) -> Any:
        self.take("{")
        if self.text.startswith("<key>:", self.at):
            self.take("<key>:")
            shape = self.node()
            value: dict[str, Any] = {}
            while self.next() != "}":
                self.take("\n")
                key = self._key()
                self.take(":")
                value[key] = self.row(shape, key)
            self.take("}")
            return _Done(value)
        entries: list[_Entry] = []
        while self.next() != "}":
            if entries:
                self.take(",")
            entry = _Entry(self._key())
            if self.next() == "?":
                self.take("?")
                entry.optional = True
            if self.next() == ":":
                self.take(":")
                if self.next() == "<":
                    self.take("<")
                    entry.same_as, entry.node = self._reference(), None
                else:
                    entry.node = self.node()
            entries.append(entry)
        self.take("}")
        return _Object(entries)

    def _reference(self) -> Any:
        """What stands in angle brackets: another key, or ``key`` bare for what the object stands under."""
        quoted = self.next() == '"'
        name = self._key()
        self.take(">")
        return name if quoted or name != "key" else _OWN_KEY

    def _array(self) -> Any:
        self.take("[")
        elements: list[Any] = []
        while self.next() != "]":
            if elements:
                self.take(",")
            elements.append(self.node())
            if self.next() == "\n":
                rows = self.rows(elements[0])
                self.take("]")
                return _Done(rows)
        self.take("]")
        return _Array(elements)

    def rows(self, shape: Any) -> list[Any]:
        rows = []
        while self.next() == "\n":
            self.take("\n")
            rows.append(self.row(shape))
        return rows

    def row(self, shape: Any, key: str = "") -> Any:
        return self._cells(shape, key) if isinstance(shape, _Object) else self._cell(shape)

    def _cell(self, shape: Any, optional: bool = False) -> Any:
        if self.next() in (",", "}", "]", "\n", ""):
            assert optional or self.untyped, "an empty cell"
            return _MISSING if optional else Plain("")
        if isinstance(shape, _Object) and self.next() == "{":
            self.take("{")
            value = self._cells(shape, "")
            self.take("}")
            return value
        if isinstance(shape, _Array) and self.next() == "[":
            self.take("[")
            values: list[Any] = []
            while self.next() != "]":
                if values:
                    self.take(",")
                values.append(self._cell(shape.elements[0]))
            self.take("]")
            return values
        return self.final(self.node())

    def _cells(self, shape: _Object, key: str) -> Any:
        """The object that a row of ``shape`` stands for; ``key`` is what it stands under."""
        varying = [e for e in shape.entries if e.node is _CELL or _varies(e.node)]
        value: dict[str, Any] = {}
        start = self.at
        name = ""
        for entry in shape.entries:
            if entry.same_as is not None:
                value[entry.key] = key if entry.same_as is _OWN_KEY else value[entry.same_as]
                continue
            if not any(entry is e for e in varying):
                value[entry.key] = self.final(entry.node)
                continue
            if entry is not varying[0]:
                if self.next() in ("}", "\n", "", "]"):
                    if self.text[start : self.at] == name:
                        return shape.last[name]
                    continue
                self.take(",")
            cell = self._cell(entry.node, entry.optional)
            if entry is varying[0]:
                name = self.text[start : self.at]
            if cell is not _MISSING:
                value[entry.key] = cell
        shape.last[name] = value
        return value
