"""The tool output intelligence network: it watches what is left out and what is asked for again, and changes nothing.

While a process runs, its recommendations are those of the file as it was at the start: the same input gives the same
bytes, whatever is recorded meanwhile. The next start reads what was learned. Nothing leaves this machine.
"""

import atexit
import contextlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headroom import paths
from headroom.errors import HeadroomError, StorageError, ValidationError
from headroom.ledger.files import write_whole
from headroom.stores.files import file_lock
from headroom.telemetry.patterns import UNKNOWN, FieldFigures, Pattern, PatternKey, Recommendation, recommend
from headroom.telemetry.signature import ToolSignature, field_figures, field_hash

log = logging.getLogger(__name__)
VERSION = 1
SAVE_SECONDS = 5.0
"""After something was recorded it is in the file within this time."""
LOCK_SECONDS = 10.0
MOST_PATTERNS = 5_000
"""The longest unchanged go first."""
MOST_IMPORTS = 1_000
MOST_BYTES = 64_000_000


class Toin:
    """Patterns in one file that several processes share. May be used from several threads."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Reads the file at ``path``, else HEADROOM_TOIN_PATH, else ${WORKSPACE}/toin.json, where there is one."""
        self.path = paths.toin_path(path)
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._timer: threading.Timer | None = None
        self._failing = False
        self._instance = uuid.uuid4().hex
        self._imported: list[str] = []
        self._known: dict[PatternKey, Pattern] = {}
        self._new: dict[PatternKey, Pattern] = {}
        self._leaving: dict[PatternKey, Pattern] = {}
        self._recommended: dict[PatternKey, Recommendation] = {}
        self.load()
        self._recommended = _recommendations(self._known)

    def record_compression(
        self,
        tool_signature: ToolSignature | str,
        original_count: int,
        compressed_count: int,
        original_tokens: int,
        compressed_tokens: int,
        strategy: str,
        items: Sequence[Any] = (),
        auth_mode: str | None = None,
        model_family: str | None = None,
    ) -> None:
        """Something was left out of an output: items (or lines) and tokens before and after.

        Of ``items`` only counts by hashed field name are kept.
        """
        figures = field_figures(items)
        with self._lock:
            pattern = self._pattern(tool_signature, auth_mode, model_family)
            pattern.add(
                Pattern(1, original_count, compressed_count, original_tokens, compressed_tokens, updated=time.time())
            )
            pattern.strategies[strategy] = pattern.strategies.get(strategy, 0) + 1
            pattern.add(Pattern(fields={name: FieldFigures(*counts) for name, counts in figures.items()}))
        self._save_soon()

    def record_retrieval(
        self,
        tool_signature: ToolSignature | str,
        retrieval_type: str = "full",
        query: str | None = None,
        query_fields: Iterable[str] = (),
        auth_mode: str | None = None,
        model_family: str | None = None,
    ) -> None:
        """Something that had been left out was asked for: the whole ("full"), or what matches a query ("search").

        Of the query nothing is kept but whether there was one, and of ``query_fields`` the hashes.
        """
        whole = retrieval_type == "full" and not query
        with self._lock:
            pattern = self._pattern(tool_signature, auth_mode, model_family)
            asked = {field_hash(name): FieldFigures(asked=1) for name in query_fields}
            pattern.add(Pattern(retrievals=1, full_retrievals=int(whole), fields=asked, updated=time.time()))
        self._save_soon()

    @property
    def recommends(self) -> bool:
        """Whether anything had been learned when this process started."""
        return bool(self._recommended)

    def recommendation(
        self,
        tool_signature: ToolSignature | str,
        auth_mode: str | None = None,
        model_family: str | None = None,
    ) -> Recommendation | None:
        """What had been learned of such outputs when this process started; None for nothing yet."""
        return self._recommended.get(_key(tool_signature, auth_mode, model_family))

    def importance(self, tool_signature: ToolSignature | str) -> float:
        """How often what was left out of such outputs had been asked for when this process started, over all models."""
        structure = _structure(tool_signature)
        return max((r.importance for key, r in self._recommended.items() if key.structure_hash == structure), default=0)

    def error_fields(self) -> frozenset[str]:
        """Hashed names of the fields that had been learned to speak of errors when this process started."""
        return frozenset(name for known in self._recommended.values() for name in known.error_fields)

    def get_stats(self) -> dict[str, Any]:
        """Sums over all patterns."""
        with self._lock:
            patterns = self._all()
        compressions = sum(pattern.compressions for pattern in patterns.values())
        retrievals = sum(pattern.retrievals for pattern in patterns.values())
        return {
            "patterns_tracked": len(patterns),
            "total_compressions": compressions,
            "total_retrievals": retrievals,
            "global_retrieval_rate": retrievals / compressions if compressions else 0.0,
            "tokens_left_out": sum(pattern.tokens_before - pattern.tokens_after for pattern in patterns.values()),
            "patterns_with_recommendations": len(self._recommended),
            "path": str(self.path),
        }

    def export_patterns(self) -> dict[str, Any]:
        """All patterns, for another machine: counts and hashes, no name and no value of a field."""
        with self._lock:
            patterns = self._all()
        return {
            "version": VERSION,
            "export_id": uuid.uuid4().hex,
            "instance": self._instance,
            "patterns": {str(key): pattern.as_json() for key, pattern in sorted(patterns.items())},
        }

    def import_patterns(self, data: Any) -> int:
        """Add the patterns of an export, once; how many came in. Its own export adds nothing.

        They count from the next start on. Raises ValidationError for what is no export, and then adds nothing.
        """
        version = data.get("version") if isinstance(data, Mapping) else None  # it comes from a file
        if version != VERSION:
            raise ValidationError(
                f"This is no export of patterns; expected an object with version {VERSION}", {"field": "version"}
            )
        patterns, export = _patterns(data), str(data.get("export_id", ""))[:64]
        with self._lock:
            if data.get("instance") == self._instance or (export and export in self._imported):
                return 0
            for key, pattern in patterns.items():
                self._new.setdefault(key, Pattern()).add(pattern)
            if export:
                self._imported.append(export)
        self._save_soon()
        return len(patterns)

    def load(self) -> None:
        """Read the file again, for the statistics: recommendations stay as they were at the start.

        A file that can't be understood is moved aside, and the log says so.
        """
        with contextlib.suppress(OSError), file_lock_of(self.path):
            known, instance, imported = self._read()
            with self._lock:
                self._known = known
                self._instance = instance or self._instance
                self._imported = list(dict.fromkeys([*imported, *self._imported]))

    def save(self) -> None:
        """Add what was recorded here to what the file has by now. Raises StorageError where that can't be done; what
        was recorded is then kept for the next time."""
        with self._saving:
            with self._lock:
                new, self._new = self._new, {}
                self._leaving = new
                imported = list(self._imported)
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            try:
                paths.private_dir(self.path.parent)
                with file_lock_of(self.path):
                    known, instance, others = self._read()
                    for key, pattern in new.items():
                        known.setdefault(key, Pattern()).add(pattern)
                    known = _newest(known)
                    imported = list(dict.fromkeys([*others, *imported]))[-MOST_IMPORTS:]
                    data = {
                        "version": VERSION,
                        "instance": instance or self._instance,
                        "imported": imported,
                        "patterns": {str(key): pattern.as_json() for key, pattern in sorted(known.items())},
                    }
                    write_whole(self.path, json.dumps(data, separators=(",", ":")).encode())
            except (OSError, HeadroomError) as error:
                with self._lock:  # what could not be written waits
                    self._leaving = {}
                    for key, pattern in self._new.items():
                        new.setdefault(key, Pattern()).add(pattern)
                    self._new = new
                raise StorageError(
                    f"{self.path} can't be written: {error}", {"path": str(self.path), "error": str(error)}
                ) from error
            with self._lock:
                self._known, self._leaving = known, {}
                self._instance = instance or self._instance
                self._imported = imported

    def close(self) -> None:
        """Save what was recorded; a failure is logged."""
        with self._lock:
            waiting = bool(self._new)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if waiting:
            self._try_to_save()

    def _pattern(self, signature: ToolSignature | str, auth_mode: str | None, model_family: str | None) -> Pattern:
        return self._new.setdefault(_key(signature, auth_mode, model_family), Pattern())

    def _all(self) -> dict[PatternKey, Pattern]:
        found: dict[PatternKey, Pattern] = {}
        for some in (self._known, self._leaving, self._new):
            for key, pattern in some.items():
                found.setdefault(key, Pattern()).add(pattern)
        return found

    def _read(self) -> tuple[dict[PatternKey, Pattern], str, list[str]]:
        """Patterns, instance and imports of the file. The caller holds its lock."""
        try:
            if self.path.stat().st_size > MOST_BYTES:
                raise ValueError("too large")
            said = json.loads(self.path.read_bytes())
            if said["version"] != VERSION:
                raise ValueError(f"version {said['version']!r}")
            return _patterns(said), str(said.get("instance", "")), [str(name) for name in said.get("imported", [])]
        except FileNotFoundError:
            return {}, "", []
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            aside = self.path.with_name(f"{self.path.name}.corrupt-{int(time.time())}")
            self.path.replace(aside)
            log.warning("%s can't be understood (%s): moved to %s, a new one is started", self.path, error, aside.name)
            return {}, "", []

    def _save_soon(self) -> None:
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(SAVE_SECONDS, self._try_to_save)
                self._timer.daemon = True
                self._timer.start()

    def _try_to_save(self) -> None:
        try:
            self.save()
            if self._failing:
                log.warning("%s can be written again", self.path)
            self._failing = False
        except StorageError as error:
            if not self._failing:
                log.warning("%s; what is learned is kept in memory", error.message)
            self._failing = True


