"""What TOIN is told of a session: what was left out, and what of it the model asked for again.

What it had learned when the process started is looked at where a block is decided, and at no other time: a block that
was decided keeps its bytes, and the same block gets the same bytes as long as the process runs.
"""

import logging
import queue
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from headroom.ccr.markers import HASH
from headroom.ccr.ways import OURS, SHELLS
from headroom.errors import without_message
from headroom.telemetry import Recommendation, Toin, ToolSignature
from headroom.telemetry.patterns import UNKNOWN
from headroom.telemetry.signature import items_of

log = logging.getLogger(__name__)
_asks = re.compile(rf"headroom retrieve|(?:{'|'.join(sorted(OURS))})\(").search
"""Our command, or our server's tool as Codex's model calls it from JavaScript."""
_WORD = re.compile(r"[a-z]+")
_VERSIONS = frozenset({"latest", "preview", "exp", "experimental", "v", "k", "b", "m"})


@dataclass(frozen=True, slots=True)
class Who:
    """Whose request it is, as far as it matters: how it is paid for, and which family of models reads it."""

    auth: str = UNKNOWN
    family: str = UNKNOWN


NOBODY = Who()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many of a text's items or lines were left out, which the tool ``tool`` printed; ``saved`` is by strategy."""

    who: Who
    tool: str
    text: str
    left_out: int
    before: int
    after: int
    saved: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """The model asked for an original, or with a query for what of it matches."""

    who: Who
    hash: str
    query: str


type Lesson = LeftOut | Asked


def who(headers: Mapping[str, str], model: str) -> Who:
    """``headers`` have lower-case names."""
    return Who(_auth(headers), family(model))


def family(model: str) -> str:
    """A model's family: its name without versions and dates, such as claude-sonnet, gpt-mini or gemini-pro."""
    parts = model.lower().rpartition("/")[2].split("-")
    words = [part for part in parts if _WORD.fullmatch(part) and part not in _VERSIONS]
    return "-".join(words)[:60] or UNKNOWN


def asked(tool: str, arguments: Mapping[str, object]) -> tuple[str, str] | None:
    """The hash and the query with which a call asks for an original by the client's own means: the tool of our MCP
    server, called by itself or in a program, or our command in its shell. None for any other call."""
    name = tool.lower()
    if name.endswith(tuple(OURS)):
        said, query = arguments.get("hash") or arguments.get("reference"), arguments.get("query")
        found = HASH.search(said.lower()) if isinstance(said, str) else None
        return (found[0], query if isinstance(query, str) else "") if found else None
    if name in SHELLS:
        for value in arguments.values():
            command = " ".join(map(str, value)) if isinstance(value, list) else value
            way = _asks(command) if isinstance(command, str) else None
            if way is not None:
                found = HASH.search(way.string, way.end())
                return (found[0], "") if found else None
    return None


class Learner:
    """Takes lessons, off every request's path, and says what had been learned. Any thread may use it."""

    def __init__(self, toin: Toin, find: Callable[[str], tuple[str, str] | None]) -> None:
        """``find`` gives the tool and the text of an original, None where it is gone."""
        self._toin, self._find = toin, find
        self._waiting: queue.SimpleQueue[Lesson | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def advice(self, who: Who, tool: str, text: str) -> Recommendation | None:
        """What had been learned of such outputs when the process started; None for nothing."""
        if not self._toin.recommends:
            return None
        try:
            return self._toin.recommendation(ToolSignature.of(text, tool), who.auth, who.family)
        except Exception as error:
            log.warning("what was learned of an output can't be told: %s", without_message(error))
            return None

    def take(self, lessons: Iterable[Lesson]) -> None:
        """Count these, soon."""
        some = list(lessons)
        if not some:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="headroom-toin", daemon=True)
                self._thread.start()
        for lesson in some:
            self._waiting.put(lesson)

    def close(self) -> None:
        """Count what was taken, and save it."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()
        self._toin.close()

    def _work(self) -> None:
        while (lesson := self._waiting.get()) is not None:
            try:
                self._count(lesson)
            except Exception as error:
                log.warning("what was left out or asked for is not counted: %s", without_message(error))

    def _count(self, lesson: Lesson) -> None:
        who = lesson.who
        if isinstance(lesson, LeftOut):
            items = items_of(lesson.text)
            total = max(len(items) or lesson.text.count("\n") + 1, lesson.left_out)
            strategy = max(lesson.saved, key=lambda name: (lesson.saved[name], name))
            self._toin.record_compression(
                ToolSignature.of(lesson.text, lesson.tool),
                total,
                total - lesson.left_out,
                lesson.before,
                lesson.after,
                strategy,
                items=items,
                auth_mode=who.auth,
                model_family=who.family,
            )
            return
        found = self._find(lesson.hash)
        if found is None:
            return
        tool, text = found
        self._toin.record_retrieval(
            ToolSignature.of(text, tool),
            "search" if lesson.query else "full",
            lesson.query or None,
            _fields(text, lesson.query),
            auth_mode=who.auth,
            model_family=who.family,
        )


def _fields(text: str, query: str) -> list[str]:
    """The fields of a text's items that a query names."""
    words = set(re.findall(r"\w+", query.lower()))
    if not words:
        return []
    names = {str(name) for item in items_of(text)[:5] if isinstance(item, Mapping) for name in item}
    return sorted(name for name in names if name.lower() in words)


def _auth(headers: Mapping[str, str]) -> str:
    """How a request is paid for: by a key's account, or by a subscription that somebody is logged in with."""
    if headers.get("x-api-key") or headers.get("x-goog-api-key"):
        return "api-key"
    token = headers.get("authorization", "").partition(" ")[2]
    if token.startswith(("sk-ant-oat", "eyJ", "ya29.")):
        return "subscription"
    return "api-key" if token else UNKNOWN
