"""Answers by question, in a store of entries: for a while, and not too many."""

import base64
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import zstandard

from headroom import paths
from headroom.config import SemanticCacheConfig
from headroom.embedding import Embedder, embedder
from headroom.errors import StorageError
from headroom.semantic_cache.questions import Question, telling
from headroom.stores.entries import Entries, Entry, Limits
from headroom.stores.opening import open_entries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)
FILE = "semantic_cache.db"
LARGEST = 8_000_000
"""Bytes of an answer above which it is not kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came: bytes and headers, so that a stream is a stream again. ``similarity`` is 1 for the answer
    to the very same request."""

    headers: Mapping[str, str]
    body: bytes
    similarity: float = 1.0


class SemanticCache:
    """Any thread may use it, and several processes one store. What goes wrong costs no more than the chance."""

    def __init__(self, config: SemanticCacheConfig, entries: Entries, embedder: Embedder | None = None) -> None:
        """Without an embedder only the very same request is a hit."""
        self.config = config
        self._entries = entries
        self._embedder = embedder
        self.hits = self.misses = 0

    def find(self, question: Question) -> Answer | None:
        """The answer that was given to this question or to one as good as the same; None where there is none."""
        if question.reason:
            return None
        try:
            found = self._exactly(question) or self._nearly(question)
        except StorageError as error:
            log.warning("the semantic cache can't be read: %s", error.message)
            found = None
        self.hits += found is not None
        self.misses += found is None
        return found

    def keep(self, question: Question, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the whole answer to a question."""
        if question.reason or len(body) > LARGEST:
            return
        vector = self._vector(question)
        data = orjson.dumps({"headers": dict(headers), "text": question.text}) + b"\n" + body
        packed = zstandard.ZstdCompressor(level=3).compress(data)
        subject = "" if vector is None else base64.b64encode(vector.astype("float16").tobytes()).decode()
        entry = Entry(question.exact, "", self._place(question), subject, time.time(), len(data), packed)
        try:
            self._entries.forget(question.exact)  # its time begins anew
            self._entries.put([entry])
        except StorageError as error:
            log.warning("an answer can't be kept: %s", error.message)

    def close(self) -> None:
        """Let go of the store."""
        self._entries.close()

    def _exactly(self, question: Question) -> Answer | None:
        entry = self._entries.get(question.exact)
        return self._answer(entry, 1.0)[0] if entry and self._is_fresh(entry) else None

    def _nearly(self, question: Question) -> Answer | None:
        vector = self._vector(question)
        if vector is None:
            return None
        import numpy as np

        place = self._place(question)
        some = [e for e in self._entries.of_session("") if e.tool == place and e.subject and self._is_fresh(e)]
        if not some:
            return None
        rows = np.stack([np.frombuffer(base64.b64decode(entry.subject), dtype="float16") for entry in some])
        likeness = rows.astype(np.float32) @ vector
        for number in sorted(range(len(some)), key=lambda n: (-likeness[n], -some[n].made)):
            if likeness[number] < self.config.similarity:
                return None
            entry = self._entries.get(some[number].hash)
            answer, text = self._answer(entry, float(likeness[number])) if entry else (None, "")
            if answer is not None and telling(text) == telling(question.text):
                return answer
        return None

    def _vector(self, question: Question) -> "NDArray[np.float32] | None":
        if self._embedder is None or not question.text:
            return None
        found: NDArray[np.float32] = self._embedder.embed([question.text])[0]
        return found

    def _place(self, question: Question) -> str:
        """Which entries can answer a question: vectors of two embedders can't be compared."""
        return f"{question.scope}.{self._embedder.name if self._embedder else ''}"

    def _is_fresh(self, entry: Entry) -> bool:
        return time.time() - entry.made < self.config.ttl_seconds

    def _answer(self, entry: Entry, similarity: float) -> tuple[Answer | None, str]:
        try:
            data = zstandard.ZstdDecompressor().decompress(entry.data, max_output_size=entry.size)
            head, _, body = data.partition(b"\n")
            said = orjson.loads(head)
            return Answer(said["headers"], body, similarity), said["text"]
        except (zstandard.ZstdError, orjson.JSONDecodeError, KeyError, TypeError):
            self._entries.forget(entry.hash)
            return None, ""


def open_cache(config: SemanticCacheConfig, url: str = "", path: Path | None = None) -> SemanticCache:
    """The cache in a file, by default ${WORKSPACE}/semantic_cache.db, or at a ``url`` as for originals."""
    limits = Limits(ttl=float(config.ttl_seconds), session_seconds=0.0, entries=config.max_entries)
    entries = open_entries(url, path or paths.workspace_dir() / FILE, limits)
    return SemanticCache(config, entries, embedder())


def clear(path: Path | None = None) -> int:
    """Forget every answer in a file, by default ${WORKSPACE}/semantic_cache.db; how many there were.

    Raises StorageError when it can't be used.
    """
    path = path or paths.workspace_dir() / FILE
    if not path.exists():
        return 0
    entries = open_entries("", path, Limits(session_seconds=0.0, entries=1_000_000))
    try:
        found = entries.of_session("")
        for entry in found:
            entries.forget(entry.hash)
        return len(found)
    finally:
        entries.close()
