"""Lists in PostgreSQL: a row for each item, numbered in the order in which they were added."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headroom.stores.lists import KEEP_SECONDS, Item
from headroom.stores.postgres_server import PostgresServer

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS headroom_lists (
    id BIGSERIAL PRIMARY KEY, key BYTEA NOT NULL, variant BYTEA NOT NULL, data BYTEA NOT NULL,
    seen DOUBLE PRECISION NOT NULL, UNIQUE (key, variant));
ALTER TABLE headroom_lists ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS headroom_lists_seen ON headroom_lists (seen);
"""
SEEN_SECONDS = 86400.0
"""So often it is noted that a list is still looked up."""
SWEEP_SECONDS = 3600.0
_LOCK = 0x6C697374
"""The advisory lock under which items are added: one that waits for it then sees all that were added before."""
_SELECT = "SELECT key, variant, data, seen FROM headroom_lists WHERE key = ANY(%s) ORDER BY id"


class PostgresLists:
    """Lists in a PostgreSQL."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._sweep_at = 0.0

    @property
    def problem(self) -> str:
        return self._server.problem

    def find(self, keys: Sequence[bytes]) -> dict[bytes, list[Item]]:
        if not keys:
            return {}

        def work(connection: "Connection[Any]") -> list[tuple[bytes, bytes, bytes, float]]:
            rows = connection.execute(_SELECT, (list(keys),), binary=True).fetchall()
            now = time.time()
            old = list({key for key, _, _, seen in rows if now - seen > SEEN_SECONDS})
            if old:
                connection.execute("UPDATE headroom_lists SET seen = %s WHERE key = ANY(%s)", (now, old))
            return rows

        return _lists(self._server.call(work))

    def add(self, items: Sequence[Item]) -> Mapping[bytes, list[Item]]:
        if not items:
            return {}
        return _lists(self._server.call(lambda connection: self._add(connection, items)))

    def _add(self, connection: "Connection[Any]", items: Sequence[Item]) -> list[tuple[bytes, bytes, bytes, float]]:
        now = time.time()
        keys, variants, data = (list(column) for column in zip(*items, strict=True))
        with connection.pipeline(), connection.transaction():  # sent together, answered together
            # What a crash of the server may lose of the last second, the proxies' own copies bring back.
            connection.execute("SET LOCAL synchronous_commit = off")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(
                "INSERT INTO headroom_lists (key, variant, data, seen)"
                " SELECT key, variant, data, %s FROM UNNEST(%s::BYTEA[], %s::BYTEA[], %s::BYTEA[])"
                " WITH ORDINALITY AS new (key, variant, data, place) ORDER BY place ON CONFLICT DO NOTHING",
                (now, keys, variants, data),
            )
            found = connection.execute(_SELECT, (list(set(keys)),), binary=True)
            if now >= self._sweep_at:
                self._sweep_at = now + SWEEP_SECONDS
                connection.execute("DELETE FROM headroom_lists WHERE seen < %s", (now - KEEP_SECONDS,))
        return found.fetchall()

    def close(self) -> None:
        self._server.close()


def _lists(rows: Sequence[tuple[bytes, bytes, bytes, float]]) -> dict[bytes, list[Item]]:
    found: dict[bytes, list[Item]] = {}
    for key, variant, data, _ in rows:
        found.setdefault(bytes(key), []).append(Item(bytes(key), bytes(variant), bytes(data)))
    return found
