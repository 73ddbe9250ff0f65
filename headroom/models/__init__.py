"""What a model costs and how much it takes: the maintained package, then the user's own figures on top.

``maker`` is "anthropic", "openai" or "google": whose models these are, not who hosts them. Nothing is fetched.
"""

import logging
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from typing import Any

from headroom.models.overrides import Override, read_overrides

log = logging.getLogger(__name__)
UNKNOWN_LIMIT = 128_000
"""Context limit in tokens of a model that nobody knows."""
_LIKE: dict[str, tuple[tuple[str, str], ...]] = {
    "anthropic": (("*opus*", "claude-opus-4-1"), ("*sonnet*", "claude-sonnet-4-5"), ("*haiku*", "claude-haiku-4-5")),
    "openai": (("gpt-4o*", "gpt-4o"), ("o1*", "o1"), ("o3*", "o3"), ("*", "gpt-5")),
    "google": (("*flash*", "gemini-2.5-flash"), ("*", "gemini-2.5-pro")),
}
"""A model newer than the package costs what its family does; the last resort of a maker is its main model."""
_LIMIT_LIKE = (
    ("*opus*", 200000),
    ("*sonnet*", 200000),
    ("*haiku*", 200000),
    ("gpt-4o*", 128000),
    ("o1*", 200000),
    ("o3*", 200000),
)


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens. ``known`` is False where a family's price stands in for the model's."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    known: bool = True


def price_for(maker: str, model: str, prompt_tokens: int = 0) -> Price:
    """The price of ``model`` for a prompt of so many tokens: some cost more above a length."""
    own = _own(maker, model).price
    if own is not None:
        read = own.cached_input if own.cached_input is not None else own.input * (0.1 if maker == "anthropic" else 0.5)
        write = own.input * 1.25 if maker == "anthropic" else own.input
        return Price(own.input, own.output, read, write, own.input * 2 if maker == "anthropic" else own.input)
    return _package_price(maker, model, prompt_tokens > 200_000)


def context_limit(maker: str, model: str) -> int:
    """Tokens that ``model`` takes: the user's figure, the package's, its family's, else UNKNOWN_LIMIT."""
    own = _own(maker, model).limit
    if own is not None:
        return own
    found = _find(maker, model)
    if found is not None and found.context_window:
        return int(found.context_window)
    for pattern, limit in _LIMIT_LIKE:
        if fnmatch(model, pattern):
            return limit
    _unknown(maker, model)
    return UNKNOWN_LIMIT


def _own(maker: str, model: str) -> Override:
    return read_overrides().get((maker, model), Override())


@lru_cache(maxsize=512)
def _package_price(maker: str, model: str, long: bool) -> Price:
    found, known = _find(maker, model), True
    if found is None:
        known = False
        names = (name for pattern, name in _LIKE.get(maker, ()) if fnmatch(model, pattern))
        found = _find(maker, next(names, _LIKE.get(maker, _LIKE["openai"])[-1][1]))
        _unknown(maker, model)
    assert found is not None  # the families' models are in the package, a test says
    from genai_prices import Usage, calc_price

    amount = 250_000 if long else 1000

    def usd(**usage: int) -> float:
        return float(calc_price(Usage(**usage), found.id, provider_id=maker).total_price) / amount * 1e6

    plain = usd(input_tokens=amount)
    read = usd(input_tokens=amount, cache_read_tokens=amount)
    write = usd(input_tokens=amount, cache_write_tokens=amount)
    hour = getattr(_prices(found), "cache_write_1h_mtok", None)
    return Price(
        plain,
        usd(output_tokens=amount),
        read,
        write,
        (2.0 if hour is not None else 1.0) * plain,
        known,
    )


def _find(maker: str, model: str) -> Any:
    from genai_prices.data import providers

    provider = next((p for p in providers if p.id == maker), None)
    if provider is None or not model:
        return None
    return provider.find_model(model.lower().removeprefix("models/"))


def _prices(model: Any) -> Any:
    prices = model.prices
    return prices[-1].prices if isinstance(prices, list) else prices


@lru_cache(maxsize=512)
def _unknown(maker: str, model: str) -> None:
    log.warning("%s model %r is not known: its family's price and limit stand in for its own", maker, model)
