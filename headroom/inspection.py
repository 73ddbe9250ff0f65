"""What a request is made of and what in it is waste, in tokens: for reports, never for the bytes that are sent."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.cache_aligner import volatile, without
from headroom.transforms.config import CacheAlignerConfig
from headroom.transforms.html import PAGE
from headroom.transforms.smart_crusher import SmartCrusher
from headroom.wire.facts import system_text
from headroom.wire.layout import Layout

LEAST_REPEATED = 200
"""Characters of a text whose second copy counts as waste."""
LEAST_BASE64 = 256
"""Characters of a run that is taken for base64."""
SIGNALS = (
    "base64_tokens",
    "repetition_tokens",
    "whitespace_tokens",
    "json_bloat_tokens",
    "html_noise_tokens",
    "dynamic_date_tokens",
)
_KINDS = {"user": "user", "assistant": "assistant", "call": "tool_calls", "result": "tool_results"}
_PATTERNS = CacheAlignerConfig(enabled=True)
_TOOLS = ("tools", "functions", "toolConfig", "tool_config")
_base64 = re.compile(rf"(?:data:[\w.+/-]+;base64,)?[A-Za-z0-9+/_-]{{{LEAST_BASE64},}}={{0,2}}")
_both = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)")
_blank = re.compile(r"[ \t]+$|(?<=\S)[ \t]{3,}(?=\S)|\n{3,}", re.M)
_markup = re.compile(r"<(script|style|svg|head)\b.*?</\1\s*>|<!--.*?-->|<[a-zA-Z/!][^<>]*>", re.S | re.I)


@dataclass(frozen=True, slots=True)
class Inspection:
    """``blocks``: tokens by kind (tools, system, user, assistant, tool_calls, tool_results).

    ``waste``: tokens by signal, only those that there are. base64_tokens: encoded files in texts. repetition_tokens:
    whole texts that stood in the request before. whitespace_tokens: blanks at the ends of lines, long runs of blanks
    within them, empty lines. json_bloat_tokens: what JSON would lose if its keys were said once. html_noise_tokens:
    markup, scripts and styles. dynamic_date_tokens: dates, times and ids in the system prompt, each of which makes
    the rest of the request new to the provider's cache.

    ``stable_prefix_hash``: 16 hex digits of SHA-256 over the tools and the system prompt less its dates, times and
    ids. Two requests with the same hash could share a cached prefix. ``cache_alignment_score``: 0 to 100, the share of
    tools and system prompt (in tokens) that stands before the first date, time or id: 100 when there is none.
    """

    blocks: Mapping[str, int]
    waste: Mapping[str, int]
    stable_prefix_hash: str
    cache_alignment_score: float


def inspect(layout: Layout, tokens: Callable[[str], int] = count) -> Inspection:
    """Look through a request."""
    blocks: Counter[str] = Counter()
    waste: Counter[str] = Counter()
    tools, system = _tools(layout), system_text(layout)
    blocks["tools"], blocks["system"] = tokens(tools) if tools else 0, tokens(system) if system else 0
    seen: set[str] = set()
    system_turns = _system_turns(layout)
    for block in layout.blocks:
        text = layout.text(block)
        if text is None:
            text = layout.body[block.span.start : block.span.end].decode("utf-8", "replace")
        if block.turn in system_turns:
            continue
        blocks[_KINDS[block.kind]] += tokens(text)
        if block.kind == "call" or not text:
            continue
        if len(text) >= LEAST_REPEATED and text in seen:
            waste["repetition_tokens"] += tokens(text)
            continue
        seen.add(text)
        waste.update(_waste(text, tokens))
    parts = volatile(system, _PATTERNS) if system else []
    waste["dynamic_date_tokens"] += sum(tokens(system[start:end]) for start, end in parts)
    return Inspection(
        {name: number for name, number in blocks.items() if number},
        {name: waste[name] for name in SIGNALS if waste[name]},
        _prefix_hash(layout.shape, tools, without(system, parts)),
        _alignment(tools, system, parts[0][0] if parts else None, tokens),
    )


def as_json(found: Inspection, stream: bool = False) -> str:
    """For the ledger: numbers and a hash, nothing of the content. ``stream``: the answer was asked for as a stream."""
    return json.dumps(
        {
            "stream": stream,
            "blocks": dict(found.blocks),
            "waste": dict(found.waste),
            "prefix": found.stable_prefix_hash,
            "alignment": found.cache_alignment_score,
        },
        separators=(",", ":"),
    )


def _waste(text: str, tokens: Callable[[str], int]) -> Counter[str]:
    """What of one text is waste; each character counts once."""
    waste: Counter[str] = Counter()
    for found in _base64.finditer(text):
        if _both.match(found[0]):
            waste["base64_tokens"] += tokens(found[0])
    if waste:
        text = _base64.sub(lambda found: "" if _both.match(found[0]) else found[0], text)
    if PAGE.match(text):
        waste["html_noise_tokens"] = sum(tokens(found[0]) for found in _markup.finditer(text))
        return waste
    if text.lstrip()[:1] in ("{", "["):
        form = SmartCrusher().compress(text, Context())
        if form is not None:
            waste["json_bloat_tokens"] = max(0, tokens(text) - tokens(form.text))
            return waste
    tidy = _blank.sub(lambda found: "\n\n" if "\n" in found[0] else " " if found.end() < len(text) else "", text)
    if len(text) - len(tidy) > 8:
        waste["whitespace_tokens"] = max(0, tokens(text) - tokens(tidy))
    return waste


def _tools(layout: Layout) -> str:
    spans = [layout.fields[name] for name in _TOOLS if name in layout.fields]
    return "".join(layout.body[start:end].decode("utf-8", "replace") for start, end in spans)


def _system_turns(layout: Layout) -> frozenset[int]:
    """The turns whose text is the system prompt's: OpenAI's first message."""
    in_list = layout.shape == "openai-chat" and system_text(layout)
    return frozenset({0}) if in_list else frozenset()


def _prefix_hash(shape: str, tools: str, system: str) -> str:
    digest = sha256()
    for part in (shape, tools, system):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.hexdigest()[:16]


def _alignment(tools: str, system: str, first: int | None, tokens: Callable[[str], int]) -> float:
    whole = tokens(tools) + tokens(system)
    if first is None or not whole:
        return 100.0
    return round(100 * (tokens(tools) + tokens(system[:first])) / whole, 1)
