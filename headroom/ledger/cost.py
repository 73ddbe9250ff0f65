"""What an exchange was billed, and what it would have been billed without us. All in USD."""

from headroom.models import Price
from headroom.wire.usage import Usage

MILLION = 1_000_000


def bill(usage: Usage, price: Price) -> float:
    """What the provider asks for this usage."""
    return input_bill(usage, price) + usage.output_tokens * price.at(usage.total_input).output / MILLION


def input_bill(usage: Usage, price: Price) -> float:
    """The part of ``bill`` that the request costs: all but the answer."""
    at = price.at(usage.total_input)
    return (_new_cost(usage, at) + usage.cache_read_tokens * at.cache_read) / MILLION


def without(
    usage: Usage, price: Price, saved_cached_tokens: float, saved_new_tokens: float, unread_tokens: float = 0.0
) -> float:
    """What the same exchange would have cost without us; never more than what was saved at the dearest price billed.

    Without us the request had been ``saved_cached_tokens`` longer in the part that the provider read from its cache,
    and ``saved_new_tokens`` in the part behind it. All figures are in the provider's tokens.

    - In the cached part the original would have been cached just as well, so what we took out of it saves the price of
      a read, a tenth or less of a token's price. What it saved when it was written stands in an earlier exchange.
    - Behind the cached part the original would have been paid like its neighbours: written to the cache or plain. Which
      of them is not told, so a saved token counts as much as the mean of what was billed there. With nothing billed
      there it counts as a read, the least that it can have cost.
    - ``unread_tokens`` were billed as new only because of us (the request differs from the one that was cached):
      without us they had been read. The difference is what we cost, and the result can be below ``bill``.
    - A longer request may be billed at a higher price altogether, and the provider may have cached nothing of the
      shorter one since it became too short. Neither is counted in: the first would only flatter, the second is one
      request in which the whole prompt is below some thousand tokens.
    - The answer is taken to be the same.
    - At a price that nobody states (``Price.assumed``) nothing is claimed.
    """
    billed = bill(usage, price)
    if price.assumed:
        return billed
    at = price.at(usage.total_input)
    new_price = _new_price(usage, at)
    saved = saved_cached_tokens * at.cache_read + saved_new_tokens * new_price
    return billed + saved / MILLION - unread(usage, price, unread_tokens)


def unread(usage: Usage, price: Price, tokens: float) -> float:
    """What it cost that ``tokens`` of this usage were billed as new which could have been read from the cache.

    At most as many as were billed as new, at the mean price of these; 0 at a price that nobody states.
    """
    if price.assumed:
        return 0.0
    at = price.at(usage.total_input)
    return min(tokens, _new(usage)) * (_new_price(usage, at) - at.cache_read) / MILLION


def _new(usage: Usage) -> int:
    """The tokens that were not read from the cache."""
    return usage.input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens


def _new_price(usage: Usage, at: Price) -> float:
    """The mean price of what was not read from the cache, in millionths of a USD; with nothing there that of a read."""
    new = _new(usage)
    return max(_new_cost(usage, at) / new, at.cache_read) if new else at.cache_read


def _new_cost(usage: Usage, at: Price) -> float:
    """What was not read from the cache costs, in millionths of a USD."""
    return (
        usage.input_tokens * at.input
        + usage.cache_write_tokens * at.cache_write
        + usage.cache_write_1h_tokens * at.cache_write_1h
    )
