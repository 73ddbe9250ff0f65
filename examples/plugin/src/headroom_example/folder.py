"""A store in a folder of this machine, for several proxies with workspaces of their own: folder:///srv/headroom"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headroom.errors import ConfigurationError, StorageError
from headroom.paths import private_dir
from headroom.stores.entries import Entries, Limits
from headroom.stores.lists import Item, Lists
from headroom.stores.sqlite_entries import SqliteEntries


class FolderLists:
    """Decisions in a SQLite file. Any thread may use it, and any process the same file."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._problem, self._closed = "", False

    @property
    def problem(self) -> str:
        return self._problem

    def find(self, keys: Sequence[bytes]) -> dict[bytes, list[Item]]:
        return self._do(lambda database: _found(database, keys))

    def add(self, items: Sequence[Item]) -> Mapping[bytes, list[Item]]:
        def work(database: sqlite3.Connection) -> dict[bytes, list[Item]]:
            database.execute("BEGIN IMMEDIATE")  # of two that add at once, one is before the other
            database.executemany("INSERT OR IGNORE INTO items (key, variant, data) VALUES (?, ?, ?)", items)
            database.execute("COMMIT")
            return _found(database, [item.key for item in items])

        return self._do(work)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._database is not None:
                self._database.close()

    def _do[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._closed:
                raise StorageError(f"{self._path} is closed", {"path": str(self._path)})
            try:
                if self._database is None:
                    private_dir(self._path.parent)
                    self._database = sqlite3.connect(
                        self._path, timeout=0.25, isolation_level=None, check_same_thread=False
                    )
                    self._database.execute("PRAGMA journal_mode = WAL")
                    self._database.execute(
                        "CREATE TABLE IF NOT EXISTS items (key BLOB, variant BLOB, data BLOB, UNIQUE (key, variant))"
                    )
                    self._path.chmod(0o600)
                done = work(self._database)
            except (sqlite3.Error, OSError) as error:
                self._problem = str(error)
                if self._database is not None and self._database.in_transaction:
                    self._database.rollback()
                raise StorageError(f"{self._path} can't be used: {error}", {"path": str(self._path)}) from error
            self._problem = ""
            return done


def _found(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, list[Item]]:
    found: dict[bytes, list[Item]] = {}
    for key in dict.fromkeys(keys):
        rows = database.execute("SELECT key, variant, data FROM items WHERE key = ? ORDER BY rowid", (key,)).fetchall()
        if rows:
            found[key] = [Item(*row) for row in rows]
    return found


class FolderStore:
    """What headroom asks for the originals and the decisions at a URL."""

    def entries(self, url: str, limits: Limits | None) -> Entries:
        return SqliteEntries(_folder(url) / "originals.db", limits)

    def lists(self, url: str) -> Lists:
        return FolderLists(_folder(url) / "decisions.db")


STORE = FolderStore()


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    folder = Path(unquote(parts.path))
    if parts.netloc or not folder.is_absolute() or folder == Path("/"):
        raise ConfigurationError(
            f"headroom_store is {url!r}; expected folder:///an/absolute/path",
            {"setting": "headroom_store", "found": url, "expected": "folder:///an/absolute/path"},
        )
    return folder
