"""Where a client writes down its requests: ``store_url``."""

import getpass
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headroom.config import wrong_setting
from headroom.errors import StorageError
from headroom.paths import private_dir

FILE = "headroom.db"


@dataclass(frozen=True, slots=True)
class Store:
    """A ledger's file. ``url`` says it as ``store_url`` does."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def problem(self) -> str | None:
        """Why the folder can't be written; None when it can."""
        folder = self.path.parent
        return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} can't be written"


def store_at(url: str) -> Store:
    """The store of a URL, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; of none, the user's temporary one.

    Raises ConfigurationError for another kind of URL, StorageError when its folder can't be made.
    """
    if not url:
        return Store(_temporary() / FILE)
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.scheme != "sqlite" or parts.netloc or not path or parts.query or parts.fragment:
        raise wrong_setting("store_url", _without_password(url), "sqlite:////absolute/path.db")
    store = Store(Path(path).expanduser().absolute())
    private_dir(store.path.parent)
    return store


def _temporary() -> Path:
    """A folder of the user's own in the system's folder for temporary files; whoever else made one there is refused."""
    name = f"headroom-{os.getuid() if hasattr(os, 'getuid') else getpass.getuser()}"
    folder = private_dir(Path(tempfile.gettempdir()) / name)
    found = folder.lstat()
    if hasattr(os, "getuid") and (stat.S_ISLNK(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077):
        raise StorageError(
            f"{folder} belongs to somebody else or can be read by others; expected a folder of yours alone. Set "
            "store_url to another place.",
            {"path": str(folder)},
        )
    return folder


def _without_password(url: str) -> str:
    return url.partition("://")[0] + "://..." if "@" in url else url
