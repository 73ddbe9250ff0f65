"""/v1/retrieve: what a marker names, exactly as it came, or what in it matches a query."""

import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from headroom.api.checking import parse
from headroom.api.errors import ApiError
from headroom.api.world import World
from headroom.ccr.deferred import answer
from headroom.ccr.originals import Original
from headroom.ccr.parts import best
from headroom.ccr.ways import ALIAS, TOOL
from headroom.tokenizers import count

RECENT = 50
RESULTS = 20
QUERY_CHARACTERS = 2_000
_is_hash = re.compile(r"[0-9a-f]{24}").fullmatch

type Json = dict[str, Any]


class Retrieving:
    """Answers from the store of originals, and counts what was asked for since the proxy started."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._recent: deque[Json] = deque(maxlen=RECENT)

    def retrieve(self, hash: object, query: object = None) -> Json:
        """The answer to {hash, query?}. Raises ApiError 400, 404 (never kept), 410 (expired), or StorageError."""
        if not isinstance(hash, str) or not _is_hash(hash.lower()):
            raise ApiError(400, "validation_error", "hash is not 24 hex digits, as a marker names them")
        if query is not None and (not isinstance(query, str) or len(query) > QUERY_CHARACTERS):
            raise ApiError(400, "validation_error", f"query is not a text of at most {QUERY_CHARACTERS:,} characters")
        original = self._find(hash.lower())
        items, kind = _items(original.text)
        found = _matching(items, query) if query and query.strip() else None
        tokens = count(original.text) if found is None else count(json.dumps(found))
        self._note(original, query if found is not None else None, found, items, tokens)
        if found is not None:
            return {"hash": original.hash, "query": query, "results": found, "count": len(found)}
        return {
            "hash": original.hash,
            "original_content": original.text,
            "original_tokens": tokens,
            "original_item_count": len(items),
            "item_kind": kind,
            "compressed_item_count": 0,
            "tool_name": original.tool,
            "retrieval_count": self._counts[original.hash],
        }

    def tool_call(self, body: Mapping[str, Any]) -> Json:
        """The answer to {tool_call, provider?}: the result that belongs into the next request, in the provider's shape.

        What the model got wrong is told to the model: such a result has ``success`` false.
        """
        call = body.get("tool_call")
        provider = body.get("provider", "openai")
        if not isinstance(call, dict):
            raise ApiError(400, "validation_error", "tool_call is missing or no object")
        if provider not in ("openai", "anthropic"):
            raise ApiError(400, "validation_error", "provider is not one of: openai | anthropic")
        name, arguments, call_id = _call(call)
        if not name.endswith((TOOL, ALIAS)):  # an MCP client puts its own prefix before
            raise ApiError(400, "validation_error", f"the tool {name[:100]!r} is not {TOOL}")
        given = answer(arguments, self._text, self._world.originals.state)
        text, success = given.text, bool(given.hash)
        data: Json = {"error": text}
        if success:
            query = arguments.get("query")
            data = self.retrieve(given.hash, query[:QUERY_CHARACTERS] if isinstance(query, str) else None)
        result: Json
        if provider == "anthropic":
            result = {"type": "tool_result", "tool_use_id": call_id, "content": text}
            if not success:
                result["is_error"] = True
        else:
            result = {"role": "tool", "tool_call_id": call_id, "content": text}
        return {"tool_result": result, "success": success, "data": data}

    def stats(self, whole: bool) -> Json:
        """What is kept, and what was asked for since the proxy started, with ``whole`` hashes or their beginnings."""
        kept = dict(self._world.originals.stats())
        with self._lock:
            recent, total = [{**one, "hash": told(one["hash"], whole)} for one in self._recent], self._counts.total()
        return {
            "store": {
                "entries": kept.get("entries", 0),
                "max_entries": self._world.running.max_originals,
                "original_tokens_cached": kept.get("text_bytes", 0) // 4,
                "compressed_tokens_cached": 0,
                "retrievals": total,
                **{name: kept[name] for name in ("bytes", "text_bytes", "sessions") if name in kept},
            },
            "recent_retrievals": recent[::-1],
        }

    @property
    def total(self) -> int:
        with self._lock:
            return self._counts.total()

    def _text(self, hash: str) -> str | None:
        original = self._world.originals.get(hash)
        return original.text if original is not None else None

    def _find(self, hash: str) -> Original:
        originals = self._world.originals
        original = originals.get(hash)
        if original is not None:
            return original
        if originals.state(hash) == "expired":
            raise ApiError(410, "expired", f"the original {hash} was kept and has expired")
        raise ApiError(404, "not_found", f"no original {hash} was ever kept here")

    def _note(
        self, original: Original, query: str | None, found: list[Any] | None, items: list[Any], tokens: int
    ) -> None:
        with self._lock:
            self._counts[original.hash] += 1
            self._recent.append(
                {
                    "time": time.time(),
                    "hash": original.hash,
                    "query": None if query is None else f"{len(query)} characters",
                    "items_retrieved": len(items) if found is None else len(found),
                    "total_items": len(items),
                    "tool_name": original.tool,
                    "session": original.session,
                    "tokens": tokens,
                    "retrieval_type": "full" if query is None else "search",
                }
            )


def told(hash: str, whole: bool) -> str:
    """A hash for whoever asks: who has it whole can have the original, so that others get only its beginning."""
    return hash if whole or not hash else f"{hash[:6]}…"


def _items(text: str) -> tuple[list[Any], str]:
    """The items of a JSON array, else the lines."""
    if text.lstrip()[:1] == "[":
        try:
            value = parse(text)
        except ValueError:
            value = None
        if isinstance(value, list):
            return value, "items"
    return text.split("\n"), "lines"


def _matching(items: list[Any], query: str) -> list[Any]:
    """The items that match a query best, in the order in which they stand; ranked as for a model."""
    texts = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    return [items[i] for i in sorted(best(texts, query)[:RESULTS])]


def _call(call: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], str]:
    """Name, arguments and id of a call as OpenAI or Anthropic write it."""
    call_id = call.get("id", call.get("call_id", ""))
    if not isinstance(call_id, str):
        raise ApiError(400, "validation_error", "the id of tool_call is no string")
    if "function" in call:
        function = call["function"]
        if not isinstance(function, dict):
            raise ApiError(400, "validation_error", "the function of tool_call is no object")
        name, arguments = function.get("name"), function.get("arguments")
    else:
        name, arguments = call.get("name"), call.get("input", call.get("arguments"))
    if isinstance(arguments, str):
        try:
            arguments = parse(arguments)
        except ValueError:
            arguments = None
    if not isinstance(name, str):
        raise ApiError(400, "validation_error", "tool_call has no name")
    return name, arguments if isinstance(arguments, dict) else {}, call_id
