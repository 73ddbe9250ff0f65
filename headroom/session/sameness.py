"""Whether two requests begin with the same, as the provider's prefix cache sees it: breakpoints are no content."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from headroom.wire.layout import Cacheable, Layout
from headroom.wire.spans import Span, common_prefix, members

HEAD = ("tools", "system", "instructions", "systemInstruction", "system_instruction")
"""The fields before the messages, in the order in which providers cache them. Each shape has some of them."""

MARK = b'"cache_control"'
BLANKS = 16
"""Bytes before a mark within which a comma belongs to it."""
_mark = re.compile(rb',\s*"cache_control"\s*:\s*\{[^{}]*\}|"cache_control"\s*:\s*\{[^{}]*\}\s*,?')
# Claude Code's statement to its provider, another one in every request, which is taken out before caching.
_billing_line = re.compile(rb'x-anthropic-billing-header:[^"]*')
BILLING_WITHIN = 300
"""Bytes of a system prompt within which that statement begins."""


def head(layout: Layout) -> Iterator[tuple[str, Span]]:
    """The names and spans of the fields before the messages."""
    for name in HEAD:
        span = layout.fields.get(name)
        if span is not None:
            yield name, span


def head_digest(layout: Layout, tail: int = 0) -> bytes:
    """What tells the part before the messages from another; less what stands from byte ``tail`` on in its field, where
    that is not 0."""
    digest = blake2b(digest_size=16)
    for name, span in head(layout):
        stays = Span(span.start, tail) if span.start < tail < span.end else span
        kept, cuts = clean(layout, stays)
        known = layout.digest(name) if stays == span and not cuts else blake2b(kept, digest_size=16).digest()
        digest.update(name.encode() + b"\0" + known)
    return digest.digest()


def places(raw: bytes, word: bytes) -> Iterator[int]:
    """Where ``word`` stands: ten times as fast as a pattern, and a body has megabytes."""
    at = raw.find(word)
    while at >= 0:
        yield at
        at = raw.find(word, at + len(word))


def clean(layout: Layout, span: Span) -> tuple[bytes, list[Span]]:
    """A value without breakpoints and billing line, and where they are in it, for ``uncut``."""
    raw = layout.body[span.start : span.end]
    found = ((at, _mark.search(raw, max(0, at - BLANKS))) for at in places(raw, MARK))
    cuts = [Span(*match.span()) for at, match in found if match and match.start() <= at]
    if b"x-anthropic-billing-header:" in raw[:BILLING_WITHIN] and (billing := _billing_line.search(raw)):
        cuts = sorted([Span(*billing.span()), *cuts])
    if not cuts:
        return raw, cuts
    kept, done = [], 0
    for cut in cuts:
        kept.append(raw[done : cut.start])
        done = cut.end
    return b"".join([*kept, raw[done:]]), cuts


def uncut(at: int, cuts: Sequence[Span]) -> int:
    """Where byte ``at`` of a cleaned value is in the value as it stands."""
    for cut in cuts:
        if cut.start > at:
            break
        at += cut.end - cut.start
    return at


def changed_turn(before: Layout, after: Layout) -> int | None:
    """The first turn of ``before`` that does not stand in ``after``; None when all do that ``after`` is long enough
    for. Takes microseconds when nothing changed."""
    same = common_prefix(before.body, before.list_start, after.body, after.list_start)
    for number, (old, _) in enumerate(zip(before.turns, after.turns, strict=False)):
        if old.span.end - before.list_start > same and not same_turn(before, after, number):
            return number
    return None


def continues(before: Layout, after: Layout) -> bool:
    """Whether all turns of ``before`` stand at the beginning of ``after``."""
    return 0 < len(before.turns) <= len(after.turns) and changed_turn(before, after) is None


def same_turn(before: Layout, after: Layout, number: int) -> bool:
    """Whether a turn is the same in both."""
    old, new = before.turns[number].span, after.turns[number].span
    if before.body[old.start : old.end] == after.body[new.start : new.end]:
        return True
    olds, news = _blocks(before, number), _blocks(after, number)
    if not olds or len(olds) != len(news) or before.turns[number].answer != after.turns[number].answer:
        return False
    return all(_content(before, one) == _content(after, other) for one, other in zip(olds, news, strict=True))


def _blocks(layout: Layout, turn: int) -> list[Cacheable]:
    start = bisect_left(layout.cacheable, turn, key=lambda block: block.turn)
    end = bisect_left(layout.cacheable, turn + 1, key=lambda block: block.turn)
    return layout.cacheable[start:end]


def _content(layout: Layout, block: Cacheable) -> bytes:
    """A block's bytes without its breakpoint; a text is the same as a block and as a bare string."""
    raw = clean(layout, block.span)[0]
    if block.type == "text":
        found, _ = members(raw.decode("latin-1"), 0)
        if set(found) == {"type", "text"}:
            return raw[found["text"].start : found["text"].end]
    return raw
