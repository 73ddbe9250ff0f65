"""Entries in PostgreSQL, for the proxies of a team."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headroom.errors import StorageError
from headroom.stores.entries import GONE_SECONDS, SWEEP_SECONDS, SWEPT, Entry, Holder, Limits, State
from headroom.stores.postgres_server import PostgresServer, lock

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS headroom_entries (
    hash TEXT PRIMARY KEY, size BIGINT NOT NULL, stored BIGINT NOT NULL,
    used DOUBLE PRECISION NOT NULL, held DOUBLE PRECISION NOT NULL, data BYTEA NOT NULL);
ALTER TABLE headroom_entries ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS headroom_entries_free ON headroom_entries (held, used);
CREATE TABLE IF NOT EXISTS headroom_holders (
    session TEXT NOT NULL, hash TEXT NOT NULL REFERENCES headroom_entries ON DELETE CASCADE,
    tool TEXT NOT NULL, subject TEXT NOT NULL, made DOUBLE PRECISION NOT NULL, PRIMARY KEY (session, hash));
CREATE INDEX IF NOT EXISTS headroom_holders_hash ON headroom_holders (hash);
CREATE TABLE IF NOT EXISTS headroom_sessions (session TEXT PRIMARY KEY, seen DOUBLE PRECISION NOT NULL);
CREATE TABLE IF NOT EXISTS headroom_gone (hash TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL);
CREATE INDEX IF NOT EXISTS headroom_gone_at ON headroom_gone (at);
CREATE TABLE IF NOT EXISTS headroom_sums (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one), entries BIGINT NOT NULL, bytes BIGINT NOT NULL,
    text_bytes BIGINT NOT NULL);
INSERT INTO headroom_sums VALUES (TRUE, 0, 0, 0) ON CONFLICT DO NOTHING;
"""
# The data is zstd already: EXTERNAL keeps it out of the row and does not compress it once more.
_HELD = (
    "(SELECT COALESCE(MAX(seen), 0) + %(hold)s FROM headroom_holders JOIN headroom_sessions USING (session)"
    " WHERE hash = e.hash AND session != '')"
)
_LIVE = f"(GREATEST(e.held, e.used + %(ttl)s) >= %(now)s OR {_HELD} >= %(now)s)"


