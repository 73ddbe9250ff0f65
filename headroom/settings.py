"""The layers of settings: defaults < ${CONFIG}/config.toml < environment < what a program says.

Each layer is a mapping by the names of the fields of HeadroomConfig; a later one wins field by field. In the file a
section is a table (``[smart_crusher]``), in the environment a prefix: ``HEADROOM_SMART_CRUSHER_MIN_TOKENS_TO_CRUSH``.
The proxy's options have the table ``[proxy]`` and the prefix ``HEADROOM_PROXY_``: ``mode`` is its ``headroom_mode``.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from headroom import paths
from headroom.config import HeadroomConfig, wrong_setting
from headroom.errors import ConfigurationError
from headroom.transforms.context_config import ScoringWeights

FILE = "config.toml"
PREFIX = "HEADROOM_"
PROXY = "proxy"
"""The file's table with the proxy's options, without their prefix ``headroom_``."""
OPTION = "headroom_"
ALIASES: Mapping[str, tuple[str, ...]] = {
    "HEADROOM_CCR_TTL_SECONDS": ("ccr", "store_ttl_seconds"),
    "HEADROOM_MODE": ("default_mode",),
}
"""Variables with a name of their own; the systematic one is understood too, and wins."""

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's path, its value, and the layer that it comes from: default, a file, or the name of a variable."""

    path: tuple[str, ...]
    value: object
    source: str

    @property
    def name(self) -> str:
        """As it is written in the file: ``smart_crusher.enabled``."""
        return ".".join(self.path)


def load_config(base: HeadroomConfig | None = None, /, **overrides: Any) -> HeadroomConfig:
    """The settings that hold: ``overrides`` over ``base``, or over file and environment where no base is given.

    An override is a field of HeadroomConfig; for a section it is the section's value, or a mapping of some of its
    fields. Raises ConfigurationError.
    """
    if base is None:
        base = _layered(_file_at(paths.config_dir() / FILE), tuple(_variables().items()))
    elif not isinstance(base, HeadroomConfig):
        raise wrong_setting("config", type(base).__name__, "a HeadroomConfig")
    return merged(base, overrides, "") if overrides else base


def effective() -> list[Setting]:
    """Every setting with its value and where it comes from. Raises ConfigurationError."""
    held = load_config()
    stated: dict[tuple[str, ...], str] = {}
    file = paths.config_dir() / FILE
    for path in _leaves(_file_at(file).table):
        stated[path] = str(file)
    for name in _variables():
        found = _path_of(name)
        if found:
            stated[found] = name
    return [Setting(path, value, _source(path, stated)) for path, value in _values(held, ())]


def proxy_options(defaults: Mapping[str, str | int | bool]) -> dict[str, Setting]:
    """What file and environment say of the proxy's options, by the options' names.

    ``defaults`` has every option with its default. In the file, what is a text of pairs for the proxy may be a table.
    Raises ConfigurationError.
    """
    found: dict[str, Setting] = {}
    file = paths.config_dir() / FILE
    known = {name.removeprefix(OPTION): name for name in defaults}
    for name, value in _file_at(file).proxy.items():
        if name not in known:
            raise _in_file(file, _unknown(f"{PROXY}.{name}", name, sorted(known)))
        option = known[name]
        try:
            stated = _option(f"{PROXY}.{name}", value, defaults[option])
        except ConfigurationError as error:
            raise _in_file(file, error) from None
        found[option] = Setting((PROXY, name), stated, str(file))
    for variable, name in proxy_variables(defaults).items():
        if text := os.environ.get(variable, "").strip():
            value = _converted(variable, text, defaults[name])
            found[name] = Setting((PROXY, name.removeprefix(OPTION)), value, variable)
    return found


def proxy_variables(options: Iterable[str]) -> dict[str, str]:
    """The variables that say the proxy's options, each with its option."""
    return {f"{PREFIX}{PROXY}_{name.removeprefix(OPTION)}".upper(): name for name in options}


def variables() -> list[str]:
    """The variables that are settings of the library."""
    return sorted({*_systematic(), *ALIASES})


def merged(base: Any, given: Mapping[str, object], place: str) -> Any:
    """The dataclass ``base`` with what is given instead; ``place`` is where it stands, for errors."""
    known = {each.name for each in fields(base)}
    new: dict[str, object] = {}
    for name, value in given.items():
        where = f"{place}{name}"
        if name not in known:
            raise _unknown(where, name, sorted(known))
        old = getattr(base, name)
        if is_dataclass(old) and isinstance(value, Mapping):
            new[name] = merged(old, value, f"{where}.")
        elif is_dataclass(old) and not isinstance(value, type(old)):
            raise wrong_setting(where, value, f"a {type(old).__name__}, or a mapping of some of its fields")
        else:
            new[name] = _typed(where, value, old)
    try:
        # weights are one setting: to state one of them is to state them all
        return ScoringWeights(**new) if isinstance(base, ScoringWeights) else replace(base, **new)  # type: ignore[arg-type]
    except ConfigurationError as error:
        raise _placed(error, place) from None


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """What a config.toml says."""

    table: Mapping[str, object]
    proxy: Mapping[str, object]


