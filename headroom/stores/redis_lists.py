"""Lists in Redis: each is a list of its own, whose items begin with their variant."""

from collections.abc import Mapping, Sequence
from typing import Any

from headroom.stores.lists import KEEP_SECONDS, Item
from headroom.stores.redis_server import PREFIX, RedisServer

VARIANT = 16
_FIND = f"""
local found = {{}}
for i = 1, #ARGV do
    local key = '{PREFIX}list:' .. ARGV[i]
    found[i] = redis.call('LRANGE', key, 0, -1)
    if #found[i] > 0 then redis.call('EXPIRE', key, {int(KEEP_SECONDS)}) end
end
return found
"""
_ADD = f"""
local found = {{}}
for i = 1, #ARGV, 2 do
    local key, variant = '{PREFIX}list:' .. ARGV[i], string.sub(ARGV[i + 1], 1, {VARIANT})
    local list, there = redis.call('LRANGE', key, 0, -1), false
    for _, item in ipairs(list) do
        there = there or string.sub(item, 1, {VARIANT}) == variant
    end
    if not there then
        redis.call('RPUSH', key, ARGV[i + 1])
        list[#list + 1] = ARGV[i + 1]
    end
    redis.call('EXPIRE', key, {int(KEEP_SECONDS)})
    found[#found + 1] = list
end
return found
"""


class RedisLists:
    """Lists in a Redis."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    @property
    def problem(self) -> str:
        return self._server.problem

    def find(self, keys: Sequence[bytes]) -> dict[bytes, list[Item]]:
        if not keys:
            return {}
        found = self._server.script(_FIND, *(key.hex() for key in keys))
        return {key: _items(key, list_) for key, list_ in zip(keys, found, strict=True) if list_}

    def add(self, items: Sequence[Item]) -> Mapping[bytes, list[Item]]:
        if not items:
            return {}
        values = [value for item in items for value in (item.key.hex(), item.variant + item.data)]
        found = self._server.script(_ADD, *values)
        return {item.key: _items(item.key, list_) for item, list_ in zip(items, found, strict=True)}

    def close(self) -> None:
        self._server.close()


def _items(key: bytes, raw: Sequence[Any]) -> list[Item]:
    return [Item(key, item[:VARIANT], item[VARIANT:]) for item in raw]
