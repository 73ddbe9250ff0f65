"""What other packages add: transforms and stores, found by the entry points that they declare.

A transform is a function ``(text, Context) -> Compressed | None`` under ``headroom.transforms``
(``headroom.transforms.base``), and passes the guards that our own pass. A store is an object with the methods of
``StorePlugin`` under ``headroom.stores``, by the scheme of its URLs. What a plugin reads is in
``${CONFIG}/plugins/<name>/``, what it writes in ``${WORKSPACE}/plugins/<name>/`` (``headroom.paths``). HEADROOM_PLUGINS
names those that may be used, separated by commas; ``off`` is none of them, and without it all that are installed are.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from headroom.errors import ConfigurationError, without_message

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from headroom.stores.entries import Entries, Limits
    from headroom.stores.lists import Lists
    from headroom.transforms.base import Compressed, Context, Transform

log = logging.getLogger(__name__)
TRANSFORMS, STORES = "headroom.transforms", "headroom.stores"
VARIABLE = "HEADROOM_PLUGINS"
STRATEGY = "plugin:"
"""What the ledger's names of plugins' savings begin with."""


class StorePlugin(Protocol):
    """Where several proxies keep what they share. Nothing is opened before it is used."""

    def entries(self, url: str, limits: "Limits | None") -> "Entries":
        """The originals at a URL. Raises ConfigurationError."""
        ...

    def lists(self, url: str) -> "Lists":
        """What was decided at a URL. Raises ConfigurationError."""
        ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point: its group and name, the package that declares it, and whether it may be used."""

    group: str
    name: str
    package: str
    version: str
    wanted: bool
    point: "EntryPoint"

    def load(self) -> Any:
        """What the entry point names. Raises whatever its import raises."""
        return self.point.load()


def plugins(group: str) -> list[Plugin]:
    """What is installed, by name; of two of one name, the one of the package that comes first in the alphabet."""
    from importlib.metadata import entry_points  # takes a while to load

    names = wanted()
    found: dict[str, Plugin] = {}
    for point in entry_points(group=group):
        package, version = (point.dist.name, point.dist.version) if point.dist else ("", "")
        plugin = Plugin(group, point.name, package, version, names is None or point.name in names, point)
        other = found.get(point.name)
        if other is None or plugin.package < other.package:
            found[point.name] = plugin
    return sorted(found.values(), key=lambda plugin: plugin.name)


def wanted() -> frozenset[str] | None:
    """The names in HEADROOM_PLUGINS; None where it says nothing."""
    said = os.environ.get(VARIABLE, "").strip()
    if not said:
        return None
    return frozenset() if said.lower() == "off" else frozenset(name.strip() for name in said.split(","))


@lru_cache(maxsize=1)
def transforms() -> tuple["Transform", ...]:
    """The plugins' transforms, each behind its guard, in the order of their names; looked for once a process."""
    found: list[Transform] = []
    for plugin in plugins(TRANSFORMS):
        if not plugin.wanted:
            continue
        try:
            transform = plugin.load()
            if not callable(transform):
                raise TypeError(f"{plugin.point.value} is no function")
        except Exception as error:
            log.warning(
                "the plugin %s can't be loaded and is not used: %s: %s", plugin.name, type(error).__name__, error
            )
        else:
            found.append(guarded(plugin.name, transform))
    return tuple(found)


def guarded(name: str, transform: "Transform") -> "Transform":
    """A plugin's transform that can harm nothing: whatever it raises or gives but a text leaves the block as it is.

    It is asked twice, and what it does not say twice is not taken: the same block has to be replaced by the same bytes
    for ever. The log says once what was wrong.
    """
    from headroom.transforms.base import Compressed

    told: set[str] = set()

    def ask(text: str, context: "Context") -> "Compressed | None":
        own = replace(context, arguments=MappingProxyType(dict(context.arguments)))
        form: object = None
        try:
            form = transform(text, own)
            same = form == transform(text, own)
            why = "" if same else "it does not give the same twice"
        except Exception as error:
            why = without_message(error)
        if not why and form is None:
            return None
        if not why and isinstance(form, Compressed) and isinstance(form.text, str):
            return Compressed(form.text, f"{STRATEGY}{name}", form.lossless is True, form.left_out)
        why = why or f"it gave a {type(form).__name__}, which is no Compressed with a text"
        if why not in told:
            told.add(why)
            log.warning("the plugin %s failed, the text stays as it is: %s", name, why)
        return None

    return ask


def store(url: str) -> StorePlugin | None:
    """The plugin for a URL's scheme; None when there is none. Raises ConfigurationError when it can't be loaded."""
    scheme = url.partition(":")[0].lower()
    plugin = next((one for one in plugins(STORES) if one.wanted and one.name == scheme), None)
    if plugin is None:
        return None
    try:
        found: StorePlugin = plugin.load()
        if not all(isinstance(getattr(found, name, None), Callable) for name in ("entries", "lists")):  # type: ignore[arg-type]
            raise TypeError(f"{plugin.point.value} has no methods entries and lists")
    except Exception as error:
        raise ConfigurationError(
            f"headroom_store needs the plugin {scheme} of the package {plugin.package}, which can't be loaded: {error}",
            {"setting": "headroom_store", "plugin": scheme},
        ) from error
    return found
