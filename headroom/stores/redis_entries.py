"""Entries in Redis, for the proxies of a team.

Redis must not evict by itself (``maxmemory-policy noeviction``), and keeps what it has over a restart with
``appendonly yes``.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headroom.errors import StorageError
from headroom.stores.entries import GONE_SECONDS, SWEPT, Entry, Holder, Limits, State
from headroom.stores.redis_server import PREFIX, RedisServer

# entry:<hash>   {data, size, stored}
# holders:<hash> {session: [tool, subject, made]}
# until          hashes by when to look if they have expired
# loose          hashes that no session ever held, by when they were used
# session:<name> the hashes that it holds
# seen           sessions by time
# gone           hashes by when they expired or were evicted
# sums           {entries, bytes, text_bytes}
_COMMON = f"""
local P = '{PREFIX}'
local more, stored = 0, 0
local now, ttl, hold = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function held(hash)
    local until_ = 0
    for _, session in ipairs(redis.call('HKEYS', P .. 'holders:' .. hash)) do
        local seen = session ~= '' and redis.call('ZSCORE', P .. 'seen', session)
        if seen and tonumber(seen) + hold > until_ then until_ = tonumber(seen) + hold end
    end
    return until_
end
local function live(hash)
    local known = redis.call('ZSCORE', P .. 'until', hash)
    return known and (tonumber(known) >= now or held(hash) >= now)
end
local function remove(hash)
    local sizes = redis.call('HMGET', P .. 'entry:' .. hash, 'stored', 'size')
    if not sizes[1] then return end
    for _, session in ipairs(redis.call('HKEYS', P .. 'holders:' .. hash)) do
        redis.call('SREM', P .. 'session:' .. session, hash)
    end
    redis.call('DEL', P .. 'entry:' .. hash, P .. 'holders:' .. hash)
    redis.call('ZREM', P .. 'until', hash)
    redis.call('ZREM', P .. 'loose', hash)
    redis.call('ZADD', P .. 'gone', now, hash)
    more, stored = more - 1, stored - sizes[1]
    redis.call('HINCRBY', P .. 'sums', 'entries', -1)
    redis.call('HINCRBY', P .. 'sums', 'bytes', -sizes[1])
    redis.call('HINCRBY', P .. 'sums', 'text_bytes', -sizes[2])
end
"""
_PUT = (
    _COMMON
    + f"""
local limit_entries, limit_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local coming, size = 0, 0
local fresh = {{}}
for i = 6, #ARGV, 7 do
    local hash = ARGV[i]
    if not fresh[hash] and redis.call('EXISTS', P .. 'entry:' .. hash) == 0 then
        fresh[hash] = true
        coming, size = coming + 1, size + #ARGV[i + 6]
    end
end
local function sum(name) return tonumber(redis.call('HGET', P .. 'sums', name) or 0) end
more = sum('entries') + coming - limit_entries
stored = sum('bytes') + size - limit_bytes
for _, hash in ipairs(redis.call('ZRANGEBYSCORE', P .. 'until', '-inf', '(' .. ARGV[1], 'LIMIT', 0, {SWEPT})) do
    local known = held(hash)
    if known >= now then redis.call('ZADD', P .. 'until', known, hash) else remove(hash) end
end
for _, hash in ipairs((more > 0 or stored > 0) and redis.call('ZRANGE', P .. 'loose', 0, {SWEPT}) or {{}}) do
    if more > 0 or stored > 0 then remove(hash) end
end
redis.call('ZREMRANGEBYSCORE', P .. 'gone', '-inf', now - {GONE_SECONDS})
for _, session in ipairs(redis.call('ZRANGEBYSCORE', P .. 'seen', '-inf', now - hold, 'LIMIT', 0, {SWEPT})) do
    if redis.call('EXISTS', P .. 'session:' .. session) == 0 then redis.call('ZREM', P .. 'seen', session) end