def file_lock_of(path: Path) -> contextlib.AbstractContextManager[None]:
    """The lock that whoever reads or writes the file holds."""
    return file_lock(path.with_name(f".{path.name}.lock"), LOCK_SECONDS)


def _recommendations(patterns: Mapping[PatternKey, Pattern]) -> dict[PatternKey, Recommendation]:
    found = ((key, recommend(pattern)) for key, pattern in patterns.items())
    return {key: recommendation for key, recommendation in found if recommendation is not None}


def _patterns(said: Mapping[str, Any]) -> dict[PatternKey, Pattern]:
    patterns = said.get("patterns", {})
    if not isinstance(patterns, Mapping):
        raise ValidationError("patterns is not an object", {"field": "patterns"})
    return {PatternKey.parse(str(name)): Pattern.from_json(pattern) for name, pattern in patterns.items()}


def _newest(patterns: dict[PatternKey, Pattern]) -> dict[PatternKey, Pattern]:
    if len(patterns) <= MOST_PATTERNS:
        return patterns
    newest = sorted(patterns.items(), key=lambda item: (item[1].updated, item[0]))[-MOST_PATTERNS:]
    return dict(newest)


def _structure(signature: ToolSignature | str) -> str:
    return signature.structure_hash if isinstance(signature, ToolSignature) else signature


def _key(signature: ToolSignature | str, auth_mode: str | None, model_family: str | None) -> PatternKey:
    return PatternKey.parse(f"{auth_mode or UNKNOWN}|{model_family or UNKNOWN}|{_structure(signature)}")


_toins: dict[Path, Toin] = {}
_making = threading.Lock()


def get_toin(path: str | os.PathLike[str] | None = None) -> Toin:
    """The one of this process for the file at ``path``, else for the one that is set now; it is read when it is asked
    for first."""
    path = paths.toin_path(path)
    with _making:
        if path not in _toins:
            if not _toins:
                atexit.register(close_toin)
            _toins[path] = Toin(path)
        return _toins[path]


def close_toin() -> None:
    """Save what every one of this process has recorded; the next ``get_toin`` reads the file again, as a start does."""
    with _making:
        toins = list(_toins.values())
        _toins.clear()
    for toin in toins:
        toin.close()
