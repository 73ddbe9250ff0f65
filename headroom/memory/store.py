"""Notes in ${WORKSPACE}/memory.db: one file, for its owner only, shared by all clients of this machine.

Each note is kept with its vector, where there is an embedder. A search compares with all notes of a project, of 20,000
within half a second: no index is needed for that, nor an extension, which not each Python's SQLite can load.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from headroom import paths
from headroom.embedding import Embedder, embedder
from headroom.errors import StorageError
from headroom.memory.notes import Found, Note, checked_id, checked_tags, checked_text, id_of
from headroom.memory.search import rank
from headroom.stores.sqlite import connect

BUSY_SECONDS = 5.0
MOST_NOTES = 20_000
MOST_FOUND = 100
EMBEDDED_AT_ONCE = 256
"""Notes from before there was an embedder that one search embeds."""
EMBEDDED_CHARACTERS = 2_000
_SCHEMA = """
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS notes (
    id TEXT PRIMARY KEY, text TEXT NOT NULL, project TEXT NOT NULL, user TEXT NOT NULL, tags TEXT NOT NULL,
    made REAL NOT NULL, changed REAL NOT NULL, embedder TEXT NOT NULL, vector BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS notes_project ON notes (project, user);
"""
_FIELDS = "id, text, project, user, tags, made, changed"
_MARKS = "?, ?, ?, ?, ?, ?, ?, ?, ?"


class NoteStore:
    """Notes in a file. Any thread may use it. Each call raises StorageError when the file can't be used."""

    def __init__(self, path: Path, embedder: Callable[[], Embedder | None] = embedder) -> None:
        """Nothing is opened before it is used."""
        self.path = path
        self._embedder = embedder
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def save(self, text: str, project: str = "", user: str = "", tags: Sequence[str] = ()) -> Note:
        """Keep a note. The same words are the same note: its time is that of now, its tags are added to.

        Raises ValidationError for a text or tags that are no note's.
        """
        said, named, now = checked_text(text), checked_tags(tags), time.time()
        id, name, vector = id_of(said, project, user), *self._vector(said)
        with self._lock:
            known = self._notes("WHERE id = ?", [id])
            note = Note(id, said, project, user, named, now, now)
            if known:
                note = Note(id, said, project, user, checked_tags((*known[0].tags, *named)), known[0].made, now)
            elif self._ask("SELECT COUNT(*) FROM notes")[0][0] >= MOST_NOTES:
                raise StorageError(
                    f"{self.path} has {MOST_NOTES:,} notes, which is the most: forget some first",
                    {"path": str(self.path)},
                )
            self._ask(
                f"INSERT OR REPLACE INTO notes ({_FIELDS}, embedder, vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    note.id,
                    note.text,
                    note.project,
                    note.user,
                    ",".join(note.tags),
                    note.made,
                    note.changed,
                    name,
                    vector,
                ],
            )
        return note

    def search(
        self, query: str, project: str = "", user: str = "", limit: int = 5, tags: Sequence[str] = ()
    ) -> list[Found]:
        """The notes that answer ``query`` best, of the project and of all projects, of the user and of everybody; those
        with all ``tags``. Notes that have nothing to do with it are not found. An empty query finds the newest."""
        named, limit = set(checked_tags(tags)), max(1, min(limit, MOST_FOUND))
        with self._lock:
            where = "WHERE project IN (?, '') AND user IN (?, '') ORDER BY changed DESC, id"
            some = [note for note in self._notes(where, [project, user]) if named <= set(note.tags)]
            if not query.strip():
                return [Found(note, 1.0) for note in some[:limit]]
            vectors = self._vectors(some) if some else {}
        found = self._embedder()
        mine = found.embed([query[:EMBEDDED_CHARACTERS]])[0] if found is not None and vectors else None
        return rank(some, query, vectors, mine)[:limit]

    def forget(self, id: str) -> bool:
        """Take a note out for good; False when there is none of that id. Raises ValidationError for what is no id."""
        with self._lock:
            name = checked_id(id)
            there = bool(self._notes("WHERE id = ?", [name]))
            self._ask("DELETE FROM notes WHERE id = ?", [name])
            return there

    def notes(self, project: str | None = None, user: str | None = None) -> list[Note]:
        """All notes, or those of one project or user alone, the newest first."""
        asked = [(name, value) for name, value in (("project", project), ("user", user)) if value is not None]
        where = f"WHERE {' AND '.join(f'{name} = ?' for name, _ in asked)}" if asked else ""
        with self._lock:
            return self._notes(f"{where} ORDER BY changed DESC, id", [value for _, value in asked])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _notes(self, where: str, values: Sequence[object]) -> list[Note]:
        rows = self._ask(f"SELECT {_FIELDS} FROM notes {where}", values)
        return [
            Note(id, text, project, user, tuple(filter(None, tags.split(","))), made, changed)
            for id, text, project, user, tags, made, changed in rows
        ]

    def _vector(self, text: str) -> tuple[str, bytes]:
        found = self._embedder()
        if found is None:
            return "", b""
        return found.name, found.embed([text[:EMBEDDED_CHARACTERS]])[0].astype("float32").tobytes()

    def _vectors(self, some: Iterable[Note]) -> dict[str, bytes]:
        """The vectors of notes by their ids, as far as this embedder made them; some of the others are made now."""
        found = self._embedder()
        if found is None:
            return {}
        texts = {note.id: note.text[:EMBEDDED_CHARACTERS] for note in some}
        rows = self._ask("SELECT id, vector FROM notes WHERE embedder = ?", [found.name])
        known = {id: vector for id, vector in rows if id in texts}
        lacking = [id for id in texts if id not in known][:EMBEDDED_AT_ONCE]
        if lacking:
            made = found.embed([texts[id] for id in lacking]).astype("float32")
            for id, row in zip(lacking, made, strict=True):
                known[id] = row.tobytes()
                self._ask("UPDATE notes SET embedder = ?, vector = ? WHERE id = ?", [found.name, known[id], id])
        return known

    def _ask(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        try:
            if self._connection is None:
                self._connection = connect(self.path, _SCHEMA, BUSY_SECONDS)
            return self._connection.execute(statement, tuple(values)).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{self.path} can't be used: {error}", {"path": str(self.path), "error": str(error)}
            ) from error


def open_memory(path: str | Path | None = None) -> NoteStore:
    """The notes at ``path``, by default ${WORKSPACE}/memory.db."""
    return NoteStore(paths.memory_path(path))
