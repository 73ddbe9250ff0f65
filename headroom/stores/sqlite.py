"""Opening an embedded database so that several processes may share it and a kill -9 loses nothing committed."""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from headroom.errors import StorageError
from headroom.paths import private_dir

log = logging.getLogger(__name__)
LOOKING_SECONDS = 0.2


def connect(path: Path, schema: str, busy_seconds: float) -> sqlite3.Connection:
    """A connection to the database at ``path``, made if absent, readable by its owner only, usable from any thread.

    A lock of another process is waited for ``busy_seconds``. A file that is not a sound database is moved aside.
    Raises sqlite3.Error or OSError where the place can't be written.
    """
    try:
        private_dir(path.parent)
    except StorageError as error:
        raise OSError(error.message) from error

    def prepare(connection: sqlite3.Connection) -> object:
        return connection.executescript(schema)

    try:
        return opened(path, prepare, busy_seconds)
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error) or not move_aside(path, error):
            raise
        return opened(path, prepare, busy_seconds)


def is_corrupt(error: BaseException) -> bool:
    """Whether an error says that the file is no sound database, and not that it is locked, full or read-only."""
    return type(error) is sqlite3.DatabaseError


def is_locked(error: BaseException) -> bool:
    """Whether another process holds the database, which may be read all the same."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def move_aside(path: Path, error: BaseException) -> bool:
    """Rename a broken database to ``<name>.corrupt-<unix time>`` so that a new one can be started; the log says so.

    Another process may have done it before: a sound file stays. False when it could not be renamed.
    """
    if _is_sound(path):
        return True
    aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    try:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError:
        return False
    log.warning("%s is not a sound database (%s): moved to %s, a new one is started", path, error, aside.name)
    return True


def _is_sound(path: Path) -> bool:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=LOOKING_SECONDS, uri=True)
        ) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        return is_locked(error)  # whoever works on it finds it sound


def opened(path: Path, prepare: Callable[[sqlite3.Connection], object], busy_seconds: float) -> sqlite3.Connection:
    """A connection in WAL mode that ``prepare`` has seen; raises what SQLite and ``prepare`` raise."""
    # Only a file that is not there is opened by hand: closing one would drop the locks that SQLite holds on it for
    # another connection of this process (https://sqlite.org/howtocorrupt.html, 2.2). -wal and -shm get its mode.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection
