"""What becomes of each block of a request: what was decided before, or what is decided now."""

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b

from headroom.ccr.deferred import RETRIEVED
from headroom.ccr.expansion import EXPANDED, Left, expansion
from headroom.ccr.judged import hindsight, judged
from headroom.ccr.learning import Asked, Learner, LeftOut, asked
from headroom.ccr.lossy import leave_out
from headroom.ccr.originals import Original, original_of
from headroom.ccr.promises import Promises
from headroom.engine.history import history_may_vanish
from headroom.engine.terms import AWAY, Terms
from headroom.session.conversation import Conversation, chained, source_of, subject_of
from headroom.session.hindsight import unused
from headroom.session.inputs import texts_of
from headroom.session.memory import Decision, Known, Memory
from headroom.session.standing import Standing
from headroom.session.watch import Watch
from headroom.sizes import estimate, span_tokens
from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.config import SmartCrusherConfig
from headroom.transforms.keep import strings
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import LEAST_TOKENS, Shortened, shorten
from headroom.transforms.profiles import Profile, may_leave_out, profile
from headroom.wire.facts import asked as asked_for
from headroom.wire.facts import system_text
from headroom.wire.layout import Block, Layout
from headroom.wire.spans import quote

DECIDED_A_SECOND = 1_000_000
"""Characters that are decided in a second at the least: a text that needs more time than there is stays as it is."""
REPLACED = ("result", "user")
"""Kinds of blocks that something may have been decided about."""


