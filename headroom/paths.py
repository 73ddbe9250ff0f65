"""Where headroom keeps its files.

Two roots: the config root is mostly read, the workspace root is read and written. For each resource an explicit
argument wins over its own environment variable, which wins over the root. `HEADROOM_WORKSPACE` (a Docker mount) is a
different variable and is never read. Nothing here touches the disk but `private_dir` and, to choose, `models_path`.
"""

import os
from pathlib import Path

from headroom.errors import ConfigurationError, StorageError, ValidationError

type PathArgument = str | os.PathLike[str] | None


def workspace_dir(explicit: PathArgument = None) -> Path:
    """Root of what headroom writes: HEADROOM_WORKSPACE_DIR, else ~/.headroom."""
    return _chosen(explicit, "HEADROOM_WORKSPACE_DIR") or _expanded("~/.headroom", "home folder")


def config_dir(explicit: PathArgument = None) -> Path:
    """Root of what the user writes: HEADROOM_CONFIG_DIR, else ~/.headroom/config, wherever the workspace is."""
    return _chosen(explicit, "HEADROOM_CONFIG_DIR") or _expanded("~/.headroom/config", "home folder")


def savings_path(explicit: PathArgument = None) -> Path:
    """The savings as JSON: HEADROOM_SAVINGS_PATH, else ${WORKSPACE}/proxy_savings.json."""
    return _chosen(explicit, "HEADROOM_SAVINGS_PATH") or workspace_dir() / "proxy_savings.json"


def toin_path(explicit: PathArgument = None) -> Path:
    """The TOIN patterns: HEADROOM_TOIN_PATH, else ${WORKSPACE}/toin.json."""
    return _chosen(explicit, "HEADROOM_TOIN_PATH") or workspace_dir() / "toin.json"


def subscription_state_path(explicit: PathArgument = None) -> Path:
    """The subscription tracker: HEADROOM_SUBSCRIPTION_STATE_PATH, else ${WORKSPACE}/subscription_state.json."""
    return _chosen(explicit, "HEADROOM_SUBSCRIPTION_STATE_PATH") or workspace_dir() / "subscription_state.json"


def memory_path(explicit: PathArgument = None) -> Path:
    """The memory database (`--memory-db-path`), else ${WORKSPACE}/memory.db."""
    return _chosen(explicit) or workspace_dir() / "memory.db"


def session_stats_path(explicit: PathArgument = None) -> Path:
    """One JSON line a session: ${WORKSPACE}/session_stats.jsonl."""
    return _chosen(explicit) or workspace_dir() / "session_stats.jsonl"


def logs_dir(explicit: PathArgument = None) -> Path:
    """Log files: ${WORKSPACE}/logs."""
    return _chosen(explicit) or workspace_dir() / "logs"


def ledger_path(explicit: PathArgument = None) -> Path:
    """The ledger of every exchange (SQLite): ${WORKSPACE}/ledger.db."""
    return _chosen(explicit) or workspace_dir() / "ledger.db"


def state_path(explicit: PathArgument = None) -> Path:
    """What was decided for each session (SQLite): ${WORKSPACE}/state.db."""
    return _chosen(explicit) or workspace_dir() / "state.db"


def originals_path(explicit: PathArgument = None) -> Path:
    """The originals of what was left out of requests (SQLite): ${WORKSPACE}/originals.db."""
    return _chosen(explicit) or workspace_dir() / "originals.db"


def models_path(explicit: PathArgument = None) -> Path:
    """Limits and prices of the user's own models: ${CONFIG}/models.json.

    While that file is absent, the legacy places count: ${WORKSPACE}/models.json, then ~/.headroom/models.json.
    Without any of them the answer is the canonical place. HEADROOM_MODEL_LIMITS is a layer above this file, not
    another place for it, and is read elsewhere.
    """
    chosen = _chosen(explicit)
    if chosen is not None:
        return chosen
    canonical = config_dir() / "models.json"
    legacy = (workspace_dir() / "models.json", _expanded("~/.headroom/models.json", "home folder"))
    return next((path for path in (canonical, *legacy) if path.is_file()), canonical)


def plugin_config_dir(name: str) -> Path:
    """What a plugin reads: ${CONFIG}/plugins/<name>. Raises ValidationError for a name that is not one folder."""
    return config_dir() / "plugins" / _plugin_folder(name)


def plugin_workspace_dir(name: str) -> Path:
    """What a plugin writes: ${WORKSPACE}/plugins/<name>. Raises ValidationError for a name that is not one folder."""
    return workspace_dir() / "plugins" / _plugin_folder(name)


def private_dir(path: str | os.PathLike[str]) -> Path:
    """Make the folder and its missing parents, each for the owner only (0700), and return it.

    A folder that exists keeps its mode: it may be shared on purpose. Raises StorageError when it cannot be made.
    """
    folder = Path(path)
    try:
        for missing in reversed([part for part in (folder, *folder.parents) if not part.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder")
    except OSError as error:
        raise StorageError(
            f"Cannot make the folder {folder}: {error.strerror or error}; expected a place that can be written.",
            {"path": str(folder), "error": str(error)},
        ) from error
    return folder


def _chosen(explicit: PathArgument, variable: str | None = None) -> Path | None:
    """The explicit path, else the variable's; an empty one counts as not given."""
    if explicit is not None and os.fspath(explicit):
        return _expanded(os.fspath(explicit), "path argument")
    value = os.environ.get(variable, "").strip() if variable else ""
    return _expanded(value, variable) if variable and value else None


def _expanded(path: str, setting: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{setting} is {path!r}, whose home folder is unknown; expected a path, or ~ with HOME set.",
            {"setting": setting, "found": path, "expected": "a path"},
        ) from error


def _plugin_folder(name: str) -> str:
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise ValidationError(
            f"Plugin name {name!r} is not the name of one folder; expected a name without / and \\.",
            {"field": "plugin name", "found": name, "expected": "a folder name without / and \\"},
        )
    return name
