"""What differs between two runs of the same program: times, durations, addresses."""

import re

SLOT = "\ue000"
"""Stands for a value; a private character, which no text of a tool has."""
LEAST_VALUES = 3
"""Values below which a text has too few to look at."""
MOST = 200_000
"""Characters of the texts that are looked at."""

_VALUE = re.compile(
    r"[0-9](?<![\w.:-][0-9])(?:"
    r"(?<=0)x[0-9a-fA-F]{4,16}\b"
    r"|[0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
    r"|[0-9]:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?![\w:])"
    r"|[0-9]{0,8}(?:\.[0-9]{1,9})? ?(?:ns|µs|us|ms|s|sec|secs|seconds?)\b"
    r")"
)


def masked(text: str) -> str | None:
    """The text with each value as a slot; None where it has few."""
    if len(text) > MOST or SLOT in text:
        return None
    out, many = _VALUE.subn(SLOT, text)
    return out if many >= LEAST_VALUES else None


def values(text: str) -> list[str]:
    """The values, in the order in which they stand."""
    return _VALUE.findall(text)
