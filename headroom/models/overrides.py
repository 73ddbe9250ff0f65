"""The user's own limits and prices: ``models.json``, then HEADROOM_MODEL_LIMITS on top of it."""

import json
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from headroom.errors import ConfigurationError
from headroom.paths import models_path

VARIABLE = "HEADROOM_MODEL_LIMITS"
_MAKERS = {"anthropic": "anthropic", "openai": "openai", "google": "google", "gemini": "google"}


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """USD for a million tokens, as the user wrote them."""

    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """What the user says of one model; None where nothing."""

    limit: int | None = None
    price: OwnPrice | None = None


Overrides = dict[tuple[str, str], Override]


def read_overrides() -> Overrides:
    """The overrides by (maker, model). Raises ConfigurationError that names the place, the value and what is right."""
    path = models_path()
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _read(str(path), stamp, os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=4)
def _read(path: str, stamp: int, variable: str) -> Overrides:
    found: Overrides = {}
    if stamp:
        _add(found, path, Path(path).read_text(encoding="utf-8"))
    if variable:
        if variable.lstrip().startswith("{"):
            _add(found, VARIABLE, variable)
        else:
            try:
                text = Path(variable).expanduser().read_text(encoding="utf-8")
            except OSError as error:
                raise _wrong(VARIABLE, variable, "JSON text, or the path of a file that can be read") from error
            _add(found, f"{VARIABLE} ({variable})", text)
    return found


def _add(found: Overrides, place: str, text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _wrong(place, str(error), "JSON") from error
    for maker, said in _object(place, value).items():
        where = f"{place}: {maker}"
        if maker not in _MAKERS:
            raise _wrong(where, maker, " | ".join(_MAKERS))
        for key, models in _object(where, said).items():
            if key not in ("context_limits", "pricing"):
                raise _wrong(f"{where}.{key}", key, "context_limits | pricing")
            for model, figure in _object(f"{where}.{key}", models).items():
                name = (_MAKERS[maker], model)
                old = found.get(name, Override())
                here = f"{where}.{key}.{model}"
                if key == "context_limits":
                    found[name] = replace(old, limit=_limit(here, figure))
                else:
                    found[name] = replace(old, price=_price(here, figure))


def _object(place: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong(place, value, "an object")
    return value


def _limit(place: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _wrong(place, value, "tokens, a whole number above 0")
    return value


def _price(place: str, value: object) -> OwnPrice:
    """{"input": 15.0, "output": 75.0, "cached_input": 1.5}, or [5.0, 15.0]."""
    allowed = '{"input": USD, "output": USD, "cached_input": USD} or [input, output], for a million tokens'
    if isinstance(value, list) and len(value) in (2, 3):
        value = dict(zip(("input", "output", "cached_input"), value, strict=False))
    if not isinstance(value, dict) or not {"input", "output"} <= set(value) <= {"input", "output", "cached_input"}:
        raise _wrong(place, value, allowed)
    for figure in value.values():
        if not isinstance(figure, int | float) or isinstance(figure, bool) or not 0 <= figure < 1e6:
            raise _wrong(place, value, allowed)
    return OwnPrice(**{key: float(figure) for key, figure in value.items()})


def _wrong(place: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"{place} is {value!r}; allowed: {allowed}", {"place": place, "allowed": allowed})
