"""A conversation in units: messages that stay or go together.

A turn is a user's message with everything up to the user's next one that is not only tool results. Within a turn, what
the model says at once and the results of the calls in it are one unit: a call and its result go together or not at
all, and with them the thinking that led to the call.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from headroom.tokenizers import count
from headroom.wire.layout import Block, Layout
from headroom.wire.spans import members, read_string

BYTES_PER_TOKEN = 3.6
OPAQUE_BYTES = 40_000
"""Bytes of a message outside its texts that are counted at most: beyond that they are images and documents."""
Kind = Literal["user", "answer", "tools", "system", "fixed"]
_MessageKind = Literal["user", "answer", "results", "system", "fixed"]
_SYSTEM_ROLES = ("system", "developer")
_FIXED_TYPES = ("compaction", "compaction_summary", "additional_tools", "item_reference")
_note = re.compile(r"\s*<system-reminder>").match


@dataclass(frozen=True, slots=True)
class Unit:
    """``messages`` are places in the list of messages, rising. ``turn`` counts the user's turns from 0; what stands
    before the first is -1. Of kind "user" is what the user says, "tools" an answer with calls and their results,
    "answer" one without, "system" a message that tells the model what it is; "fixed" is what is no message and must
    stay, such as a compaction."""

    messages: tuple[int, ...]
    kind: Kind
    turn: int


def units(layout: Layout) -> list[Unit]:
    """The units in the order of their first messages."""
    blocks = by_message(layout)
    kinds = [_kind(layout, number, blocks[number]) for number in range(len(layout.turns))]
    group = list(range(len(kinds)))

    def root(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    def join(one: int, other: int) -> None:
        first, second = sorted((root(one), root(other)))
        group[second] = first

    calls: dict[str, int] = {}
    for number, kind in enumerate(kinds):
        before = kinds[number - 1] if number else "fixed"
        if (kind == "results" and before not in ("fixed", "system")) or (kind == "answer" and before == "answer"):
            join(number, number - 1)
        for block in blocks[number]:
            if block.kind in ("call", "result") and block.call:
                join(number, calls.setdefault(block.call, number))
    members_of: dict[int, list[int]] = {}
    for number in range(len(kinds)):
        members_of.setdefault(root(number), []).append(number)
    speaks = [kind == "user" or (kind == "results" and _speaks(layout, blocks[n])) for n, kind in enumerate(kinds)]
    found, turn = [], -1
    for some in members_of.values():
        turn += any(speaks[number] for number in some)
        held = {kinds[number] for number in some}
        if "fixed" in held or "system" in held:
            kind_of: Kind = "fixed" if "fixed" in held else "system"
        elif "user" in held or (held == {"results"}):
            kind_of = "user"
        elif "results" in held or any(block.kind == "call" for number in some for block in blocks[number]):
            kind_of = "tools"
        else:
            kind_of = "answer"
        found.append(Unit(tuple(some), kind_of, turn))
    return found


def by_message(layout: Layout) -> list[Sequence[Block]]:
    """The blocks of each message."""
    starts = [turn.first_block for turn in layout.turns] + [len(layout.blocks)]
    return [layout.blocks[start:end] for start, end in pairwise(starts)]


def sizes(layout: Layout) -> list[int]:
    """Tokens of each message, by the vocabulary of ``tokenizers.count``."""
    found = []
    for turn, blocks in zip(layout.turns, by_message(layout), strict=True):
        around = turn.span.end - turn.span.start - sum(block.span.end - block.span.start for block in blocks)
        said = sum(count(text) for text in texts(layout, blocks))
        found.append(said + int(min(around, OPAQUE_BYTES) / BYTES_PER_TOKEN))
    return found


def texts(layout: Layout, blocks: Sequence[Block]) -> Iterator[str]:
    """What blocks say; the inputs of calls as they stand."""
    for block in blocks:
        text = layout.text(block)
        yield layout.body[block.span.start : block.span.end].decode("utf-8", "replace") if text is None else text


def _kind(layout: Layout, number: int, blocks: Sequence[Block]) -> _MessageKind:
    span = layout.turns[number].span
    raw = layout.body[span.start : span.end]
    if raw[:1] != b"{":
        return "fixed"
    found, _ = members(raw.decode("latin-1"), 0)
    kind = read_string(raw, found.get("type"))
    if kind in _FIXED_TYPES:
        return "fixed"
    if read_string(raw, found.get("role")) in _SYSTEM_ROLES:
        return "system"
    if layout.turns[number].answer:
        return "answer"
    results = any(block.kind == "result" for block in blocks) or b'"tool_use_id"' in raw or not blocks
    return "results" if results or not _speaks(layout, blocks) else "user"


def _speaks(layout: Layout, blocks: Sequence[Block]) -> bool:
    """Whether the user says something, and not only the client: notes such as Claude Code's reminders don't count."""
    said = [layout.text(block) for block in blocks if block.kind == "user"]
    return any(text and not _note(text) for text in said)
