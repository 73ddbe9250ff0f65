"""Sums over exchanges."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headroom.ledger.row import Exchange
from headroom.wire.usage import Usage

NUMBERS: Mapping[str, str] = {
    "requests": "COUNT(*)",
    "rewritten": "COALESCE(SUM(outcome = 'rewritten'), 0)",
    "errors": "COALESCE(SUM(outcome = 'error'), 0)",
    "tokens_before": "COALESCE(SUM(tokens_before), 0)",
    "tokens_saved": "COALESCE(SUM(tokens_saved), 0)",
    "tokens_savable": "COALESCE(SUM(tokens_savable), 0)",
    "input_tokens": "COALESCE(SUM(input_tokens), 0)",
    "cache_write_tokens": "COALESCE(SUM(cache_write_tokens), 0)",
    "cache_write_1h_tokens": "COALESCE(SUM(cache_write_1h_tokens), 0)",
    "cache_read_tokens": "COALESCE(SUM(cache_read_tokens), 0)",
    "output_tokens": "COALESCE(SUM(output_tokens), 0)",
    "cost_usd": "TOTAL(cost_usd)",
    "input_cost_usd": "TOTAL(COALESCE(input_cost_usd, cost_usd))",
    "cost_without_usd": "TOTAL(cost_without_usd)",
    "optimizer_saved_usd": "TOTAL(optimizer_saved_usd)",
}
"""The numbers of Totals in a fixed order, and each as SQL over the ledger's rows."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over exchanges. The costs, in USD, cover those whose usage the provider told; fields as in Exchange."""

    requests: int = 0
    rewritten: int = 0
    errors: int = 0
    tokens_before: int = 0
    tokens_saved: int = 0
    tokens_savable: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    input_cost_usd: float = 0.0
    cost_without_usd: float = 0.0
    optimizer_saved_usd: float = 0.0
    saved_by_strategy: Mapping[str, int] = field(default_factory=dict)

    @property
    def saved_usd(self) -> float:
        """What everything of ours saved, net of caching; below zero when it cost more than it saved."""
        return self.cost_without_usd - self.cost_usd

    @property
    def compression_saved_usd(self) -> float:
        """``saved_usd`` without what using the provider's cache saved."""
        return self.saved_usd - self.optimizer_saved_usd

    def __add__(self, other: "Totals") -> "Totals":
        numbers = [a + b for a, b in zip(self.numbers(), other.numbers(), strict=True)]
        saved = Counter(self.saved_by_strategy)
        saved.update(other.saved_by_strategy)
        return from_numbers(numbers, saved)

    def numbers(self) -> tuple[float, ...]:
        """All but ``saved_by_strategy``, in the order of NUMBERS."""
        u = self.usage
        return (
            *(self.requests, self.rewritten, self.errors),
            *(self.tokens_before, self.tokens_saved, self.tokens_savable),
            *(u.input_tokens, u.cache_write_tokens, u.cache_write_1h_tokens, u.cache_read_tokens, u.output_tokens),
            *(self.cost_usd, self.input_cost_usd, self.cost_without_usd, self.optimizer_saved_usd),
        )


def from_numbers(numbers: Sequence[float], saved_by_strategy: Mapping[str, int] | None = None) -> Totals:
    """Totals from what ``Totals.numbers`` or a row of the columns NUMBERS gives."""
    whole = [int(number) for number in numbers[:11]]
    requests, rewritten, errors, before, saved, savable, *usage = whole
    cost, input_cost, without, optimizer = map(float, numbers[11:])
    strategies = dict(saved_by_strategy or {})
    return Totals(
        requests,
        rewritten,
        errors,
        before,
        saved,
        savable,
        Usage(*usage),
        cost,
        input_cost,
        without,
        optimizer,
        strategies,
    )


def totals_of(exchange: Exchange) -> Totals:
    """What one exchange, as it is stored, adds to the sums."""
    cost = exchange.cost_usd or 0.0
    return Totals(
        1,
        int(exchange.outcome == "rewritten"),
        int(exchange.outcome == "error"),
        exchange.tokens_before,
        exchange.tokens_saved,
        exchange.tokens_savable,
        exchange.usage or Usage(),
        cost,
        cost if exchange.input_cost_usd is None else exchange.input_cost_usd,
        exchange.cost_without_usd or 0.0,
        exchange.optimizer_saved_usd,
        dict(exchange.saved_by_strategy) if exchange.tokens_saved else {},
    )
