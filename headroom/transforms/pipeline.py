"""The order in which a tool's output is made shorter, and the guards that every result passes."""

from dataclasses import dataclass

from headroom.transforms import repeats
from headroom.transforms.base import Context
from headroom.transforms.repeats import LineIndex

LEAST_TOKENS = 60
"""Texts of fewer tokens stay as they are."""
LEAST_GAIN = 8
"""Tokens that a replacement must save, and beside them one in a hundred: other tokenizers count differently."""
NUMBERED_READS = frozenset({"Read"})
"""Tools whose numbered lines are files, and whose clients' edits address text and not numbers: Claude Code's Read."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A replacement of ``tokens`` tokens, what each strategy saved, and the blocks that it refers to."""

    text: str
    tokens: int
    saved: dict[str, int]
    sources: frozenset[int] = frozenset()


def shorten(text: str, tokens: int, index: LineIndex, subject: str, context: Context) -> Shortened | None:
    """Write a tool's output shorter; None: it stays as it is. ``tokens`` is its size.

    The same text, index and context give the same result on every machine.
    """
    found = repeats.compress(text, index, subject, context.tool in NUMBERED_READS, context.count, tokens)
    if found is None:
        return None
    after = tokens - sum(found.saved.values())
    if tokens - after < LEAST_GAIN + tokens // 100 or len(found.text.encode()) >= len(text.encode()):
        return None
    return Shortened(found.text, after, found.saved, found.sources)
