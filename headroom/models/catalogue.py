"""Limits and prices of known models from the package genai-prices (its bundled data), and a guess for newer ones."""

import datetime
import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from headroom.models.overrides import Overrides, StatedPrice, overrides, without_date
from headroom.models.price import Price

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

log = logging.getLogger(__name__)
DEFAULT_LIMIT = 128_000
"""Tokens of context of a model that nobody knows."""
DEFAULT_PRICE = Price(3.0, 15.0, 0.3, 3.75, 6.0, assumed=True)
"""USD per million tokens of a model that nobody knows: rather dear, so that a budget ends early and not late."""
INFERRED: tuple[tuple[str, int, str], ...] = (
    ("*opus*", 200_000, "claude-opus-5-5"),
    ("*sonnet*", 200_000, "claude-sonnet-5-5"),
    ("*haiku*", 200_000, "claude-haiku-5-5"),
    ("gpt-4o*", 128_000, "gpt-4o"),
    ("o1*", 200_000, "o1"),
    ("o3*", 200_000, "o3"),
    ("gemini*flash*", 1_048_576, "gemini-2.5-flash"),
    ("gemini*", 1_048_576, "gemini-2.5-pro"),
)
"""Pattern of an unknown model's name, its context in tokens, and the model whose price it is taken to have."""
_SELLERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "google"}
"""Under which name the package lists whose models."""
_ANTHROPIC_READ, _ANTHROPIC_WRITE, _ANTHROPIC_WRITE_1H = Decimal("0.1"), Decimal("1.25"), Decimal(2)
"""Of the input price, where the package has none: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching"""
_UNKNOWN = (
    f"where no better is known, its context is taken as {DEFAULT_LIMIT:,} tokens and its price as "
    f"{DEFAULT_PRICE.input:g} / {DEFAULT_PRICE.output:g} USD per million, and no savings in USD are claimed"
)
_warned: set[tuple[str, str]] = set()
_warning = threading.Lock()
_WARNINGS = 1000


def load() -> None:
    """Read the price list and models.json now, some 0.3 s, and not in the midst of a request.

    Raises ConfigurationError when models.json or HEADROOM_MODEL_LIMITS is wrong.
    """
    overrides()
    _listed("anthropic", "claude-sonnet-4-5")


def price_for(provider: str, model: str) -> Price:
    """What ``model`` costs today at the provider's standard service (not batch, flex, priority or fast).

    ``provider`` is whose model it is: anthropic, openai or gemini; vertex, azure and bedrock are understood. Order:
    HEADROOM_MODEL_LIMITS, models.json, the package, INFERRED, DEFAULT_PRICE; a guess comes with one warning a process.
    Raises ConfigurationError when models.json or HEADROOM_MODEL_LIMITS is wrong.
    """
    return _price(*_named(provider, model), datetime.datetime.now(datetime.UTC).date(), overrides())


def context_limit(provider: str, model: str) -> int:
    """Tokens that fit in the context of ``model``; the rest as for ``price_for``."""
    return _limit(*_named(provider, model), overrides())


def override_limits(limits: Mapping[str, int], provider: str, model: str) -> int:
    """Tokens that fit in the context of ``model``: as ``limits`` say for it, or for what it is a dated or fine-tuned
    version of, else as ``context_limit`` says."""
    maker, name = _named(provider, model)
    own = Overrides({(maker, stated.strip().lower()): limit for stated, limit in limits.items()}).limit(maker, name)
    return own or _limit(maker, name, overrides())


def override_price(prices: Mapping[str, StatedPrice], provider: str, model: str) -> Price:
    """What ``model`` costs: as ``prices`` say for it, or for what it is a dated or fine-tuned version of, else as
    ``price_for`` says."""
    maker, name = _named(provider, model)
    own = {(maker, stated.strip().lower()): price for stated, price in prices.items()}
    if Overrides(prices=own).price(maker, name) is None:
        return price_for(provider, model)
    day = datetime.datetime.now(datetime.UTC).date()
    return _price.__wrapped__(maker, name, day, Overrides(prices=own))


@lru_cache(maxsize=1024)
def _price(maker: str, model: str, day: datetime.date, stated: Overrides) -> Price:
    own = stated.price(maker, model)
    claude = maker == "anthropic" or "claude" in model
    listed = _listed(maker, model)
    price = _from_package(listed, day, claude) if listed else None
    guess = _guess(model)
    if price is None and guess and (like := _listed(maker, guess[2])):
        price = _from_package(like, day, claude)
        if price and not own:
            _warn(maker, model, f"taken to cost what {guess[2]} costs")
    if price is None and (listed := _listed_elsewhere(model)) and (found := _from_package(listed, day, claude)):
        price = replace(found, assumed=True)
        if not own:
            _warn(maker, model, f"taken to cost {price.input:g} / {price.output:g} USD per million, as elsewhere")
    if own:
        return _with_stated(price or DEFAULT_PRICE, own)
    if price is None:
        _warn(maker, model, _UNKNOWN)
    return price or DEFAULT_PRICE