class Decider:
    """Decides about the blocks that a conversation does not have yet."""

    def __init__(self, promises: Promises, learner: Learner | None) -> None:
        self._promises, self._learner = promises, learner

    def advance(
        self, conversation: Conversation, layout: Layout, terms: Terms, memory: Memory
    ) -> tuple[list[Decision], Known]:
        """Take in the blocks that the conversation does not have yet; what was newly decided about them, and what had
        been decided before."""
        start = len(conversation.standings)
        keys = [block.key(layout.body) for block in layout.blocks[start:]]
        second = _second_keys(layout, start, keys, conversation.chain) if terms.level != "safe" else {}
        known = memory.find(
            [
                *(key for block, key in zip(layout.blocks[start:], keys, strict=True) if block.kind in REPLACED),
                *second.values(),
            ]
        )
        settled = terms.settled or (AWAY if memory.problem else "")
        new_from = 0 if terms.all_new else min(layout.first_new_turn, terms.new_from)
        empty = LineIndex() if history_may_vanish(layout) else None
        expands = self._promises.settings.expansion and terms.keeps and not settled and empty is None
        decided: list[Decision] = []
        promised: list[Original] = []
        if not start and terms.judges and conversation.indexed:
            conversation.watch = Watch()
            conversation.watch.begin(system_text(layout))
        for number, (block, key) in enumerate(zip(layout.blocks[start:], keys, strict=True), start):
            if block.kind != "result":
                added = self._remembered(conversation, known.get(key, ()), empty is None)
                may = expands and block.turn < terms.kept_from and block.span.end > terms.cached_to
                if added is None and may and block.kind == "user" and block.turn >= new_from:
                    added = self._expanded(conversation, layout, block, key, terms, None)
                    decided += [added.decision] if added is not None and added.decision is not None else []
                self._add_source(conversation, layout, number, block, key, added)
                continue
            text = layout.text(block)
            standing = self._remembered(conversation, known.get(second.get(number, b""), ()), empty is None)
            if standing is None and text is not None and number in terms.unused and not settled:
                standing = self._unused(layout, block, second[number], text, terms, *terms.unused[number])
                if standing is not None and standing.decision is not None:
                    decided.append(standing.decision)
            if standing is None:
                standing = self._remembered(conversation, known.get(key, ()), empty is None)
            if standing is None and text is not None and block.turn >= new_from and not settled:
                standing = self._given(conversation, layout, block, key, terms)
                if standing is not None and standing.decision is not None:
                    decided.append(standing.decision)
                elif terms.level != "safe":
                    wanted = asked(layout.tool(block), layout.arguments(block))
                    terms.lessons.extend([Asked(terms.who, *wanted)] if wanted else [])
            if standing is None and text is not None:
                lost = key in known  # decided before, but what it refers to no longer stands here
                in_time = time.monotonic() + len(text) / DECIDED_A_SECOND < terms.until
                if block.turn >= terms.kept_from or block.span.end <= terms.cached_to:
                    standing = Standing(key, estimate(text), None, "kept as the caller asked")
                elif (block.turn >= new_from or lost) and in_time and not settled:
                    if profile(layout.tool(block), terms.profiles) is Profile.SKIP:
                        standing = Standing(key, estimate(text), None, "skipped by the tool's profile")
                    elif asked(layout.tool(block), layout.arguments(block)):
                        standing = Standing(key, estimate(text), None, "asked for in full")
                    else:
                        standing = self._decide(conversation, layout, block, key, text, empty, terms)
                        if expands and block.free and not block.error:
                            standing = self._expanded(conversation, layout, block, key, terms, standing) or standing
                    if standing.decision is not None:
                        decided.append(standing.decision)
                else:
                    reason = (settled or "no time left") if block.turn >= new_from else "sent before"
                    conversation.untouched |= block.turn < new_from
                    standing = Standing(key, estimate(text), None, reason)
            elif standing is None:
                standing = Standing(key, span_tokens(block.span), None, "not plain text")
            elif _leaves_out(standing) and text is not None:
                promised.append(_original(layout, block, text, terms.session))
            texts = [] if text is None else [text]
            conversation.stands(key, standing, source_of(layout, block, number), *texts)
            if conversation.watch is not None:
                replaced = standing.decision if _leaves_out(standing) else None
                conversation.watch.see(block, [replaced.replacement] if replaced else texts, standing.after)
                if replaced is not None and text is not None:
                    conversation.watch.cut(layout.arguments(block), text, replaced.replacement)
        if promised and terms.keeps:  # what was left out by an earlier process, or in a session this one is a copy of
            self._promises.keep(promised)
        return decided, known

    def second_sight(self, conversation: Conversation, layout: Layout, terms: Terms, memory: Memory) -> Terms:
        """Where the provider has nothing of a conversation in its cache: decide again, with hindsight, about what
        nothing referred to. What it leaves standing keeps its form."""
        in_time = time.monotonic() + len(layout.body) / DECIDED_A_SECOND < terms.until
        if not conversation.keys or terms.settled or memory.problem or not in_time:
            return terms
        old = bisect_left(layout.blocks, layout.first_new_turn, key=lambda block: block.turn)
        skip = {
            number
            for number, block in enumerate(layout.blocks[:old])
            if block.kind == "result"
            and (
                profile(layout.tool(block), terms.profiles) is Profile.SKIP
                or asked(layout.tool(block), layout.arguments(block))
                or block.turn >= terms.kept_from
                or block.span.end <= terms.cached_to
            )
        }
        found = unused(layout, conversation.standings[:old], skip)
        if not found:
            return terms
        standings = conversation.standings
        conversation.restart(layout)
        return replace(terms, unused={number: (runs, standings[number].after) for number, runs in found.items()})

    def _unused(
        self, layout: Layout, block: Block, key: bytes, text: str, terms: Terms, runs: list[tuple[int, int]], best: int
    ) -> Standing | None:
        """An old output without the lines that nothing referred to; None where that gains too little."""
        tokens, arguments = terms.count(text), layout.arguments(block)
        original = _original(layout, block, text, terms.session)
        context = Context(layout.tool(block), arguments, count=terms.count)
        subject = subject_of(arguments)[1]
        form = hindsight(text, runs, best, LineIndex(), subject, context, terms.way, original.hash)
        if form is None or len(quote(form.text)) > block.span.end - block.span.start:
            return None
        if terms.keeps and not self._promises.keep([original]):
            return None
        decision = Decision(key, form.text, tokens, form.tokens, form.saved, hash=original.hash)
        return Standing(_identity(decision), tokens, decision)

    def _add_source(
        self, conversation: Conversation, layout: Layout, number: int, block: Block, key: bytes, added: Standing | None
    ) -> None:
        """Add a block of which nothing is written otherwise: others may refer to its lines. ``added`` is what stands
        for it where something was added to it."""
        standing = added or Standing(key, span_tokens(block.span))
        source = source_of(layout, block, number)
        if block.kind != "call":
            text = layout.text(block)
            texts = [] if text is None else [text]
        else:
            texts = texts_of(layout, block)
        conversation.stands(key, standing, source, *texts)
        if conversation.watch is not None:
            conversation.watch.see(block, texts, standing.after)

    def _remembered(
        self, conversation: Conversation, known: list[Decision] | tuple[()], references: bool
    ) -> Standing | None:
        """The first decision about a block that holds here: all that it refers to stands before it."""
        for decision in known:
            if all(need in conversation.identities for need in decision.needs) and (references or not decision.needs):
                return Standing(_identity(decision), decision.before, decision)
        return None

    def _decide(
        self,
        conversation: Conversation,
        layout: Layout,
        block: Block,
        key: bytes,
        text: str,
        empty: LineIndex | None,
        terms: Terms,
    ) -> Standing:
        if not block.free:
            return Standing(key, estimate(text), None, "beside an image, or not to be cached")
        tokens = terms.count(text) if len(text) > LEAST_TOKENS else len(text)
        if tokens < LEAST_TOKENS:
            return Standing(key, tokens, None, "short")
        arguments = layout.arguments(block)
        tool = layout.tool(block)
        outline = profile(tool, terms.profiles) is Profile.OUTLINE
        context = Context(tool, arguments, count=terms.count, smart_crusher=terms.smart_crusher, outline=outline)
        index, subject, hash = empty or conversation.index, subject_of(arguments)[1], ""
        shortened = shorten(text, tokens, index, subject, context)
        if not block.error and (terms.way is not None or terms.judges):  # errors are told in full
            form = self._left_out(conversation, layout, block, text, tokens, shortened, index, terms, context)
            if form is not None:
                shortened, hash = form
        if shortened is None or len(quote(shortened.text)) > block.span.end - block.span.start:
            return Standing(key, tokens, None, "nothing to gain")
        needs = frozenset(conversation.standings[source].identity for source in shortened.sources)
        decision = Decision(key, shortened.text, tokens, shortened.tokens, shortened.saved, needs, hash)
        if hash:
            left_out, saved = shortened.left_out, shortened.saved
            terms.lessons.append(LeftOut(terms.who, tool, text, left_out, tokens, shortened.tokens, saved))
        return Standing(_identity(decision), tokens, decision)

    def _left_out(
        self,
        conversation: Conversation,
        layout: Layout,
        block: Block,
        text: str,
        tokens: int,
        whole: Shortened | None,
        index: LineIndex,
        terms: Terms,
        context: Context,
    ) -> tuple[Shortened, str] | None:
        """The text with something left out, or a shorter form that has everything, and the hash of its original where
        one is promised; None where neither is worth more than ``whole``."""
        learned = self._learner.advice(terms.who, context.tool, text) if self._learner is not None else None
        if learned is not None and learned.skip:
            return None  # what was left out of such outputs was asked for again, most of the time
        factor = int(learned.keep_factor) if learned is not None else 1
        subject = subject_of(context.arguments)[1]
        original = _original(layout, block, text, terms.session)
        best, found = whole.tokens if whole else tokens, None
        if terms.way is not None and may_leave_out(context.tool, terms.profiles, terms.level):
            context = replace(
                context, query=asked_for(layout, block), smart_crusher=_times(context.smart_crusher, factor)
            )
            form = leave_out(text, tokens, best, index, subject, context, terms.way, original.hash)
            if form is not None and (form.lossless or not terms.keeps or self._promises.keep([original])):
                best, found = form.tokens, (form, "" if form.lossless else original.hash)
        if conversation.watch is not None and terms.judges:
            outlook = conversation.watch.outlook(context.arguments, subject, terms.head)
            reads = profile(context.tool, terms.profiles) is Profile.NORMAL
            outlook = outlook and replace(outlook, caution=factor, bold=terms.level == "max", reads=reads)
            form = judged(text, best, index, subject, context, outlook, terms.way, original.hash)
            if form is not None and (not terms.keeps or self._promises.keep([original])):
                found = form, original.hash
        return found

    def _expanded(
        self,
        conversation: Conversation,
        layout: Layout,
        block: Block,
        key: bytes,
        terms: Terms,
        standing: Standing | None,
    ) -> Standing | None:
        """The newest message with what it, or the call that it answers, names of what was left out; None for nothing.
        ``standing`` is what stands for a tool's output."""
        text = layout.text(block)
        if text is None or not conversation.left_out:
            return None
        said = text if block.kind == "user" else "\n".join(strings(layout.arguments(block)))
        left = [
            Left(whole, found.decision.replacement, layout.tool(layout.blocks[i]), found.identity)
            for i in conversation.left_out.values()
            if (found := conversation.standings[i]).decision and (whole := layout.text(layout.blocks[i])) is not None
        ]
        added = expansion(said, left, partial(_stands_elsewhere, conversation, layout), terms.count)
        if added is None:
            return None
        form = standing.decision if standing is not None else None
        before, after = (form.before, form.after) if form else (terms.count(text),) * 2
        tokens = terms.count(added.text) + 1
        saved = {**(form.saved if form else {}), EXPANDED: -tokens}
        decision = Decision(
            key,
            f"{form.replacement if form else text}\n{added.text}",
            before,
            after + tokens,
            saved,
            added.sources | (form.needs if form else frozenset()),
            form.hash if form else "",
        )
        return Standing(_identity(decision), before, decision)

    def _given(
        self, conversation: Conversation, layout: Layout, block: Block, key: bytes, terms: Terms
    ) -> Standing | None:
        """What stands for a client's word that it has no tool of ours; None for any other result."""
        arguments = self._promises.call(layout, block, terms.offered)
        if arguments is None or block.part:
            return None

        def here(hash: str) -> str | None:
            number = conversation.left_out.get(hash)
            return layout.text(layout.blocks[number]) if number is not None else None

        given = self._promises.answer(arguments, here)
        before, after = count(layout.text(block) or ""), count(given.text)
        decision = Decision(key, given.text, before, after, {RETRIEVED: before - after}, hash=given.hash)
        if given.hash:
            query = arguments.get("query")
            terms.lessons.append(Asked(terms.who, given.hash, query if isinstance(query, str) else ""))
        return Standing(_identity(decision), before, decision)


