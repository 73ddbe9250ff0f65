"""What a model's tokens cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. ``cache_write`` is for the shorter life that a provider sells, ``cache_write_1h`` for the
    longer one.

    ``longer``: from more than so many input tokens on, the whole request costs this instead; shortest first.
    ``assumed``: nobody states a price for this model; good enough to stop at a budget, not to claim savings with.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    longer: tuple[tuple[int, "Price"], ...] = ()
    assumed: bool = False

    def at(self, input_tokens: int) -> "Price":
        """The price of a request with so many input tokens, cached ones included."""
        applicable = self
        for above, price in self.longer:
            if input_tokens > above:
                applicable = price
        return applicable
