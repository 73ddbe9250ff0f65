"""A request from its bytes to those that go out."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from headroom.cache import CacheSettings, RequestFacts, leave, optimize, settle
from headroom.cache.anthropic import CACHES_ITSELF
from headroom.cache.stable import RULES, stabilize, tail_start
from headroom.ccr.deferred import RETRIEVED
from headroom.ccr.learning import NOBODY, Learner, who
from headroom.ccr.originals import Originals
from headroom.ccr.promises import Promises, ToolPlan
from headroom.ccr.tool import TOKENS as TOOL_TOKENS
from headroom.ccr.ways import CcrSettings, way_back
from headroom.context.windows import Held, Windows
from headroom.engine.deciding import REPLACED, Decider
from headroom.engine.history import provider_has_history
from headroom.engine.request import Mode, RawRequest, Rewrite
from headroom.engine.terms import AWAY, Terms
from headroom.errors import without_message
from headroom.session.betas import beta_header, is_sticky, union
from headroom.session.conversation import Conversation, Conversations
from headroom.session.identity import Identity, client_of, identify, without_billing_line
from headroom.session.memory import Memory, RamMemory
from headroom.session.prefix import Prefixes
from headroom.sizes import BYTES_PER_TOKEN, Sizes
from headroom.tokenizers import count, encoding_for
from headroom.transforms.profiles import may_leave_out
from headroom.wire.anthropic import billing_line
from headroom.wire.facts import first_of_last_turns, first_user_text, system_text, user_id
from headroom.wire.layout import Layout
from headroom.wire.shapes import no_error, read
from headroom.wire.spans import Patch, ScanError, Span, as_it_stood, quote, splice
from headroom.wire.usage import Stored, Usage

log = logging.getLogger(__name__)
CACHE = CacheSettings()
CCR = CcrSettings()
CONVERSATIONS = 256
SYSTEM_CHARACTERS = 500
STEPS = 2
"""How often messages are dropped of one request: after the first time what refers to them was written anew."""
STEP_SECONDS = 2.0
"""Time for that at the least."""


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
        self._decider = Decider(self.promises, learner)
        self._prefixes = Prefixes()
        self._memory: dict[str, Memory] = {"optimize": memory, "audit": RamMemory()}
        self._conversations = {mode: Conversations(conversations) for mode in self._memory}
        self._sizes = Sizes()

    def prepare(self) -> None:
        """Load what the first request would have to wait for: the vocabulary, and the judge where it is used."""
        count("the vocabulary is loaded with the first text that is counted")
        if self.promises.leaves_out:
            from headroom.kompress.judge import judge

            judge()

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
        continued = self.promises.session_of(layout.string("previous_response_id"))
        identity = _who(request, layout if gone is None else gone.layout, system, continued)
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
                    terms = self._decider.second_sight(conversation, layout, terms, memory)
                decided, known = self._decider.advance(conversation, layout, terms, memory)
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
                self._decider.advance(conversation, layout, replace(terms, until=0.0), memory)
            conversation.layout = layout
            away = memory.problem
            if away:  # what could not be looked up is looked up again
                conversations.drop(conversation)
            elif not held:
                conversations.keep(hint, conversation)
            if not counts:  # but what was read stays read: the next request of a long conversation is in time
                raise Abandoned
            # a client that summed its history up may still name what was left out of it
            if terms.keeps and (conversation.left_out or terms.way is not None):
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
        self.cached(rewrite, usage)
        self.counted(rewrite, usage)

    def cached(self, rewrite: Rewrite, usage: Usage) -> None:
        """Take in what of a request was read from the provider's cache and written to it."""
        if rewrite.history is not None and rewrite.sent is not None:
            settle(rewrite.plan, rewrite.history, rewrite.sent, usage, self._clock())

    def counted(self, rewrite: Rewrite, usage: Usage) -> None:
        """Take in how many tokens a request had. It takes no time, so that the next request can be told by it."""
        if self.windows is not None:
            self.windows.settle(rewrite.identity.session, rewrite.tokens_after, usage)

    def leave_alone(self, session: str, reason: str) -> None:
        """From now on no request of this session is rewritten; ``reason`` goes into the ledger."""
        self._memory["optimize"].leave_alone(session, reason)

    def answered(self, rewrite: Rewrite, answer: Stored) -> None:
        """Take in an answer that may stay at the provider: a request that goes on from it repeats nothing of it."""
        self.promises.answered(answer, rewrite.identity.session)

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


_HINTS = ("x-headroom-session-id", "x-claude-code-session-id", "session-id", "session_id")


def _who(request: RawRequest, layout: Layout, system: str, continued: str | None) -> Identity:
    """Whose request this is."""
    key, said = layout.string("prompt_cache_key"), first_user_text(layout)
    return identify(request.headers, request.provider, system, said, user_id(layout), key, continued)
