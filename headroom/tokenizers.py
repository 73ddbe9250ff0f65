"""How many tokens a text has, by the vocabularies that ship with the package: nothing is fetched."""

from functools import cache
from typing import Protocol

CHUNK = 32_768
"""Characters that are counted at once: other threads run between two chunks."""


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


def count(text: str, encoding: str = "o200k_base") -> int:
    """Tokens of ``text`` in ``encoding`` (o200k_base or cl100k_base); long texts are counted line by line of some
    32,768 characters, which can differ by a token at each cut."""
    counter = _encoding(encoding)
    if len(text) <= CHUNK:
        return _count(counter, text)
    total = start = 0
    while start < len(text):
        end = start + CHUNK
        if end < len(text):
            cut = text.rfind("\n", start, end)
            end = cut + 1 if cut > start else end
        total += _count(counter, text[start:end])
        start = end
    return total


def _count(counter: _Encoding, text: str) -> int:
    try:
        return counter.count(text)
    except UnicodeEncodeError:  # a lone surrogate
        return counter.count(text.encode("utf-8", "replace").decode())


@cache
def _encoding(name: str) -> _Encoding:
    from bpe_openai._bindings import tokenizer_for_encoding

    encoding: _Encoding = tokenizer_for_encoding(name)
    return encoding
