"""What proxies that share a store tell each other of requests: rows that are only added, and what a day has cost."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

START = ""
"""The position before the first row."""


class Note(NamedTuple):
    """A row: ``id`` tells it from every other, ``day`` are days since 1970 (UTC), ``usd`` is what it cost, ``data`` the
    rest."""

    id: str
    day: int
    usd: float
    data: bytes


class Journal(Protocol):
    """Rows in a server, in one order for all who read them. Any thread may use it.

    Each call raises StorageError when the store can't be used.
    """

    def append(self, notes: Sequence[Note]) -> None:
        """Add rows, all or none; one whose id is there already is left out."""
        ...

    def after(self, position: str, limit: int) -> tuple[list[bytes], str]:
        """The data of at most ``limit`` rows that come after a position, and the position of the last of them. Where
        the store was emptied, what it has had since then."""
        ...

    def spent_usd(self, day: int) -> float:
        """What all rows of a day cost."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
