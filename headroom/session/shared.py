"""What was decided before, shared by several proxies: a session may go through any of them, request by request.

A decision is made once. Whoever writes it first has made it, the others read it. This proxy keeps a copy of all that
it has read or made in its workspace: while the store is away the copies hold, and nothing new is decided, since other
proxies could not know of it. When the store comes back without what it had, the copies go into it again.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import zstandard

from headroom.errors import StorageError
from headroom.session.memory import NOTHING, Decision, Known, Memory, SqliteMemory, stands
from headroom.stores.lists import Item, Lists
from headroom.stores.opening import open_lists

log = logging.getLogger(__name__)
_MOST = 64 * 1024 * 1024


class SharedMemory:
    """Decisions in a store for several proxies, with a copy in the workspace of this one."""

    def __init__(self, copies: SqliteMemory, lists: Lists) -> None:
        self._copies = copies
        self._lists = lists

    @property
    def problem(self) -> str:
        return self._lists.problem

    def find(self, keys: Iterable[bytes]) -> dict[bytes, list[Decision]]:
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}
        mine = self._copies.find(wanted)
        try:
            found = _decisions(self._lists.find(wanted))
            lacking = [d for key, some in mine.items() for d in some if _lacks(found.get(key, ()), d)]
            if lacking:
                found |= _decisions(self._lists.add([_item(decision) for decision in lacking]))
        except StorageError:
            return mine
        self._copy(found, mine)
        return found

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        if not decisions:
            return True
        try:
            now = _decisions(self._lists.add([_item(decision) for decision in decisions]))
        except StorageError:
            return False
        self._copy(now, {})
        return all(stands(decision, now.get(decision.key, ()), known) for decision in decisions)

    def leave_alone(self, session: str, reason: str) -> None:
        self._copies.leave_alone(session, reason)
        key = _left_alone(session)
        try:
            self._lists.add([Item(key, key, reason.encode("utf-8", "replace"))])
        except StorageError as error:
            log.warning("other proxies can't be told that session %s is left alone: %s", session, error.message)

    def left_alone(self, session: str) -> str | None:
        reason = self._copies.left_alone(session)
        if reason:
            return reason
        key = _left_alone(session)
        try:
            found = self._lists.find([key]).get(key)
        except StorageError:
            return None
        if not found:
            return None
        reason = found[0].data.decode("utf-8", "replace")
        self._copies.leave_alone(session, reason)
        return reason

    def close(self) -> None:
        """Let go of the connection and of the copies."""
        self._lists.close()
        self._copies.close()

    def _copy(self, found: Known, mine: Known) -> None:
        new = [d for key, some in found.items() for d in some if _lacks(mine.get(key, ()), d)]
        if new:
            self._copies.remember(new)


def open_memory(url: str, path: Path) -> Memory:
    """The decisions at ``url``, with copies at ``path``; at ``path`` alone when it is "". Raises ConfigurationError."""
    copies = SqliteMemory(path)
    return SharedMemory(copies, open_lists(url)) if url else copies


def _lacks(some: Sequence[Decision], decision: Decision) -> bool:
    return all(other.needs != decision.needs for other in some)


def _left_alone(session: str) -> bytes:
    return blake2b(f"left alone\0{session}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _item(d: Decision) -> Item:
    needs = b"".join(sorted(d.needs))
    said = {
        "replacement": d.replacement,
        "before": d.before,
        "after": d.after,
        "saved": dict(d.saved),
        "needs": needs.hex(),
        "hash": d.hash,
    }
    data = zstandard.ZstdCompressor(level=3).compress(json.dumps(said, separators=(",", ":")).encode())
    return Item(d.key, blake2b(needs, digest_size=16).digest(), data)


def _decisions(lists: Mapping[bytes, list[Item]]) -> dict[bytes, list[Decision]]:
    return {key: [_decision(item) for item in items] for key, items in lists.items()}


def _decision(item: Item) -> Decision:
    """Raises StorageError when it is none: then the store is as good as away."""
    try:
        said = json.loads(zstandard.ZstdDecompressor().decompress(item.data, max_output_size=_MOST))
        needs = bytes.fromhex(said["needs"])
        return Decision(
            item.key,
            said["replacement"],
            said["before"],
            said["after"],
            said["saved"],
            frozenset(needs[i : i + 16] for i in range(0, len(needs), 16)),
            said["hash"],
        )
    except (zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"the store has a decision that can't be read: {type(error).__name__}") from error
