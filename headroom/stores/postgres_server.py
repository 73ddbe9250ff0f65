"""PostgreSQL: the connection, and the tables made when they are missing."""

import math
from typing import TYPE_CHECKING, Any

from headroom.errors import ConfigurationError
from headroom.stores.remote import CONNECT_SECONDS, Remote, answer_seconds, driver, shown

if TYPE_CHECKING:
    import psycopg

_LOCK = 0x68656164
"""The advisory lock under which tables are made and entries cleared; of one database, among all that use it."""


class PostgresServer(Remote["psycopg.Connection[Any]"]):
    """A PostgreSQL at postgresql://; ``schema`` makes our tables where they are missing."""

    def __init__(self, url: str, schema: str) -> None:
        super().__init__(url)
        self._psycopg = psycopg = driver("postgres")
        self._schema = schema
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:
            reason = str(error).strip().replace(url, shown(url))
            raise ConfigurationError(
                f"headroom_store is {shown(url)!r}: {reason}", {"setting": "headroom_store", "value": shown(url)}
            ) from None

        patience = answer_seconds()

        class Impatient(psycopg.Connection):  # type: ignore[misc, name-defined] # known at run time
            """Gives up on a server that does not answer."""

            def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
                return super().wait(gen, interval, patience if timeout is None else timeout)

        self._class = Impatient
        self._connect_seconds = max(CONNECT_SECONDS, math.ceil(patience))

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        return (self._psycopg.Error, OSError)

    def connect(self) -> "psycopg.Connection[Any]":
        connection: psycopg.Connection[Any] = self._class.connect(
            self._url, autocommit=True, connect_timeout=self._connect_seconds, application_name="headroom"
        )
        with connection.transaction():
            lock(connection)
            for statement in filter(str.strip, self._schema.split(";")):
                connection.execute(statement.encode())
        return connection

    def disconnect(self, connection: "psycopg.Connection[Any]") -> None:
        connection.close()

    def _was_cut(self, error: Exception) -> bool:
        return isinstance(error, self._psycopg.OperationalError) and not isinstance(
            error, self._psycopg.errors._WaitTimeout | self._psycopg.errors.QueryCanceled
        )


def lock(connection: "psycopg.Connection[Any]") -> None:
    """Be the only one of all proxies that clears, until the transaction is over."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
