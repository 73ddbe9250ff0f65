"""What was decided before, shared by several proxies: a session may go through any of them, request by request.

A decision is made once. Whoever writes it first has made it, the others read it. This proxy keeps a copy of all that
it has read or made in its workspace: while the store is away the copies hold, and nothing new is decided, since other
proxies could not know of it. When the store comes back without what it had, the copies go into it again.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

    alone = False

    def __init__(self, copies: SqliteMemory, lists: Lists) -> None:
        self._copies = copies
        self._lists = lists
        self._lock = threading.Lock()
        self._unsure: list[Item] = []
        """Decisions that the store may have, though it did not say so in time: their blocks left as they came."""
        self._teller = ThreadPoolExecutor(1, "headroom-left-alone")

    @property
    def problem(self) -> str:
        return self._lists.problem

    def look(self, session: str, keys: Callable[[], Iterable[bytes]]) -> Memory:
        return _Seen(self, session, keys())

    def find(self, keys: Iterable[bytes]) -> dict[bytes, list[Decision]]:
        return self.ask(keys)[0]

    def ask(self, keys: Iterable[bytes], session: str | None = None) -> tuple[dict[bytes, list[Decision]], str, bool]:
        """What is known of ``keys``, why ``session`` is left alone ("": it is not), and whether the store said so; it
        is the copies alone where not."""
        wanted = list(dict.fromkeys(keys))
        mine = self._copies.find(wanted)
        reason = (self._copies.left_alone(session) or "") if session is not None else ""
        flag = _left_alone(session) if session is not None else None
        try:
            self._withdraw()
            lists = self._lists.find([*wanted, flag] if flag else wanted)
            told = lists.pop(flag, None) if flag else None
            found = _decisions(lists)
            lacking = [d for key, some in mine.items() for d in some if _lacks(found.get(key, ()), d)]
            if lacking:
                found |= _decisions(self._lists.add([_item(decision) for decision in lacking]))
        except StorageError:
            return mine, reason, False
        self._copy(found, mine)
        if told and session is not None and not reason:
            reason = told[0].data.decode("utf-8", "replace")
            self._copies.leave_alone(session, reason)
        return found, reason, True

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        if not decisions:
            return True
        if self._lists.problem:  # then none of it reaches the store
            return False
        items = [_item(decision) for decision in decisions]
        try:
            self._withdraw()
            now = _decisions(self._lists.add(items))
        except StorageError:
            with self._lock:
                self._unsure += items
            return False
        self._copy(now, {})
        there = (now.get(decision.key, ()) for decision in decisions)
        return all(not _lacks(some, d) and stands(d, some, known) for d, some in zip(decisions, there, strict=True))

    def leave_alone(self, session: str, reason: str) -> None:
        self._copies.leave_alone(session, reason)
        self._teller.submit(self._tell, session, reason)  # whoever says this may be the event loop

    def _tell(self, session: str, reason: str) -> None:
        key = _left_alone(session)
        try:
            self._lists.add([Item(key, key, reason.encode("utf-8", "replace"))])
        except StorageError as error:
            log.warning("other proxies can't be told that session %s is left alone: %s", session, error.message)

    def left_alone(self, session: str) -> str | None:
        return self.ask((), session)[1] or None

    def close(self) -> None:
        """Let go of the connection and of the copies."""
        self._teller.shutdown()
        self._lists.close()
        self._copies.close()

    def _withdraw(self) -> None:
        """Have nobody use what left here as it came. Raises StorageError."""
        with self._lock:
            unsure = list(self._unsure)
        if unsure:
            self._lists.add([Item(item.key, _withdrawn(item.variant), b"") for item in unsure])
            with self._lock:
                self._unsure = [item for item in self._unsure if item not in unsure]

    def _copy(self, found: Known, mine: Known) -> None:
        new = [d for key, some in found.items() for d in some if _lacks(mine.get(key, ()), d)]
        if new:
            self._copies.remember(new)


class _Seen:
    """The memory for one request: what was looked up at its beginning, and the store for the rest.

    Once the store did not answer, nothing new is decided in this request, also when it is back before its end.
    """

    alone = False

    def __init__(self, memory: SharedMemory, session: str, keys: Iterable[bytes]) -> None:
        self._memory = memory
        self._session = session
        self._asked = frozenset(keys)
        self._found, self._reason, told = memory.ask(self._asked, session)
        self._problem = "" if told else memory.problem or "it did not answer"

    @property
    def problem(self) -> str:
        return self._problem or self._memory.problem

    def look(self, session: str, keys: Callable[[], Iterable[bytes]]) -> Memory:
        return self._memory.look(session, keys)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, list[Decision]]:
        wanted = list(dict.fromkeys(keys))
        found = {key: self._found[key] for key in wanted if key in self._asked and key in self._found}
        rest = [key for key in wanted if key not in self._asked]
        if rest:
            more, _, told = self._memory.ask(rest)
            found |= more
            self._problem = self._problem or ("" if told else "it did not answer")
        return found

    def remember(self, decisions: Sequence[Decision], known: Known = NOTHING) -> bool:
        stand = self._memory.remember(decisions, known)
        if not stand:
            self._asked = frozenset()  # what others decided meanwhile is to be found
        return stand

    def leave_alone(self, session: str, reason: str) -> None:
        self._memory.leave_alone(session, reason)

    def left_alone(self, session: str) -> str | None:
        return self._reason or None if session == self._session else self._memory.left_alone(session)

    def close(self) -> None:
        self._memory.close()


def open_memory(url: str, path: Path) -> Memory:
    """The decisions at ``url``, with copies at ``path``; at ``path`` alone when it is "". Raises ConfigurationError."""
    copies = SqliteMemory(path)
    return SharedMemory(copies, open_lists(url)) if url else copies


def _lacks(some: Sequence[Decision], decision: Decision) -> bool:
    return all(other.needs != decision.needs for other in some)


def _left_alone(session: str) -> bytes:
    return blake2b(f"left alone\0{session}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _withdrawn(variant: bytes) -> bytes:
    return blake2b(b"withdrawn" + variant, digest_size=16).digest()


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
    """What the lists say, without what was withdrawn."""
    found = {}
    for key, items in lists.items():
        gone = {item.variant for item in items if not item.data}
        found[key] = [_decision(item) for item in items if item.data and _withdrawn(item.variant) not in gone]
    return {key: some for key, some in found.items() if some}


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
