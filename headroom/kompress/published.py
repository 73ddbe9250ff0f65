"""Where the published model is on this machine. Nothing here uses the network."""

import os
from pathlib import Path

from headroom.errors import ConfigurationError
from headroom.kompress.backends import onnx, pytorch

REPOSITORY = "chopratejas/kompress-v2-base"
REVISION = "main"
VARIABLE = "HEADROOM_KOMPRESS_MODEL"
TOKENIZER = "tokenizer.json"
COMPANIONS = (TOKENIZER, "config.json", "tokenizer_config.json", "special_tokens_map.json")
"""Files beside the weights; only the first is needed by ONNX Runtime."""


def repository() -> str:
    """The repository on the hub: HEADROOM_KOMPRESS_MODEL where that names one (owner/name), else the published one."""
    given = os.environ.get(VARIABLE, "").strip()
    return given if given.count("/") == 1 and not Path(given).expanduser().is_dir() else REPOSITORY


def find() -> Path | None:
    """The folder with the model: the one that HEADROOM_KOMPRESS_MODEL names, else the one in the local hub cache.

    None when it is not on this machine. Raises ConfigurationError when the variable names a folder without the model.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given and (Path(given).expanduser().is_dir() or given.count("/") != 1):
        folder = Path(given).expanduser()
        if not is_complete(folder):
            expected = f"{TOKENIZER} and one of {', '.join((*onnx.FILES, *pytorch.FILES))}"
            raise ConfigurationError(
                f"{VARIABLE} is {given!r}; expected a folder with {expected}, or a repository as owner/name",
                {"setting": VARIABLE, "found": given, "expected": expected},
            )
        return folder
    cached = snapshot(repository(), REVISION)
    return cached if cached is not None and is_complete(cached) else None


def is_complete(folder: Path) -> bool:
    """Whether a folder has the tokenizer and weights for one of the runtimes."""
    return (folder / TOKENIZER).is_file() and any((folder / name).is_file() for name in (*onnx.FILES, *pytorch.FILES))


def hub_cache() -> Path:
    """The hub's cache on this machine, as its own client has it: HF_HUB_CACHE, else HF_HOME/hub, else under
    XDG_CACHE_HOME or ~/.cache (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables)."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def repository_folder(name: str) -> Path:
    """Where the cache keeps a repository."""
    return hub_cache() / f"models--{name.replace('/', '--')}"


def snapshot(name: str, revision: str) -> Path | None:
    """The folder of a revision in the cache; None when nothing of it was fetched."""
    root = repository_folder(name)
    try:
        commit = (root / "refs" / revision).read_text().strip()
    except OSError:
        return None
    folder = root / "snapshots" / commit
    return folder if commit and folder.is_dir() else None
