"""The names of a conversation: which stand in it, and when the model or the user last said one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{4,}|[A-Za-z0-9_]+(?:[./-][A-Za-z0-9_]+)+|\d{3,}")
"""What an agent takes over from an output: identifiers, paths, versions, numbers."""
_PART = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}|[a-z]{3,}")
LEAST_LINE = 8
"""Characters of a line, without the blanks around it, that is remembered."""
_NUMBER = re.compile(r"\s*\d+(?:→|\t|:)")
_HIT = re.compile(r"(?=[\w@+-]*+[./])[\w./@+-]++:(?=\d+:)")
"""What a search writes before a line's number; a time of the day has no dot or slash before its colon."""


def parts_of(text: str) -> list[str]:
    """The words that names are made of, in lower case: ``get_userName`` has get, user and name."""
    return [part.lower() for part in _PART.findall(text)]


def line_key(line: str) -> str:
    """A line without its number and the blanks around it."""
    number = _NUMBER.match(line)
    return (line[number.end() :] if number else line).strip()


def content_key(line: str) -> str:
    """A line as ``line_key`` has it, and without the file that a search names before it: what the file itself has."""
    hit = _HIT.match(line)
    return line_key(line[hit.end() :] if hit else line)


def content_keys(lines: Iterable[str]) -> list[str]:
    """Those of lines that are long enough to be told from others."""
    return [key for line in lines if len(key := content_key(line)) >= LEAST_LINE]


@dataclass(slots=True)
class Vocabulary:
    """Grows with the conversation. ``turn`` counts the model's answers so far."""

    turn: int = 0
    seen: set[str] = field(default_factory=set)
    """Names that stand anywhere in what the provider gets."""
    lines: set[str] = field(default_factory=set)
    """Lines that stand there."""
    said: dict[str, int] = field(default_factory=dict)
    """Names that the model or the user said, and when last."""
    parts: dict[str, int] = field(default_factory=dict)
    """The words that those are made of."""
    task: frozenset[str] = frozenset()
    """The words of what the user asked for last."""

    def shown(self, text: str) -> None:
        """A tool's output, in the form that the provider gets."""
        self.seen.update(NAME.findall(text))
        self.lines.update([key for line in text.split("\n") if len(key := line_key(line)) >= LEAST_LINE])

    def speaks(self, text: str) -> None:
        """Something that the model said or gave to a tool."""
        names = NAME.findall(text)
        self.seen.update(names)
        turn = self.turn
        self.said.update(dict.fromkeys(names, turn))
        self.parts.update(dict.fromkeys(parts_of(text), turn))

    def asked(self, text: str) -> None:
        """Something that the user said."""
        self.speaks(text)
        self.task = frozenset(parts_of(text))

    def answered(self) -> None:
        """An answer of the model begins."""
        self.turn += 1
