"""Estimates of how many tokens the parts of a request have, where nobody needs them exactly."""

from collections.abc import Sequence

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


def ends(layout: Layout, texts: Sequence[int], head: int, known: Sequence[int] = ()) -> tuple[list[int], int]:
    """For each block how many tokens the request has up to its end; and all of them.

    ``head`` tokens stand before the messages. What is around a turn's texts counts at its beginning. ``known`` are
    the ends of the first blocks, up to the end of a turn; the texts of the others have ``texts`` tokens.
    """
    at, turn = (known[-1], layout.blocks[len(known) - 1].turn) if known else (head, -1)
    first = turn + 1
    around = [end - start for (start, end), _, _ in layout.turns[first:]]
    blocks = layout.blocks[len(known) :]
    for block in blocks:
        start, end = block.span
        around[block.turn - first] -= end - start
    found = list(known)
    for block, size in zip(blocks, texts, strict=True):
        while turn < block.turn:
            turn += 1
            at += int(min(around[turn - first], OPAQUE_BYTES) / BYTES_PER_TOKEN)
        at += size
        found.append(at)
    return found, at + sum(int(min(size, OPAQUE_BYTES) / BYTES_PER_TOKEN) for size in around[turn + 1 - first :])


class Sizes:
    """Counts what stands before the messages, tools and system prompt, once for each text of it."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def text(self, raw: bytes) -> int:
        """Tokens of a text that comes again and again."""
        if raw not in self._known:
            self._known[raw] = count(raw.decode("utf-8", "replace"))
        return self._known[raw]

    def head(self, layout: Layout) -> int:
        """Tokens before the messages."""
        total = 0
        for name in _HEAD:
            span = layout.fields.get(name)
            if span is not None:
                digest = layout.digest(name)
                if digest not in self._known:
                    if len(self._known) >= REMEMBERED:
                        self._known.clear()
                    self._known[digest] = count(layout.body[span.start : span.end].decode("utf-8", "replace"))
                total += self._known[digest]
        return total
