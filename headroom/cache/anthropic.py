"""Where an Anthropic request gets a breakpoint: https://platform.claude.com/docs/en/build-with-claude/prompt-caching

What a client marked itself is never moved, removed or changed, and no mark is set that the rules forbid.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, replace

from headroom.cache.economics import SECONDS, expected_gain, longer_life_pays
from headroom.cache.order import in_messages, length, position
from headroom.cache.plan import CacheSettings, Kind, Life, Plan, RequestFacts
from headroom.session.prefix import PrefixHistory
from headroom.session.sameness import MARK, places
from headroom.wire.layout import Cacheable, Layout
from headroom.wire.spans import Patch, Span, elements, members, read_string, read_value

LOOK_BACK = 20
"""Blocks that the provider looks back from a breakpoint for an entry, the block with the breakpoint counted."""
SLOTS = 4
"""Breakpoints that a request may have, the request-level one counted."""
FIRST_PARTY = "api.anthropic.com"
"""Where the request-level field and lives of 1 hour are known to be understood."""
CACHES_ITSELF = frozenset({"claude-code", "codex", "gemini-cli"})
"""Clients that look after their own breakpoints."""
MAY_CARRY = frozenset({"text", "tool_use", "tool_result", "image", "document", "search_result"})
"""Types of blocks that may carry a breakpoint; thinking blocks and what stands inside a block may not."""
_MINIMUM = (
    (re.compile(r"fable-5|mythos-5|opus-5"), 512),
    (re.compile(r"mythos-preview|opus-4-7|haiku-3|3-5-haiku|3-haiku"), 2048),
    (re.compile(r"opus-4-[56]|haiku-4-5"), 4096),
)
_mark = re.compile(rb'"cache_control"[ \t\r\n]*:[ \t\r\n]*(\{[^{}]*\})?')
_FIELD: dict[Life, bytes] = {
    "5m": b'"cache_control":{"type":"ephemeral"}',
    "1h": b'"cache_control":{"type":"ephemeral","ttl":"1h"}',
}


def minimum_tokens(model: str) -> int:
    """The shortest prefix that is cached; a breakpoint on a shorter one is ignored, at no cost."""
    return next((least for pattern, least in _MINIMUM if pattern.search(model)), 1024)


def plan(layout: Layout, facts: RequestFacts, history: PrefixHistory, settings: CacheSettings) -> Plan:
    """The breakpoints that this request gets, or why it gets none. Changes nothing."""
    view = _View.of(layout)
    body = layout.body
    marks = [(at, _life(match[1])) for at in places(body, MARK) if (match := _mark.match(body, at))]
    reach = max((view.position(at) for at, _ in marks), default=0)
    life = max(marks, key=lambda mark: view.position(mark[0]))[1] if marks else ""
    own = Plan(
        life=life,
        client_life=life,
        tokens=view.tokens,
        reach=reach,
        client_reach=reach,
        client_read=reach,
        expected=bool(marks) and history.warm(facts.now),
    )
    why_not = _why_not(layout, facts, history, settings, view, len(marks))
    if why_not:
        return replace(own, reason=why_not)
    if any(at >= view.tail_from and in_messages(layout, at) for at, _ in marks):
        return _bridge(own, view, marks)
    return _extend(own, layout, facts, history, settings, view, marks)


def _why_not(
    layout: Layout, facts: RequestFacts, history: PrefixHistory, settings: CacheSettings, view: "_View", marks: int
) -> str:
    if not settings.enabled:
        return "switched off"
    if facts.client in CACHES_ITSELF:
        return f"{facts.client} sets its own breakpoints"
    if "cache_control" in layout.fields:
        return "the client asked for automatic caching"
    if marks >= SLOTS:
        return "the client uses all four breakpoints"
    if not layout.turns or view.tokens < minimum_tokens(layout.string("model") or facts.model):
        return "shorter than the provider caches"
    if history.blocked(facts.now):
        return "this program's caches were written and not read"
    return ""


def _bridge(own: Plan, view: "_View", marks: list["_Mark"]) -> Plan:
    """The client marks the end: all that can be missing is a breakpoint within reach of the entry before."""
    last = max(at for at, _ in marks if in_messages(view.layout, at))
    end = max((i for i, block in enumerate(view.layout.cacheable) if block.span.start <= last), default=-1)
    between = view.between(end, [at for at, _ in marks])
    if between is None:
        return replace(own, reason="the client marks the end of the conversation")
    patch = _on_block(between, own.life or "5m")
    before = view.position(between.span.start)
    found = max((size for at, _ in marks if (size := view.position(at)) < before), default=0)
    return replace(own, patches=(patch,), kind="breakpoint", reason="more blocks than the look-back", client_read=found)


def _extend(
    own: Plan, layout: Layout, facts: RequestFacts, history: PrefixHistory, settings: CacheSettings,
    view: "_View", marks: list["_Mark"],
) -> Plan:  # fmt: skip
    """The client's breakpoints, if any, stop short of the end: one there, if that pays."""
    first_party = facts.host == FIRST_PARTY
    cached = max(0, min(history.reach, view.tokens) - own.client_reach) if history.warm(facts.now) else 0
    new = view.tokens - own.client_reach - cached
    lives = {life for _, life in marks}
    fresh = view.tokens - view.position(view.new_from)
    life = _choose(settings, lives, first_party, history, view.tokens - fresh, fresh)
    chance = history.chance(SECONDS[life], facts.now)
    patches: list[Patch] = []
    kind: Kind = "breakpoint"
    reach, reason = own.reach, f"{chance:.0%} chance of a next request in time"
    free = SLOTS - len(marks)
    if expected_gain(cached, new, chance, life) > 0:
        at = view.last_carrier(own.client_reach)
        automatic = first_party and not view.prefilled and (not marks or at is not view.last)
        if automatic:
            kind, reach = "automatic", view.tokens
            patches.append(Patch(layout.opening + 1, layout.opening + 1, _FIELD[life] + b","))
        elif at is not None:
            reach = view.position(at.span.end)
            patches.append(_on_block(at, life))
        if patches and free > 1:
            end = len(layout.cacheable) - 1 if automatic or at is None else layout.cacheable.index(at)
            between = view.between(end, [at for at, _ in marks])
            if between is not None:
                patches.append(_on_block(between, life))
    # In the first request of a conversation, for those to come; in later ones it renews that entry and writes nothing.
    begins = history.ending == "first" or (facts.tail and not history.continued)
    if (begins or patches) and len(patches) < free and all(in_messages(layout, at) for at, _ in marks):
        often = history.chance_of_head(SECONDS[life], facts.now)
        size = view.position(facts.tail or layout.list_start)
        least = minimum_tokens(layout.string("model") or facts.model)
        head = view.head_carrier(facts.tail) if size >= least and expected_gain(0, size, often, life) > 0 else None
        if head is not None:
            if not patches:
                reach, reason = size, f"{often:.0%} chance of another conversation in time"
            patches.append(_on_block(head, life))
    if not patches:
        return replace(own, reason=reason)
    return replace(own, patches=tuple(patches), kind=kind, reason=reason, life=life, reach=reach,
                   expected=own.expected or cached > 0)  # fmt: skip


