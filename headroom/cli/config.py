"""`headroom config`: every setting, its value and where it comes from."""

import os
import sys
from dataclasses import asdict, dataclass

from mitmproxy import optmanager

from addon.settings import OPTIONS, read_settings
from headroom import paths
from headroom.cli.output import new_table, print_json, print_table
from headroom.cli.settings import config_files, options
from headroom.errors import ConfigurationError, HeadroomError
from headroom.models import overrides
from headroom.models.overrides import VARIABLE
from headroom.session.betas import MAX_SESSIONS, STICKY, is_sticky, sessions_kept
from headroom.settings import load_config

WORKSPACE, CONFIG, SAVINGS = "HEADROOM_WORKSPACE_DIR", "HEADROOM_CONFIG_DIR", "HEADROOM_SAVINGS_PATH"


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting; ``source`` is default, the name of a variable, or a file."""

    name: str
    value: object
    source: str


def entries(confdir: str | None) -> list[Entry]:
    """Every setting as a start without options would have it. Raises ConfigurationError when a file can't be read."""
    found = options([f"confdir={confdir}"] if confdir else [])
    stated: dict[str, str] = {}
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
        Entry("savings as JSON", str(paths.savings_path()), SAVINGS if os.environ.get(SAVINGS) else workspace),
        Entry("config folder", str(paths.config_dir()), folder),
        Entry("models.json", str(paths.models_path()) if paths.models_path().is_file() else "none", folder),
        Entry(VARIABLE, ("JSON text" if limits.startswith("{") else limits) or "none", _variable(VARIABLE)),
        Entry(STICKY, os.environ.get(STICKY, "enabled"), _variable(STICKY)),
        Entry(MAX_SESSIONS, os.environ.get(MAX_SESSIONS, "1000"), _variable(MAX_SESSIONS)),
    ]


def check_all(confdir: str | None) -> list[HeadroomError]:
    """What is wrong with the settings: with those of the addon, then with the variables."""
    wrong: list[HeadroomError] = []
    found = options([f"confdir={confdir}"] if confdir else [])
    for check in (load_config, lambda: read_settings(found), is_sticky, sessions_kept, overrides):
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
        value = str(entry.value).lower() if isinstance(entry.value, bool) else str(entry.value)
        table.add_row(entry.name, value or "-", entry.source)
    print_table(table)
    for error in wrong:
        print(f"headroom: {error.message}", file=sys.stderr)
    return int(bool(wrong))


def _variable(name: str) -> str:
    return name if os.environ.get(name, "").strip() else "default"
