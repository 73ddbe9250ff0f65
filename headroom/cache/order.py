"""A request in the order in which providers cache it: what stands before the messages, then the messages."""

from headroom.session.sameness import head
from headroom.sizes import BYTES_PER_TOKEN
from headroom.wire.layout import Layout


def position(layout: Layout, at: int) -> int:
    """Tokens, an estimate, that the provider sees before byte ``at`` of the body."""
    size = 0
    for _, span in head(layout):
        if span.start <= at < span.end:
            return int((size + at - span.start) / BYTES_PER_TOKEN)
        size += span.end - span.start
    end = layout.turns[-1].span.end if layout.turns else layout.list_start
    return int((size + min(max(at, layout.list_start), end) - layout.list_start) / BYTES_PER_TOKEN)


def length(layout: Layout) -> int:
    """Tokens of the whole request, an estimate."""
    return position(layout, len(layout.body))


def in_messages(layout: Layout, at: int) -> bool:
    """Whether byte ``at`` belongs to the messages, which may stand before the head in the body."""
    return bool(layout.turns) and layout.list_start <= at < layout.turns[-1].span.end
