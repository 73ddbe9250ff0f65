"""What a provider with a prefix cache would bill for a request, from its body: the providers' documented rules.

Anthropic's prefix is tools, system, messages, written at ``cache_control`` breakpoints and read back up to the longest
known part within 20 blocks before one; entries live 5 minutes or an hour after they were used last
(https://docs.claude.com/en/docs/build-with-claude/prompt-caching). OpenAI and Gemini cache by themselves what is longer
than 1,024 tokens, for 5 to 10 minutes after the last use (https://platform.openai.com/docs/guides/prompt-caching,
https://ai.google.dev/gemini-api/docs/caching); here it is taken to be 10, and a block is read as a whole or not at all.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from headroom.session.identity import without_billing_line
from headroom.tokenizers import count
from headroom.wire.usage import Usage

LOOK_BACK = 20
LEAST_PREFIX = 1024
BLOCK_TOKENS = 4
"""What a block takes beside its texts."""
AUTOMATIC_SECONDS = 600.0
LIVES = {"5m": 300.0, "1h": 3600.0}


class Part(NamedTuple):
    """A block in the order in which the provider caches: where it stands, what it is, and how long the prefix that ends
    with it shall live, "" where nobody asked for it to be cached."""

    place: str
    value: object
    life: str = ""


class PrefixCache:
    """What a provider holds of one model's requests."""

    def __init__(self, shape: str) -> None:
        self._parts = _PARTS[shape]
        self._marked = shape == "anthropic"
        self._known: dict[bytes, tuple[float, float]] = {}
        """Until when each prefix lives, and how long it lives after each use."""

    def bill(self, body: Mapping[str, Any], now: float, output_tokens: int) -> Usage:
        """What the request is billed at ``now`` (unix seconds); from then on its prefix is cached."""
        digest, total = hashlib.blake2b(digest_size=16), 0
        prefixes: list[tuple[bytes, int, str]] = []
        for part in self._parts(body):
            digest.update(part.place.encode() + json.dumps(part.value).encode() + b"\0")
            total += BLOCK_TOKENS + sum(_tokens(text) for text in _texts(part.value))
            prefixes.append((digest.digest(), total, part.life))
        if not self._marked:
            return self._automatic(prefixes, total, now, output_tokens)
        marks = [number for number, (_, _, life) in enumerate(prefixes) if life]
        read = 0
        for mark in marks:
            for key, size, _ in prefixes[max(0, mark - LOOK_BACK + 1) : mark + 1]:
                if self._lives(key, now):
                    read = max(read, size)
        written = {"5m": 0, "1h": 0}
        reached = read
        for mark in marks:
            key, size, life = prefixes[mark]
            if size >= LEAST_PREFIX:
                self._keep(key, now, LIVES[life])
                written[life] += max(0, size - reached)
                reached = max(reached, size)
        return Usage(total - reached, written["5m"], written["1h"], read, output_tokens)

    def _automatic(self, prefixes: list[tuple[bytes, int, str]], total: int, now: float, output_tokens: int) -> Usage:
        read = max([size for key, size, _ in prefixes if size >= LEAST_PREFIX and self._lives(key, now)], default=0)
        for key, size, _ in prefixes:
            if size >= LEAST_PREFIX:
                self._keep(key, now, AUTOMATIC_SECONDS)
        return Usage(total - read, 0, 0, read, output_tokens)

    def _lives(self, key: bytes, now: float) -> bool:
        until, life = self._known.get(key, (float("-inf"), 0.0))
        if now > until:
            return False
        self._known[key] = now + life, life
        return True

    def _keep(self, key: bytes, now: float, life: float) -> None:
        self._known[key] = now + life, life


def _anthropic(body: Mapping[str, Any]) -> Iterator[Part]:
    places: list[tuple[str, object]] = [("tools", body.get("tools")), ("system", body.get("system"))]
    places += [(str(message.get("role")), message.get("content")) for message in _objects(body.get("messages"))]
    found = [
        Part(place, {k: v for k, v in block.items() if k != "cache_control"}, _life(block.get("cache_control")))
        for place, blocks in places
        for block in _objects([{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks)
        if place != "system" or not _is_billing_line(block)
    ]
    if found and (life := _life(body.get("cache_control"))):
        found[-1] = found[-1]._replace(life=life)
    yield from found


def _is_billing_line(block: Mapping[str, Any]) -> bool:
    """Claude Code's statement to Anthropic, another one in every request, is taken out there before caching."""
    text = block.get("text")
    return isinstance(text, str) and bool(text) and not without_billing_line(text)


def _openai_chat(body: Mapping[str, Any]) -> Iterator[Part]:
    yield from (Part("tools", tool) for tool in _objects(body.get("tools")))
    yield from (Part("messages", message) for message in _objects(body.get("messages")))


def _openai_responses(body: Mapping[str, Any]) -> Iterator[Part]:
    yield Part("instructions", body.get("instructions"))
    yield from (Part("tools", tool) for tool in _objects(body.get("tools")))
    items = body.get("input")
    yield from (Part("input", item) for item in (_objects(items) if isinstance(items, list) else [items]))


def _gemini(body: Mapping[str, Any]) -> Iterator[Part]:
    yield Part("system", body.get("systemInstruction") or body.get("system_instruction"))
    yield from (Part("tools", tool) for tool in _objects(body.get("tools")))
    yield from (Part("contents", content) for content in _objects(body.get("contents")))


_PARTS = {
    "anthropic": _anthropic,
    "openai-chat": _openai_chat,
    "openai-responses": _openai_responses,
    "gemini": _gemini,
}


def _life(control: object) -> str:
    if not isinstance(control, dict):
        return ""
    return "1h" if control.get("ttl") == "1h" else "5m"


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> Iterator[str]:
    """Names and texts, as the model gets them: without JSON's quotes and escapes. Not images and the like."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("data", "signature", "encrypted_content", "thoughtSignature"):
                yield key
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield str(value)


@lru_cache(maxsize=20_000)
def _tokens(text: str) -> int:
    return count(text)
