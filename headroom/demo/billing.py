"""What a provider with a prefix cache bills for a request, from its exact bytes: Anthropic's documented rules.

The prefix is tools, system, messages. It is written at ``cache_control`` breakpoints and read back up to the longest
part that is known, within 20 blocks before a breakpoint; less than 1,024 tokens are not cached. Entries live for five
minutes, longer than the demo runs, so nothing expires here. Tokens are those of o200k.
https://docs.claude.com/en/docs/build-with-claude/prompt-caching
"""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from headroom.tokenizers import count
from headroom.wire.usage import Usage

LOOK_BACK = 20
LEAST_PREFIX = 1024
BLOCK_TOKENS = 4
"""What a block takes beside its texts."""


class PrefixCache:
    """What earlier requests have written."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def bill(self, body: dict[str, Any], output_tokens: int) -> Usage:
        """What this request is billed; from now on its prefix is cached."""
        digest, total = hashlib.blake2b(digest_size=16), 0
        prefixes: list[tuple[bytes, int]] = []
        marks: list[int] = []
        for place, block in _blocks(body):
            bare = {key: value for key, value in block.items() if key != "cache_control"}
            digest.update(place.encode() + json.dumps(bare).encode() + b"\0")
            total += BLOCK_TOKENS + sum(_tokens(text) for text in _texts(bare))
            if "cache_control" in block:
                marks.append(len(prefixes))
            prefixes.append((digest.digest(), total))
        read = written = 0
        for mark in marks:
            near = prefixes[max(0, mark - LOOK_BACK + 1) : mark + 1]
            read = max([read, *(size for key, size in near if key in self._known)])
        for mark in marks:
            key, size = prefixes[mark]
            if size >= LEAST_PREFIX:
                self._known.add(key)
                written = max(written, size - read)
        return Usage(
            input_tokens=total - read - written,
            cache_write_tokens=written,
            cache_read_tokens=read,
            output_tokens=output_tokens,
        )


def _blocks(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The blocks in the order in which they are cached, and where each stands."""
    places = [("tools", body["tools"]), ("system", body["system"])]
    places += [(message["role"], message["content"]) for message in body["messages"]]
    for place, blocks in places:
        for block in blocks:
            yield place, block


def _texts(value: object) -> Iterator[str]:
    """Names and texts of a block, as the model gets them: without JSON's quotes and escapes."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)


@lru_cache(maxsize=1000)
def _tokens(text: str) -> int:
    return count(text)
