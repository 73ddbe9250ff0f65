"""Estimates of how many tokens the parts of a request have, where nobody needs them exactly."""

from collections.abc import Sequence
from hashlib import blake2b

from headroom.tokenizers import count
from headroom.wire.layout import Layout
from headroom.wire.spans import Span

BYTES_PER_TOKEN = 3.6
OPAQUE_BYTES = 40_000
"""Bytes of a turn outside its texts that are counted at most: beyond that they are images and documents."""
REMEMBERED = 1000
_HEAD = ("tools", "system", "instructions", "systemInstruction", "system_instruction", "toolConfig", "response_format")


def estimate(text: str) -> int:
    """Tokens of a text."""
    return int(len(text) / BYTES_PER_TOKEN)


def span_tokens(span: Span) -> int:
    """Tokens of what stands at a span."""
    return int((span.end - span.start) / BYTES_PER_TOKEN)


def messages_tokens(layout: Layout, texts: Sequence[int]) -> int:
    """Tokens of the list of messages, whose blocks have ``texts`` tokens: those, and the bytes around them."""
    around = [turn.span.end - turn.span.start for turn in layout.turns]
    for block in layout.blocks:
        start, end = block.span
        around[block.turn] -= end - start
    return sum(texts) + int(sum(min(size, OPAQUE_BYTES) for size in around) / BYTES_PER_TOKEN)


class Sizes:
    """Counts what stands before the messages, tools and system prompt, once for each text of it."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def head(self, layout: Layout) -> int:
        """Tokens before the messages."""
        total = 0
        for name in _HEAD:
            span = layout.fields.get(name)
            if span is not None:
                raw = layout.body[span.start : span.end]
                digest = blake2b(raw, digest_size=16).digest()
                if digest not in self._known:
                    if len(self._known) >= REMEMBERED:
                        self._known.clear()
                    self._known[digest] = count(raw.decode("utf-8", "replace"))
                total += self._known[digest]
        return total
