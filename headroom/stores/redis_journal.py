"""The journal in Redis: a stream, a counter for each day, and a day's ids so that none is counted twice."""

from collections.abc import Sequence
from typing import Any

from headroom.stores.journal import Note
from headroom.stores.redis_server import PREFIX, RedisServer

KEEP_SECONDS = 30 * 86400
"""So long a row can be read by a proxy that was away; those that have read it keep it in their own ledgers."""
_APPEND = f"""
local P = '{PREFIX}'
for i = 1, #ARGV, 4 do
    local id, day = ARGV[i], ARGV[i + 1]
    if redis.call('SADD', P .. 'journal:ids:' .. day, id) == 1 then
        redis.call('XADD', P .. 'journal', '*', 'data', ARGV[i + 3])
        redis.call('INCRBYFLOAT', P .. 'spent:' .. day, ARGV[i + 2])
        redis.call('EXPIRE', P .. 'journal:ids:' .. day, {KEEP_SECONDS})
        redis.call('EXPIRE', P .. 'spent:' .. day, {KEEP_SECONDS})
    end
end
local now = redis.call('TIME')[1]
redis.call('XTRIM', P .. 'journal', 'MINID', '~', (now - {KEEP_SECONDS}) * 1000)
"""


class RedisJournal:
    """The journal in a Redis, version 6.2 or later."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def append(self, notes: Sequence[Note]) -> None:
        if notes:
            values = [value for n in notes for value in (n.id, n.day, repr(n.usd), n.data)]
            self._server.script(_APPEND, *values)

    def after(self, position: str, limit: int) -> tuple[list[bytes], str]:
        begin = f"({position}" if position else "-"

        def ask(client: Any) -> Any:
            return client.xrange(f"{PREFIX}journal", min=begin, count=limit)

        rows = self._server.call(ask)
        return [fields[b"data"] for _, fields in rows], rows[-1][0].decode() if rows else position

    def spent_usd(self, day: int) -> float:
        return float(self._server.call(lambda client: client.get(f"{PREFIX}spent:{day}")) or 0.0)

    def close(self) -> None:
        self._server.close()
