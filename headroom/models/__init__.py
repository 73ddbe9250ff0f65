"""What is known of models: how much fits in their context, and what their tokens cost."""

from headroom.models.catalogue import (
    DEFAULT_LIMIT,
    DEFAULT_PRICE,
    context_limit,
    load,
    override_limits,
    override_price,
    price_for,
)
from headroom.models.overrides import Overrides, overrides
from headroom.models.price import Price

__all__ = [
    "DEFAULT_LIMIT",
    "DEFAULT_PRICE",
    "Overrides",
    "Price",
    "context_limit",
    "load",
    "override_limits",
    "override_price",
    "overrides",
    "price_for",
]
