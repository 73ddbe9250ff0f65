"""A server that holds state for several proxies, and may be away for a while."""

import logging
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from urllib.parse import urlsplit

from headroom import plugins
from headroom.errors import ConfigurationError, StorageError

log = logging.getLogger(__name__)
VARIABLE = "HEADROOM_STORE_URL"
TIMEOUT = "HEADROOM_STORE_TIMEOUT"
ANSWER_SECONDS = 0.25
"""An answer is waited for no longer, where HEADROOM_STORE_TIMEOUT says nothing else: a request is waiting for us."""
CONNECT_SECONDS = 2
RETRY_SECONDS = 5.0
"""After a failure a thread of its own tries to connect this often; until then no request waits for the server."""
SCHEMES = {
    "redis": "redis", "rediss": "redis", "unix": "redis", "postgresql": "postgres", "postgres": "postgres",
}  # fmt: skip
_PACKAGES = {"redis": "redis", "postgres": "psycopg"}


def kind_of(url: str, setting: str = "headroom_store") -> str:
    """``redis`` or ``postgres``. Raises ConfigurationError that names ``setting``, and never a password."""
    scheme = url.partition(":")[0].lower()
    if "://" not in url or scheme not in SCHEMES:
        raise ConfigurationError(
            f"{setting} begins with {scheme[:20]!r}; allowed: redis://, rediss://, unix://, postgresql://, or nothing",
            {"setting": setting, "value": shown(url), "allowed": sorted(SCHEMES)},
        )
    return SCHEMES[scheme]


def store_url(explicit: str = "") -> str:
    """The store that several proxies share: ``explicit``, else HEADROOM_STORE_URL; "" is the embedded one.

    Raises ConfigurationError that names where a wrong one comes from, and when its driver is not installed.
    """
    setting, url = "headroom_store", explicit.strip()
    if not url:
        setting, url = VARIABLE, os.environ.get(VARIABLE, "").strip()
    if url and plugins.store(url) is None:
        driver(kind_of(url, setting))
        answer_seconds()
    return url


def answer_seconds() -> float:
    """How long a store's answer is waited for, by HEADROOM_STORE_TIMEOUT. Raises ConfigurationError."""
    value = os.environ.get(TIMEOUT, "").strip()
    if not value:
        return ANSWER_SECONDS
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 60:
        raise ConfigurationError(
            f"{TIMEOUT} is {value!r}; allowed: seconds, above 0 and at most 60",
            {"setting": TIMEOUT, "value": value, "allowed": "seconds, above 0 and at most 60"},
        )
    return seconds


def shown(url: str) -> str:
    """A store's URL for a log: host, port and name, and neither user nor password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        return f"{url.partition(':')[0]}://…"


def driver(kind: str) -> ModuleType:
    """The package that speaks to such a server. Raises ConfigurationError when its extra is not installed."""
    try:
        return import_module(_PACKAGES[kind])
    except ImportError as error:
        raise ConfigurationError(
            f"headroom_store needs the package {_PACKAGES[kind]}: pip install 'headroom-ai[{kind}]' ({error})",
            {"setting": "headroom_store", "package": _PACKAGES[kind]},
        ) from error


class Remote[C](ABC):
    """A connection to a server. Calls fail at once while it is away; the log says so once, and when it is back."""

    def __init__(self, url: str) -> None:
        self.name = shown(url)
        self._url = url
        self._lock = threading.Lock()
        self._connection: C | None = None
        self._problem = ""
        self._closed = threading.Event()
        self._trying = False

    @abstractmethod
    def connect(self) -> C:
        """A connection that works. Raises what ``errors`` names."""

    @abstractmethod
    def disconnect(self, connection: C) -> None:
        """Let go of a connection; may raise what ``errors`` names."""

    @property
    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises when the server is away or does not do what it was asked."""

    @property
    def problem(self) -> str:
        """Why the server can't be used now; "" while all is well, or nothing was asked of it yet."""
        return self._problem

    def call[T](self, work: Callable[[C], T]) -> T:
        """What ``work`` does with the connection, one call at a time; it is done anew once when the connection had
        been cut. Raises StorageError."""
        with self._lock:
            if self._closed.is_set():
                raise StorageError(f"{self.name} can't be used: it is closed", {"store": self.name})
            if self._problem:
                raise self._unusable()
            try:
                if self._connection is None:
                    self._connection = self.connect()
                    return work(self._connection)
                try:
                    return work(self._connection)
                except self.errors as error:
                    if isinstance(error, TimeoutError) or not self._was_cut(error):
                        raise
                    self._drop()  # the server was started anew, or cut an idle connection
                    self._connection = self.connect()
                    return work(self._connection)
            except self.errors as error:
                self._failed(error)
                raise self._unusable() from error

    def close(self) -> None:
        """Let go of the connection."""
        self._closed.set()
        with self._lock:
            self._drop()

    def _was_cut(self, error: Exception) -> bool:
        """Whether the connection is gone, and the server perhaps not."""
        return True

    def _failed(self, error: Exception) -> None:
        self._problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        log.warning("%s can't be used (%s): this proxy goes on by itself until it can", self.name, self._problem)
        self._drop()
        if not self._trying:
            self._trying = True
            threading.Thread(target=self._try_again, name="headroom-store", daemon=True).start()

    def _try_again(self) -> None:
        while not self._closed.wait(RETRY_SECONDS):
            try:
                connection = self.connect()
            except self.errors:
                continue
            with self._lock:
                self._trying = False
                if self._closed.is_set():
                    with suppress(*self.errors):
                        self.disconnect(connection)
                    return
                self._connection, self._problem = connection, ""
            log.warning("%s can be used again", self.name)
            return

    def _unusable(self) -> StorageError:
        return StorageError(f"{self.name} can't be used: {self._problem}", {"store": self.name})

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(*self.errors):
                self.disconnect(self._connection)
        self._connection = None
