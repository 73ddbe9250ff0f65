"""What proxies that share a store know of sessions: short lists that only grow, and whoever is first is first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

KEEP_SECONDS = 7 * 86400.0
"""A list that nobody looks up or adds to for so long is forgotten: no provider caches a prefix nearly as long."""


class Item(NamedTuple):
    """``data`` is added to the list ``key`` unless that has an item of the same ``variant`` (16 bytes) already."""

    key: bytes
    variant: bytes
    data: bytes


class Lists(Protocol):
    """Lists in a server. Any thread may use it, and any number of proxies the same server.

    Each call is one round trip, and raises StorageError when the store can't be used.
    """

    @property
    def problem(self) -> str:
        """Why the server can't be used now; "" while all is well."""
        ...

    def find(self, keys: Sequence[bytes]) -> dict[bytes, list[Item]]:
        """The lists that there are, the oldest item first."""
        ...

    def add(self, items: Sequence[Item]) -> Mapping[bytes, list[Item]]:
        """Add items, all or none, each where its variant is new; what these lists are from now on, oldest first.

        Of two that add to a list at once, one is before the other for everybody.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
