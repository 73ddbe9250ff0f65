"""`headroom config`: every setting, its value and where it comes from."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from mitmproxy import optmanager

from addon.settings import OPTIONS, read_settings
from addon.settings import stated as stated_options
from headroom import paths
from headroom.cli.output import new_table, print_json, print_table
from headroom.cli.settings import config_files, options
from headroom.embedding.choice import VARIABLE as EMBEDDER
from headroom.embedding.choice import runtime
from headroom.errors import ConfigurationError, HeadroomError
from headroom.kompress.backends.choice import VARIABLE as KOMPRESS
from headroom.kompress.backends.choice import wanted
from headroom.models import overrides
from headroom.models.overrides import VARIABLE
from headroom.session.betas import MAX_SESSIONS, STICKY, is_sticky, sessions_kept
from headroom.settings import effective, load_config

LONGEST = 80
"""Characters of a list that are shown in the table."""
WORKSPACE, CONFIG, SAVINGS = "HEADROOM_WORKSPACE_DIR", "HEADROOM_CONFIG_DIR", "HEADROOM_SAVINGS_PATH"
TOIN, SUBSCRIPTION = "HEADROOM_TOIN_PATH", "HEADROOM_SUBSCRIPTION_STATE_PATH"


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting; ``source`` is default, the name of a variable, or a file."""

    name: str
    value: object
    source: str


def entries(confdir: str | None) -> list[Entry]:
    """Every setting as a start without options would have it. Raises ConfigurationError when a file can't be read."""
    found = options([f"confdir={confdir}"] if confdir else [])
    stated = {name: setting.source for name, setting in stated_options().items()}
    for file in config_files(found):
        if file.is_file():
            stated |= dict.fromkeys(optmanager.parse(file.read_text()), str(file))
    values = []
    for name, _, _ in OPTIONS:
        values.append(Entry(name, getattr(found, name), stated.get(name, "default")))
    workspace, folder = _variable(WORKSPACE), _variable(CONFIG)
    own = found.headroom_workspace
    root, where = paths.workspace_dir(own or None), "headroom_workspace" if own else workspace
    limits = os.environ.get(VARIABLE, "").strip()
    return [
        *values,
        Entry("mitmproxy's folder (CA, config.yaml)", found.confdir, "--confdir" if confdir else "default"),
        Entry("ledger", str(root / "ledger.db"), where),
        Entry("state", str(root / "state.db"), where),
        Entry("logs", str(paths.logs_dir()), workspace),
        Entry("memory", str(paths.memory_path()), workspace),
        Entry("TOIN", str(paths.toin_path()), _first(TOIN, WORKSPACE)),
        Entry("subscription state", str(paths.subscription_state_path()), _first(SUBSCRIPTION, WORKSPACE)),
        Entry("savings as JSON", str(paths.savings_path()), _first(SAVINGS, WORKSPACE)),
        Entry("config folder", str(paths.config_dir()), folder),
        Entry("models.json", str(paths.models_path()) if paths.models_path().is_file() else "none", folder),
        Entry(VARIABLE, ("JSON text" if limits.startswith("{") else limits) or "none", _variable(VARIABLE)),
        Entry(EMBEDDER, os.environ.get(EMBEDDER, "").strip() or "default", _variable(EMBEDDER)),
        Entry(KOMPRESS, str(wanted()), _variable(KOMPRESS)),
        Entry(STICKY, os.environ.get(STICKY, "enabled"), _variable(STICKY)),
        Entry(MAX_SESSIONS, os.environ.get(MAX_SESSIONS, "1000"), _variable(MAX_SESSIONS)),
        *_library(),
    ]


def _library() -> list[Entry]:
    """The settings of config.toml and the environment; none where one is wrong, which ``check_all`` says."""
    try:
        return [Entry(setting.name, _plain(setting.value), setting.source) for setting in effective()]
    except ConfigurationError:
        return []


def _plain(value: object) -> object:
    """A setting's value as JSON has it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def check_all(confdir: str | None) -> list[HeadroomError]:
    """What is wrong with the settings: with those of the addon, then with the variables."""
    wrong: list[HeadroomError] = []
    found = options([f"confdir={confdir}"] if confdir else [])
    for check in (load_config, lambda: read_settings(found), is_sticky, sessions_kept, overrides, runtime):
        try:
            check()
        except ConfigurationError as error:
            if error.message not in [other.message for other in wrong]:
                wrong.append(error)
    return wrong


def show_config(confdir: str | None, as_json: bool) -> int:
    """Print it; the exit code. Raises ConfigurationError when a file can't be read."""
    found, wrong = entries(confdir), check_all(confdir)
    if as_json:
        print_json({"settings": [asdict(entry) for entry in found], "wrong": [error.message for error in wrong]})
        return int(bool(wrong))
    table = new_table("setting", "value", "from")
    for entry in found:
        table.add_row(entry.name, _said(entry.value) or "-", entry.source)
    print_table(table)
    for error in wrong:
        print(f"headroom: {error.message}", file=sys.stderr)
    return int(bool(wrong))


def _said(value: object) -> str:
    """A value in a line; of patterns and other lists what they begin with."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        text = ", ".join(f"{name}={value[name]}" for name in value) if isinstance(value, dict) else ", ".join(value)
        return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return str(value).replace("\n", "\\n")


def _first(*names: str) -> str:
    return next((name for name in names if os.environ.get(name, "").strip()), "default")


def _variable(name: str) -> str:
    return name if os.environ.get(name, "").strip() else "default"
