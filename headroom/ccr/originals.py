"""The originals of what was left out: kept before a marker leaves, and given back exactly as they came."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import zstandard

from headroom import paths
from headroom.config import CCRConfig
from headroom.settings import load_config
from headroom.stores.entries import Entries, Entry, Holder, Limits, State
from headroom.stores.opening import open_entries

log = logging.getLogger(__name__)
HASH_LENGTH = 24
"""Hex digits of the SHA-256 of a text in UTF-8 that it is known by."""
LEVEL = 3
"""zstd's own default: 300 MB/s and more, a fifth of the size for tool output."""


@dataclass(frozen=True, slots=True)
class Original:
    """A text that was left out, and of what: ``session``, ``tool`` and ``subject`` as in the ledger and the view.

    ``made`` is in unix seconds. ``hash`` is what a marker names it by.
    """

    hash: str
    text: str
    session: str
    tool: str
    subject: str
    made: float
    size: int = 0
    """Bytes of the text in UTF-8, also where the text is not loaded."""


def hash_of(text: str) -> str:
    """What a text is known by: 24 hex digits of its SHA-256, in UTF-8; lone surrogates are encoded as they are."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_LENGTH]


def original_of(text: str, session: str, tool: str = "", subject: str = "") -> Original:
    """A text as it came, before anything touched it."""
    raw = text.encode("utf-8", "surrogatepass")
    return Original(sha256(raw).hexdigest()[:HASH_LENGTH], text, session, tool, subject, time.time(), len(raw))


class Originals(Protocol):
    """The store of originals. Any thread may use it. Each call raises StorageError when it can't be used."""

    def keep(self, texts: Sequence[Original]) -> None:
        """Keep them, all or none. They are safe when this returns; when it raises StorageError, no marker may leave."""
        ...

    def get(self, hash: str) -> Original | None:
        """An original, exactly as it came; None when it expired or was never kept. Reading it keeps it longer."""
        ...

    def state(self, hash: str) -> State:
        """Whether an original can be had: live, expired or unknown."""
        ...

    def missing(self, hashes: Iterable[str]) -> set[str]:
        """Those of ``hashes`` that can't be had: they must be kept again before a marker that names them is sent."""
        ...

    def touch(self, session: str) -> None:
        """The session lives: nothing of it expires or is evicted. Cheap: it may be said with every request."""
        ...

    def of_session(self, session: str) -> list[Original]:
        """What was left out in a session, oldest first; the texts are "" here."""
        ...

    def holders(self, limit: int = 100) -> list[Holder]:
        """The sessions of which originals are kept, the latest heard of first."""
        ...

    def stats(self) -> Mapping[str, int]:
        """``entries``, ``bytes`` as kept, ``text_bytes`` of the texts, ``sessions`` that are known."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class StoredOriginals:
    """Originals, compressed with zstd, in a store of entries."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def keep(self, texts: Sequence[Original]) -> None:
        self._entries.put([_entry(original) for original in texts])

    def get(self, hash: str) -> Original | None:
        entry = self._entries.get(hash)
        if entry is None:
            return None
        original = _original(entry)
        if original is None:
            log.error("the original %s is not what was kept: it is not given out", hash)
            self._entries.forget(hash)  # so that it can be kept anew
        return original

    def state(self, hash: str) -> State:
        return self._entries.state(hash)

    def missing(self, hashes: Iterable[str]) -> set[str]:
        return self._entries.missing(hashes)

    def touch(self, session: str) -> None:
        if session:
            self._entries.touch(session)

    def of_session(self, session: str) -> list[Original]:
        return [
            Original(entry.hash, "", entry.session, entry.tool, entry.subject, entry.made, entry.size)
            for entry in self._entries.of_session(session)
        ]

    def holders(self, limit: int = 100) -> list[Holder]:
        return self._entries.holders(limit)

    def stats(self) -> Mapping[str, int]:
        return self._entries.stats()

    def close(self) -> None:
        self._entries.close()


def open_originals(url: str = "", path: Path | None = None, limits: Limits | None = None) -> Originals:
    """The originals at ``url``: redis://, rediss://, unix:// or postgresql://; "" is the embedded store at ``path``,
    by default ${WORKSPACE}/originals.db.

    Nothing is opened before it is used. Raises ConfigurationError when the URL or HEADROOM_CCR_TTL_SECONDS is wrong, or
    the extra that the URL needs is not installed.
    """
    limits = limits or default_limits()
    return StoredOriginals(open_entries(url, path or paths.originals_path(), limits, _is_sound))


def default_limits() -> Limits:
    """The limits that the settings say, ``ccr.store_ttl_seconds`` (HEADROOM_CCR_TTL_SECONDS) and
    ``ccr.store_max_entries``. Raises ConfigurationError."""
    return limits_of(load_config().ccr)


def limits_of(config: CCRConfig) -> Limits:
    """How long and how many originals are kept."""
    return Limits(ttl=config.store_ttl_seconds, entries=config.store_max_entries)


def _entry(original: Original) -> Entry:
    raw = original.text.encode("utf-8", "surrogatepass")
    data = zstandard.ZstdCompressor(level=LEVEL).compress(raw)
    tool, subject = _storable(original.tool), _storable(original.subject)
    return Entry(original.hash, _storable(original.session), tool, subject, original.made, len(raw), data)


def _storable(name: str) -> str:
    """A name that every database takes: no lone surrogate, no NUL."""
    return name.encode("utf-8", "replace").decode().replace("\0", "")


def _is_sound(entry: Entry) -> bool:
    return _original(entry) is not None


def _original(entry: Entry) -> Original | None:
    """The text, if it is the one that its hash names: what a broken disk made of it is not given out."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(entry.data, max_output_size=entry.size)
        text = raw.decode("utf-8", "surrogatepass")
    except (zstandard.ZstdError, UnicodeDecodeError, MemoryError):
        raw, text = b"", ""
    if sha256(raw).hexdigest()[:HASH_LENGTH] != entry.hash:
        return None
    return Original(entry.hash, text, entry.session, entry.tool, entry.subject, entry.made, entry.size)