@lru_cache(maxsize=1024)
def _limit(maker: str, model: str, stated: Overrides) -> int:
    own = stated.limit(maker, model)
    if own:
        return own
    listed = _listed(maker, model)
    if listed and listed.context_window:
        return listed.context_window
    guess = _guess(model)
    if guess:
        return guess[1]
    listed = _listed_elsewhere(model)
    if listed and listed.context_window:
        return listed.context_window
    _warn(maker, model, _UNKNOWN)
    return DEFAULT_LIMIT


def _named(provider: str, model: str) -> tuple[str, str]:
    """Whose model it is, and its name in lower case as its maker spells it."""
    model = model.strip().lower()[:200].removeprefix("models/")
    maker = {"google": "gemini", "azure": "openai", "bedrock": "anthropic"}.get(provider, provider)
    if maker == "vertex":
        maker = "anthropic" if "claude" in model else "gemini"
    return maker, model


def _guess(model: str) -> tuple[str, int, str] | None:
    name = model.rpartition("/")[2].removeprefix("ft:")
    return next((row for row in INFERRED if fnmatchcase(name, row[0])), None)


def _listed(maker: str, model: str) -> "ModelInfo | None":
    """The package's entry for a model of one of the three makers, the one that was named first, or on Bedrock."""
    name = model.rpartition("/")[2]
    makers = sorted(_SELLERS, key=lambda each: each != maker)
    for seller in (*(_SELLERS[each] for each in makers), "aws"):
        for spelling in dict.fromkeys((name, without_date(name))):
            found = _find(spelling, seller)
            if found:
                return found
    return None


def _listed_elsewhere(model: str) -> "ModelInfo | None":
    """The entry of anybody who sells a model of this name; perhaps somebody else than who bills for it."""
    return (_find(model, "openrouter") if "/" in model else None) or _find(model.rpartition("/")[2], None)


def _find(model: str, source: str | None) -> "ModelInfo | None":
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, source, None)[1]
    except LookupError:
        return None


def _from_package(listed: "ModelInfo", day: datetime.date, claude: bool) -> Price | None:
    """The package's price, which for long requests is another; None when it has none for text."""
    prices = listed.get_prices(datetime.datetime.combine(day, datetime.time(12), datetime.UTC))
    base = _tier(prices, 0, claude)
    if base is None:
        return None
    tiered = [value for value in vars(prices).values() if value is not None and not isinstance(value, Decimal)]
    starts = sorted({tier.start for value in tiered for tier in value.tiers})
    longer = ((start, _tier(prices, start + 1, claude)) for start in starts)
    return Price(*_five(base), longer=tuple((start, Price(*_five(tier))) for start, tier in longer if tier))


type _Rates = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


def _tier(prices: "ModelPrice", input_tokens: int, claude: bool) -> _Rates | None:
    def rate(name: str) -> Decimal | None:
        value: Decimal | TieredPrices | None = getattr(prices, name)
        if value is None or isinstance(value, Decimal):
            return value
        return next((tier.price for tier in reversed(value.tiers) if input_tokens > tier.start), value.base)

    plain, out = rate("input_mtok"), rate("output_mtok")
    if plain is None or out is None:
        return None
    read, write, write_1h = rate("cache_read_mtok"), rate("cache_write_mtok"), rate("cache_write_1h_mtok")
    if read is None:
        read = plain * _ANTHROPIC_READ if claude else plain
    if write is None:
        write = plain * _ANTHROPIC_WRITE if claude else plain
    if write_1h is None:
        write_1h = plain * _ANTHROPIC_WRITE_1H if claude else write
    return plain, out, read, write, write_1h


def _five(rates: _Rates) -> tuple[float, float, float, float, float]:
    plain, out, read, write, write_1h = map(float, rates)
    return plain, out, read, write, write_1h


def _with_stated(like: Price, stated: StatedPrice) -> Price:
    """A stated price; what it leaves out is as many times its input price as it is of ``like``'s. One price for all
    lengths."""
    share = stated.input / like.input if like.input else 0.0
    read = stated.cached_input if stated.cached_input is not None else like.cache_read * share
    return Price(stated.input, stated.output, read, like.cache_write * share, like.cache_write_1h * share)


def _warn(maker: str, model: str, taken: str) -> None:
    with _warning:
        if (maker, model) in _warned or len(_warned) >= _WARNINGS:
            return
        _warned.add((maker, model))
    log.warning("%s model %r is not in the price list: %s; models.json can say better", maker, model, taken)
