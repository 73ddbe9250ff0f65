"""What is counted for tool outputs of one structure, and what follows from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from headroom.errors import ValidationError

LEAST_SAMPLES = 10
"""Outputs of one structure from which anything is concluded."""
OFTEN = 0.5
"""Share of outputs that were asked for again from which nothing is left out of the next."""
SOMETIMES = 0.2
"""Share from which twice as much is kept."""
MOST_FIELDS = 100
UNKNOWN = "unknown"
_hex = re.compile(r"[0-9a-f]{8}\Z").match
_name = re.compile(r"[\w.+:/ -]{1,80}\Z").match


class PatternKey(NamedTuple):
    """Whose outputs, for which models, of what structure."""

    auth_mode: str
    model_family: str
    structure_hash: str

    def __str__(self) -> str:
        return "|".join(self)

    @classmethod
    def parse(cls, text: str) -> "PatternKey":
        """Raises ValidationError for what ``str`` did not write."""
        parts = text.split("|")
        if len(parts) != 3 or not all(map(_name, parts)):
            raise ValidationError(
                f"{text[:200]!r} is no pattern's name; expected auth mode|model family|structure hash"
            )
        return cls(*parts)


@dataclass(slots=True)
class FieldFigures:
    """Of a field: items that had it, in which it said something, spoke of an error, and was part of a query."""

    items: int = 0
    filled: int = 0
    errors: int = 0
    asked: int = 0

    def add(self, other: "FieldFigures") -> None:
        self.items += other.items
        self.filled += other.filled
        self.errors += other.errors
        self.asked += other.asked


@dataclass(slots=True)
class Pattern:
    """Counts. ``strategies`` are outputs by strategy, ``fields`` by hashed name, ``updated`` is Unix seconds."""

    compressions: int = 0
    items_before: int = 0
    items_after: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    retrievals: int = 0
    full_retrievals: int = 0
    strategies: dict[str, int] = field(default_factory=dict)
    fields: dict[str, FieldFigures] = field(default_factory=dict)
    updated: float = 0.0

    @property
    def retrieval_rate(self) -> float:
        """Retrievals for each output that something was left out of; 0 without any."""
        return min(1.0, self.retrievals / self.compressions) if self.compressions else 0.0

    def add(self, other: "Pattern") -> None:
        """Add what another one counted."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for strategy, count in other.strategies.items():
            self.strategies[strategy] = self.strategies.get(strategy, 0) + count
        for name, figures in other.fields.items():
            if name in self.fields or len(self.fields) < MOST_FIELDS:
                self.fields.setdefault(name, FieldFigures()).add(figures)
        self.updated = max(self.updated, other.updated)

    def as_json(self) -> dict[str, Any]:
        """For the file: figures, and names that are hashed."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "strategies": self.strategies,
            "fields": {name: [f.items, f.filled, f.errors, f.asked] for name, f in self.fields.items()},
            "updated": self.updated,
        }

    @classmethod
    def from_json(cls, said: object) -> "Pattern":
        """Raises ValidationError for what is no pattern, so that no name and no value can come in."""
        if not isinstance(said, Mapping):
            raise ValidationError("a pattern is not an object")
        pattern = cls()
        for name in _COUNTS:
            setattr(pattern, name, _count(name, said.get(name, 0)))
        updated = said.get("updated", 0.0)
        pattern.updated = float(updated) if isinstance(updated, int | float) else 0.0
        for strategy, count in _object(said, "strategies"):
            if not _name(strategy):
                raise ValidationError(f"strategies has the name {strategy[:80]!r}; expected a word")
            pattern.strategies[strategy] = _count(f"strategies.{strategy}", count)
        for name, figures in _object(said, "fields")[:MOST_FIELDS]:
            if not _hex(name) or not isinstance(figures, list) or len(figures) != 4:
                raise ValidationError(f"fields has {name[:80]!r}; expected 8 hex digits with four counts")
            pattern.fields[name] = FieldFigures(*(_count(f"fields.{name}", figure) for figure in figures))
        return pattern


_COUNTS = (
    "compressions", "items_before", "items_after", "tokens_before", "tokens_after", "retrievals", "full_retrievals",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What follows for outputs of a structure. ``importance``: how often what was left out was asked for, 0 to 1.
    ``keep_factor``: how many times as much as by default is kept. ``error_fields`` and ``asked_fields`` are hashed."""

    skip: bool = False
    keep_factor: float = 1.0
    importance: float = 0.0
    error_fields: frozenset[str] = frozenset()
    asked_fields: frozenset[str] = frozenset()


def recommend(pattern: Pattern) -> Recommendation | None:
    """None while too little was seen."""
    if pattern.compressions < LEAST_SAMPLES:
        return None
    rate = pattern.retrieval_rate
    return Recommendation(
        skip=rate > OFTEN,
        keep_factor=2.0 if rate > SOMETIMES else 1.0,
        importance=rate,
        error_fields=frozenset(name for name, f in pattern.fields.items() if f.errors > 0.5 * max(f.filled, 1)),
        asked_fields=frozenset(name for name, f in pattern.fields.items() if f.asked > 0.1 * pattern.retrievals > 0),
    )


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValidationError(f"{name} is {str(value)[:80]!r}; expected a whole number of 0 or more")
    return value


def _object(said: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    value = said.get(name, {})
    if not isinstance(value, Mapping):
        raise ValidationError(f"{name} is not an object")
    return [(str(key), part) for key, part in value.items()]
