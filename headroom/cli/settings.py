"""The addon's options as mitmdump would see them: defaults, mitmproxy's config.yaml, and what was typed."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mitmproxy import exceptions, optmanager
from mitmproxy.options import Options

from addon.settings import options_with_defaults
from headroom.errors import ConfigurationError


def options(typed: Iterable[str] = ()) -> Options:
    """mitmproxy's core options and the addon's, with the values that a start with ``typed`` (name=value) gives them;
    what nobody types is as config.toml and the environment say.

    Raises ConfigurationError.
    """
    every, found = tuple(typed), Options()
    for name, default, text in options_with_defaults():
        found.add_option(name, type(default), default, text)
    try:
        found.set(*every, defer=True)
        optmanager.load_paths(found, *map(str, config_files(found)))
        found.set(*every, defer=True)
    except (exceptions.OptionsError, TypeError) as error:  # the latter for a value of another type in a file
        raise ConfigurationError(str(error), {"options": every}) from error
    return found


def config_files(found: Options) -> Sequence[Path]:
    """Where mitmproxy reads options, in its order."""
    folder = Path(found.confdir).expanduser()
    return folder / "config.yaml", folder / "config.yml"
