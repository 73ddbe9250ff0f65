"""Dropping in live sessions: once a request would not fit, much at once; from then on the same messages, every time.

What is gone from which conversation is remembered with the decisions about its blocks, under how the conversation
begins, so it holds after a restart and for every proxy that shares them. It holds in a body that is no shorter and in
which all that is gone stands where it stood. The messages are taken out before anything else is done to the body:
references to them are made again, and the rest of the pipeline knows only of what the provider gets.
"""

import json
import logging
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from headroom.ccr.markers import Way, dropped
from headroom.ccr.originals import Original, Originals, original_of
from headroom.context.cutting import cut, original, place
from headroom.context.managers import SHELF, STEP, Manager, budget_of
from headroom.context.units import BYTES_PER_TOKEN, OPAQUE_BYTES, Unit, by_message, units
from headroom.errors import StorageError
from headroom.latest import put
from headroom.models import context_limit
from headroom.session.memory import Decision, Memory
from headroom.session.standing import BlockReport
from headroom.tokenizers import estimate_factor
from headroom.wire.layout import PROBE, Layout
from headroom.wire.shapes import read
from headroom.wire.spans import Patch
from headroom.wire.usage import Usage

log = logging.getLogger(__name__)
MARGIN = 0.03
"""Share of the budget that is left for what our estimate is off."""
SESSIONS = 256
"""Sessions of which it is known how the provider counts, and conversations whose body is not scanned anew."""
LEAST_RATIO, MOST_RATIO = 0.5, 2.5
LEAST_COUNTED = 2000
"""Tokens of a request from whose bill it is learned how the provider counts."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is gone from a request: ``messages`` of the ``layout`` as the client sent it, which ``patches`` take out.
    ``at`` is the marker's place in the list that is left: up to there the provider has seen it before. ``key`` is what
    the conversation is known by, ``hash`` what the messages are kept under, "" where they are not."""

    layout: Layout
    key: bytes
    messages: tuple[int, ...] = ()
    patches: tuple[Patch, ...] = ()
    at: int = 0
    hash: str = ""
    known: tuple[Decision, ...] = ()
    """All that was decided before, the oldest first."""


class Rewritten(Protocol):
    """What is asked of the engine's result."""

    @property
    def tokens_after(self) -> int: ...
    @property
    def blocks(self) -> tuple[BlockReport, ...]: ...


