"""What may be done in one request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headroom.ccr.learning import NOBODY, Lesson, Who
from headroom.ccr.markers import Way
from headroom.ccr.ways import Offered
from headroom.tokenizers import count
from headroom.transforms.config import SMART_CRUSHER, SmartCrusherConfig

AWAY = "the shared store can't be used: nothing new is decided"


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be done in one request: ``way`` is how the model can have back what is left out, None for not at all.
    ``keeps``: whether originals are stored, which an audit does not do."""

    profiles: Mapping[str, str]
    way: Way | None
    level: str
    session: str
    keeps: bool
    until: float
    offered: Offered
    head: int = 0
    """Tokens before the messages."""
    all_new: bool = False
    new_from: int = 1 << 62
    """The turn from which on the provider has seen nothing in this form."""
    kept_from: int = 1 << 62
    """The turn from which on nothing is decided."""
    cached_to: int = 0
    """The byte up to which nothing is decided."""
    smart_crusher: SmartCrusherConfig = SMART_CRUSHER
    unused: Mapping[int, tuple[list[tuple[int, int]], int]] = field(default_factory=dict)
    """Of old outputs, by the number of the block: the lines that are left out now, with hindsight, and the tokens of
    what stood there."""
    settled: str = ""
    """Why nothing new is decided though there is time; "" where it is."""
    count: Callable[[str], int] = count
    """Counts tokens by the vocabulary of the model's family."""
    who: Who = NOBODY
    lessons: list[Lesson] = field(default_factory=list)
    """What is to be learned of this request, if it leaves as it was decided."""

    @property
    def judges(self) -> bool:
        """Whether lines may be left out that will hardly be needed, where the agent's own tools print them again."""
        return self.level != "safe" and self.offered.free
