"""What an exchange would have cost without us: which of the saved tokens the cache would have given for a tenth."""

from headroom.engine import Rewrite
from headroom.wire.usage import Usage

LEAST_FACTOR, MOST_FACTOR = 0.5, 2.0


def written_again(rewrite: Rewrite, usage: Usage) -> int:
    """Tokens that were billed as new since the client changed what stands before them."""
    again = rewrite.plan.broken.tokens if rewrite.plan.broken else 0
    return min(again, usage.input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens)


def saved_tokens(rewrite: Rewrite, usage: Usage) -> tuple[float, float]:
    """(tokens saved in the part of the prompt that was read from the cache, tokens saved in the rest).

    Our counts are brought to the provider's by the ratio of what it billed to what we counted. The cache holds a
    prefix: a block that ends within the tokens billed as read would have been read in its original form too, all
    others would have been written or paid in full.
    """
    if not rewrite.tokens_after:
        return 0.0, 0.0
    factor = min(max(usage.total_input / rewrite.tokens_after, LEAST_FACTOR), MOST_FACTOR)
    cached = new = 0.0
    for block in rewrite.blocks:
        gain = factor * (block.before - block.after)
        if block.ends_at * factor <= usage.cache_read_tokens:
            cached += gain
        else:
            new += gain
    return cached, new
