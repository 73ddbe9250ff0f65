"""Which store a URL means. The drivers of others are not loaded."""

from collections.abc import Callable
from pathlib import Path

from headroom import plugins
from headroom.stores.entries import Entries, Entry, Limits
from headroom.stores.journal import Journal
from headroom.stores.lists import Lists
from headroom.stores.remote import kind_of


def open_entries(url: str, path: Path, limits: Limits | None = None, sound: Callable[[Entry], bool] = bool) -> Entries:
    """The entries at ``url``, or in the file at ``path`` when it is "". ``sound`` is for a file that broke.

    Nothing is opened before it is used. Raises ConfigurationError.
    """
    if not url:
        from headroom.stores.sqlite_entries import SqliteEntries

        return SqliteEntries(path, limits, sound)
    plugin = plugins.store(url)
    if plugin is not None:
        return plugin.entries(url, limits)
    if kind_of(url) == "redis":
        from headroom.stores.redis_entries import RedisEntries
        from headroom.stores.redis_server import RedisServer

        return RedisEntries(RedisServer(url), limits)
    from headroom.stores.postgres_entries import SCHEMA, PostgresEntries
    from headroom.stores.postgres_server import PostgresServer

    return PostgresEntries(PostgresServer(url, SCHEMA), limits)


def open_lists(url: str) -> Lists:
    """The lists at ``url``. Nothing is opened before it is used. Raises ConfigurationError."""
    plugin = plugins.store(url)
    if plugin is not None:
        return plugin.lists(url)
    if kind_of(url) == "redis":
        from headroom.stores.redis_lists import RedisLists
        from headroom.stores.redis_server import RedisServer

        return RedisLists(RedisServer(url))
    from headroom.stores.postgres_lists import SCHEMA, PostgresLists
    from headroom.stores.postgres_server import PostgresServer

    return PostgresLists(PostgresServer(url, SCHEMA))


def open_journal(url: str) -> Journal | None:
    """The journal at ``url``; None where a store of another package has none. Raises ConfigurationError."""
    plugin = plugins.store(url)
    if plugin is not None:
        own = getattr(plugin, "journal", None)
        return own(url) if own is not None else None
    if kind_of(url) == "redis":
        from headroom.stores.redis_journal import RedisJournal
        from headroom.stores.redis_server import RedisServer

        return RedisJournal(RedisServer(url))
    from headroom.stores.postgres_journal import SCHEMA, PostgresJournal
    from headroom.stores.postgres_server import PostgresServer

    return PostgresJournal(PostgresServer(url, SCHEMA))
