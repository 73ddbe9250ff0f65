"""What was set up on this machine: which files, and what they were before. ${WORKSPACE}/setup.json and backups."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from headroom import paths
from headroom.errors import StorageError

FILE, BACKUPS = "setup.json", "backups"


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to a file of a client: its path, whether that is ours alone, the backup of what it was
    ("" where there was none), what we wrote, and the port and CA that it was told."""

    file: str
    made: bool
    backup: str
    wrote: str
    port: int
    certificate: str


def record() -> dict[str, list[Done]]:
    """By client, in the order in which it was done. Raises StorageError when it can't be read."""
    path = paths.workspace_dir() / FILE
    try:
        found = json.loads(path.read_text())
        return {name: [Done(**one) for one in done] for name, done in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} can't be read: {error}", {"path": str(path)}) from error


def write_record(done: Mapping[str, Sequence[Done]]) -> None:
    """Raises StorageError."""
    path = paths.workspace_dir() / FILE
    if not done:
        path.unlink(missing_ok=True)
        return
    paths.private_dir(path.parent)
    replace_file(
        path, json.dumps({name: [asdict(one) for one in some] for name, some in done.items()}, indent=1) + "\n"
    )


def keep_backup(client: str, file: Path, text: str) -> Path:
    """What a file was, for its owner only. Raises StorageError."""
    folder = paths.private_dir(paths.workspace_dir() / BACKUPS)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{client}-{file.name}"
    replace_file(path, text)
    return path


def replace_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one step; one that was a link stays one. Raises StorageError."""
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(text.encode())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StorageError(f"{path} can't be written: {error.strerror}", {"path": str(path)}) from error
