"""The one pipeline: the bytes of a provider request come in, the bytes that go out come back."""

import logging
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from typing import Literal

from headroom.cache import CacheSettings, Plan, RequestFacts, leave, optimize, settle
from headroom.cache.anthropic import CACHES_ITSELF
from headroom.cache.stable import RULES, stabilize, tail_start
from headroom.ccr.deferred import RETRIEVED
from headroom.ccr.expansion import EXPANDED, Left, expansion
from headroom.ccr.judged import hindsight, judged
from headroom.ccr.learning import NOBODY, Asked, Learner, LeftOut, Lesson, Who, asked, who
from headroom.ccr.lossy import leave_out
from headroom.ccr.markers import Way
from headroom.ccr.originals import Original, Originals, original_of
from headroom.ccr.promises import Promises, ToolPlan
from headroom.ccr.tool import TOKENS as TOOL_TOKENS
from headroom.ccr.ways import CcrSettings, Offered, way_back
from headroom.context.windows import Held, Windows
from headroom.errors import without_message
from headroom.session.betas import beta_header, is_sticky, union
from headroom.session.conversation import Conversation, Conversations, chained, source_of, subject_of
from headroom.session.hindsight import unused
from headroom.session.identity import Identity, client_of, identify, without_billing_line
from headroom.session.inputs import texts_of
from headroom.session.memory import Decision, Known, Memory, RamMemory
from headroom.session.prefix import Prefixes, PrefixHistory, Sent
from headroom.session.standing import BlockReport, Standing
from headroom.session.watch import Watch
from headroom.sizes import BYTES_PER_TOKEN, Sizes, estimate, span_tokens
from headroom.tokenizers import count, encoding_for
from headroom.transforms.base import Context
from headroom.transforms.config import SMART_CRUSHER, SmartCrusherConfig
from headroom.transforms.keep import strings
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import LEAST_TOKENS, Shortened, shorten
from headroom.transforms.profiles import Profile, may_leave_out, profile
from headroom.wire.anthropic import billing_line
from headroom.wire.facts import asked as asked_for
from headroom.wire.facts import first_of_last_turns, first_user_text, system_text, user_id
from headroom.wire.layout import Block, Layout
from headroom.wire.shapes import no_error, read
from headroom.wire.spans import Patch, ScanError, Span, as_it_stood, quote, read_value, splice
from headroom.wire.usage import Usage

