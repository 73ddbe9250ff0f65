"""What an exchange was billed, and what it would have been billed without us."""

from headroom.models import Price
from headroom.wire.usage import Usage

MILLION = 1_000_000


def bill(usage: Usage, price: Price) -> float:
    """USD for what the provider counted."""
    return (
        usage.input_tokens * price.input
        + usage.cache_write_tokens * price.cache_write
        + usage.cache_write_1h_tokens * price.cache_write_1h
        + usage.cache_read_tokens * price.cache_read
        + usage.output_tokens * price.output
    ) / MILLION


def without(usage: Usage, price: Price, saved_cached: float, saved_new: float) -> float:
    """USD for the same exchange, had ``saved_cached`` tokens more been read from the cache and ``saved_new`` more
    been paid as what was not.

    The tokens that we save in the cached part would have been there in the original too, for they were sent in
    every request before: they cost the price of a read. The others would have been written where this request
    writes its cache, or else paid as plain input; where it does both, the cheaper of the two is claimed.
    """
    prices = [
        rate
        for tokens, rate in (
            (usage.input_tokens, price.input),
            (usage.cache_write_tokens, price.cache_write),
            (usage.cache_write_1h_tokens, price.cache_write_1h),
        )
        if tokens
    ]
    if usage.cache_write_tokens + usage.cache_write_1h_tokens > usage.input_tokens:
        prices = [p for t, p in ((usage.cache_write_tokens, price.cache_write),) if t] or [price.cache_write_1h]
    new = min(prices, default=price.cache_read)
    return bill(usage, price) + (saved_cached * price.cache_read + saved_new * new) / MILLION