class PostgresEntries:
    """Entries in a PostgreSQL."""

    def __init__(self, server: PostgresServer, limits: Limits | None = None) -> None:
        self._server = server
        self._limits = limits or Limits()
        self._sweep_at = 0.0
        self._touched: dict[str, float] = {}

    def put(self, entries: Sequence[Entry]) -> None:
        if entries:
            self._server.call(lambda connection: self._put(connection, entries))

    def get(self, hash: str) -> Entry | None:
        def ask(connection: "Connection[Any]") -> Entry | None:
            values = self._values(hash=hash)
            row = connection.execute(
                f"SELECT size, data, used FROM headroom_entries e WHERE hash = %(hash)s AND {_LIVE}",
                values,
                binary=True,
            ).fetchone()
            if row is None:
                return None
            size, data, used = row
            holder = connection.execute(
                "SELECT session, tool, subject, made FROM headroom_holders WHERE hash = %(hash)s"
                " ORDER BY made DESC LIMIT 1",
                values,
            ).fetchone() or ("", "", "", used)
            if values["now"] - used > self._limits.ttl / 30:
                connection.execute("UPDATE headroom_entries SET used = %(now)s WHERE hash = %(hash)s", values)
            session, tool, subject, made = holder
            return Entry(hash, session, tool, subject, made, size, bytes(data))

        return self._server.call(ask)

    def state(self, hash: str) -> State:
        row = self._server.call(
            lambda connection: connection.execute(
                f"SELECT (SELECT {_LIVE} FROM headroom_entries e WHERE hash = %(hash)s),"
                " EXISTS (SELECT 1 FROM headroom_gone WHERE hash = %(hash)s)",
                self._values(hash=hash),
            ).fetchone()
        )
        live, gone = row or (None, False)
        return "live" if live else "expired" if gone or live is not None else "unknown"

    def missing(self, hashes: Iterable[str]) -> set[str]:
        wanted = set(hashes)
        if not wanted:
            return wanted
        rows = self._server.call(
            lambda connection: connection.execute(
                f"SELECT hash FROM headroom_entries e WHERE hash = ANY(%(hashes)s) AND {_LIVE}",
                self._values(hashes=list(wanted)),
            ).fetchall()
        )
        return wanted - {hash for (hash,) in rows}

    def forget(self, hash: str) -> None:
        def work(connection: "Connection[Any]") -> None:
            with connection.transaction():
                lock(connection)
                _remove(connection, [hash], time.time())

        self._server.call(work)

    def touch(self, session: str) -> None:
        now = time.time()
        if now - self._touched.get(session, 0.0) < self._limits.hold / 30:
            return
        self._server.call(lambda connection: _see(connection, {session}, now))
        if len(self._touched) > 10_000:
            self._touched.clear()
        self._touched[session] = now

    def of_session(self, session: str) -> list[Entry]:
        rows = self._server.call(
            lambda connection: connection.execute(
                "SELECT hash, tool, subject, made, size FROM headroom_holders JOIN headroom_entries USING (hash)"
                " WHERE session = %s ORDER BY made, hash",
                (session,),
            ).fetchall()
        )
        return [Entry(hash, session, tool, subject, made, size, b"") for hash, tool, subject, made, size in rows]

    def holders(self, limit: int = 100) -> list[Holder]:
        rows = self._server.call(
            lambda connection: connection.execute(
                "SELECT session, seen, COUNT(*), SUM(size)::BIGINT FROM headroom_sessions"
                " JOIN headroom_holders USING (session) JOIN headroom_entries USING (hash)"
                " GROUP BY session, seen ORDER BY seen DESC, session LIMIT %s",
                (limit,),
            ).fetchall()
        )
        return [Holder(*row) for row in rows]

    def stats(self) -> Mapping[str, int]:
        row = self._server.call(
            lambda connection: connection.execute(
                "SELECT entries, bytes, text_bytes, (SELECT COUNT(*) FROM headroom_sessions) FROM headroom_sums"
            ).fetchone()
        )
        return dict(zip(("entries", "bytes", "text_bytes", "sessions"), row or (0, 0, 0, 0), strict=True))

    def close(self) -> None:
        self._server.close()

    def _values(self, **more: Any) -> dict[str, Any]:
        return {"now": time.time(), "ttl": self._limits.ttl, "hold": self._limits.hold, **more}

    def _put(self, connection: "Connection[Any]", entries: Sequence[Entry]) -> None:
        now, hashes = time.time(), [entry.hash for entry in entries]
        with connection.pipeline(), connection.transaction():  # two round trips: what is there, and what is written
            # As safe as the other stores. What a crash of the server may lose of its last second stands in the requests
            # of its session still, where an answer looks first.
            connection.execute("SET LOCAL synchronous_commit = off")
            lock(connection)
            known = connection.execute("SELECT hash FROM headroom_entries WHERE hash = ANY(%s)", (hashes,))
            sums = connection.execute("SELECT entries, bytes FROM headroom_sums")
            there = {hash for (hash,) in known.fetchall()}
            new = {entry.hash: entry for entry in entries if entry.hash not in there}
            size = sum(len(entry.data) for entry in new.values())
            self._sweep(connection, now, sums.fetchone() or (0, 0), len(new), size)
            for entry in entries:
                held = now + self._limits.hold if entry.session else 0.0
                if entry.hash in there:
                    connection.execute(
                        "UPDATE headroom_entries SET used = GREATEST(used, %s), held = GREATEST(held, %s)"
                        " WHERE hash = %s",
                        (now, held, entry.hash),
                    )
                else:
                    connection.execute(
                        "INSERT INTO headroom_entries VALUES (%s, %s, %s, %s, %s, %s)",
                        (entry.hash, entry.size, len(entry.data), now, held, entry.data),
                    )
                    there.add(entry.hash)
                connection.execute(
                    "INSERT INTO headroom_holders VALUES (%s, %s, %s, %s, %s) ON CONFLICT (session, hash) DO UPDATE"
                    " SET tool = excluded.tool, subject = excluded.subject, made = excluded.made",
                    (entry.session, entry.hash, entry.tool, entry.subject, entry.made),
                )
            connection.execute("DELETE FROM headroom_gone WHERE hash = ANY(%s)", (hashes,))
            connection.execute(
                "UPDATE headroom_sums SET entries = entries + %s, bytes = bytes + %s, text_bytes = text_bytes + %s",
                (len(new), size, sum(e.size for e in new.values())),
            )
            _see(connection, {entry.session for entry in entries if entry.session}, now)

    def _sweep(self, connection: "Connection[Any]", now: float, sums: tuple[int, int], coming: int, size: int) -> None:
        """Make room for ``coming`` entries of ``size`` bytes: take out what has expired and, where that is not enough,
        the longest unused that no session holds."""
        entries, stored = sums
        more, over = entries + coming - self._limits.entries, stored + size - self._limits.bytes
        if now < self._sweep_at and more <= 0 and over <= 0:
            return
        self._sweep_at = now + min(SWEEP_SECONDS, self._limits.ttl)
        expired = self._free(connection, now, "AND used < %(now)s - %(ttl)s")
        more, over = more - len(expired), over - sum(expired.values())
        _remove(connection, list(expired), now)
        if more > 0 or over > 0:
            evicted = []
            for hash, freed in self._free(connection, now, "ORDER BY used").items():
                if more <= 0 and over <= 0:
                    break
                evicted.append(hash)
                more, over = more - 1, over - freed
            _remove(connection, evicted, now)
        if over > 0:
            raise StorageError(
                f"{self._server.name} is full: {stored:,} of {self._limits.bytes:,} bytes are held by living sessions.",
                {"store": self._server.name, "bytes": stored, "limit": self._limits.bytes},
            )
        connection.execute("DELETE FROM headroom_gone WHERE at < %s", (now - GONE_SECONDS,))
        connection.execute(
            "DELETE FROM headroom_sessions s WHERE seen < %s"
            " AND NOT EXISTS (SELECT 1 FROM headroom_holders h WHERE h.session = s.session)",
            (now - self._limits.hold,),
        )

    def _free(self, connection: "Connection[Any]", now: float, condition: str) -> dict[str, int]:
        """Entries that no session holds, with their sizes; of those that one holds, it is noted until when."""
        rows = connection.execute(
            f"SELECT hash, stored, {_HELD} FROM headroom_entries e WHERE held < %(now)s {condition} LIMIT {SWEPT}",
            self._values(now=now),
        ).fetchall()
        for hash, _, held in rows:
            if held >= now:
                connection.execute("UPDATE headroom_entries SET held = %s WHERE hash = %s", (held, hash))
        return {hash: stored for hash, stored, held in rows if held < now}


def _remove(connection: "Connection[Any]", hashes: list[str], now: float) -> None:
    if not hashes:
        return
    sums = connection.execute(
        "WITH gone AS (DELETE FROM headroom_entries WHERE hash = ANY(%s) RETURNING size, stored)"
        " SELECT COUNT(*), COALESCE(SUM(stored), 0), COALESCE(SUM(size), 0) FROM gone",
        (hashes,),
    ).fetchone()
    connection.execute(
        "UPDATE headroom_sums SET entries = entries - %s, bytes = bytes - %s, text_bytes = text_bytes - %s", sums
    )
    connection.execute(
        "INSERT INTO headroom_gone SELECT hash, %s FROM UNNEST(%s::TEXT[]) AS hash"
        " ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
        (now, hashes),
    )


def _see(connection: "Connection[Any]", sessions: Iterable[str], now: float) -> None:
    connection.execute(
        "INSERT INTO headroom_sessions SELECT session, %s FROM UNNEST(%s::TEXT[]) AS session"
        " ON CONFLICT (session) DO UPDATE SET seen = GREATEST(headroom_sessions.seen, excluded.seen)",
        (now, list(sessions)),
    )