log = logging.getLogger(__name__)
Mode = Literal["optimize", "audit", "off"]
CACHE = CacheSettings()
CCR = CcrSettings()
CONVERSATIONS = 256
DECIDED_A_SECOND = 1_000_000
"""Characters that are decided in a second at the least: a text that needs more time than there is stays as it is."""
SYSTEM_CHARACTERS = 500
STEPS = 2
"""How often messages are dropped of one request: after the first time what refers to them was written anew."""
STEP_SECONDS = 2.0
"""Time for that at the least."""
REPLACED = ("result", "user")
"""Kinds of blocks that something may have been decided about."""
AWAY = "the shared store can't be used: nothing new is decided"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A provider request as it arrived: ``headers`` with lower-case names, ``body`` decoded (no gzip).

    ``model`` is needed where the path names it and not the body. ``counts`` asks how many tokens a request has, and
    is none itself. ``drop_billing_line``: for providers that count Claude Code's statement to its maker as content.
    ``tool_profiles`` says for tools, by name or pattern, how far their output may be rewritten. ``all_new``: no
    provider has seen any of it in this form before, so every block is decided as if it had just come. The last
    ``keep_turns`` turns and the first ``cached_tokens`` tokens are not decided: they stay as they are.
    """

    provider: str
    shape: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    model: str = ""
    host: str = ""
    counts: bool = False
    drop_billing_line: bool = False
    tool_profiles: Mapping[str, str] = field(default_factory=dict)
    smart_crusher: SmartCrusherConfig = SMART_CRUSHER
    all_new: bool = False
    keep_turns: int = 0
    cached_tokens: int = 0
    context_limit: int = 0
    """Tokens that fit into the model, 0: as is known of it; ``output_buffer`` of them stay free, None: as is set."""
    output_buffer: int | None = None
    whole: bool = False
    """Nothing may be dropped of it: the provider has its beginning already, and is sent the rest alone."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``body`` is what goes out: the same object that came in when nothing was rewritten, and ``reason`` says why.

    ``tokens_before`` and ``tokens_after`` estimate the whole request, ``saved`` is their difference by strategy.
    """

    body: bytes
    identity: Identity
    model: str
    blocks: tuple[BlockReport, ...] = ()
    tokens_before: int = 0
    tokens_after: int = 0
    saved: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    plan: Plan = field(default_factory=Plan)
    """What was inserted so that the provider caches the request's beginning."""
    patches: tuple[Patch, ...] = ()
    """What makes ``body`` of the request's."""
    history: PrefixHistory | None = None
    sent: Sent | None = None
    """What the history notes of this request."""
    cold: bool = False
    """The provider has nothing of it cached, though it goes on: what was sent before may be decided too."""
    gone: Held | None = None
    """The messages that were dropped; also where none were, but could be."""
    system: str = ""
    """The system prompt's first 500 characters: what a beta session is known by."""

    def leaves(self) -> None:
        """Note what the request in this form leaves in the provider's cache."""
        if self.history is not None and self.sent is not None:
            leave(self.plan, self.history, self.sent)

    def taken_back(self, reason: str) -> "Rewrite":
        """What became of this one when the provider was sent the original in its place: nothing was saved."""
        original = replace(
            self,
            body=b"",
            patches=(),
            blocks=(),
            saved={},
            gone=None,
            tokens_after=self.tokens_before,
            plan=self.plan.as_it_came(),
            reason=reason,
        )
        original.leaves()
        return original


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be done in one request: ``way`` is how the model can have back what is left out, None for not at all.
    ``keeps``: whether originals are stored, which an audit does not do."""

    profiles: Mapping[str, str]
    way: Way | None
    level: str
    session: str
    keeps: bool
    until: float
    offered: Offered
    head: int = 0
    """Tokens before the messages."""
    all_new: bool = False
    new_from: int = 1 << 62
    """The turn from which on the provider has seen nothing in this form."""
    kept_from: int = 1 << 62
    """The turn from which on nothing is decided."""
    cached_to: int = 0
    """The byte up to which nothing is decided."""
    smart_crusher: SmartCrusherConfig = SMART_CRUSHER
    unused: Mapping[int, tuple[list[tuple[int, int]], int]] = field(default_factory=dict)
    """Of old outputs, by the number of the block: the lines that are left out now, with hindsight, and the tokens of
    what stood there."""
    settled: str = ""
    """Why nothing new is decided though there is time; "" where it is."""
    count: Callable[[str], int] = count
    """Counts tokens by the vocabulary of the model's family."""
    who: Who = NOBODY
    lessons: list[Lesson] = field(default_factory=list)
    """What is to be learned of this request, if it leaves as it was decided."""

    @property
    def judges(self) -> bool:
        """Whether lines may be left out that will hardly be needed, where the agent's own tools print them again."""
        return self.level != "safe" and self.offered.free


class Abandoned(Exception):
    """Nobody waits for this request any more: nothing may be remembered of it."""


