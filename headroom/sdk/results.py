"""What a client tells about requests: a plan for one that is not sent, and what is known of those that were."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headroom.engine import Rewrite
from headroom.errors import HeadroomError
from headroom.inspection import Inspection
from headroom.ledger import Exchange
from headroom.models import Price

PLACES = 4


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What would be done to a request. Tokens are estimates of the whole request; nothing was sent or remembered.

    ``transforms`` names what would be done, the most effective first; ``messages_optimized`` counts the messages that
    would change. ``estimated_savings`` is at the price of uncached input. The rest: see ``headroom.inspection``.
    """

    tokens_before: int = 0
    tokens_after: int = 0
    tokens_saved: int = 0
    transforms: list[str] = field(default_factory=list)
    estimated_savings: str = "$0.0000 per request"
    messages_optimized: int = 0
    block_breakdown: Mapping[str, int] = field(default_factory=dict)
    waste_signals: Mapping[str, int] = field(default_factory=dict)
    stable_prefix_hash: str = ""
    cache_alignment_score: float = 100.0


class Simulated(HeadroomError):
    """Raised in place of sending a request in simulate mode where no plan can be returned; ``plan`` is the plan."""

    def __init__(self, plan: SimulationResult) -> None:
        super().__init__("the mode is simulate: the request was not sent; its plan is this error's `plan`")
        self.plan = plan


@dataclass(frozen=True, slots=True)
class RequestMetrics:
    """One request as the ledger has it. ``timestamp`` is UTC; tokens of the provider where it told them.

    ``tokens_input_before`` and ``after`` are estimates, before and after our work; ``cached_tokens`` were read from the
    provider's cache. In audit mode ``tokens_input_after`` is what it would have been. ``error`` says what went wrong.
    """

    request_id: str
    timestamp: datetime
    model: str
    stream: bool
    mode: str
    tokens_input_before: int
    tokens_input_after: int
    tokens_output: int | None
    block_breakdown: Mapping[str, int]
    waste_signals: Mapping[str, int]
    stable_prefix_hash: str
    cache_alignment_score: float | None
    cached_tokens: int | None
    transforms_applied: list[str]
    error: str | None


def plan_of(rewrite: Rewrite, found: Inspection, price: Price) -> SimulationResult:
    """The plan that a rewrite amounts to."""
    saved = rewrite.tokens_before - rewrite.tokens_after
    changed = {report.turn for report in rewrite.blocks if report.replacement is not None}
    return SimulationResult(
        rewrite.tokens_before,
        rewrite.tokens_after,
        saved,
        _best_first(rewrite.saved),
        f"${saved * price.input / 1e6:.{PLACES}f} per request",
        len(changed),
        dict(found.blocks),
        dict(found.waste),
        found.stable_prefix_hash,
        found.cache_alignment_score,
    )


def metrics_of(row: Exchange) -> RequestMetrics:
    """A row of the ledger for a program."""
    detail = json.loads(row.detail) if row.detail else {}
    usage = row.usage
    return RequestMetrics(
        row.id,
        datetime.fromtimestamp(row.time, UTC),
        row.model,
        bool(detail.get("stream", False)),
        row.mode,
        row.tokens_before,
        row.tokens_after,
        usage.output_tokens if usage else None,
        detail.get("blocks", {}),
        detail.get("waste", {}),
        detail.get("prefix", ""),
        detail.get("alignment"),
        usage.cache_read_tokens if usage else None,
        _best_first(row.saved_by_strategy),
        row.reason or f"HTTP {row.status}" if row.outcome == "error" or row.status >= 400 else None,
    )


def _best_first(saved: Mapping[str, int]) -> list[str]:
    return sorted(saved, key=lambda name: (-saved[name], name))