end
if stored > 0 then return {{'full', sum('bytes')}} end
for i = 6, #ARGV, 7 do
    local hash, session = ARGV[i], ARGV[i + 1]
    local key = P .. 'entry:' .. hash
    if redis.call('EXISTS', key) == 0 then
        redis.call('HSET', key, 'data', ARGV[i + 6], 'size', ARGV[i + 5], 'stored', #ARGV[i + 6])
        redis.call('HINCRBY', P .. 'sums', 'entries', 1)
        redis.call('HINCRBY', P .. 'sums', 'bytes', #ARGV[i + 6])
        redis.call('HINCRBY', P .. 'sums', 'text_bytes', ARGV[i + 5])
    end
    redis.call('ZADD', P .. 'until', 'GT', now + (session ~= '' and hold or ttl), hash)
    if session ~= '' then
        redis.call('ZREM', P .. 'loose', hash)
    elseif redis.call('EXISTS', P .. 'holders:' .. hash) == 0 or redis.call('ZSCORE', P .. 'loose', hash) then
        redis.call('ZADD', P .. 'loose', now, hash)
    end
    redis.call('HSET', P .. 'holders:' .. hash, session, cjson.encode({{ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]}}))
    redis.call('SADD', P .. 'session:' .. session, hash)
    if session ~= '' then redis.call('ZADD', P .. 'seen', 'GT', now, session) end
    redis.call('ZREM', P .. 'gone', hash)
end
return {{'kept'}}
"""
)
_GET = (
    _COMMON
    + """
local hash = ARGV[4]
if not live(hash) then return nil end
redis.call('ZADD', P .. 'until', 'GT', now + ttl, hash)
redis.call('ZADD', P .. 'loose', 'XX', now, hash)
local entry = redis.call('HMGET', P .. 'entry:' .. hash, 'size', 'data')
return {entry[1], entry[2], redis.call('HGETALL', P .. 'holders:' .. hash)}
"""
)
_STATE = (
    _COMMON
    + """
local hash = ARGV[4]
if live(hash) then return 'live' end
if redis.call('ZSCORE', P .. 'gone', hash) or redis.call('ZSCORE', P .. 'until', hash) then return 'expired' end
return 'unknown'
"""
)
_MISSING = (
    _COMMON
    + """
local missing = {}
for i = 4, #ARGV do
    if not live(ARGV[i]) then missing[#missing + 1] = ARGV[i] end
end
return missing
"""
)
_FORGET = _COMMON + "remove(ARGV[4])"
_OF_SESSION = f"""
local P = '{PREFIX}'
local found = {{}}
for _, hash in ipairs(redis.call('SMEMBERS', P .. 'session:' .. ARGV[1])) do
    local holder = redis.call('HGET', P .. 'holders:' .. hash, ARGV[1])
    if holder then found[#found + 1] = {{hash, redis.call('HGET', P .. 'entry:' .. hash, 'size'), holder}} end
end
return found
"""
_HOLDERS = f"""
local P = '{PREFIX}'
local found = {{}}
local seen = redis.call('ZREVRANGE', P .. 'seen', 0, -1, 'WITHSCORES')
for i = 1, #seen, 2 do
    if #found == tonumber(ARGV[1]) then break end
    local entries, size = 0, 0
    for _, hash in ipairs(redis.call('SMEMBERS', P .. 'session:' .. seen[i])) do
        entries, size = entries + 1, size + tonumber(redis.call('HGET', P .. 'entry:' .. hash, 'size'))
    end
    if entries > 0 then found[#found + 1] = {{seen[i], seen[i + 1], entries, size}} end
end
return found
"""


class RedisEntries:
    """Entries in a Redis."""

    def __init__(self, server: RedisServer, limits: Limits | None = None) -> None:
        self._server = server
        self._limits = limits or Limits()
        self._touched: dict[str, float] = {}

    def put(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        values: list[str | bytes | float] = []
        for e in entries:
            values += (e.hash, e.session, e.tool, e.subject, repr(e.made), e.size, e.data)
        answer = self._run(_PUT, self._limits.entries, self._limits.bytes, *values)
        if answer[0] == b"full":
            raise StorageError(
                f"{self._server.name} is full: {int(answer[1]):,} of {self._limits.bytes:,} bytes are held by living"
                " sessions.",
                {"store": self._server.name, "bytes": int(answer[1]), "limit": self._limits.bytes},
            )

    def get(self, hash: str) -> Entry | None:
        found = self._run(_GET, hash)
        if not found:
            return None
        size, data, flat = found
        holders = [(session.decode(), *_holder(raw)) for session, raw in zip(flat[::2], flat[1::2], strict=True)]
        session, tool, subject, made = max(holders, key=lambda holder: holder[3])
        return Entry(hash, session, tool, subject, made, int(size), data)

    def state(self, hash: str) -> State:
        state: State = self._run(_STATE, hash).decode()
        return state

    def missing(self, hashes: Iterable[str]) -> set[str]:
        wanted = list(hashes)
        return {hash.decode() for hash in self._run(_MISSING, *wanted)} if wanted else set()

    def forget(self, hash: str) -> None:
        self._run(_FORGET, hash)

    def touch(self, session: str) -> None:
        now = time.time()
        if now - self._touched.get(session, 0.0) < self._limits.hold / 30:
            return
        self._server.call(lambda client: client.zadd(f"{PREFIX}seen", {session: now}, gt=True))
        if len(self._touched) > 10_000:
            self._touched.clear()
        self._touched[session] = now

    def of_session(self, session: str) -> list[Entry]:
        rows = self._server.script(_OF_SESSION, session)
        found = [Entry(hash.decode(), session, *_holder(raw), int(size), b"") for hash, size, raw in rows]
        return sorted(found, key=lambda entry: (entry.made, entry.hash))

    def holders(self, limit: int = 100) -> list[Holder]:
        rows = self._server.script(_HOLDERS, limit)
        return [Holder(session.decode(), float(seen), entries, size) for session, seen, entries, size in rows]

    def stats(self) -> Mapping[str, int]:
        def ask(client: Any) -> dict[str, int]:
            sums = client.hgetall(f"{PREFIX}sums")
            found = {name: int(sums.get(name.encode(), 0)) for name in ("entries", "bytes", "text_bytes")}
            return {**found, "sessions": int(client.zcard(f"{PREFIX}seen"))}

        return self._server.call(ask)

    def close(self) -> None:
        self._server.close()

    def _run(self, script: str, *arguments: str | bytes | float) -> Any:
        return self._server.script(script, repr(time.time()), self._limits.ttl, self._limits.hold, *arguments)


def _holder(raw: bytes) -> tuple[str, str, float]:
    tool, subject, made = json.loads(raw)
    return tool, subject, float(made)