class Engine:
    """Rewrites requests. One engine serves all sessions of a process; it may be called from several threads."""

    def __init__(
        self,
        memory: Memory,
        cache: CacheSettings = CACHE,
        conversations: int = CONVERSATIONS,
        originals: Originals | None = None,
        ccr: CcrSettings = CCR,
        windows: Windows | None = None,
        learner: Learner | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without ``originals`` nothing is ever left out, without ``windows`` no message is dropped. ``learner``
        is told what was left out and asked for. ``clock`` says when a request is sent, in unix seconds: what the
        provider's cache holds depends on it."""
        self.learner = learner
        self._clock = clock
        self.windows = windows
        self.cache = cache
        self._rules = cache.aligner or RULES
        self.promises = Promises(originals, ccr)
        self._prefixes = Prefixes()
        self._memory: dict[str, Memory] = {"optimize": memory, "audit": RamMemory()}
        self._conversations = {mode: Conversations(conversations) for mode in self._memory}
        self._sizes = Sizes()

    def rewrite(
        self,
        request: RawRequest,
        mode: Mode = "optimize",
        until: float = float("inf"),
        verdict: "threading.Lock | None" = None,
    ) -> Rewrite:
        """What goes out for ``request``. In audit mode the report says what would have been done.

        After ``until`` (``time.monotonic``) nothing new is decided, what was decided before still holds. Whoever takes
        ``verdict`` first decides whether this rewrite counts: the engine, before it remembers anything, or a caller
        who waits no longer. Raises ScanError when the body can't be read, Abandoned when the caller was first.
        """
        rewrite = self._rewrite(request, mode, until, verdict)
        for _ in range(STEPS):
            gone = self._step(request, rewrite)
            if gone is None:
                break
            until = max(until, time.monotonic() + STEP_SECONDS)
            rewrite = self._rewrite(request, mode, until, new_from=gone.at)
            rewrite = replace(rewrite, plan=replace(rewrite.plan, broken=None))  # it was not the client
        return rewrite

    def hold(self, request: RawRequest) -> Rewrite:
        """What must go out for ``request`` though there is no time to decide anything: what was decided before.

        Costs a scan of the body and a look into the memory, and waits for no rewrite that is under way. Raises
        ScanError when the body can't be read.
        """
        return self._rewrite(request, "optimize", until=0.0, held=True)

    def _rewrite(
        self,
        request: RawRequest,
        mode: Mode,
        until: float,
        verdict: "threading.Lock | None" = None,
        held: bool = False,
        new_from: int = 1 << 62,
    ) -> Rewrite:
        hint = next((v for k in _HINTS if (v := request.headers.get(k))), "")
        conversations = self._conversations["audit" if mode == "audit" else "optimize"]
        found: list[Conversation] = []

        def find(layout: Layout) -> Layout | None:
            conversation = conversations.find(hint, layout)
            if conversation is None:
                return None
            found.append(conversation)
            return conversation.layout

        memory = self._memory["audit" if mode == "audit" else "optimize"]
        gone = self._gone(request, mode, memory)
        moved = self._moved(request, mode)
        stable = bool(moved)
        if gone is not None:
            moved += gone.patches
        layout = read(request.shape, splice(request.body, moved), find)
        system = system_text(layout)
        if stable:
            system = system.partition(self._rules.dynamic_tail_separator)[0]  # a session is not told by its clock
        identity = _who(request, layout if gone is None else gone.layout, system)
        system = without_billing_line(system)[:SYSTEM_CHARACTERS]
        model = layout.string("model") or request.model
        if mode != "off":
            memory = memory.look(identity.session, lambda: self._asked(layout, found, identity.session))
        reason = "mode off" if mode == "off" else memory.left_alone(identity.session) or ""
        if reason and moved:
            moved, gone, layout = [], None, read(request.shape, request.body)
        rewrite = Rewrite(request.body, identity, model, reason=reason, system=system)
        rewrite = self._caching(rewrite, request, layout, mode, moved)
        if reason:
            return rewrite
        conversation = found[0] if found and not held else Conversation(layout, indexed=not held)
        terms, tool = self._terms(request, layout, identity.session, memory, mode, 0.0 if held else until)
        anew = rewrite.cold and not held and memory.alone
        terms = replace(terms, new_from=0 if anew else new_from)
        with conversation.lock:
            if (anew and conversation.untouched) or not conversation.continues_in(layout):
                conversation = Conversation(layout)
            try:
                if anew and terms.judges and until and not request.counts:
                    terms = self._second_sight(conversation, layout, terms, memory)
                decided, known = self._advance(conversation, layout, terms, memory)
                counts = verdict is None or verdict.acquire(blocking=False)
                stands = not counts or memory.remember([*tool.decided, *decided], known)
            except BaseException:
                conversations.drop(conversation)
                raise
            if not stands:  # what others decided holds, and what others can't know of is not sent
                terms, tool = self._terms(request, layout, identity.session, memory, mode, 0.0)
                terms = replace(
                    terms, unused={}, settled=AWAY if memory.problem else "another proxy decided at the same time"
                )
            if not stands or (not counts and decided):  # the provider gets the originals of these
                conversations.drop(conversation)
                conversation = Conversation(layout)
                self._advance(conversation, layout, replace(terms, until=0.0), memory)
            conversation.layout = layout
            away = memory.problem
            if away:  # what could not be looked up is looked up again
                conversations.drop(conversation)
            elif not held:
                conversations.keep(hint, conversation)
            if not counts:  # but what was read stays read: the next request of a long conversation is in time
                raise Abandoned
            if terms.keeps and conversation.left_out:
                self.promises.touch(identity.session)
            if terms.keeps and self.learner is not None:
                self.learner.take(terms.lessons)
            if gone is not None and self.windows is not None:
                self.windows.promise(gone, identity.session)
            head = self._sizes.head(layout)
            reports, after = conversation.reports.update(layout, conversation.standings, conversation.sources, head)
        saved: Counter[str] = Counter()
        patches: list[Patch] = []
        for report in reports:
            if report.replacement is not None:
                saved.update(report.saved)
                patches.append(Patch(*report.span, quote(report.replacement)))
                if (
                    RETRIEVED in report.saved
                    and report.hash
                    and (flag := no_error(layout, Span(*report.span))) is not None
                ):
                    patches.append(flag)
        if patches and mode == "audit":
            reason = "audit"
        elif not patches:
            reason = "nothing to gain" if reports else "no tool output"
        if gone is not None and gone.messages:
            reason = f"{len(gone.messages)} earlier messages dropped"
        if away and mode == "optimize":
            reason = AWAY
        if tool.patch is not None:
            patches.append(tool.patch)
            tokens = self._sizes.text(tool.patch.replacement)
            saved[TOOL_TOKENS] = -tokens
            after += tokens
        patches += rewrite.plan.patches
        if request.drop_billing_line:
            patches += billing_line(layout)
        body = splice(layout.body, patches) if mode == "optimize" else request.body
        if moved:
            reports = [
                report._replace(span=(as_it_stood(report.span[0], moved), as_it_stood(report.span[1], moved)))
                for report in reports
            ]
            patches = [Patch(as_it_stood(at, moved), as_it_stood(end, moved), by) for at, end, by in patches] + moved
        rewrite = replace(
            rewrite,
            body=body,
            patches=tuple(patches) if mode == "optimize" else (),
            blocks=tuple(reports),
            tokens_before=after + sum(saved.values()),
            tokens_after=after,
            saved=dict(saved),
            reason=reason,
            gone=gone,
        )
        rewrite.leaves()
        return rewrite

    def _asked(self, layout: Layout, found: list[Conversation], session: str) -> list[bytes]:
        """What a request will ask the memory for: its tool, and its blocks that are new to its conversation."""
        keys = self.promises.asked(layout, session)
        start = len(found[0].keys) if found and found[0].continues_in(layout) else 0
        return [*keys, *(block.key(layout.body) for block in layout.blocks[start:] if block.kind in REPLACED)]

    def _gone(self, request: RawRequest, mode: Mode, memory: Memory) -> Held | None:
        """The messages that were dropped of this conversation before; None where none may be."""
        if self.windows is None or mode != "optimize" or request.whole:
            return None
        try:
            gone = self.windows.held(request.shape, request.body, memory)
        except ScanError:
            return None  # which is told when the body is read
        except Exception as error:
            log.warning("no messages are dropped: %s", without_message(error))
            return None
        return None if gone is None or provider_has_history(gone.layout) else gone

    def _step(self, request: RawRequest, rewrite: Rewrite) -> Held | None:
        """What is dropped besides since the request is too long still; None for nothing."""
        if self.windows is None or rewrite.gone is None or request.counts:
            return None
        gone, provider, model = rewrite.gone, request.provider, rewrite.model
        session, memory = rewrite.identity.session, self._memory["optimize"]
        try:
            budget = self.windows.budget(provider, model, request.context_limit, request.output_buffer)
            offered = self.promises.offered(gone.layout, session)
            there = self.promises.tool(gone.layout, offered, session, memory, None).there
            way = way_back(offered, there, self.promises.settings.retrieval)
            return self.windows.step(gone, rewrite, budget, memory, way, session, provider, model)
        except Exception as error:
            log.warning("no messages are dropped: %s", without_message(error))
            return None

    def _moved(self, request: RawRequest, mode: Mode) -> list[Patch]:
        """What makes the request's beginning stable, where that is asked for."""
        sort_tools = self.cache.enabled and self.cache.stable_prefix
        wanted = (sort_tools or self.cache.aligner is not None) and mode == "optimize"
        if not wanted or client_of(request.headers) in CACHES_ITSELF:
            return []
        try:
            return stabilize(request.shape, request.body, self._rules, sort_tools)
        except Exception as error:
            log.warning("the beginning stays as it is: %s", without_message(error))
            return []

    def _caching(
        self, rewrite: Rewrite, request: RawRequest, layout: Layout, mode: Mode, moved: list[Patch]
    ) -> Rewrite:
        """Decide on breakpoints, and find out what broke the prefix. A failure here costs no more than the chance."""
        if request.counts:
            return rewrite
        now = self._clock()
        try:
            moves = self.cache.stable_prefix or self.cache.aligner is not None
            tail = tail_start(layout, self._rules) if moves else 0
            history = self._prefixes.open(rewrite.identity.session, layout, now, tail)
            betas = request.headers.get(beta_header(request.shape) or "", "")
            if mode == "optimize" and is_sticky():  # as it goes upstream: what was sent once is sent again
                betas = union(history.betas, betas)
            facts = RequestFacts(
                request.host, rewrite.identity.client, rewrite.identity.session, now, rewrite.model, betas, tail
            )
            enabled = self.cache.enabled and mode == "optimize" and not rewrite.reason
            settings = replace(self.cache, enabled=enabled)
            plan = optimize(layout, facts, history, settings)
            if moved:
                broken = plan.broken and replace(plan.broken, at=as_it_stood(plan.broken.at, moved))
                plan = replace(plan, moved=tuple(moved), broken=broken)
            cold = history.continued and history.cold(now)
            sent = history.sent(now, betas)
            leave(plan.as_it_came(), history, sent)  # until it is sure that it leaves otherwise
            return replace(rewrite, plan=plan, history=history, sent=sent, cold=cold)
        except Exception as error:
            log.warning("no breakpoints are set: %s", without_message(error))
            return rewrite

    def settle(self, rewrite: Rewrite, usage: Usage) -> None:
        """Take in what the answer to a request said it used."""
        if rewrite.history is not None and rewrite.sent is not None:
            settle(rewrite.plan, rewrite.history, rewrite.sent, usage, self._clock())
        if self.windows is not None:
            self.windows.settle(rewrite.identity.session, rewrite.tokens_after, usage)

    def leave_alone(self, session: str, reason: str) -> None:
        """From now on no request of this session is rewritten; ``reason`` goes into the ledger."""
        self._memory["optimize"].leave_alone(session, reason)

    def called(self, call: str, name: str, arguments: Mapping[str, object]) -> None:
        """Note a call of our tool in an answer that stays at the provider: its request will not repeat it."""
        self.promises.called(call, name, arguments)

    def _terms(
        self, request: RawRequest, layout: Layout, session: str, memory: Memory, mode: Mode, until: float
    ) -> tuple[Terms, ToolPlan]:
        """What may be done in this request, and what becomes of our tool."""
        level, promises = self.promises.settings.level, self.promises
        offered = promises.offered(layout, session)

        def worth() -> bool:
            if (
                not until
                or memory.problem
                or not any(may_leave_out(name, request.tool_profiles, level) for name in offered.names)
            ):
                return False
            return promises.settings.retrieval == "tool"

        tool = promises.tool(layout, offered, session, memory, None if request.counts else worth)
        cached_to = 0
        if request.cached_tokens:
            cached_to = layout.list_start + int((request.cached_tokens - self._sizes.head(layout)) * BYTES_PER_TOKEN)
        terms = Terms(
            request.tool_profiles,
            promises.way(offered, tool.there),
            level,
            session,
            promises.originals is not None and mode == "optimize",
            until,
            offered,
            self._sizes.head(layout) if level != "safe" else 0,
            request.all_new,
            kept_from=first_of_last_turns(layout, request.keep_turns),
            cached_to=cached_to,
            smart_crusher=request.smart_crusher,
            count=partial(count, encoding=encoding_for(layout.string("model") or request.model)),
            who=who(request.headers, layout.string("model") or request.model) if level != "safe" else NOBODY,
        )
        return terms, tool

    def _advance(
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
        expands = self.promises.settings.expansion and terms.keeps and not settled and empty is None
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
        if promised and terms.keeps:  # what was left out by an earlier process, or in a session this one is a copy of
            self.promises.keep(promised)
        return decided, known

    def _second_sight(self, conversation: Conversation, layout: Layout, terms: Terms, memory: Memory) -> Terms:
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
        if terms.keeps and not self.promises.keep([original]):
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
        learned = self.learner.advice(terms.who, context.tool, text) if self.learner is not None else None
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
            if form is not None and (form.lossless or not terms.keeps or self.promises.keep([original])):
                best, found = form.tokens, (form, "" if form.lossless else original.hash)
        if conversation.watch is not None and terms.judges:
            outlook = conversation.watch.outlook(context.arguments, subject, terms.head, terms.level == "max")
            outlook = outlook and replace(outlook, caution=factor)
            form = judged(text, best, index, subject, context, outlook, terms.way, original.hash)
            if form is not None and (not terms.keeps or self.promises.keep([original])):
                found = form, original.hash
                conversation.watch.cut(context.arguments)
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
        arguments = self.promises.call(layout, block, terms.offered)
        if arguments is None or block.part:
            return None

        def here(hash: str) -> str | None:
            number = conversation.left_out.get(hash)
            return layout.text(layout.blocks[number]) if number is not None else None

        given = self.promises.answer(arguments, here)
        before, after = count(layout.text(block) or ""), count(given.text)
        decision = Decision(key, given.text, before, after, {RETRIEVED: before - after}, hash=given.hash)
        if given.hash:
            query = arguments.get("query")
            terms.lessons.append(Asked(terms.who, given.hash, query if isinstance(query, str) else ""))
        return Standing(_identity(decision), before, decision)


_HINTS = ("x-headroom-session-id", "x-claude-code-session-id", "session-id", "session_id")


def _second_keys(layout: Layout, start: int, keys: Sequence[bytes], chain: bytes) -> dict[int, bytes]:
    """Under which keys second sight remembers what it decided about the outputs from block ``start`` on: such a
    decision holds where all that stands before the block does."""
    found = {}
    for number, (block, key) in enumerate(zip(layout.blocks[start:], keys, strict=True), start):
        chain = chained(chain, key)
        if block.kind == "result":
            found[number] = chain
    return found


def provider_has_history(layout: Layout) -> bool:
    """Whether the request goes on with what the provider has stored."""
    spans = [layout.fields.get(name) for name in ("previous_response_id", "conversation")]
    return any(span is not None and layout.body[span.start : span.end] != b"null" for span in spans)


def history_may_vanish(layout: Layout) -> bool:
    """Whether the provider may take away what a reference points at: it was asked to clear tool results, to compact or
    to drop what does not fit, or it holds the history itself."""
    if provider_has_history(layout):
        return True
    if layout.string("truncation") == "auto":
        return True
    span = layout.fields.get("context_management")
    value = read_value(layout.body, span) if span is not None else None
    edits = value.get("edits") if isinstance(value, dict) else value
    if not isinstance(edits, list):
        return edits is not None
    return any(not (isinstance(e, dict) and str(e.get("type", "")).startswith("clear_thinking")) for e in edits)


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


def _who(request: RawRequest, layout: Layout, system: str) -> Identity:
    """Whose request this is."""
    key = layout.string("prompt_cache_key")
    return identify(request.headers, request.provider, system, first_user_text(layout), user_id(layout), key)


def _identity(decision: Decision) -> bytes:
    return blake2b(decision.key + decision.replacement.encode(), digest_size=16).digest()
