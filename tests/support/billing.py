"""What a provider with a prefix cache would bill: enough of the rules for usage that looks real.

Anthropic caches up to the blocks with ``cache_control``; OpenAI and Gemini cache every prefix on their own. A token is
four bytes here, and nothing ever expires.
"""

import hashlib
import json
import threading
from typing import Any

from tests.support.answers import Bill

Json = dict[str, Any]
BILLING_LINE = "x-anthropic-billing-header:"
"""Claude Code's own first system block: a checksum of each request, which the provider takes out before it caches."""


def prefix_blocks(shape: str, body: Json) -> list[tuple[str, bool]]:
    """The blocks of a request in the order in which the provider caches them, and whether a breakpoint is on each."""
    blocks: list[tuple[str, bool]] = []

    def add(role: str, block: object) -> None:
        marked = isinstance(block, dict) and "cache_control" in block
        bare = {k: v for k, v in block.items() if k != "cache_control"} if isinstance(block, dict) else block
        blocks.append((role + json.dumps(bare, ensure_ascii=False), marked))

    def listed(value: object) -> list[Any]:
        return value if isinstance(value, list) else [] if value is None else [value]

    if shape != "anthropic":
        for name in ("instructions", "systemInstruction", "tools"):
            add(f"{name}:", body.get(name))
        for turn in listed(body.get("messages") or body.get("input") or body.get("contents")):
            add("", turn)
        return blocks
    for tool in listed(body.get("tools")):
        add("tool:", tool)
    for block in listed(body.get("system")):
        if not (isinstance(block, dict) and str(block.get("text")).startswith(BILLING_LINE)):
            add("system:", block)
    for message in listed(body.get("messages")):
        for block in listed(message.get("content")):
            # a text block and the bare string are the same to the provider
            add(f"{message.get('role')}:", {"type": "text", "text": block} if isinstance(block, str) else block)
    if "cache_control" in body and blocks:
        blocks[-1] = (blocks[-1][0], True)
    return blocks


class PrefixCache:
    """What has been cached by the requests so far; used by several threads."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._lock = threading.Lock()

    def bill(self, shape: str, body: Json) -> Bill:
        """What this request costs, in tokens; from now on it is cached."""
        digest = hashlib.blake2b(digest_size=16)
        size = read = marked = 0
        fresh: set[bytes] = set()
        with self._lock:
            for text, breakpoint_here in prefix_blocks(shape, body):
                digest.update(text.encode("utf-8", "surrogatepass"))
                size += len(text.encode("utf-8", "surrogatepass"))
                key = digest.digest()
                if key in self._known:
                    read = size
                if shape != "anthropic" or breakpoint_here:
                    fresh.add(key)
                    marked = size
            self._known |= fresh
        written = max(marked - read, 0) if shape == "anthropic" else 0
        return Bill(plain=(size - read - written) // 4 + 1, write=written // 4, read=read // 4)
