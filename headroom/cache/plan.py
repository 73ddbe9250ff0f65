"""What the cache optimizer is given and what it answers."""

from dataclasses import dataclass, replace
from typing import Literal

from headroom.cache.killers import PrefixBreak
from headroom.transforms.config import CacheAlignerConfig
from headroom.wire.spans import Patch

Life = Literal["5m", "1h"]
Kind = Literal["automatic", "breakpoint", "key", ""]


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """``ttl``: "" takes the life that the client chose for its own breakpoints, 5m where it set none; "auto" takes
    1h where the gaps between this program's requests say that it pays. ``stable_prefix``: what a system prompt says of
    now goes to its end and tools are sorted, for programs that don't look after their cache themselves. ``aligner``
    does the same to the system prompt alone, by a program's own rules, with or without the rest."""

    enabled: bool = True
    ttl: Literal["", "auto", "5m", "1h"] = ""
    stable_prefix: bool = False
    aligner: CacheAlignerConfig | None = None


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the body does not tell. ``client`` as in ``session.identity``, ``now`` in seconds of the history's clock.

    ``betas``: the beta header as it goes to the provider, for naming what broke a prefix. ``tail``: the byte at which
    the volatile end of the system prompt begins; 0: it has none.
    """

    host: str
    client: str
    session: str
    now: float
    model: str = ""
    betas: str = ""
    tail: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is inserted into a request, and why, or why nothing is.

    ``kind``: "automatic" is the request-level field, "breakpoint" marks on blocks, "key" OpenAI's prompt_cache_key.
    ``life`` is that of the entry written at the last breakpoint, the client's or ours; "" when there is none;
    ``client_life`` that at the client's last one.
    The rest is for the bill afterwards, in estimated tokens: the ``tokens`` of the request, how far breakpoints
    ``reach``, how far the client's own would have written (``client_reach``) and found something to read
    (``client_read``), and whether an entry was ``expected`` to be found.
    """

    patches: tuple[Patch, ...] = ()
    kind: Kind = ""
    reason: str = ""
    life: Life | Literal[""] = ""
    client_life: Life | Literal[""] = ""
    tokens: int = 0
    reach: int = 0
    client_reach: int = 0
    client_read: int = 0
    client_billed: int = 0
    """What ``client_reach`` came to in the provider's own tokens, where an earlier bill told; 0: not known."""
    expected: bool = False
    broken: PrefixBreak | None = None
    """What the client changed in what it had sent before."""
    moved: tuple[Patch, ...] = ()
    """What made the request's beginning stable, before all else; on the body as it came."""

    def as_it_came(self) -> "Plan":
        """The plan of the same request with nothing inserted and nothing moved."""
        bare = replace(self, patches=(), moved=(), kind="")
        if self.moved:  # what it leaves in the cache, no request with a stable beginning will read
            return replace(bare, life="", reach=0, expected=False)
        expected = self.expected and self.client_reach > 0
        return replace(bare, life=self.client_life, reach=self.client_reach, expected=expected)
