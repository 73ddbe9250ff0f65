"""RollingWindow and IntelligentContextManager: what is dropped of messages that don't fit into a model's context.

Both drop in big steps: once a conversation is over the budget, until ``STEP`` of it is left. What goes depends only on
the conversation up to that point, so when it has grown the same messages are gone, the marker reads the same, and what
the provider has cached stays valid until the next step.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, Protocol

from headroom.ccr.markers import Way, dropped
from headroom.ccr.originals import Originals, open_originals, original_of
from headroom.config import HeadroomConfig, at_least
from headroom.context.choosing import Choice, choose
from headroom.context.cutting import message, original, place
from headroom.context.scoring import Score, Similarity, score
from headroom.context.units import Unit, by_message, sizes, units
from headroom.embedding import cosine, embedder
from headroom.errors import StorageError, ValidationError
from headroom.messages import LIST, check, check_roles, dumps, loads, shape_of
from headroom.models import context_limit
from headroom.telemetry.signature import ToolSignature, items_of
from headroom.telemetry.toin import Toin
from headroom.tokenizers import count, estimate_factor
from headroom.transforms.context_config import IntelligentContextConfig, RollingWindowConfig
from headroom.wire.layout import Layout
from headroom.wire.shapes import read
from headroom.wire.spans import ScanError

log = logging.getLogger(__name__)
STEP = 0.5
"""Share of the budget that is left after messages were dropped: the next time is half of the budget away."""
SHELF = "conversation"
"""The tool's name under which dropped messages are kept."""
PROVIDERS = {"anthropic": "anthropic", "openai-chat": "openai", "openai-responses": "openai", "gemini": "gemini"}


class Manager(Protocol):
    """Says what goes."""

    name: str
    """Under which the ledger has what was dropped."""
    by: str
    """What the marker says that messages were dropped by."""

    @property
    def output_buffer(self) -> int:
        """Tokens that are kept free for the answer."""
        ...

    def choose(
        self,
        layout: Layout,
        some: Sequence[Unit],
        sizes: Sequence[int],
        budget: int,
        target: int,
        fixed: int,
        gone: Collection[int],
    ) -> Choice:
        """What goes of these units, besides what is gone."""
        ...

    def record(self, layout: Layout, gone: Collection[int]) -> None:
        """Note for the next start what was dropped."""
        ...


@dataclass(frozen=True, slots=True)
class ContextResult:
    """``messages`` are a new list of the caller's own objects, with one message that says what was dropped. Tokens are
    estimates of all messages. ``reference`` is what the dropped ones are kept under, "" where they are not."""

    messages: list[Any]
    tokens_before: int = 0
    tokens_after: int = 0
    messages_dropped: int = 0
    transforms_applied: tuple[str, ...] = ()
    marker: str = ""
    reference: str = ""


class _Base:
    """What both have in common."""

    name = ""
    by = ""

    def __init__(self, originals: Originals | None = None) -> None:
        self._originals = originals

    def apply(
        self,
        messages: Sequence[Any],
        model: str = "",
        model_limit: int | None = None,
        output_buffer_tokens: int | None = None,
        session: str = "",
    ) -> ContextResult:
        """Drop what does not fit into ``model_limit`` tokens, by default what the model takes, less the output buffer.

        The dropped messages are kept in the store of originals, under ``session``, and the marker says how to get
        them. Where nothing more may go, what is left may be too long still. ``messages`` as for ``compress``; they are
        never changed. Raises ValidationError for what no provider would take.
        """
        given = check(messages)
        shape = shape_of(given, model)
        check_roles(given, shape)
        limit = at_least_one(model_limit) if model_limit is not None else context_limit(PROVIDERS[shape], model)
        buffer = self.output_buffer if output_buffer_tokens is None else output_buffer_tokens  # type: ignore[attr-defined]
        body = dumps({"model": model, LIST[shape]: given})
        layout, budget = _read(shape, body), budget_of(limit, buffer)
        before = tokens_of(layout, model)
        if not self.enabled or sum(before) <= budget:  # type: ignore[attr-defined]
            return ContextResult(given, sum(before), sum(before))
        squeezed = self._squeezed(given, shape, model, layout, before, budget)
        if squeezed is not None:
            return squeezed
        gone, after = steps(self, layout, before, budget)  # type: ignore[arg-type]
        if not gone:
            return ContextResult(given, sum(before), sum(before))
        self.record(layout, gone)  # type: ignore[attr-defined]
        kept = original_of(original(layout, gone), session, SHELF, f"{len(gone)} earlier messages")
        marker = dropped(len(gone), self.by, Way("tool") if self._keep(kept) else None, kept.hash)
        left = without(given, layout, gone, marker)
        reference = kept.hash if kept.hash in marker else ""
        return ContextResult(left, sum(before), after + count(marker), len(gone), (self.name,), marker, reference)

    def _squeezed(
        self, given: list[Any], shape: str, model: str, layout: Layout, before: list[int], budget: int
    ) -> ContextResult | None:
        return None

    def _keep(self, kept: Any) -> bool:
        try:
            if self._originals is None:
                self._originals = open_originals()
            self._originals.keep([kept])
        except StorageError as error:
            log.warning("dropped messages can't be kept: %s", error.message)
            return False
        return True


