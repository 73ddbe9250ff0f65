"""What the provider has cached of each conversation, as far as we know, and how often such a cache was read again.

A request leaves something in the provider's cache that only a later request with the same beginning can read. Whether
one comes, and how soon, is learned here: from this conversation, and from the other conversations of the same program
(tools of the same names, a system prompt that begins alike). Held in memory, bounded; a restart costs one unmarked
request.
"""

import re
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from typing import Literal

from headroom.session.sameness import changed_turn, continues, head_digest
from headroom.session.sameness import head as head_fields
from headroom.wire.layout import Layout
from headroom.wire.usage import Usage

Ending = Literal["first", "result", "text"]
"""How a request ends: no answer in it yet, with a tool's result, or with what somebody said after an answer."""

CONVERSATIONS = 256
FAMILIES = 512
BYTES = 64 << 20
"""Bytes of request bodies that are held to compare the next request with; the newest conversation always is."""
CANDIDATES = 8
"""Conversations with the same first turn that are compared with a new body, latest first."""
OWN, OTHERS = 8, 16
"""Requests that are remembered of a conversation, and of its family for each ending."""
WEIGHT = 3
"""What one request of the conversation itself counts against one of its family."""
UNREAD = 3
"""After as many answers in a row that read nothing of what was written shortly before, nothing is written any more."""
RETRY_SECONDS = 3600.0
"""Until then."""
PATIENCE = 30.0
"""Seconds after which, with twice the longest gap known, a request counts as not followed until it is."""
SURE = 1.1
"""Providers keep an entry at least its life; after this much of it, it has surely expired."""
AUTOMATIC_LIFE = 86400.0
"""Seconds for which OpenAI and Gemini, which cache by themselves, may keep an entry."""

PRIOR: dict[Ending, tuple[float, float]] = {"first": (0.2, 1.0), "result": (0.5, 0.02), "text": (0.2, 1.0)}
"""(read again, not read again), as if so many requests had been seen before. In 374 recorded agent sessions 97 % of
the requests that end with a tool's result are followed by another within 5 minutes. No recording holds programs that
ask once, so a first request, or one whose predecessor nobody saw (it may be a question after worked examples), counts
as one that won't be followed until there is evidence."""

