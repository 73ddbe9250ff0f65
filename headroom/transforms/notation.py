"""Writing values short: no quotes where none are needed, and the keys of like objects once.

    {user:mia,orders:[{id,item,paid:true,note?}
    A17,"blue, large"
    A18,socks,gift]}

stands for ``{"user":"mia","orders":[{"id":"A17","item":"blue, large","paid":true},{"id":"A18",...,"note":"gift"}]}``.

- A string stands bare unless it could be read as something else (a number, true, a cell's end): then it is a JSON
  string. Numbers keep their spelling.
- An array of like objects is a header and a line for each object. In the header a key alone has a cell in every row,
  ``key:value`` is the same in every row, ``key?`` is absent where the cell is empty (or, at a row's end, missing),
  ``key:{...}`` and ``key:[{...}]`` give the keys of nested objects, whose cells stand in braces, and ``key:<other>``
  has the value of another key.
- An object of like objects has ``<key>:{...}`` as its header, and its keys before the rows.
- A string that holds JSON is ``json(...)``.
- A row, or a nested object, that was written before may stand as its first value alone: REPEATS says so.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any

from headroom.transforms.json_values import MAX_DEPTH, Plain, parse

REPEATS = "(a row or {} with only its first value repeats the last one above, in its column, that starts with it)\n"
"""Stands before a text in which the rule is used."""

# Fixed sets: what Python counts as printable or as space may differ between its versions.
_HIDDEN = r"\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff"
_SPACES = r"\x00-\x1f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_STRUCTURE = r",{}\[\]\"\\"
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_NAMES = r"true|false|null|None|True|False|NaN|-?Infinity"
_ODD = rf"(?: |<|json\(|(?:{_NUMBER}|{_NAMES})?$)"
_BARE = re.compile(rf"(?!{_ODD})[^{_STRUCTURE}{_SPACES}{_HIDDEN}]+(?<! )\Z")
_BARE_KEY = re.compile(rf"(?! )[^:?<>{_STRUCTURE}{_SPACES}{_HIDDEN}]+(?<! )\Z")
_PLAIN = re.compile(rf"(?! )[^{_STRUCTURE}{_SPACES}{_HIDDEN}]*(?<! )\Z")
_ANY_UNSAFE = re.compile(f"[{_STRUCTURE}{_SPACES}{_HIDDEN}]".replace(r"\x00-\x1f", r"\x00-\x09\x0b-\x1f"))
_ANY_ODD = re.compile(f"^{_ODD}", re.M)
_TO_ESCAPE = re.compile(f"[{_HIDDEN}]")

_MISSING: Any = object()
_MAX_KEYS = 256
_MIN_REPEAT = 24  # characters that one repeated row saves, and
_MIN_REPEATS = 2 * len(REPEATS)  # all of them together
_encode = json.JSONEncoder(ensure_ascii=False).encode
_escape = json.JSONEncoder().encode


class TooDeepError(ValueError):
    """The value is nested deeper than MAX_DEPTH."""


class _RowsInlineError(Exception):
    """A shortened array, which has lines of its own, would come to stand in a row."""


class Crushed(list[Any]):
    """What is left of an array of ``total`` items; ``note`` says what was left out, "" for nothing to say."""

    def __init__(self, kept: Iterable[Any], total: int, note: str) -> None:
        super().__init__(kept)
        self.total = total
        self.note = note

    def marker(self) -> str:
        """The lines that say so; the first is the one to which a way of getting the rest can be added."""
        note = f"({self.note})\n" if self.note else ""
        return f"\n[{self.total} items compressed to {len(self)}]\n{note}"


def quoted(text: str) -> str:
    """A JSON string in which characters stand as themselves, but for those that no reader sees."""
    spelled = _encode(text)
    if spelled.isascii() and "\x7f" not in spelled:
        return spelled
    return _TO_ESCAPE.sub(lambda m: _escape(m[0])[1:-1], spelled)


def untyped(text: str) -> str:
    """A cell of a format that knows no types: bare wherever that is safe."""
    return Plain(text) if _PLAIN.match(text) else text


def untyped_all(texts: Sequence[str]) -> list[str]:
    """``untyped`` of each, quickly where all are bare and where many are the same."""
    different = list(set(texts))
    written = dict(zip(different, map(Plain if _all_safe(different) else untyped, different), strict=True))
    return list(map(written.__getitem__, texts))


def _all_safe(texts: Sequence[str]) -> bool:
    """Whether none has a character, or a space at an end, that may not stand bare."""
    joined = "\n".join(texts)
    return (
        joined.count("\n") == len(texts) - 1
        and " \n" not in joined
        and "\n " not in joined
        and joined[:1] != " "
        and joined[-1:] != " "
        and not _ANY_UNSAFE.search(joined)
    )


def write(value: Any) -> tuple[str, int]:
    """The text of a value, and how many objects stand in it as rows. Raises TooDeepError."""
    return _write(value, _Writer.value)


def write_lines(objects: Sequence[dict[str, Any]]) -> tuple[str, int]:
    """The same for one object a line: a header and rows without the brackets of an array where they are alike."""
    return _write(objects, _Writer.lines)


def written_singly(value: Any) -> str:
    """The text of a value on one line, with the keys of each object in it. Raises TooDeepError."""
    return _Writer(repeats=False).value(value, inline=True)


def _write(value: Any, how: Any) -> tuple[str, int]:
    writer = _Writer(repeats=True)
    text = how(writer, value)
    if 0 < writer.saved < _MIN_REPEATS:
        writer = _Writer(repeats=False)
        text = how(writer, value)
    return (REPEATS if writer.saved else "") + text, writer.rows


class _Keys(dict[str, str]):
    def __missing__(self, key: str) -> str:
        spelled = self[key] = key if _BARE_KEY.match(key) else quoted(key)
        return spelled


class _Strings(dict[str, str]):
    def __init__(self, writer: "_Writer") -> None:
        self._writer = writer

    def __missing__(self, text: str) -> str:
        spelled = self[text] = self._spell(text)
        return spelled

    def _spell(self, text: str) -> str:
        if _BARE.match(text):
            return text
        if len(text) > 20 and text[0] in "{[" and text[-1] in "}]":
            try:
                value = parse(text)
            except (ValueError, RecursionError):
                return quoted(text)
            return f"json({self._writer.value(value, inline=True)})"
        return quoted(text)


class _Column:
    """How a value is written in every row: ``shape`` is what the header says of it, ``cells`` what the rows say.

    No shape: the cells are values. No cells: the header says it all.
    """

    __slots__ = ("cells", "shape")

    def __init__(self, shape: str, cells: list[str] | None) -> None:
        self.shape = shape
        self.cells = cells


class _Writer:
    """Writes one value. ``rows`` and ``saved`` count objects written as rows, and characters that repeats saved."""

    def __init__(self, repeats: bool) -> None:
        self.rows = 0
        self.saved = 0
        self._repeats = repeats
        self._strings = _Strings(self)
        self._keys = _Keys()
        self._depth = 0

    def value(self, value: Any, inline: bool = False) -> str:
        """One value; ``inline`` keeps it on one line, so without rows."""
        kind = type(value)
        if kind is str:
            return self._strings[value]
        if kind is Plain:
            return str(value)
        if kind is dict or kind is list or kind is Crushed:
            self._deeper()
            written = self._object(value, inline) if kind is dict else self._array(value, inline)
            self._depth -= 1
            return written
        return "null" if value is None else "true" if value else "false"

    def lines(self, objects: Sequence[dict[str, Any]]) -> str:
        column = self._rows(objects)
        if column is None or column.cells is None:
            lines = [self.value(o) for o in objects]
        else:
            lines = [column.shape, *self._bare(column.cells)]
        return "\n".join(lines) + (objects.marker().rstrip("\n") if type(objects) is Crushed else "")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError(f"nested deeper than {MAX_DEPTH}")

    def _object(self, value: dict[str, Any], inline: bool) -> str:
        if not inline and len(value) > 1 and set(map(type, value.values())) == {dict}:
            column = self._rows(list(value.values()), list(value))
            if column is not None and column.cells is not None:
                rows = map("{}:{}".format, map(self._keys.__getitem__, value), self._bare(column.cells))
                return "\n".join(("{<key>:" + column.shape, *rows)) + "}"
        return "{" + ",".join([f"{self._keys[k]}:{self.value(v, inline)}" for k, v in value.items()]) + "}"

    def _array(self, value: list[Any], inline: bool) -> str:
        end = "]"
        if type(value) is Crushed:
            if inline:
                raise _RowsInlineError
            end = value.marker() + "]"
        if not inline and len(value) > 1:
            column = self._rows(value)
            if column is not None and column.cells is not None:
                return "\n".join(("[" + column.shape, *self._bare(column.cells))) + end
        return "[" + ",".join([self.value(v, inline) for v in value] if not inline else self._cells(value)) + end

    def _rows(self, values: Sequence[Any], names: list[str] | None = None) -> _Column | None:
        """Like values below each other; None where each has to be written by itself."""
        depth = self._depth
        try:
            return self._shaped(values, names) if names else self._elements(values)
        except _RowsInlineError:
            self._depth = depth
            return None

    def _bare(self, cells: list[str]) -> list[str]:
        self.rows += len(cells)
        return [cell[1:-1] if cell[0] == "{" else cell for cell in cells]

    def _elements(self, values: Sequence[Any]) -> _Column | None:
        kinds = set(map(type, values))
        if kinds == {dict}:
            return self._shaped(values, None)
        if kinds == {list}:
            return self._nested_arrays(values)
        return None

    def _cells(self, values: Sequence[Any]) -> list[str]:
        """Each value by itself, on one line; "" for one that is missing."""
        kinds = set(map(type, values))
        if kinds == {Plain}:
            return list(values)
        if kinds == {str}:
            if _all_safe(values) and not _ANY_ODD.search("\n".join(values)):
                return list(values)
            return list(map(self._strings.__getitem__, values))
        return ["" if v is _MISSING else self.value(v, inline=True) for v in values]

    def _column(self, values: Sequence[Any]) -> _Column:
        """The values of one key in all rows; _MISSING where a row has none."""
        kinds = set(map(type, values))
        column = None
        if dict in kinds:
            column = self._nested_objects(values)
        elif list in kinds and kinds <= {list, type(None), object}:
            column = self._nested_arrays(values)
        if column is not None:
            return column
        cells = self._arrays_of_scalars(values) if kinds == {list} else self._cells(values)
        if len(cells) > 1 and cells.count(cells[0]) == len(cells):
            return _Column(quoted(cells[0]) if cells[0][:1] == "<" else cells[0], None)  # <x> is another key's value
        return _Column("", cells)

    def _arrays_of_scalars(self, values: Sequence[list[Any]]) -> list[str]:
        elements = list(chain.from_iterable(values))
        if not set(map(type, elements)).isdisjoint((dict, list, Crushed)):
            return self._cells(values)
        cells = iter(self._cells(elements))
        return ["[" + ",".join(islice(cells, len(v))) + "]" for v in values]

    def _nested_objects(self, values: Sequence[Any]) -> _Column | None:
        objects = [v for v in values if type(v) is dict]
        column = self._shaped(objects, None) if len(objects) > 1 else None
        if column is None or len(objects) == len(values):
            return column
        if column.cells is None:
            return None
        cells = iter(column.cells)
        others = iter(self._cells([v for v in values if type(v) is not dict]))
        return _Column(column.shape, [next(cells) if type(v) is dict else next(others) for v in values])

    def _nested_arrays(self, values: Sequence[Any]) -> _Column | None:
        elements = [element for v in values if type(v) is list for element in v]
        column = self._elements(elements) if len(elements) > 1 else None
        if column is None or column.cells is None:
            return None
        cells = iter(column.cells)
        written = [
            "[" + ",".join(islice(cells, len(v))) + "]" if type(v) is list else "" if v is _MISSING else "null"
            for v in values
        ]
        return _Column(f"[{column.shape}]", written)

    def _shaped(self, objects: Sequence[dict[str, Any]], names: list[str] | None) -> _Column | None:
        """A header for like objects and a row in braces for each; ``names`` are the keys that they stand under."""
        self._deeper()
        columns = _columns(objects)
        if columns is None:
            self._depth -= 1
            return None
        header: list[str] = []
        varying: list[list[str]] = []
        known: dict[tuple[str, ...], str] = {}
        first_is_value = gaps = False
        for key, optional, values in columns:
            name = self._keys[key] + ("?" if optional else "")
            if names is not None and set(map(type, values)) == {str} and list(values) == names:
                header.append(f"{name}:<key>")
                continue
            column = self._column(values)
            if column.cells is None:
                header.append(f"{name}:{column.shape}")
                continue
            same = known.setdefault((column.shape, *column.cells), self._keys[key])
            if same not in (self._keys[key], "key") and not optional and sum(map(len, column.cells)) > 2 * len(same):
                header.append(f"{name}:<{same}>")
                continue
            header.append(f"{name}:{column.shape}" if column.shape else name)
            first_is_value = first_is_value if varying else not column.shape
            varying.append(column.cells)
            gaps = optional
        self._depth -= 1
        shape = "{" + ",".join(header) + "}"
        if not varying:
            return _Column(shape, None)
        rows = list(map(",".join, zip(*varying, strict=True)))
        if gaps and len(varying) > 1:
            rows = [_trimmed(first, row) for first, row in zip(varying[0], rows, strict=True)]
        if names is None and first_is_value and len(varying) > 1 and self._repeats:
            self._say_repeats(varying[0], rows)
        return _Column(shape, list(map("{{{}}}".format, rows)))

    def _say_repeats(self, firsts: list[str], rows: list[str]) -> None:
        if len(set(rows)) == len(rows):
            return
        last: dict[str, str] = {}
        for i, (first, row) in enumerate(zip(firsts, rows, strict=True)):
            if first and last.get(first) == row and len(row) - len(first) >= _MIN_REPEAT:
                self.saved += len(row) - len(first)
                rows[i] = first
            else:
                last[first] = row


def _trimmed(first: str, row: str) -> str:
    """Without the commas of absent last values; one stays where the first value would stand alone."""
    trimmed = row.rstrip(",")
    return trimmed if len(trimmed) > len(first) else first + ","


def _columns(objects: Sequence[dict[str, Any]]) -> Iterable[tuple[str, bool, Sequence[Any]]] | None:
    """(key, whether some objects lack it, values) for each key of like objects, in an order in which every object
    has its keys; None where there is none, or where the gaps would cost more than the names."""
    keysets = dict.fromkeys(map(tuple, objects))
    if len(keysets) == 1:
        keys = next(iter(keysets))
        values = zip(*map(dict.values, objects), strict=True)
        return [(key, False, column) for key, column in zip(keys, values, strict=True)]
    merged = _merge(keysets)
    if merged is None:
        return None
    present = sum(map(len, objects))
    gaps = len(objects) * len(merged) - present
    names = sum(len(k) + 2 for o in objects for k in o)
    if gaps > present or names <= sum(len(k) + 3 for k in merged) + 2 * gaps:
        return None
    has = Counter(chain.from_iterable(keysets))
    return ((k, has[k] < len(keysets), [o.get(k, _MISSING) for o in objects]) for k in merged)


def _merge(keysets: Iterable[tuple[str, ...]]) -> list[str] | None:
    """All keys in an order that each object's own order agrees with."""
    merged: list[str] = []
    place: dict[str, int] = {}
    for keys in keysets:
        at = 0
        for key in keys:
            if key not in place:
                if len(merged) == _MAX_KEYS:
                    return None
                merged.insert(at, key)
                place = {k: i for i, k in enumerate(merged)}
            elif place[key] < at:
                return None
            at = place[key] + 1
    return merged