class RollingWindow(_Base):
    """Drops the oldest turns; before them, where ``prefer_drop_tool_outputs`` says so, old calls with their results."""

    name = "rolling_window"
    by = "rolling window"

    def __init__(self, config: RollingWindowConfig | None = None, originals: Originals | None = None) -> None:
        super().__init__(originals)
        self.config = config or RollingWindowConfig()

    @property
    def enabled(self) -> bool:
        return self.config.enabled

    @property
    def output_buffer(self) -> int:
        return self.config.output_buffer_tokens

    def choose(
        self,
        layout: Layout,
        some: Sequence[Unit],
        sizes: Sequence[int],
        budget: int,
        target: int,
        fixed: int,
        gone: Collection[int],
    ) -> Choice:
        places = [float(number) for number in range(len(some))]
        keep, first = self.config.min_keep_turns, self.config.prefer_drop_tool_outputs
        return choose(_free(some, self.config.keep_system), sizes, places, budget, target, keep, fixed, gone, first)

    def record(self, layout: Layout, gone: Collection[int]) -> None:
        return None


class IntelligentContextManager(_Base):
    """Drops what is worth least, by six factors: see ``headroom.context.scoring``."""

    name = "intelligent_context"
    by = "importance scoring"

    def __init__(
        self,
        config: IntelligentContextConfig | None = None,
        toin: Toin | None = None,
        originals: Originals | None = None,
        similarity: Similarity | None = None,
    ) -> None:
        """Without ``toin`` nothing learned counts. ``similarity`` compares texts with the recent context; by default
        the embedder does, where there is one, and else BM25."""
        super().__init__(originals)
        self.config = config or IntelligentContextConfig()
        self.toin = toin
        self._similarity = similarity

    @property
    def enabled(self) -> bool:
        return self.config.enabled

    @property
    def output_buffer(self) -> int:
        return self.config.output_buffer_tokens

    def scores(self, messages: Sequence[Any], model: str = "") -> list[tuple[tuple[int, ...], Score]]:
        """For each unit its places in the list of messages, and its score: to see why something goes."""
        given = check(messages)
        shape = shape_of(given, model)
        check_roles(given, shape)
        layout = _read(shape, dumps({LIST[shape]: given}))
        some = units(layout)
        return [(unit.messages, each) for unit, each in zip(some, self._scored(layout, some), strict=True)]

    def choose(
        self,
        layout: Layout,
        some: Sequence[Unit],
        sizes: Sequence[int],
        budget: int,
        target: int,
        fixed: int,
        gone: Collection[int],
    ) -> Choice:
        worth = [each.total for each in self._scored(layout, some)]
        keep = self.config.keep_last_turns
        return choose(_free(some, self.config.keep_system), sizes, worth, budget, target, keep, fixed, gone)

    def record(self, layout: Layout, gone: Collection[int]) -> None:
        """Tell TOIN which outputs were dropped; it uses that from the next start on."""
        if self.toin is None or not self.config.toin_integration:
            return
        for number, blocks in enumerate(by_message(layout)):
            for block in blocks if number in gone else ():
                text = layout.text(block) if block.kind == "result" else None
                if text:
                    items, tool = items_of(text), layout.tool(block)
                    lines = len(items) or text.count("\n") + 1
                    signature = ToolSignature.of(text, tool)
                    self.toin.record_compression(signature, lines, 0, count(text), 0, self.name, items)

    def _scored(self, layout: Layout, some: Sequence[Unit]) -> list[Score]:
        similarity = self._similarity
        if similarity is None and self.config.use_importance_scoring and (found := embedder()) is not None:
            similarity = partial(cosine, found)
        return score(layout, some, self.config, self.toin, similarity)

    def _squeezed(
        self, given: list[Any], shape: str, model: str, layout: Layout, before: list[int], budget: int
    ) -> ContextResult | None:
        """The messages in shorter forms, where they are only slightly over the budget and that is enough."""
        if sum(before) > budget * (1 + self.config.compress_threshold):
            return None
        from headroom.compression import compress

        result = compress(given, model, model_limit=1 << 40)
        after = sum(tokens_of(_read(shape, dumps({"model": model, LIST[shape]: result.messages})), model))
        if after > budget:
            return None
        return ContextResult(result.messages, sum(before), after, 0, result.transforms_applied)


