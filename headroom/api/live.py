"""What went through this proxy of late, with the texts before and after: kept in memory, never on disk."""

import json
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headroom.ledger import Exchange
from headroom.ledger.row import storable
from headroom.session.standing import BlockReport

EXCERPT = 20_000
"""Characters of a text that are kept."""
LARGEST = 32 * 1024 * 1024
"""Characters of all texts together; of more the oldest go."""
EXCHANGES = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to one block when it was first seen: sizes in tokens, ``reason`` when nothing was done.

    The texts are cut after EXCERPT characters; ``text_before`` is None where it is not known any more, ``text_after``
    also when the block was left as it was. ``hash`` names the original of what was left out, or what was given back.
    """

    turn: int
    tool: str
    subject: str
    before: int
    after: int
    saved: Mapping[str, int]
    reason: str
    text_before: str | None = None
    text_after: str | None = None
    hash: str = ""

    @property
    def size(self) -> int:
        return len(self.text_before or "") + len(self.text_after or "") + len(self.subject) + 200


@dataclass(frozen=True, slots=True)
class Seen:
    """An exchange in the order in which it ended, and its new blocks."""

    number: int
    row: Exchange
    steps: tuple[Step, ...]


class Live:
    """The newest exchanges. Any thread may use it."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._size = 0
        self._seen: deque[Seen] = deque()
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """The number of the newest exchange; 0 when there was none."""
        return self._last

    def add(self, row: Exchange, steps: Iterable[Step] = ()) -> None:
        """``row`` is kept as the ledger has it."""
        row = storable(row)
        with self._lock:
            self._last += 1
            seen = Seen(self._last, row, tuple(steps))
            self._seen.append(seen)
            self._size += sum(step.size for step in seen.steps)
            while self._seen and (self._size > self._largest or len(self._seen) > EXCHANGES):
                self._size -= sum(step.size for step in self._seen.popleft().steps)

    def since(self, number: int) -> list[Seen]:
        """The exchanges after ``number``, oldest first."""
        with self._lock:
            return [seen for seen in self._seen if seen.number > number]

    def of_session(self, session: str) -> list[Seen]:
        """The exchanges of a session that are still known, oldest first."""
        with self._lock:
            return [seen for seen in self._seen if seen.row.session == session]


def steps_of(blocks: Iterable[BlockReport], body: bytes) -> list[Step]:
    """The steps for the blocks that ``body``, as it arrived, has as new."""
    return [
        Step(
            block.turn,
            block.tool,
            block.subject,
            block.before,
            block.after,
            dict(block.saved),
            block.reason,
            _text(body[slice(*block.span)]),
            None if block.replacement is None else block.replacement[:EXCERPT],
            block.hash,
        )
        for block in blocks
        if block.new
    ]


def _text(raw: bytes) -> str:
    """A JSON string as text; what is none as it stands."""
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    return (value if isinstance(value, str) else raw[: 4 * EXCERPT].decode("utf-8", "replace"))[:EXCERPT]
