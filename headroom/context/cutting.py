"""Taking messages out of a request, and what stands for them."""

from collections.abc import Sequence

import orjson

from headroom.context.units import Unit
from headroom.wire.layout import Layout
from headroom.wire.spans import Patch


def cut(layout: Layout, units: Sequence[Unit], gone: Sequence[int], marker: str) -> list[Patch]:
    """What takes the messages ``gone`` out of the body and puts ``marker`` in, as a message of the user's, where the
    first of them stood. Nothing else changes. The last message must stay."""
    left = set(gone)
    at = place(units, gone)
    patches = [Patch(layout.turns[at].span.start, layout.turns[at].span.start, message(layout.shape, marker) + b",")]
    number = 0
    while number < len(layout.turns):
        end = number
        while end in left:
            end += 1
        if end > number:
            patches.append(Patch(layout.turns[number].span.start, layout.turns[end].span.start, b""))
        number = end + 1
    return patches


def place(units: Sequence[Unit], gone: Sequence[int]) -> int:
    """Before which message the marker goes: where the first of the gone stood, but never between a call that stays and
    its result."""
    left, at = set(gone), min(gone)
    spans = [(unit.messages[0], unit.messages[-1]) for unit in units if not left.issuperset(unit.messages)]
    while any(first < at <= last for first, last in spans):
        at -= 1
    return at


def message(shape: str, text: str) -> bytes:
    """A message of the user's."""
    if shape == "gemini":
        return orjson.dumps({"role": "user", "parts": [{"text": text}]})
    if shape == "openai-responses":
        said = [{"type": "input_text", "text": text}]
        return orjson.dumps({"type": "message", "role": "user", "content": said})
    return orjson.dumps({"role": "user", "content": text})


def original(layout: Layout, gone: Sequence[int]) -> str:
    """The messages that go, as the client wrote them: a JSON array."""
    body = layout.body
    raw = b",".join(body[span.start : span.end] for span in (layout.turns[number].span for number in gone))
    return f"[{raw.decode('utf-8', 'replace')}]"