def _second_keys(layout: Layout, start: int, keys: Sequence[bytes], chain: bytes) -> dict[int, bytes]:
    """Under which keys second sight remembers what it decided about the outputs from block ``start`` on: such a
    decision holds where all that stands before the block does."""
    found = {}
    for number, (block, key) in enumerate(zip(layout.blocks[start:], keys, strict=True), start):
        chain = chained(chain, key)
        if block.kind == "result":
            found[number] = chain
    return found


def _original(layout: Layout, block: Block, text: str, session: str) -> Original:
    return original_of(text, session, layout.tool(block), subject_of(layout.arguments(block))[1])


def _stands_elsewhere(conversation: Conversation, layout: Layout, name: str) -> bool:
    """Whether a name stands in a request outside of what was left out of and of its newest messages."""
    raw, newest = name.encode(), layout.first_new_turn
    while newest and layout.turns[newest - 1].answer:
        newest -= 1
    found = layout.body.count(raw)
    if newest < len(layout.turns):
        found -= layout.body.count(raw, layout.turns[newest].span.start, layout.turns[-1].span.end)
    return found > sum(layout.body.count(raw, *layout.blocks[i].span) for i in conversation.left_out.values())


def _times(config: SmartCrusherConfig, factor: int) -> SmartCrusherConfig:
    """The settings with which so many times as much is kept."""
    return config if factor == 1 else replace(config, max_items_after_crush=factor * config.max_items_after_crush)


def _leaves_out(standing: Standing) -> bool:
    """Whether an original is promised for what stands there."""
    decision = standing.decision
    return decision is not None and bool(decision.hash) and RETRIEVED not in decision.saved


def _identity(decision: Decision) -> bytes:
    return blake2b(decision.key + decision.replacement.encode(), digest_size=16).digest()