_digits = re.compile(rb"[0-9]+")
_tool_names = re.compile(rb'"name"\s*:\s*"((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class Sent:
    """A request: when it left, and how many seconds later one with the same beginning did; ``inf`` when the next one
    began otherwise, None while it is not known."""

    at: float
    gap: float | None = None
    answered: bool = False


@dataclass(slots=True)
class Family:
    """The conversations of one program."""

    sent: dict[Ending, deque[Sent]] = field(default_factory=dict)
    unread: int = 0
    unread_at: float = -inf
    head: bytes = b""
    """What stood before the messages in the last conversation that began."""
    billed: tuple[bytes, int] = (b"", 0)
    """How many tokens the client's own breakpoints cover, as billed, and of which head."""
    starts: deque[Sent] = field(default_factory=lambda: deque(maxlen=OTHERS))
    """Conversations that began. Each lasts as long as requests with its head come: the gap is what follows."""

    def add(self, ending: Ending, sent: Sent) -> None:
        """Note a request."""
        self.sent.setdefault(ending, deque(maxlen=OTHERS)).append(sent)

    def used(self, head: bytes, now: float) -> None:
        """Note that a request renews what stands before the messages, if the last conversation began with it."""
        if head == self.head and self.starts and self.starts[-1].gap is None:
            self.starts[-1].at = now


@dataclass(slots=True)
class PrefixHistory:
    """One conversation. Times are seconds of one clock, sizes are tokens."""

    family: Family
    layout: Layout
    head: bytes
    """Tells what stands before the messages."""
    ending: Ending
    lock: threading.RLock
    before: Layout | None = None
    """The request that this one continues, or was expected to."""
    had: int = 0
    """Tokens of that request, an estimate, that the provider should have had in its cache when this one came."""
    billed: int = 0
    """Tokens of that request as billed; 0: not known."""
    continued: bool = False
    """Whether the request's beginning is the whole of the one before."""
    kept_turns: int = 0
    """How many turns at its beginning the provider has seen just so, with the same tools and system prompt."""
    requests: int = 0
    last: float = -inf
    """When the request before left."""
    own: deque[Sent] = field(default_factory=lambda: deque(maxlen=OWN))
    life: float = 0.0
    """Seconds that what the request before left in the cache lives; 0 when it left nothing."""
    reach: int = 0
    """Tokens of the request before that its last breakpoint covered, an estimate."""
    usage: Usage | None = None
    """What the last answer said."""
    betas: str = ""
    """The beta header of the request before."""
    retry: bool = False
    """Whether the request before was the same and never answered: then this one stands in its place."""

    def advance(self, family: Family, layout: Layout, head: bytes, ending: Ending, now: float) -> None:
        """Take the next request of the conversation: all turns of the one before stand at its beginning."""
        self.retry = bool(self.own) and not self.own[-1].answered and layout.body == self.layout.body
        if not self.retry:
            self.continued = self.head == head
            self.kept_turns = len(self.layout.turns) if self.continued else 0
            if self.own:
                self.own[-1].gap = now - self.last if self.continued else inf
            self.follow(self, now)
        self.family, self.layout, self.head, self.ending = family, layout, head, ending

    def follow(self, before: "PrefixHistory", now: float) -> None:
        """Note what is to be expected of a request that comes after the last one of ``before``."""
        self.before, self.betas, self.had = before.layout, before.betas, before.cached(now)
        self.billed = before.usage.total_input if before.usage else 0

    def branch(self, parent: "PrefixHistory") -> None:
        """Begin where another conversation was changed by its client, or where it forks."""
        turn = changed_turn(parent.layout, self.layout)
        same = min(len(parent.layout.turns), len(self.layout.turns)) if turn is None else turn
        self.kept_turns = same if parent.head == self.head else 0
        self.last, self.life = parent.last, parent.life
        self.own.extend(parent.own)
        parent.next_began_otherwise()

    def next_began_otherwise(self) -> None:
        """The client went on with another beginning; unless this one is continued after all, nobody reads it."""
        if self.own and self.own[-1].gap is None:
            self.own[-1].gap = inf

    @property
    def held_bytes(self) -> int:
        """Bytes of request bodies that are kept for comparison."""
        return len(self.layout.body) + (len(self.before.body) if self.before is not None else 0)

    def chance(self, life: float, now: float) -> float:
        """How likely the current request is followed by one with the same beginning within ``life`` seconds."""
        with self.lock:
            own = list(self.own)
            others = [s for s in self.family.sent.get(self.ending, ()) if all(s is not mine for mine in own)]
        return _chance(self.ending, [(WEIGHT, own), (1, others)], life, now)

    def chance_of_head(self, life: float, now: float) -> float:
        """How likely another conversation with the same tools and system prompt begins within ``life`` seconds."""
        with self.lock:
            starts = list(self.family.starts)
        return _chance("first", [(1, starts)], life, now)

    def gaps(self) -> list[float]:
        """Seconds between requests, of this conversation and the others of its family; ``inf``: no more came."""
        with self.lock:
            known = [s for group in self.family.sent.values() for s in group]
            known += [s for s in self.own if all(s is not other for other in known)]
            return [sent.gap for sent in known if sent.gap is not None]

    def warm(self, now: float) -> bool:
        """Whether what the request before left in the cache should still be there for this one."""
        return self.continued and not self._nothing_cached() and now - self.last <= self.life

    def warm_turns(self, now: float) -> int:
        """How many turns at the beginning of this request the provider may still have in its cache: changing one of
        them costs. 0 when it has surely expired, when the last answer said that nothing was cached, or when the
        client changed what stands before. A conversation that was not seen before may have all of it cached."""
        if self.last == -inf:
            return 0 if self.ending == "first" else len(self.layout.turns)
        if self.layout.shape != "anthropic":  # whose answers don't tell what was written
            return self.kept_turns if now - self.last <= AUTOMATIC_LIFE else 0
        return 0 if self._nothing_cached() or now - self.last > SURE * self.life else self.kept_turns

    def cold(self, now: float) -> bool:
        """Whether the provider surely has no turn of this request in its cache: all is written anew anyway."""
        return self.warm_turns(now) == 0

    def cached(self, now: float) -> int:
        """Tokens of the request before, an estimate, that the provider should have in its cache."""
        gone = now - self.last > self.life or (self.layout.shape == "anthropic" and self._nothing_cached())
        return 0 if gone else self.reach

    def _nothing_cached(self) -> bool:
        said = self.usage
        return said is not None and not (
            said.cache_read_tokens or said.cache_write_tokens or said.cache_write_1h_tokens
        )

    def blocked(self, now: float) -> bool:
        """Whether this program's caches were written and not read, again and again."""
        return self.family.unread >= UNREAD and now - self.family.unread_at < RETRY_SECONDS

    def sent(self, now: float, betas: str = "") -> Sent:
        """Note that the current request leaves, under the beta header ``betas``; ``leaves`` says what it leaves."""
        with self.lock:
            if self.retry and self.own:
                sent = self.own[-1]
                sent.at = now
            else:
                sent = Sent(now)
                self.own.append(sent)
                self.family.add(self.ending, sent)
                self.requests += 1
            self.last, self.life, self.reach, self.betas, self.usage = now, 0.0, 0, betas, None
            self.family.used(self.head, now)
            return sent

    def leaves(self, sent: Sent, life: float, reach: int) -> None:
        """Note that a request has breakpoints whose entries live ``life`` seconds (0: none) and cover ``reach``
        tokens. What is said of a request that was followed by another comes too late and changes nothing."""
        with self.lock:
            if self.own and self.own[-1] is sent:
                self.life, self.reach = life, reach

    def answered(self, sent: Sent, usage: Usage, expected: bool, now: float) -> None:
        """Note what the answer to a request said; ``expected``: something should have been read."""
        with self.lock:
            sent.answered = True
            if self.own and self.own[-1] is sent:  # the next request may leave before this one is written down
                self.usage = usage
            if usage.cache_read_tokens:
                self.family.unread = 0
            elif expected:
                self.family.unread += 1
                self.family.unread_at = now


class Prefixes:
    """The histories of the conversations in memory; the longest unused go first. Thread-safe."""

    def __init__(self, conversations: int = CONVERSATIONS, held_bytes: int = BYTES) -> None:
        self._limit, self._bytes = conversations, held_bytes
        self._histories: OrderedDict[int, PrefixHistory] = OrderedDict()
        self._families: OrderedDict[bytes, Family] = OrderedDict()
        self._known_heads: dict[bytes, bytes] = {}
        self._by_key: dict[bytes, list[int]] = {}
        self._next = 0
        self._lock = threading.RLock()

    def open(self, session: str, layout: Layout, now: float, tail: int = 0) -> PrefixHistory:
        """The history of the conversation that ``layout`` continues, or a new one. To be called once a request.

        ``tail``: the byte at which the volatile end of the system prompt begins; 0: it has none.
        """
        by_start, by_session = _start(layout), _digest(layout.shape, session)
        head, ending = head_digest(layout), ending_of(layout)
        with self._lock:
            family = self._family(layout, head)
            number = self._find(by_start, layout)
            if number is None:
                changed = self._latest(by_start, len(layout.turns))
                before = changed or self._latest(by_session)
                history = PrefixHistory(family, layout, head, ending, self._lock)
                if before is not None:
                    history.follow(before, now)
                if changed is not None:
                    history.branch(changed)
                elif ending != "first":
                    self._orphan(family)
                number = self._next
                self._next += 1
                for key in (by_start, by_session):
                    self._by_key.setdefault(key, []).insert(0, number)
            else:
                history = self._histories[number]
                history.advance(family, layout, head, ending, now)
            if (ending == "first" or tail) and not history.continued and not history.retry:
                self._begins(family, head_digest(layout, tail), now)
            self._histories[number] = history
            self._histories.move_to_end(number)
            self._shrink()
            return history

    def _find(self, start: bytes, layout: Layout) -> int | None:
        """The conversation of which most turns stand at the beginning of this body."""
        candidates = [n for n in self._by_key.get(start, ()) if n in self._histories][:CANDIDATES]
        found = [n for n in candidates if continues(self._histories[n].layout, layout)]
        return max(found, key=lambda n: len(self._histories[n].layout.turns), default=None)

    def _latest(self, key: bytes, most_turns: float = inf) -> PrefixHistory | None:
        """The conversation last begun under a key, when it has no more turns than ``most_turns``."""
        for number in self._by_key.get(key, ()):
            history = self._histories.get(number)
            if history is not None:
                return history if len(history.layout.turns) <= most_turns else None
        return None

    def _family(self, layout: Layout, head: bytes) -> Family:
        named = _digest(layout.shape, layout.string("model") or "", head.hex())
        key = self._known_heads.get(named)
        if key is None:
            if len(self._known_heads) >= FAMILIES:
                self._known_heads.clear()
            key = self._known_heads[named] = _family_key(layout)
        family = self._families.setdefault(key, Family())
        self._families.move_to_end(key)
        if len(self._families) > FAMILIES:
            self._families.popitem(last=False)
        return family

    def _orphan(self, family: Family) -> None:
        """A conversation that goes on, but from where nobody saw: perhaps its client drops or changes what it sent."""
        pending = [s for ending in ("result", "text") for s in family.sent.get(ending, ()) if s.gap is None]
        if pending:
            max(pending, key=lambda sent: sent.at).gap = inf

    def _begins(self, family: Family, head: bytes, now: float) -> None:
        if family.starts and family.starts[-1].gap is None:
            family.starts[-1].gap = now - family.starts[-1].at if family.head == head else inf
        family.head = head
        family.starts.append(Sent(now))

    def _shrink(self) -> None:
        held = sum(history.held_bytes for history in self._histories.values())
        while len(self._histories) > 1 and (len(self._histories) > self._limit or held > self._bytes):
            _, history = self._histories.popitem(last=False)
            held -= history.held_bytes
        if len(self._by_key) > 4 * self._limit:
            alive = ((key, [n for n in some if n in self._histories]) for key, some in self._by_key.items())
            self._by_key = {key: some for key, some in alive if some}


def ending_of(layout: Layout) -> Ending:
    """How a request ends."""
    if not any(turn.answer for turn in layout.turns[: layout.first_new_turn]):
        return "first"
    new = layout.first_new_turn
    for block in reversed(layout.blocks):
        if block.turn < new:
            break
        if block.kind == "result":
            return "result"
    return "text"


def _chance(ending: Ending, groups: list[tuple[int, list[Sent]]], life: float, now: float) -> float:
    read, unread = PRIOR[ending]
    for weight, group in groups:
        gaps = [sent.gap for sent in group if sent.gap is not None and sent.gap <= life]
        patience = min(life, PATIENCE + 2 * max(gaps, default=life))
        for sent in group:
            if sent.gap is None and now - sent.at <= patience:
                continue
            hit = sent.gap is not None and sent.gap <= life
            read, unread = (read + weight, unread) if hit else (read, unread + weight)
    return read / (read + unread)


def _family_key(layout: Layout) -> bytes:
    digest = blake2b(layout.shape.encode() + b"\0" + (layout.string("model") or "").encode(), digest_size=16)
    for name, span in head_fields(layout):
        if name == "tools":  # by their names: descriptions change with the version, or say what day it is
            digest.update(b"\n".join(_tool_names.findall(layout.body, span.start, span.end)) + b"\0")
        else:
            digest.update(_digits.sub(b"0", layout.body[span.start : min(span.end, span.start + 200)]) + b"\0")
    return digest.digest()


def _start(layout: Layout) -> bytes:
    """What conversations have in common that begin with the same question."""
    digest = blake2b(layout.shape.encode(), digest_size=16)
    for block in layout.blocks:
        if block.kind not in ("user", "result") or layout.turns[block.turn].answer:
            break
        digest.update(layout.body[block.span.start : block.span.end])
    return digest.digest()


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
