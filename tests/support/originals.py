"""A store of originals in memory, which can be told to fail."""

from collections.abc import Iterable, Mapping, Sequence

from headroom.ccr.originals import Original
from headroom.errors import StorageError
from headroom.stores.entries import Holder, State


class RamOriginals:
    """``broken``: nothing can be kept. ``touched`` are the sessions that were said to live, in order."""

    def __init__(self) -> None:
        self.broken = False
        self.kept: dict[str, Original] = {}
        self.expired: set[str] = set()
        self.touched: list[str] = []

    def keep(self, texts: Sequence[Original]) -> None:
        if self.broken:
            raise StorageError("the disk is full")
        self.kept.update({original.hash: original for original in texts})

    def get(self, hash: str) -> Original | None:
        return None if hash in self.expired else self.kept.get(hash)

    def state(self, hash: str) -> State:
        return "expired" if hash in self.expired else "live" if hash in self.kept else "unknown"

    def missing(self, hashes: Iterable[str]) -> set[str]:
        return {hash for hash in hashes if self.get(hash) is None}

    def touch(self, session: str) -> None:
        self.touched.append(session)

    def of_session(self, session: str) -> list[Original]:
        return [original for original in self.kept.values() if original.session == session]

    def holders(self, limit: int = 100) -> list[Holder]:
        sessions = dict.fromkeys(original.session for original in self.kept.values())
        held = {session: self.of_session(session) for session in sessions}
        return [Holder(session, 0.0, len(some), sum(one.size for one in some)) for session, some in held.items()][
            :limit
        ]

    def stats(self) -> Mapping[str, int]:
        return {"entries": len(self.kept)}

    def close(self) -> None:
        pass
