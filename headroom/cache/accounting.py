"""What the cache optimizer saved, as billed: the request with our breakpoints against the same without them."""

from dataclasses import dataclass
from typing import Protocol

from headroom.cache.plan import Plan
from headroom.wire.usage import Usage


class Prices(Protocol):
    """USD per million tokens."""

    @property
    def input(self) -> float: ...
    @property
    def cache_write(self) -> float: ...
    @property
    def cache_write_1h(self) -> float: ...
    @property
    def cache_read(self) -> float: ...


@dataclass(frozen=True, slots=True)
class RelativePrices:
    """In units of one uncached input token, where the model's own prices are not known."""

    input: float = 1.0
    cache_write: float = 1.25
    cache_write_1h: float = 2.0
    cache_read: float = 0.1


def cost(usage: Usage, prices: Prices) -> float:
    """USD of the input side (in units of a token with RelativePrices, times a million)."""
    return (
        usage.input_tokens * prices.input
        + usage.cache_write_tokens * prices.cache_write
        + usage.cache_write_1h_tokens * prices.cache_write_1h
        + usage.cache_read_tokens * prices.cache_read
    ) / 1e6


def without(plan: Plan, usage: Usage) -> Usage:
    """What the bill would have said of the same request without our breakpoints.

    The client's own reach as far as they reach: what they would have found is read, the rest of it written, and all
    behind them is paid in full. Our estimates are brought to the provider's count, by an earlier bill or by this one.
    """
    if plan.kind not in ("automatic", "breakpoint") or not plan.tokens:
        return usage
    total = usage.total_input
    factor = total / plan.tokens
    if plan.client_billed and plan.client_reach:
        factor = plan.client_billed / plan.client_reach
    read = min(usage.cache_read_tokens, round(plan.client_read * factor))
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    write = min(max(round(plan.client_reach * factor) - read, 0), usage.cache_read_tokens + written - read)
    hour = write if usage.cache_write_1h_tokens else 0
    return Usage(total - read - write, write - hour, hour, read, usage.output_tokens)


def saved(plan: Plan, usage: Usage, prices: Prices) -> float:
    """USD that our breakpoints saved in this exchange; negative when something was written that nobody has read yet.

    Only the sum over a session tells whether it paid: a write is made good by the reads after it.
    """
    return cost(without(plan, usage), prices) - cost(usage, prices)
