"""The tools: what they are called, what the model is told of them, and what they answer."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from headroom import paths
from headroom.ccr.deferred import answer
from headroom.ccr.originals import Originals, open_originals
from headroom.ccr.tool import DESCRIPTION, HASH, QUERY
from headroom.ccr.ways import TOOL
from headroom.compression import compress
from headroom.errors import StorageError, ValidationError
from headroom.ledger import Ledger
from headroom.memory.store import open_memory
from headroom.memory.tools import TOOLS as MEMORY_TOOLS
from headroom.memory.tools import MemoryTools, Tool

COMPRESS, STATS = "headroom_compress", "headroom_stats"
MOST_CHARACTERS = 10_000_000
_SINCE = ("today", "7d", "all")


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


OWN: tuple[Tool, ...] = (
    Tool(
        TOOL,
        DESCRIPTION,
        _object(
            ["hash"],
            hash={"type": "string", "description": HASH},
            query={"type": "string", "description": QUERY},
        ),
    ),
    Tool(
        COMPRESS,
        "Writes a text, such as a log, a table or JSON, in fewer tokens. Nothing is left out.",
        _object(
            ["text"],
            text={"type": "string", "description": "The text."},
            tool={"type": "string", "description": "The name of the tool that printed it."},
        ),
    ),
    Tool(
        STATS,
        "Says what headroom saved: tokens, cost as billed and without it, net of the provider's caching.",
        _object([], since={"type": "string", "enum": list(_SINCE), "description": "all by default."}),
    ),
)


class Tools:
    """Answers calls. Any thread may call; nothing is opened before it is needed."""

    def __init__(self, store_url: str = "", memory: bool = False, memory_path: str = "", project: str = "") -> None:
        """``store_url`` is where originals are, "" the workspace; ``memory``: whether notes can be kept and found."""
        self._url, self._lock = store_url, threading.Lock()
        self._originals: Originals | None = None
        self._notes = open_memory(memory_path or None) if memory else None
        self._memory = MemoryTools(self._notes, project) if self._notes is not None else None
        self._answers: dict[str, Callable[[Mapping[str, Any]], str]] = {
            TOOL: self._retrieve,
            COMPRESS: _compressed,
            STATS: _stats,
        }

    @property
    def listed(self) -> tuple[Tool, ...]:
        """The tools that there are."""
        return (*OWN, *(MEMORY_TOOLS if self._memory is not None else ()))

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What the model gets. Raises HeadroomError where it can't be had, ValidationError for a wrong call."""
        if name in self._answers:
            return self._answers[name](arguments)
        if self._memory is not None and name in {tool.name for tool in MEMORY_TOOLS}:
            return self._memory.call(name, arguments)
        known = ", ".join(tool.name for tool in self.listed)
        raise ValidationError(f"{name!r} is none of the tools {known}", {"field": "name"})

    def close(self) -> None:
        """Let go of the stores."""
        with self._lock:
            if self._originals is not None:
                self._originals.close()
        if self._notes is not None:
            self._notes.close()

    def _retrieve(self, arguments: Mapping[str, Any]) -> str:
        with self._lock:
            if self._originals is None:
                self._originals = open_originals(self._url)
            kept = self._originals

        def find(hash: str) -> str | None:
            original = kept.get(hash)
            return original.text if original is not None else None

        given = answer(arguments, find, kept.state)
        if not given.hash:
            raise StorageError(given.text, {})
        return given.text


def _compressed(arguments: Mapping[str, Any]) -> str:
    text, tool = arguments.get("text"), arguments.get("tool", "tool")
    if not isinstance(text, str) or not isinstance(tool, str) or len(text) > MOST_CHARACTERS:
        raise ValidationError(f"{COMPRESS} needs a text of at most {MOST_CHARACTERS:,} characters", {"field": "text"})
    call = {"id": "call_1", "type": "function", "function": {"name": tool or "tool", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": text},
    ]
    found: str = compress(messages, "gpt-4o", model_limit=1 << 40).messages[2]["content"]
    return found


def _stats(arguments: Mapping[str, Any]) -> str:
    from headroom.cli.stats import as_data, begin_of

    since = arguments.get("since", "all")
    if since not in _SINCE:
        raise ValidationError(f"since is {since!r}; allowed: {', '.join(_SINCE)}", {"field": "since"})
    if not paths.ledger_path().exists():
        return "No request was seen yet."
    ledger = Ledger(paths.ledger_path())
    try:
        return json.dumps({"since": since, **as_data(ledger.totals(since=begin_of(since)))})
    finally:
        ledger.close()