def steps(
    manager: Manager, layout: Layout, sizes: Sequence[int], budget: int, fixed: int = 0
) -> tuple[tuple[int, ...], int]:
    """The messages that are gone by the last one, and the tokens that remain: what a program that sent a request
    after each answer has seen go, step by step."""
    some = units(layout)
    ends = [n for n in range(1, len(layout.turns) + 1) if not layout.turns[n - 1].answer] or [len(layout.turns)]
    ends = [end for end in ends if end == len(layout.turns) or layout.turns[end].answer]
    if not ends or ends[-1] != len(layout.turns):
        ends.append(len(layout.turns))
    sums = [0, *accumulate(sizes)]
    gone: set[int] = set()
    freed = 0
    for end in ends:
        if fixed + sums[end] - freed <= budget:
            continue
        before = [unit for unit in some if unit.messages[-1] < end]
        choice = manager.choose(layout, before, sizes, budget, int(STEP * budget), fixed, gone)
        gone.update(choice.messages)
        freed = sum(sizes[number] for number in gone)
    return tuple(sorted(gone)), fixed + sums[-1] - freed


def without(given: Sequence[Any], layout: Layout, gone: Collection[int], marker: str) -> list[Any]:
    """The messages less those that are gone, with the marker as a message where the first of them stood."""
    left, at = frozenset(gone), place(units(layout), sorted(gone))
    before = [each for number, each in enumerate(given[:at]) if number not in left]
    after = [each for number, each in enumerate(given[at:], at) if number not in left]
    return [*before, loads(message(layout.shape, marker)), *after]


def manager_of(config: HeadroomConfig, toin: Toin | None = None) -> Manager | None:
    """The manager that the settings ask for: the intelligent one, else the rolling window, else none."""
    if config.intelligent_context.enabled:
        return IntelligentContextManager(config.intelligent_context, toin)
    return RollingWindow(config.rolling_window) if config.rolling_window.enabled else None


def budget_of(limit: int, buffer: int) -> int:
    """Tokens that a request may have: the limit less the buffer for the answer, of which half the limit is the most."""
    return limit - min(buffer, limit // 2)


def tokens_of(layout: Layout, model: str) -> list[int]:
    """Tokens of each message, as the provider counts them."""
    factor = estimate_factor(PROVIDERS[layout.shape], model)
    return [round(size * factor) for size in sizes(layout)]


def at_least_one(limit: int) -> int:
    at_least("model_limit", limit, 1)
    return limit


def _free(some: Sequence[Unit], keep_system: bool) -> Sequence[Unit]:
    """The units, with system messages as any answer where they may go."""
    if keep_system:
        return some
    return [Unit(unit.messages, "answer", unit.turn) if unit.kind == "system" else unit for unit in some]


def _read(shape: str, body: bytes) -> Layout:
    try:
        return read(shape, body)
    except ScanError as error:
        raise ValidationError(f"the messages can't be read: {error.message}", error.details) from error