def _file_at(path: Path) -> _File:
    try:
        stamp = path.stat()
    except OSError:
        return _File({}, {})
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int, _size: int) -> _File:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}", {"file": str(path)}) from error
    proxy = table.pop(PROXY, {})
    if not isinstance(proxy, dict):
        raise ConfigurationError(f"{path}: {PROXY} is {proxy!r}; expected a table", {"file": str(path)})
    try:
        merged(HeadroomConfig(), table, "")
    except ConfigurationError as error:
        raise _in_file(path, error) from error
    return _File(table, proxy)


@lru_cache(maxsize=8)
def _layered(file: _File, variables: tuple[tuple[str, str], ...]) -> HeadroomConfig:
    config: HeadroomConfig = merged(HeadroomConfig(), file.table, "")
    stated: dict[str, Any] = {}
    for name, text in variables:
        path = _path_of(name) or ()
        value = _from_text(name, text, path)
        _put(stated, path, value)
        try:  # each by itself, so that an error can name it
            merged(HeadroomConfig(), _put({}, path, value), "")
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error.message}", error.details | {"variable": name}) from error
    result: HeadroomConfig = merged(config, stated, "")
    return result


def _put(table: dict[str, Any], path: Sequence[str], value: object) -> dict[str, Any]:
    inner = table
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
    inner[path[-1]] = value
    return table


def _variables() -> dict[str, str]:
    """The variables that are settings, those with a name of their own first."""
    found = {name: text for name in ALIASES if (text := os.environ.get(name, "").strip())}
    return found | {name: text for name in _systematic() if (text := os.environ.get(name, "").strip())}


def _path_of(variable: str) -> tuple[str, ...] | None:
    return _systematic().get(variable) or ALIASES.get(variable)


@lru_cache(maxsize=1)
def _systematic() -> dict[str, tuple[str, ...]]:
    paths_ = [path for path, value in _values(HeadroomConfig(), ()) if not isinstance(value, Mapping)]
    return {PREFIX + "_".join(path).upper(): path for path in paths_}


def _from_text(variable: str, text: str, path: Sequence[str]) -> object:
    """A variable's text as the setting's type."""
    default: Any = HeadroomConfig()
    for part in path:
        default = getattr(default, part)
    return _converted(variable, text, default)


def _converted(variable: str, text: str, default: object) -> Any:
    """A variable's text as the type of the default."""
    if isinstance(default, bool):
        if text.lower() not in (*_TRUE, *_FALSE):
            raise wrong_setting(variable, text, "true or false")
        return text.lower() in _TRUE
    if isinstance(default, int | float):
        try:
            return int(text) if isinstance(default, int) else float(text)
        except ValueError:
            kind = "a whole number" if isinstance(default, int) else "a number"
            raise wrong_setting(variable, text, kind) from None
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _option(place: str, value: object, default: str | int | bool) -> Any:
    """A value of the file as the proxy's option wants it."""
    if isinstance(default, str) and isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values()):
        return ",".join(f"{name}={each}" for name, each in value.items())
    if isinstance(default, str) and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _typed(place, value, default)


def _values(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    for each in fields(value):
        held = getattr(value, each.name)
        if is_dataclass(held):
            yield from _values(held, (*path, each.name))
        else:
            yield (*path, each.name), held


def _leaves(table: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, name))
        yield (*path, name)


def _source(path: tuple[str, ...], stated: Mapping[tuple[str, ...], str]) -> str:
    return stated.get(path, "default")


def _typed(place: str, value: object, old: object) -> object:
    """The value, where it has the type of the field (a whole number is a number too)."""
    if isinstance(old, bool):
        if not isinstance(value, bool):
            raise wrong_setting(place, value, "true or false")
    elif isinstance(old, int):
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_setting(place, value, "a whole number")
    elif isinstance(old, float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_setting(place, value, "a number")
        return float(value)
    elif isinstance(old, str):
        if not isinstance(value, str):
            raise wrong_setting(place, value, "a text")
    elif isinstance(old, tuple) and not (
        isinstance(value, str | list | tuple) and all(isinstance(item, str) for item in value)
    ):
        raise wrong_setting(place, value, "a list of texts")
    return value


def _unknown(place: str, name: str, known: Sequence[str]) -> ConfigurationError:
    close = get_close_matches(name, known, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return ConfigurationError(
        f"{place} is no setting{meant} (there are {', '.join(known)})",
        {"setting": place, "expected": list(known), "meant": close[0] if close else None},
    )


def _in_file(path: Path, error: ConfigurationError) -> ConfigurationError:
    return ConfigurationError(f"{path}: {error.message}", error.details | {"file": str(path)})


def _placed(error: ConfigurationError, place: str) -> ConfigurationError:
    """The error with the section before the field's name, where it does not stand there already."""
    setting = str(error.details.get("setting", ""))
    if not place or setting.startswith(place.rstrip(".")):
        return error
    return ConfigurationError(f"{place}{error.message}", error.details | {"setting": place + setting})