def _choose(
    settings: CacheSettings, client: set[Life], first_party: bool, history: PrefixHistory, cached: int, new: int
) -> Life:
    if not first_party or "5m" in client:  # an entry that lives longer may not come after one that lives shorter
        return "5m"
    if settings.ttl == "auto":
        return "1h" if client or longer_life_pays(history.gaps(), cached, new) else "5m"
    return settings.ttl or ("1h" if client else "5m")


_Mark = tuple[int, Life]


@dataclass(frozen=True, slots=True)
class _View:
    """A request in the provider's prefix order: tools, system, messages. Sizes are estimated tokens."""

    layout: Layout
    new_from: int
    """The byte where what the provider has not seen begins: the turn after the last answer."""
    tail_from: int
    """A breakpoint from this byte on counts as one at the end: in the last turn that the provider saw, or later."""
    seen: int
    """How many blocks of the messages the request before had."""
    prefilled: bool
    """Whether the request ends with the beginning of the answer, which is not in the next request as it stands here."""

    @classmethod
    def of(cls, layout: Layout) -> "_View":
        turns, new = layout.turns, layout.first_new_turn
        asked = new
        while asked and turns[asked - 1].answer:
            asked -= 1
        end = turns[-1].span.end if turns else layout.list_start
        return cls(
            layout,
            turns[new].span.start if new < len(turns) else end,
            turns[asked - 1].span.start if asked else layout.list_start,
            bisect_left(layout.cacheable, asked, key=lambda block: block.turn),
            bool(turns) and turns[-1].answer,
        )

    def position(self, at: int) -> int:
        """Tokens before byte ``at`` of the body, in prefix order."""
        return position(self.layout, at)

    @property
    def tokens(self) -> int:
        """Tokens of the whole request."""
        return length(self.layout)

    @property
    def last(self) -> Cacheable | None:
        """The last block."""
        return self.layout.cacheable[-1] if self.layout.cacheable else None

    def last_carrier(self, after: int) -> Cacheable | None:
        """The last block that may carry a breakpoint and lies more than ``after`` tokens from the start."""
        turns = self.layout.turns
        for block in reversed(self.layout.cacheable):
            if self.position(block.span.end) <= after:
                break
            if not (turns[block.turn].answer and block.turn >= self.layout.first_new_turn) and self.carries(block):
                return block
        return None

    def between(self, end: int, marks: list[int]) -> Cacheable | None:
        """The block for one more breakpoint, when a breakpoint on block ``end`` is too far from where the request
        before ended and none of the ``marks`` is near enough."""
        blocks, found = self.layout.cacheable, self.seen - 1
        if found < 0 or end - found < LOOK_BACK:
            return None
        reach = blocks[found : found + LOOK_BACK]
        if any(block.span.start <= at < block.span.end for block in reach for at in marks):
            return None
        return next((block for block in reversed(reach) if self.carries(block)), None)

    def head_carrier(self, tail: int) -> Cacheable | None:
        """The last block of the system prompt that may carry a breakpoint, else the last tool; none from byte ``tail``
        on, where it is not 0."""
        text = self.layout.body
        for name, kind in (("system", "text"), ("tools", "tool_use")):
            span = self.layout.fields.get(name, Span(0, 0))
            raw = text[span.start : span.end].decode("latin-1")
            if raw[:1] != "[":
                continue
            items = [Span(span.start + item.start, span.start + item.end) for item in elements(raw, 0)]
            items = [item for item in items if not tail or name != "system" or item.start < tail]
            if items:
                block = Cacheable(items[-1], kind, False, -1)
                return block if text[block.span.start : block.span.start + 1] == b"{" and self.carries(block) else None
        return None

    def carries(self, block: Cacheable) -> bool:
        """Whether a breakpoint may be set on a block."""
        if block.type not in MAY_CARRY or block.marked:
            return False
        if block.type != "text":
            return True
        raw = self.layout.body[block.span.start : block.span.end]
        found, _ = members(raw.decode("latin-1"), 0)
        return bool((read_string(raw, found.get("text")) or "").strip())


def _on_block(block: Cacheable, life: Life) -> Patch:
    at = block.span.end - 1
    return Patch(at, at, b"," + _FIELD[life])


def _life(mark: bytes | None) -> Life:
    value = read_value(mark, Span(0, len(mark))) if mark else None
    return "1h" if isinstance(value, dict) and value.get("ttl") == "1h" else "5m"
