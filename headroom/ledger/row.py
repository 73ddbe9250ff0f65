"""One exchange as the ledger keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headroom.wire.usage import Usage


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. ``time`` is in unix seconds, ``outcome`` is rewritten, unchanged, passed, resent or
    error, ``reason`` says why a request went unchanged or failed. ``tokens_*`` estimate the request, ``usage`` is
    what the provider billed; the costs are None where it did not say. ``optimizer_saved_usd`` is what switching the
    provider's cache on saved, which can be less than nothing."""

    id: str
    time: float
    session: str = ""
    project: str = ""
    client: str = ""
    provider: str = ""
    model: str = ""
    kind: str = ""
    mode: str = ""
    status: int = 0
    outcome: str = ""
    reason: str = ""
    tokens_before: int = 0
    tokens_after: int = 0
    saved_by_strategy: Mapping[str, int] = field(default_factory=dict)
    usage: Usage | None = None
    cost_usd: float | None = None
    cost_without_usd: float | None = None
    optimizer_saved_usd: float = 0.0
    rewrite_ms: float = 0.0
    ttfb_ms: float = 0.0
    bytes_before: int = 0
    bytes_after: int = 0

    @property
    def tokens_saved(self) -> int:
        """Tokens that the provider did not get; counting tokens is free, and an audit saves nothing."""
        saved = self.outcome == "rewritten" and self.kind != "count_tokens"
        return self.tokens_before - self.tokens_after if saved else 0
