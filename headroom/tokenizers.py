"""How many tokens a text has, by the vocabularies that ship with bpe-openai: nothing is fetched."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Literal, Protocol

from headroom.errors import TokenizationError

Encoding = Literal["o200k_base", "cl100k_base"]
CHUNK = 8_192
"""Characters that are counted at once: the counter holds the interpreter, other threads run between two chunks."""
LONG = 1_000
"""Characters of a text whose count is kept until others were counted."""
_CLAUDE_FACTOR = 1.25
"""Tokens that Anthropic bills for one of o200k_base: what shell output in recorded sessions of Claude Code was billed,
see `python -m benchmarks tokens` and docs/models.md for the errors."""
_GEMINI_FACTOR = 1.25
"""The same for Gemini, by the vocabulary of Gemma 3, with which Google's own SDK counts Gemini's tokens."""
# A token never reaches over the end of a line, unless blanks, another line end or "/" follow it.
_up_to_a_line_end = re.compile(r"(?s:.*)\n(?=[^\s/])").match
# GPT-4 and 3.5 and their kin; gpt-4o, gpt-4.1 and all that came later use o200k_base.
_is_cl100k = re.compile(r"(?:ft:)?(?:gpt-4(?![o.\d])|gpt-3\.?5|text-embedding-|(?:davinci|babbage)-002)", re.I).match


class _Counter(Protocol):
    def count(self, text: str) -> int: ...


def count(text: str, encoding: Encoding = "o200k_base") -> int:
    """Tokens of ``text``, in time that grows with its length. Any thread may call it.

    Exact for texts of lines up to 8,192 characters; a longer line is cut, and each cut can make a token more. A lone
    surrogate counts as the "?" that would stand for it.
    """
    return _count_long(text, encoding) if len(text) >= LONG else _count(_counter(encoding), text)


@lru_cache(maxsize=4)  # each step that writes a text shorter counts what the step before wrote, and then what it wrote
def _count_long(text: str, encoding: Encoding) -> int:
    counter = _counter(encoding)
    if len(text) <= CHUNK:
        return _count(counter, text)
    total = start = 0
    while start < len(text):
        end = start + CHUNK
        if end < len(text):
            whole = _up_to_a_line_end(text, start, end + 1)
            end = whole.end() if whole else end
        total += _count(counter, text[start:end])
        start = end
    return total


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Counts as one model does: exactly with a vocabulary of its own, else ``factor`` times what that gives."""

    encoding: Encoding = "o200k_base"
    factor: float = 1.0

    def count(self, text: str) -> int:
        """Tokens of ``text``."""
        return round(self.factor * count(text, self.encoding))


def tokenizer_for(provider: str, model: str) -> Tokenizer:
    """How tokens of ``model`` are counted: see ``encoding_for`` and ``estimate_factor``."""
    return Tokenizer(encoding_for(model), estimate_factor(provider, model))


def encoding_for(model: str) -> Encoding:
    """The vocabulary of an OpenAI model; o200k_base for all others, as an estimate."""
    return "cl100k_base" if _is_cl100k(model.rpartition("/")[2]) else "o200k_base"


def estimate_factor(provider: str, model: str) -> float:
    """What to multiply ``count`` with for an estimate of the provider's own count.

    1.25 for Claude and for Gemini, whoever hosts them; 1.0 for OpenAI, whose vocabularies these are, and for all
    others, for which nothing was measured.
    """
    name = model.lower()
    if "claude" in name:
        return _CLAUDE_FACTOR
    if "gemini" in name:
        return _GEMINI_FACTOR
    return {"anthropic": _CLAUDE_FACTOR, "gemini": _GEMINI_FACTOR}.get(provider, 1.0)


def _count(counter: _Counter, text: str) -> int:
    try:
        return counter.count(text)
    except UnicodeEncodeError:  # a lone surrogate
        return counter.count(text.encode("utf-8", "replace").decode())


@cache
def _counter(encoding: Encoding) -> _Counter:
    # not imported: the package's __init__ reads all vocabularies again, which takes half a second and 66 MB
    package = find_spec("bpe_openai")
    spec = PathFinder.find_spec("bpe_openai._bindings", package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        raise TokenizationError("the package bpe-openai is not installed", {"package": "bpe-openai"})
    bindings = module_from_spec(spec)
    spec.loader.exec_module(bindings)
    counter: _Counter = bindings.tokenizer_for_encoding(encoding)
    return counter
