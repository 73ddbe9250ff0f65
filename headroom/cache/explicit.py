"""Gemini's explicit caches, for programs that ask for them: made, used again, renewed, deleted, their price counted.

An explicit cache is an object at the provider with a system prompt and tools. A request that names it leaves these out
and pays a tenth for them; the object is paid for by the hour (https://ai.google.dev/gemini-api/docs/caching). Gemini
also caches by itself, but promises nothing there.

A cache is made when the same system prompt and tools come again within its life and another request is expected to
follow, as many as came in that time. A request that uses one in the second half of its life renews it. What nobody uses
any more ends by itself.
"""

import json
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol

from headroom.errors import without_message
from headroom.models import price_for
from headroom.tokenizers import count

log = logging.getLogger(__name__)
HEAD = ("systemInstruction", "tools", "toolConfig")
"""What a cache holds of a request: such a request may not say it again."""
LEAST_TOKENS = 4096
"""Of what is cached: no model asks for more."""
LIFE = 300.0
"""Seconds that a cache lives after it was made or renewed."""
RETRY_SECONDS = 3600.0
"""After a refusal no cache is made of the same for so long."""
HEADS = 64
"""System prompts with tools that are remembered."""
STORAGE_USD: tuple[tuple[str, float], ...] = (("flash", 1.0), ("", 4.5))
"""For a million tokens and hour, by a part of the model's name (https://ai.google.dev/gemini-api/docs/pricing)."""

Json = dict[str, Any]


class Calls(Protocol):
    """How the provider is asked. Each may raise whatever its client raises."""

    def create(self, body: Json) -> Json:
        """The object that was made: its ``name``, and ``usageMetadata`` with its ``totalTokenCount``."""
        ...

    def renew(self, name: str, ttl: str) -> None: ...

    def delete(self, name: str) -> None: ...


@dataclass(slots=True)
class _Cache:
    name: str
    tokens: int
    model: str
    made: float
    until: float

    def hours(self, now: float) -> float:
        """Token-hours that it was there."""
        return self.tokens * max(0.0, min(now, self.until) - self.made) / 3600


@dataclass(slots=True)
class _Head:
    seen: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    cache: _Cache | None = None
    tokens: int = 0
    busy: bool = False
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was done: caches made, requests that used one, renewals, deletions; ``storage_usd`` is what the provider
    charges for keeping them until now."""

    created: int = 0
    reused: int = 0
    renewed: int = 0
    deleted: int = 0
    token_hours: float = 0.0
    storage_usd: float = 0.0


class ExplicitCaches:
    """The caches of one client. Any thread may use it; nothing here raises."""

    def __init__(self, calls: Calls, clock: Callable[[], float] = time.time) -> None:
        self._calls, self._clock = calls, clock
        self._heads: OrderedDict[bytes, _Head] = OrderedDict()
        self._ended: list[_Cache] = []
        self._counts = {"created": 0, "reused": 0, "renewed": 0, "deleted": 0}
        self._lock = threading.Lock()

    def use(self, request: Mapping[str, Any], model: str) -> tuple[Json, str] | None:
        """The request with a cache in place of what it holds, and the cache's name; None: it leaves as it is."""
        held = {name: request[name] for name in HEAD if request.get(name)}
        if not held or request.get("cachedContent"):
            return None
        text = json.dumps(held, ensure_ascii=False, sort_keys=True)
        now = self._clock()
        with self._lock:
            head = self._head(f"{model}\0{text}")
            head.tokens = head.tokens or count(text)
            recent = sum(now - at <= LIFE for at in head.seen)
            head.seen.append(now)
            cache = self._living(head, now)
            makes = cache is None and not head.busy and now >= head.not_before and _pays(head.tokens, recent, model)
            renews = cache is not None and cache.until - now < LIFE / 2
            if makes:
                head.busy = True
        if makes:
            cache = self._make(head, held, model)
        elif renews and cache is not None:
            self._renew(cache)
        if cache is None:
            return None
        with self._lock:
            self._counts["reused"] += 1
        rest = {name: value for name, value in request.items() if name not in HEAD}
        return {**rest, "cachedContent": cache.name}, cache.name

    def refused(self, name: str) -> None:
        """The provider did not take a request with this cache: it is used no more, and none is made in its place."""
        now = self._clock()
        with self._lock:
            for head in self._heads.values():
                if head.cache is not None and head.cache.name == name:
                    self._end(head, now)
                    head.not_before = now + RETRY_SECONDS

    def close(self) -> None:
        """Delete what still lives."""
        now = self._clock()
        with self._lock:
            living = [head.cache for head in self._heads.values() if self._living(head, now) and head.cache]
            for head in self._heads.values():
                self._end(head, now)
        for cache in living:
            try:
                self._calls.delete(cache.name)
            except Exception as error:
                log.warning("a cache at the provider can't be deleted, it ends by itself: %s", without_message(error))
                continue
            with self._lock:
                self._counts["deleted"] += 1

    def figures(self) -> Figures:
        """What was done until now."""
        now = self._clock()
        with self._lock:
            caches = [*self._ended, *(head.cache for head in self._heads.values() if head.cache)]
            hours = sum(cache.hours(now) for cache in caches)
            usd = sum(cache.hours(now) * _storage(cache.model) for cache in caches) / 1e6
            return Figures(**self._counts, token_hours=hours, storage_usd=usd)

    def _head(self, text: str) -> _Head:
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        head = self._heads.setdefault(key, _Head())
        self._heads.move_to_end(key)
        if len(self._heads) > HEADS:
            _, oldest = self._heads.popitem(last=False)  # its cache ends by itself
            if oldest.cache is not None:
                self._ended.append(oldest.cache)
        return head

    def _living(self, head: _Head, now: float) -> _Cache | None:
        if head.cache is not None and head.cache.until <= now:
            self._end(head, now)
        return head.cache

    def _end(self, head: _Head, now: float) -> None:
        if head.cache is not None:
            head.cache.until = min(head.cache.until, now)
            self._ended.append(head.cache)
            head.cache = None

    def _make(self, head: _Head, held: Json, model: str) -> _Cache | None:
        made: _Cache | None = None
        try:
            told = self._calls.create({"model": model, **held, "ttl": f"{LIFE:.0f}s"})
            tokens = int((told.get("usageMetadata") or {}).get("totalTokenCount") or head.tokens)
            now = self._clock()
            made = _Cache(str(told["name"]), tokens, model, now, now + LIFE)
        except Exception as error:
            log.warning("no cache could be made at the provider: %s", without_message(error))
        with self._lock:
            head.busy, head.cache = False, made
            if made is None:
                head.not_before = self._clock() + RETRY_SECONDS
            else:
                self._counts["created"] += 1
        return made

    def _renew(self, cache: _Cache) -> None:
        try:
            self._calls.renew(cache.name, f"{LIFE:.0f}s")
        except Exception as error:  # it still lives for a while
            log.warning("a cache at the provider could not be renewed: %s", without_message(error))
            return
        with self._lock:
            cache.until = self._clock() + LIFE
            self._counts["renewed"] += 1


def _pays(tokens: int, expected: int, model: str) -> bool:
    """Whether a cache saves more than it costs, when ``expected`` more requests use it while it lives.

    Making it costs a full price that this request would have paid too, reading it back in this request, and storage.
    """
    if tokens < LEAST_TOKENS:
        return False
    price = price_for("gemini", model)
    return expected * (price.input - price.cache_read) > price.cache_read + _storage(model) * LIFE / 3600


def _storage(model: str) -> float:
    return next(usd for part, usd in STORAGE_USD if part in model)
