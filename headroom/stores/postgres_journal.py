"""The journal in PostgreSQL: a table whose rows are numbered in the order in which they can be seen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headroom.stores.journal import START, Note
from headroom.stores.postgres_server import PostgresServer

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS headroom_journal (
    seq BIGSERIAL PRIMARY KEY, id TEXT NOT NULL UNIQUE, day INTEGER NOT NULL, usd DOUBLE PRECISION NOT NULL,
    data BYTEA NOT NULL);
CREATE INDEX IF NOT EXISTS headroom_journal_day ON headroom_journal (day, usd);
"""
_LOCK = 0x6A6F7572
"""The advisory lock under which rows are added: a row never becomes visible behind one with a greater number."""


class PostgresJournal:
    """The journal in a PostgreSQL."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def append(self, notes: Sequence[Note]) -> None:
        if not notes:
            return

        def work(connection: "Connection[Any]") -> None:
            with connection.pipeline(), connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                connection.execute(
                    "INSERT INTO headroom_journal (id, day, usd, data) SELECT id, day, usd, data"
                    " FROM UNNEST(%s::TEXT[], %s::INTEGER[], %s::DOUBLE PRECISION[], %s::BYTEA[])"
                    " WITH ORDINALITY AS new (id, day, usd, data, place) ORDER BY place ON CONFLICT (id) DO NOTHING",
                    tuple(list(column) for column in zip(*notes, strict=True)),
                )

        self._server.call(work)

    def after(self, position: str, limit: int) -> tuple[list[bytes], str]:
        def ask(connection: "Connection[Any]") -> list[tuple[int, bytes]]:
            query = "SELECT seq, data FROM headroom_journal WHERE seq > %s ORDER BY seq LIMIT %s"
            rows = connection.execute(query, (int(position or 0), limit), binary=True).fetchall()
            if not rows and position:
                last = connection.execute("SELECT MAX(seq) FROM headroom_journal").fetchone()
                if last is None or (last[0] or 0) < int(position):  # it was emptied, and its numbers begin anew
                    rows = connection.execute(query, (0, limit), binary=True).fetchall()
                    return rows or [(0, b"")]
            return rows

        rows = self._server.call(ask)
        if rows and not rows[-1][0]:
            return [], START
        return [bytes(data) for _, data in rows], str(rows[-1][0]) if rows else position

    def spent_usd(self, day: int) -> float:
        row = self._server.call(
            lambda connection: connection.execute(
                "SELECT COALESCE(SUM(usd), 0) FROM headroom_journal WHERE day = %s", (day,)
            ).fetchone()
        )
        return float(row[0]) if row else 0.0

    def close(self) -> None:
        self._server.close()
