"""Settings of the transforms."""

from collections.abc import Sequence
from dataclasses import dataclass

from headroom.errors import ConfigurationError

RELEVANCE_TIERS = ("bm25", "embedding")


@dataclass(frozen=True, slots=True)
class SmartCrusherConfig:
    """What SmartCrusher leaves out of long arrays, where it may leave anything out.

    Raises ConfigurationError for a value that is out of its range.
    """

    enabled: bool = True
    min_items_to_analyze: int = 5
    """Arrays of fewer items stay whole."""
    min_tokens_to_crush: int = 200
    """Nothing is left out of texts of fewer tokens."""
    variance_threshold: float = 2.0
    """A number is an outlier, and a step in a series a change, beyond so many standard deviations."""
    uniqueness_threshold: float = 0.1
    """A field with at most this share of different values is a category: each of its values is worth an example."""
    similarity_threshold: float = 0.8
    """An item that shares this much with what is kept already says nothing new."""
    max_items_after_crush: int = 15
    """Items kept of an array; more where more must survive (errors, outliers, changes, matches)."""
    preserve_change_points: bool = True
    preserve_fields: Sequence[str] = ("error", "warning", "failure")
    """Items in which a field of this name says something, or any field has this value, are always kept."""
    relevance_tier: str = "bm25"
    """How items are matched to the query: "bm25", or "embedding" where a scorer for it is given."""
    dedup_identical_items: bool = True
    first_fraction: float = 0.3
    last_fraction: float = 0.15
    """Shares of max_items_after_crush that go to the first and the last items."""
    lossless_only: bool = False

    def __post_init__(self) -> None:
        fields = (self.preserve_fields,) if isinstance(self.preserve_fields, str) else self.preserve_fields
        object.__setattr__(self, "preserve_fields", tuple(fields))
        _at_least("min_items_to_analyze", self.min_items_to_analyze, 1)
        _at_least("min_tokens_to_crush", self.min_tokens_to_crush, 0)
        _at_least("max_items_after_crush", self.max_items_after_crush, 1)
        if not self.variance_threshold > 0:
            raise _wrong("variance_threshold", self.variance_threshold, "a number above 0")
        for name in ("uniqueness_threshold", "similarity_threshold", "first_fraction", "last_fraction"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise _wrong(name, share, "a share from 0 to 1")
        if self.first_fraction + self.last_fraction > 1:
            found = f"{self.first_fraction} + {self.last_fraction}"
            raise _wrong("first_fraction + last_fraction", found, "at most 1 together")
        if self.relevance_tier not in RELEVANCE_TIERS:
            raise _wrong("relevance_tier", self.relevance_tier, " or ".join(RELEVANCE_TIERS))


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise _wrong(name, value, f"a whole number of at least {least}")


def _wrong(name: str, found: object, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is {found!r}; expected {expected}", {"setting": name, "found": found, "expected": expected}
    )