class Windows:
    """The context windows of all sessions. Any thread may use it."""

    def __init__(self, manager: Manager, originals: Originals | None = None, limit: int = 0) -> None:
        """``limit`` is in tokens; 0: what the model of each request takes."""
        self.manager = manager
        self.limit = limit
        self._originals = originals
        self._layouts: OrderedDict[bytes, Layout] = OrderedDict()
        self._ratios: OrderedDict[str, float] = OrderedDict()
        self._promised: OrderedDict[str, None] = OrderedDict()
        self._said: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def budget(self, provider: str, model: str, limit: int = 0, buffer: int | None = None) -> int:
        """Tokens that a request may have; ``limit`` and ``buffer`` as its sender wishes, if at all."""
        limit = limit or self.limit or context_limit(provider, model)
        return int(budget_of(limit, self.manager.output_buffer if buffer is None else buffer) * (1 - MARGIN))

    def held(self, shape: str, body: bytes, memory: Memory) -> Held | None:
        """What is gone from this body by what was decided before; None where the conversation has hardly begun.

        Raises ScanError when the body can't be read.
        """
        layout = read(shape, body, self._known)
        if len(layout.turns) <= PROBE:
            return None
        key = _start(layout)
        with self._lock:
            put(self._layouts, key, layout, SESSIONS)
        known = tuple(memory.find([key]).get(key, ()))
        for decision in reversed(known):
            messages, marker, length = _plan(decision)
            if length <= len(layout.turns) and frozenset(_digests(layout, messages)) == decision.needs:
                return self._taken_out(layout, key, units(layout), messages, marker, decision.hash, known)
        return Held(layout, key, known=known)

    def step(
        self,
        held: Held,
        rewritten: Rewritten,
        budget: int,
        memory: Memory,
        way: Way | None,
        session: str,
        provider: str,
        model: str,
    ) -> Held | None:
        """What is to go besides, where the rewritten request is over the budget; None where it is not, or nothing may
        go. It is remembered when this returns, and the messages are kept where there is a way to get them."""
        factor = self._ratio(session, provider, model)
        if rewritten.tokens_after * factor <= budget:
            return None
        layout, away = held.layout, frozenset(held.messages)
        sizes = [0 if n in away else round(size * factor) for n, size in enumerate(_sizes(layout, rewritten.blocks))]
        whole = round(rewritten.tokens_after * factor)
        fixed = max(0, whole - sum(sizes))
        some = units(layout)
        choice = self.manager.choose(layout, some, sizes, budget, int(STEP * budget), fixed, away)
        if not choice.messages:
            self._say_once(session, budget)
            return None
        messages = tuple(sorted(away.union(choice.messages)))
        kept = original_of(original(layout, messages), session, SHELF, f"{len(messages)} earlier messages")
        if way is not None and not self._keep([kept]):
            way = None
        marker = dropped(len(messages), self.manager.by, way, kept.hash)
        hash = kept.hash if way is not None else ""
        said = json.dumps({"messages": messages, "marker": marker, "length": len(layout.turns)})
        needs = frozenset(_digests(layout, messages))
        saved = {self.manager.name: whole - choice.tokens}
        step = Decision(held.key, said, whole, choice.tokens, saved, needs, hash)
        if not memory.remember([step], {held.key: held.known}):
            return None  # another proxy was first, or could not know of it
        self.manager.record(layout, frozenset(choice.messages))
        log.info(
            "%d messages of session %s go, some %d tokens: %d of %d are left",
            *(len(choice.messages), session[:12], whole - choice.tokens, choice.tokens, budget),
        )
        return self._taken_out(layout, held.key, some, messages, marker, hash, (*held.known, step))

    def promise(self, held: Held, session: str) -> None:
        """See to it that what the marker names can be had: once in a process it is looked whether it is there still,
        and with every request its session is said to live."""
        if not held.hash or self._originals is None:
            return
        try:
            with self._lock:
                new = held.hash not in self._promised
                self._promised[held.hash] = None
                while len(self._promised) > SESSIONS:
                    self._promised.popitem(last=False)
            if new and self._originals.missing([held.hash]):
                text = original(held.layout, held.messages)
                self._originals.keep([original_of(text, session, SHELF, f"{len(held.messages)} earlier messages")])
            self._originals.touch(session)
        except StorageError as error:
            log.warning("dropped messages can't be kept longer: %s", error.message)

    def settle(self, session: str, tokens: int, usage: Usage) -> None:
        """Take in how many tokens the provider counted where we estimated ``tokens``."""
        if tokens >= LEAST_COUNTED and usage.total_input:
            with self._lock:
                ratio = min(max(usage.total_input / tokens, LEAST_RATIO), MOST_RATIO)
                put(self._ratios, session, ratio, SESSIONS)

    def _ratio(self, session: str, provider: str, model: str) -> float:
        with self._lock:
            return self._ratios.get(session) or estimate_factor(provider, model)

    def _known(self, begun: Layout) -> Layout | None:
        with self._lock:
            return self._layouts.get(_start(begun))

    def _taken_out(
        self,
        layout: Layout,
        key: bytes,
        some: Sequence[Unit],
        messages: tuple[int, ...],
        marker: str,
        hash: str,
        known: tuple[Decision, ...],
    ) -> Held:
        at = place(some, messages)
        return Held(layout, key, messages, tuple(cut(layout, some, messages, marker)), at, hash, known)

    def _keep(self, kept: Sequence[Original]) -> bool:
        if self._originals is None:
            return False
        try:
            self._originals.keep(kept)
        except StorageError as error:
            log.warning("dropped messages can't be kept: %s", error.message)
            return False
        return True

    def _say_once(self, session: str, budget: int) -> None:
        if session not in self._said:
            log.warning("session %s is over its budget of %d tokens, and nothing more may go", session[:12], budget)
            self._said[session] = None
            while len(self._said) > SESSIONS:
                self._said.popitem(last=False)


def _start(layout: Layout) -> bytes:
    """What the plans of a conversation are found by: its first two messages."""
    digest = blake2b(f"context\0{layout.shape}".encode(), digest_size=16)
    end = layout.turns[PROBE].first_block if len(layout.turns) > PROBE else len(layout.blocks)
    for block in layout.blocks[:end]:
        digest.update(block.key(layout.body))
    return digest.digest()


def _digests(layout: Layout, messages: Sequence[int]) -> list[bytes]:
    """What tells each of the messages, at its place, from any other; a breakpoint that moves on changes nothing."""
    blocks = by_message(layout)
    found = []
    for number in messages:
        digest = blake2b(number.to_bytes(4), digest_size=16)
        span = layout.turns[number].span
        parts = [block.key(layout.body) for block in blocks[number]] or [layout.body[span.start : span.end]]
        for part in parts:
            digest.update(part)
        found.append(digest.digest())
    return found


def _plan(decision: Decision) -> tuple[tuple[int, ...], str, int]:
    """The messages and the marker of a remembered step, and how many messages there were: what is sent again from
    before it, or goes on from there, is as it was."""
    said = json.loads(decision.replacement)
    return tuple(said["messages"]), said["marker"], said["length"]


def _sizes(layout: Layout, blocks: Sequence[BlockReport]) -> list[int]:
    """Tokens of each message as it leaves: ``blocks`` say what became of tool outputs, in places of this layout."""
    starts = [turn.span.start for turn in layout.turns]
    around = [turn.span.end - turn.span.start for turn in layout.turns]
    said = [0] * len(starts)
    for block in blocks:
        number = bisect_right(starts, block.span[0]) - 1
        around[number] -= block.span[1] - block.span[0]
        said[number] += block.after
    texts = [0] * len(starts)
    for number, some in enumerate(by_message(layout)):
        texts[number] = sum(block.span.end - block.span.start for block in some if block.kind != "result")
    return [
        said[n] + int((texts[n] + min(max(0, around[n] - texts[n]), OPAQUE_BYTES)) / BYTES_PER_TOKEN)
        for n in range(len(starts))
    ]
