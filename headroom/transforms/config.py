"""Settings of the transforms."""

import re
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
    """How items are matched to the query: by words ("bm25"), or by their meaning ("embedding"), where an embedder is
    installed."""
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


_VALUE = (
    r"(?:\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}|\d{1,2}:\d{2}|\b1[5-9]\d{8}|\b20\d\d\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)"
)
"""How a date or a time begins."""
_START = r"(?:^[ \t]*(?:[-*>#]+[ \t]+)?|(?<=[.!?] ))[*_]*"
"""Where a line or a sentence begins."""
_INSIDE = r"(?:[^\n.!?]|[.!?](?=\S))"
_REST = _INSIDE + r"*[.!?]?"
"""The rest of a sentence."""
_IDS = (
    r"(?:session|request|trace|conversation|thread|run|chat|correlation|invocation|transaction)[ _-]?(?:id|uuid)|"
    r"(?:session|request|trace|conversation|correlation) (?:identifier|key)"
)
_DATES = (
    r"(?:current|present|local|system)[ _-](?:date|time|datetime|timestamp|day|month|year)(?:(?: and |[ _/-])time)?"
)
DYNAMIC_PATTERNS = (
    rf"{_START}(?:today(?:['\u2019]s date)?|(?:the )?{_DATES}|(?:the )?(?:date|time|timestamp|datetime)|now)[*_]*"
    rf"(?: is(?: now| currently)?:?| ?[:=])[*_]*(?={_INSIDE}{{0,40}}?{_VALUE}){_REST}",
    rf"{_START}it(?:['\u2019]s| is)(?: now| currently)? {_VALUE}{_REST}",
    rf"{_START}(?:your |the |this )?(?:current )?(?:{_IDS})[*_]*(?: is:?| ?[:=])[*_]*"
    rf" *[`\"']?(?=[\w.:-]*\d)(?:[\w:-]|\.(?=\w)){{6,}}{_REST}",
    rf"{_START}<(?P<tag>(?:current[_-]?)?(?:date|time|datetime|timestamp|today|now)|{_IDS})>[^<\n]{{1,100}}</(?P=tag)>",
)
"""Sentences and lines that state today's date, the time, or the id of a session or request."""


@dataclass(frozen=True, slots=True)
class CacheAlignerConfig:
    """What of a system prompt changes from request to request, and where it is put so that the rest stays cached.

    Off by default: for its provider a system prompt is the user's words. Raises ConfigurationError for a pattern that
    is no regular expression.
    """

    enabled: bool = False
    dynamic_patterns: Sequence[str] = DYNAMIC_PATTERNS
    """What is moved: all that one of these finds. ``^`` and ``$`` are a line's, case makes no difference."""
    normalize_whitespace: bool = False
    """Whether blanks at the end of lines go, and of several empty lines all but one."""
    dynamic_tail_separator: str = "\n\n---\n[Dynamic Context]\n"

    def __post_init__(self) -> None:
        given = self.dynamic_patterns
        object.__setattr__(self, "dynamic_patterns", (given,) if isinstance(given, str) else tuple(given))
        for pattern in self.dynamic_patterns:
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise _wrong("dynamic_patterns", pattern, f"a regular expression ({error})") from error
        if not self.dynamic_tail_separator.strip():
            raise _wrong("dynamic_tail_separator", self.dynamic_tail_separator, "a text that tells the tail apart")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise _wrong(name, value, f"a whole number of at least {least}")


def _wrong(name: str, found: object, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is {found!r}; expected {expected}", {"setting": name, "found": found, "expected": expected}
    )


SMART_CRUSHER = SmartCrusherConfig()
"""As nobody said anything else."""
