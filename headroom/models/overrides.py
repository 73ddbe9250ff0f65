"""Limits and prices that the user states: models.json, and HEADROOM_MODEL_LIMITS above it."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from headroom import paths
from headroom.errors import ConfigurationError

VARIABLE = "HEADROOM_MODEL_LIMITS"
PROVIDERS = ("anthropic", "openai", "gemini", "google")
_PARTS = ("context_limits", "pricing")
_PRICES = ("input", "output", "cached_input")


@dataclass(frozen=True, slots=True)
class StatedPrice:
    """USD per million tokens; what is None keeps its ratio to the input price."""

    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Overrides:
    """Limits in tokens and prices by (provider, model), in lower case; the provider "google" is "gemini" here."""

    limits: Mapping[tuple[str, str], int] = field(default_factory=dict)
    prices: Mapping[tuple[str, str], StatedPrice] = field(default_factory=dict)

    def limit(self, provider: str, model: str) -> int | None:
        """The stated limit of a model, or of the one that it is a dated or fine-tuned version of."""
        return next((self.limits[provider, m] for m in _versions(model) if (provider, m) in self.limits), None)

    def price(self, provider: str, model: str) -> StatedPrice | None:
        """The stated price of a model, or of the one that it is a dated or fine-tuned version of."""
        return next((self.prices[provider, m] for m in _versions(model) if (provider, m) in self.prices), None)


def overrides() -> Overrides:
    """What the user states now: the environment over models.json, model by model.

    Each file is read once in a process. Raises ConfigurationError naming the place, the value and what is allowed.
    """
    return _read(paths.models_path(), os.environ.get(VARIABLE, "").strip())


@lru_cache(maxsize=8)
def _read(models_json: Path, variable: str) -> Overrides:
    limits: dict[tuple[str, str], int] = {}
    prices: dict[tuple[str, str], StatedPrice] = {}
    sources = []
    if models_json.exists():
        sources.append((str(models_json), _file_text(models_json, "models.json")))
    if variable.startswith("{"):
        sources.append((VARIABLE, variable))
    elif variable:
        sources.append((f"{VARIABLE} ({variable})", _file_text(Path(variable).expanduser(), VARIABLE)))
    for source, text in sources:
        parsed = parse(text, source)
        limits |= parsed.limits
        prices |= parsed.prices
    return Overrides(limits, prices)


def parse(text: str, source: str) -> Overrides:
    """The contract's format of models.json. Raises ConfigurationError; ``source`` says where the text stands."""
    try:
        stated = json.loads(text)
    except ValueError as error:
        raise _wrong(source, "the text", text[:60], f"JSON ({error})") from error
    limits: dict[tuple[str, str], int] = {}
    prices: dict[tuple[str, str], StatedPrice] = {}
    for provider, parts in _members(source, "", stated, PROVIDERS):
        owner = "gemini" if provider == "google" else provider
        for part, models in _members(source, provider, parts, _PARTS):
            place = f"{provider}.{part}"
            for model, value in _members(source, place, models):
                key = owner, model.lower()
                if part == "context_limits":
                    limits[key] = _tokens(source, f"{place}.{model}", value)
                else:
                    prices[key] = _stated_price(source, f"{place}.{model}", value)
    return Overrides(limits, prices)


def stated_prices(pricing: Mapping[str, object], source: str) -> dict[str, StatedPrice]:
    """Prices by model, each as in models.json. Raises ConfigurationError; ``source`` says who states them."""
    return {
        model: _stated_price(source, f"pricing.{model}", list(value) if isinstance(value, tuple) else value)
        for model, value in _members(source, "pricing", pricing)
    }


def _stated_price(source: str, place: str, value: object) -> StatedPrice:
    """{"input": 15, "output": 75, "cached_input": 1.5} or [15, 75]."""
    if isinstance(value, list):
        if len(value) != 2:
            raise _wrong(source, place, value, "[input, output]")
        return StatedPrice(*(_usd(source, f"{place}[{i}]", item) for i, item in enumerate(value)))
    if not isinstance(value, dict):
        raise _wrong(source, place, value, '{"input", "output", "cached_input"} or [input, output]')
    given = {name: _usd(source, f"{place}.{name}", item) for name, item in _members(source, place, value, _PRICES)}
    for name in ("input", "output"):
        if name not in given:
            raise _wrong(source, f"{place}.{name}", None, "USD per million tokens")
    return StatedPrice(**given)


def _usd(source: str, place: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _wrong(source, place, value, "USD per million tokens, 0 or more")
    return float(value)


def _tokens(source: str, place: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise _wrong(source, place, value, "a whole number of tokens above 0")
    return value


def _members(
    source: str, place: str, value: object, allowed: Sequence[str] | None = None
) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        raise _wrong(source, place or "the text", value, "an object")
    for name in value:
        if allowed is not None and name not in allowed:
            close = get_close_matches(name, allowed, 1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise _wrong(source, f"{place}.{name}".lstrip("."), None, f"one of {', '.join(allowed)}{meant}", "unknown")
    yield from value.items()


def _wrong(source: str, place: str, found: object, expected: str, what: str | None = None) -> ConfigurationError:
    shown = what or ("missing" if found is None else repr(found)[:80])
    return ConfigurationError(
        f"{source}: {place} is {shown}; expected {expected}.",
        {"source": source, "setting": place, "found": found, "expected": expected},
    )


def _file_text(path: Path, setting: str) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{setting} names {path}, which can't be read ({error}); expected a JSON file in UTF-8.",
            {"setting": setting, "found": str(path), "expected": "a JSON file in UTF-8"},
        ) from error


def _versions(model: str) -> Iterator[str]:
    """The name, then what it is a version of: gpt-5-2025-08-07 of gpt-5, ft:gpt-4o:org:name:id of ft:gpt-4o:org."""
    yield model
    undated = without_date(model)
    if undated != model:
        yield undated
    while ":" in model:
        model = model.rpartition(":")[0]
        yield model


def without_date(model: str) -> str:
    """claude-sonnet-4-5 of claude-sonnet-4-5-20250929, claude-sonnet-4-5@20250929 and claude-sonnet-4-5-latest."""
    name, mark, end = model.rpartition("@")
    if mark and end.isdigit():
        return name
    parts = model.split("-")
    if parts[-1] == "latest" or (len(parts[-1]) == 8 and parts[-1].isdigit()):
        return "-".join(parts[:-1])
    if [len(part) for part in parts[-3:]] == [4, 2, 2] and all(part.isdigit() for part in parts[-3:]):
        return "-".join(parts[:-3])
    return model
