"""Reading the YAML that programs print: block mappings and sequences of scalars on one line each."""

import json
import re
from typing import Any

from headroom.transforms.json_values import MAX_DEPTH, Plain
from headroom.transforms.notation import quoted, untyped

_KEY = re.compile(r"[A-Za-z0-9_./$(][^\"'#&*!|>%@`]*(?<! )\Z")
_SCALAR = re.compile(r"(?:[^\s\"'\[\]{}#&*!|>%@`,?:-]|[-?:](?=\S)(?!\s))(?:[^:#]|:(?! |$)|(?<! )#)*\Z")
_TYPED = re.compile(
    r"[-+]?(?:0x[0-9A-Fa-f_]+|0o[0-7_]+|[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+|\.inf|\.nan)\Z|~\Z"
    r"|(?:null|true|false|yes|no|on|off|y|n)\Z",
    re.I,
)
_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*"\Z')
_QUOTED_KEY = re.compile(r"(?:'((?:[^']|'')*)'|\"((?:[^\"\\]|\\.)*)\"):(?: |\Z)")
_SINGLE = re.compile(r"'(?:[^']|'')*'\Z")


def parse(text: str) -> Any:
    """The value of a text that is one YAML mapping or sequence; raises ValueError where it is not, or where it has
    more than values: comments, anchors, texts of several lines, several documents."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        content = line.lstrip(" ")
        if not content or content[-1] in " \t\r" or content[0] == "\t":
            raise ValueError("a line that is not YAML as programs print it")
        lines.append((len(line) - len(content), content))
    reader = _Reader(lines)
    value = reader.block(lines[0][0], 0)
    if reader.at < len(lines):
        raise ValueError("a line that belongs nowhere")
    return value


class _Pairs(dict[str, tuple[str, str, Any] | None]):
    """(key, value as written, value) of each line of a mapping, None for other lines: many come again."""

    def __missing__(self, content: str) -> tuple[str, str, Any] | None:
        pair = _split(content)
        found = self[content] = (*pair, _scalar(pair[1]) if pair[1] else None) if pair else None
        return found


class _Reader:
    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self.lines = lines
        self.at = 0
        self._pairs = _Pairs()

    def block(self, indent: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        content = self.lines[self.at][1]
        if content.startswith("- ") or content == "-":
            return self._sequence(indent, depth)
        return self._mapping(indent, depth)

    def _sequence(self, indent: int, depth: int) -> list[Any]:
        items: list[Any] = []
        while self.at < len(self.lines):
            here, content = self.lines[self.at]
            if here != indent or not (content.startswith("- ") or content == "-"):
                break
            rest = content[1:].lstrip(" ")
            if not rest:
                self.at += 1
                items.append(self._below(indent, depth, sequence=False))
            elif rest.startswith("- ") or _split(rest) is not None:
                inner = indent + len(content) - len(rest)
                self.lines[self.at] = (inner, rest)
                items.append(self.block(inner, depth + 1))
            else:
                self.at += 1
                items.append(_scalar(rest))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while self.at < len(self.lines):
            here, content = self.lines[self.at]
            if here != indent or content.startswith("- "):
                break
            pair = self._pairs[content]
            if pair is None:
                raise ValueError("not a key and a value")
            key, rest, scalar = pair
            if key in value:
                raise ValueError("a key stands twice")
            self.at += 1
            value[key] = scalar if rest else self._below(indent, depth, sequence=True)
        return value

    def _below(self, indent: int, depth: int, sequence: bool) -> Any:
        """What stands under a key or a dash. A sequence may stand as far to the left as its key."""
        if self.at < len(self.lines):
            here, content = self.lines[self.at]
            if here > indent or (sequence and here == indent and content.startswith("- ")):
                return self.block(here, depth + 1)
        return None


def _split(content: str) -> tuple[str, str] | None:
    """(key, value as written) of a mapping's line. A key in quotes that without them would be no text (``'200'``)
    keeps single ones."""
    if content[0] in "'\"":
        quoted_key = _QUOTED_KEY.match(content)
        if not quoted_key:
            return None
        single, double = quoted_key[1], quoted_key[2]
        key = str(json.loads(f'"{double}"')) if single is None else single.replace("''", "'")
        return f"'{key}'" if _TYPED.match(key) else key, content[quoted_key.end() :].lstrip(" ")
    key, colon, rest = content.partition(": ")
    if not colon:
        if not content.endswith(":"):
            return None
        key = content[:-1]
    if not _KEY.match(key):
        return None
    return key, rest.lstrip(" ")


def _scalar(text: str) -> Any:
    if text == "{}":
        return {}
    if text == "[]":
        return []
    if _DOUBLE.match(text):
        return _string(json.loads(text))
    if _SINGLE.match(text):
        return _string(text[1:-1].replace("''", "'"))
    if not _SCALAR.match(text):
        raise ValueError("more than a scalar")
    return untyped(text) if _TYPED.match(text) else text


def _string(text: str) -> str:
    """A string that stood in quotes; without them it may have been something else."""
    return Plain(quoted(text)) if _TYPED.match(text) else text
