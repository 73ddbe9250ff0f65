"""Opening an embedded database so that several processes may share it and a kill -9 loses nothing committed."""

import logging
import os
import sqlite3
import time
from pathlib import Path

from headroom.paths import private_dir

log = logging.getLogger(__name__)


def connect(path: Path, schema: str, busy_seconds: float) -> sqlite3.Connection:
    """A connection to the database at ``path``, made if absent, readable by its owner only, usable from any thread.

    A lock of another process is waited for ``busy_seconds``. A file that is not a sound database is moved aside.
    Raises sqlite3.Error or OSError where the place can't be written.
    """
    private_dir(path.parent)
    try:
        return _open(path, schema, busy_seconds)
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        move_aside(path, error)
        return _open(path, schema, busy_seconds)


def is_corrupt(error: BaseException) -> bool:
    """Whether an error says that the file is no sound database, and not that it is locked, full or read-only."""
    return type(error) is sqlite3.DatabaseError


def move_aside(path: Path, error: BaseException) -> None:
    """Rename a broken database to ``<name>.corrupt-<unix time>`` so that a new one can be started; the log says so."""
    aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    log.warning("%s is not a sound database (%s): moved to %s, a new one is started", path, error, aside.name)


def _open(path: Path, schema: str, busy_seconds: float) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives -wal and -shm the mode of the file
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection
