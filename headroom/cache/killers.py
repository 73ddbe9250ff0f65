"""What broke a prefix: where two requests of one conversation differ, and what kind of difference it is.

What providers count as a change: https://platform.claude.com/docs/en/build-with-claude/prompt-caching ("What
invalidates the cache"). Breakpoints are no content: where they stand makes no difference.
"""

import re
from dataclasses import dataclass
from typing import Literal

import orjson

from headroom.cache.order import length, position
from headroom.session.sameness import changed_turn, clean, head, same_turn, uncut
from headroom.wire.layout import Layout
from headroom.wire.spans import Span, common_prefix, read_value

Kind = Literal["time", "date", "id", "tool order", "key order", "beta header", "model", "setting", "text"]

AROUND = 40
"""Bytes around a difference that are looked at to tell what it belongs to."""
ALIKE = 0.5
"""Share of a turn that must be the same for it to count as the same turn, changed."""
_SETTINGS = ("tool_choice", "thinking", "speed")
"""Fields of an Anthropic request that its cached messages depend on."""
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_VOLATILE: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("id", re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", re.I)),
    ("time", re.compile(r"\b\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]m)?(?:Z|[+-]\d{2}:?\d{2})?(?![\w:])|"
                        r"(?<=T)\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?|\b1[5-9]\d{8}(?:\d{3}|\.\d+)?\b", re.I)),
    ("date", re.compile(rf"\b\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?=\b|T)|\b\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{4}}\b|"
                        rf"\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b|"
                        rf"\b\d{{1,2}}\.?\s+{_MONTH}(?:\s+\d{{4}})?\b|\b{_DAY}\b", re.I)),
    ("id", re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{12,}(?![\w-])|\b[0-9a-f]{8,}\b", re.I)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PrefixBreak:
    """Where a request ceases to be what the one before began with.

    ``at`` is the byte in the new body, ``part`` is "tools", "system", "message 3" (counted from 0), another field's
    name or "headers", ``tokens`` estimates what had to be written again: all that stood behind it.
    """

    at: int
    part: str
    kind: Kind
    tokens: int


def find_break(before: Layout, after: Layout, betas: tuple[str, str] = ("", "")) -> PrefixBreak | None:
    """What changed in the part that ``after`` should have in common with ``before``; None when nothing did, or when
    ``after`` is another conversation. ``betas`` are the beta headers of the two.

    Takes microseconds when the prefix holds. What is found depends on the two bodies only.
    """
    turn = changed_turn(before, after)
    if turn is not None and not _is_same_conversation(before, after, turn):
        return None
    whole = length(before)
    if before.string("model") != after.string("model"):
        return PrefixBreak(_start(after, "model"), "model", "model", whole)
    if _tokens_of(betas[0]) != _tokens_of(betas[1]):
        return PrefixBreak(0, "headers", "beta header", whole)
    found = _changed_head(before, after)
    if found is not None:
        return found
    for name in _SETTINGS:
        if before.shape == "anthropic" and _raw(before, name) != _raw(after, name):
            tokens = whole - position(before, before.list_start)
            return PrefixBreak(_start(after, name), name, "setting", tokens)
    if turn is None:
        return None
    at_old, at_new, kind = _difference(before, before.turns[turn].span, after, after.turns[turn].span)
    return PrefixBreak(at_new, f"message {turn}", kind, whole - position(before, at_old))


def _is_same_conversation(before: Layout, after: Layout, turn: int) -> bool:
    """Whether a changed turn is one that the client changed, and not where another conversation branches off."""
    if len(after.turns) < len(before.turns):
        return False
    old, new = _texts(before, turn), _texts(after, turn)
    start = common_prefix(old, 0, new, 0)
    end = common_prefix(old[start:][::-1], 0, new[start:][::-1], 0)
    if start + end >= ALIKE * max(len(old), len(new)):
        return True
    return any(same_turn(before, after, number) for number in range(turn + 1, len(before.turns)))


def _texts(layout: Layout, turn: int) -> bytes:
    """What is said in a turn."""
    spans = [block.span for block in layout.blocks[layout.turns[turn].first_block :] if block.turn == turn]
    return b"\0".join(layout.body[span.start : span.end] for span in spans)


def _changed_head(before: Layout, after: Layout) -> PrefixBreak | None:
    old, new = dict(head(before)), dict(head(after))
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            at = new[name].start if name in new else after.list_start
            skipped = position(before, old[name].start if name in old else before.list_start)
            return PrefixBreak(at, name, "text", length(before) - skipped)
        if before.body[old[name].start : old[name].end] == after.body[new[name].start : new[name].end]:
            continue
        if clean(before, old[name])[0] != clean(after, new[name])[0]:
            at_old, at_new, kind = _difference(before, old[name], after, new[name])
            return PrefixBreak(at_new, name, kind, length(before) - position(before, at_old))
    return None


def _difference(before: Layout, old: Span, after: Layout, new: Span) -> tuple[int, int, Kind]:
    """The bytes where two values begin to differ, in each body, and the kind of the difference."""
    a, cuts_a = clean(before, old)
    b, cuts_b = clean(after, new)
    start = common_prefix(a, 0, b, 0)
    return old.start + uncut(start, cuts_a), new.start + uncut(start, cuts_b), _kind(a, b, start)


def _kind(a: bytes, b: bytes, start: int) -> Kind:
    one, other = read_value(a, Span(0, len(a))), read_value(b, Span(0, len(b)))
    if one is not None and one == other:
        return "key order"
    if isinstance(one, list) and isinstance(other, list) and _sorted(one) == _sorted(other):
        return "tool order"
    end = common_prefix(a[start:][::-1], 0, b[start:][::-1], 0)
    low = max(0, start - AROUND)
    old = a[low : min(len(a), len(a) - end + AROUND)].decode("utf-8", "replace")
    new = b[low : min(len(b), len(b) - end + AROUND)].decode("utf-8", "replace")
    changed: list[Kind] = []
    for kind, pattern in _VOLATILE:
        if pattern.findall(old) != pattern.findall(new):
            changed.append(kind)
        old, new = pattern.sub("\0", old), pattern.sub("\0", new)
    if old != new:
        return "text"
    return "time" if "time" in changed else changed[0] if changed else "text"


def _sorted(values: list[object]) -> list[bytes]:
    return sorted(orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in values)


def _tokens_of(header: str) -> set[str]:
    return {token.strip().lower() for token in header.split(",") if token.strip()}


def _start(layout: Layout, name: str) -> int:
    span = layout.fields.get(name)
    return span.start if span else 0


def _raw(layout: Layout, name: str) -> bytes:
    span = layout.fields.get(name)
    return layout.body[span.start : span.end] if span else b""
