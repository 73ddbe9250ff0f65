"""What every store of originals can do, wherever it keeps them: bytes by the hash of what they stand for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

SWEEP_SECONDS = 60.0
"""So often a store looks for what has expired, and more often when it is full."""
SWEPT = 200
"""Entries that one write looks at to clear."""
GONE_SECONDS = 30 * 86400.0
"""So long an expired entry is told from one that was never kept."""

State = Literal["live", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class Entry:
    """``data`` is what is kept under ``hash``, ``size`` how many bytes it stands for; the rest says who kept it.

    ``made`` is in unix seconds. ``session`` may be "": then no session holds it, and it lives as long as it is used.
    """

    hash: str
    session: str
    tool: str
    subject: str
    made: float
    size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds ``entries``, which stand for ``text_bytes``; ``seen`` is when it was heard of last (unix
    seconds)."""

    session: str
    seen: float
    entries: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much is kept.

    An entry expires ``ttl`` seconds after it was kept or read last, and never while a session lives that it belongs
    to: one that was heard of in the last ``session_seconds``. Above ``entries`` the longest unused go earlier, but
    none of a living session. ``bytes`` on the disk are never exceeded: what no longer fits is refused.
    """

    ttl: float = 1800.0
    session_seconds: float = 86400.0
    entries: int = 1000
    bytes: int = 1 << 30

    @property
    def hold(self) -> float:
        """Seconds that a session holds what belongs to it, from its last sign of life on."""
        return max(self.ttl, self.session_seconds)


class Entries(Protocol):
    """A store of entries. Any thread may use it, and several processes the same store.

    Each call raises StorageError when the store can't be used, and says why.
    """

    def put(self, entries: Sequence[Entry]) -> None:
        """Keep them all or none; they outlive the process when this returns."""
        ...

    def get(self, hash: str) -> Entry | None:
        """The entry, for whom it was kept last; None when it is expired or unknown. Reading it keeps it longer."""
        ...

    def state(self, hash: str) -> State:
        """Whether an entry can be had. What expired is told from what was never kept for a month."""
        ...

    def missing(self, hashes: Iterable[str]) -> set[str]:
        """Those of ``hashes`` that can't be had."""
        ...

    def forget(self, hash: str) -> None:
        """Take an entry out: what is kept is not what was given."""
        ...

    def touch(self, session: str) -> None:
        """The session lives."""
        ...

    def of_session(self, session: str) -> list[Entry]:
        """What a session kept, oldest first, without the data."""
        ...

    def holders(self, limit: int = 100) -> list[Holder]:
        """The sessions that hold entries, the latest heard of first."""
        ...

    def stats(self) -> Mapping[str, int]:
        """``entries``, ``bytes`` as kept, ``text_bytes`` that they stand for, ``sessions`` that have any."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
