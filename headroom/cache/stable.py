"""A request's beginning made stable: volatile parts of the system prompt last, tools in one order.

What is changed depends on the body alone, and it is only moved: not a byte of a text or tool is written anew. For
programs whose authors can't be asked to do it; their words stand in another order then, so it is off by default.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from headroom.transforms.cache_aligner import volatile, without
from headroom.transforms.config import CacheAlignerConfig
from headroom.wire.layout import Layout
from headroom.wire.spans import (
    UTF8_BOM,
    Patch,
    Span,
    elements,
    members,
    quote,
    read_string,
    read_value,
    skip_space,
)

RULES = CacheAlignerConfig(enabled=True)
TAIL = RULES.dynamic_tail_separator
"""What stands before the volatile parts."""
_BLOCK = b'{"type":"text","text":'
_MESSAGES = {"openai-chat": "messages", "openai-responses": "input"}
_blanks = re.compile(r"(?:[ \t]*\n){3,}|[ \t]+$", re.M)
_piece = re.compile(rb"\\u([0-9a-fA-F]{4})|\\.|[\xc0-\xff][\x80-\xbf]*|[^\\\x80-\xff]+", re.S)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of the system prompt: its string, the block in a list of blocks that it is the text of, and where the
    next block of that list starts (0: there is none)."""

    span: Span
    block: Span | None = None
    following: int = 0


def stabilize(shape: str, body: bytes, rules: CacheAlignerConfig = RULES, sort_tools: bool = True) -> list[Patch]:
    """What makes the beginning of a request the same in every request of its program; nothing when it is already.

    ``rules`` say what of the system prompt is moved; with ``sort_tools`` tools get one order. Raises ScanError when the
    body can't be read.
    """
    text = body.decode("latin-1")
    fields, _ = members(text, skip_space(text, len(UTF8_BOM) if body.startswith(UTF8_BOM) else 0))
    texts = list(_system(shape, body, text, fields))
    tools = _sorted_tools(shape, body, text, fields) if sort_tools else []
    return [*_aligned(shape, body, texts, rules), *_tidied(body, texts, rules), *tools]


def tail_start(layout: Layout, rules: CacheAlignerConfig = RULES) -> int:
    """The byte at which volatile text stands by itself at the end of an Anthropic system prompt; 0: nowhere."""
    span = layout.fields.get("system")
    if layout.shape != "anthropic" or span is None or layout.body[span.start : span.start + 1] != b"[":
        return 0
    blocks = list(_blocks(layout.body, layout.body.decode("latin-1"), span.start))
    if len(blocks) < 2 or blocks[-1].block is None:
        return 0
    said = read_string(layout.body, blocks[-1].span) or ""
    tail = rules.dynamic_tail_separator
    alone = said.startswith(tail) or not without(said, volatile(said, rules)).strip()
    return blocks[-1].block.start if alone and said.strip() else 0


def _system(shape: str, body: bytes, text: str, fields: dict[str, Span]) -> Iterator[_Text]:
    """The texts of the system prompt in order."""
    if shape == "anthropic":
        yield from _content(body, text, fields.get("system"))
    elif shape == "gemini":
        span = fields.get("systemInstruction") or fields.get("system_instruction")
        if span is not None and text[span.start] == "{":
            yield from _content(body, text, members(text, span.start)[0].get("parts"))
    else:
        yield from _content(body, text, fields.get("instructions"))
        span = fields.get(_MESSAGES[shape])
        for item in elements(text, span.start) if span is not None and text[span.start] == "[" else ():
            found = members(text, item.start)[0] if text[item.start] == "{" else {}
            if read_string(body, found.get("role")) not in ("system", "developer"):
                break
            yield from _content(body, text, found.get("content"))


def _content(body: bytes, text: str, span: Span | None) -> Iterator[_Text]:
    if span is not None and text[span.start] == '"':
        yield _Text(span)
    elif span is not None and text[span.start] == "[":
        yield from _blocks(body, text, span.start)


def _blocks(body: bytes, text: str, start: int) -> Iterator[_Text]:
    items = elements(text, start)
    for item, following in zip_longest(items, items[1:]):
        found = members(text, item.start)[0] if text[item.start] == "{" else {}
        if "text" in found and read_string(body, found["text"]) is not None:
            yield _Text(found["text"], item, following.start if following else 0)


def _aligned(shape: str, body: bytes, texts: list[_Text], rules: CacheAlignerConfig) -> list[Patch]:
    patches: list[Patch] = []
    moved: list[bytes] = []
    stays = False
    for number, each in enumerate(texts):
        said = read_string(body, each.span)
        if said is not None and rules.dynamic_tail_separator in said:
            return []
        parts = volatile(said, rules) if said else []
        if said is None or not parts:
            stays = stays or bool(said and said.strip())
            continue
        last = number == len(texts) - 1
        rest = without(said, parts)
        if last and (not rest.strip() or (shape != "anthropic" and not moved and said.startswith(rest))):
            continue  # it stands at the end already
        if not rest.strip():
            if each.block is None or not each.following or not _is_bare(body, each.block):
                stays = True
                continue
            patches.append(Patch(each.block.start, each.following, b""))
            moved.append(body[each.span.start + 1 : each.span.end - 1])
            continue
        stays = True
        for start, end in parts:
            core = said[start:end].strip()
            lead = start + said[start:end].index(core)
            cuts = _offsets(body, each.span, [start, lead, lead + len(core), end])
            patches.append(Patch(cuts[0], cuts[3], b""))
            moved.append(body[cuts[1] : cuts[2]])
    if not moved or not stays:
        return []
    tail = quote(rules.dynamic_tail_separator)[1:-1] + rb"\n".join(moved)
    (start, end), block = texts[-1].span, texts[-1].block
    if shape != "anthropic":
        patches.append(Patch(end - 1, end - 1, tail))
    elif block is None:  # one text: only as a block of its own can the rest be cached without the tail
        patches.append(Patch(start, start, b"[" + _BLOCK))
        patches.append(Patch(end, end, b"}," + _BLOCK + b'"' + tail + b'"}]'))
    else:
        patches.append(Patch(block.end, block.end, b"," + _BLOCK + b'"' + tail + b'"}'))
    return patches


def _tidied(body: bytes, texts: list[_Text], rules: CacheAlignerConfig) -> list[Patch]:
    """What takes blanks at the ends of lines, and of several empty lines all but one, out of what stays."""
    said = [read_string(body, each.span) or "" for each in texts] if rules.normalize_whitespace else []
    if any(rules.dynamic_tail_separator in text for text in said):
        return []
    patches: list[Patch] = []
    for each, text in zip(texts, said, strict=False):
        parts = volatile(text, rules)
        if not without(text, parts).strip():
            continue
        for found in _blanks.finditer(text):
            if any(start < found.end() and found.start() < end for start, end in parts):
                continue
            start, end = _offsets(body, each.span, [found.start(), found.end()])
            patches.append(Patch(start, end, rb"\n\n" if "\n" in found[0] else b""))
    return patches


def _is_bare(body: bytes, block: Span) -> bool:
    """Whether a block says nothing but its text, and carries no breakpoint."""
    value = read_value(body, block)
    return isinstance(value, dict) and set(value) <= {"type", "text"}


def _offsets(body: bytes, span: Span, indices: list[int]) -> list[int]:
    """The bytes of the body at which characters of the string at ``span`` stand; ``indices`` in rising order."""
    found: list[int] = []
    at = count = 0
    raw = body[span.start + 1 : span.end - 1]
    for match in _piece.finditer(raw):
        plain = match[0][:1] < b"\x80" and match[0][:1] != b"\\"
        size = len(match[0]) if plain else 0 if match[1] and 0xDC00 <= int(match[1], 16) < 0xE000 else 1
        while len(found) < len(indices) and indices[len(found)] < count + size:
            found.append(span.start + 1 + at + (indices[len(found)] - count if plain else 0))
        at, count = match.end(), count + size
    return [*found, *[span.end - 1] * (len(indices) - len(found))]


def _sorted_tools(shape: str, body: bytes, text: str, fields: dict[str, Span]) -> list[Patch]:
    span = fields.get("tools")
    if span is None or text[span.start] != "[" or b'"cache_control"' in body[span.start : span.end]:
        return []  # a breakpoint covers the tools before it, which only the client may choose
    if shape != "gemini":
        return _sorted(body, elements(text, span.start))
    patches = []
    for tool in elements(text, span.start):
        found = members(text, tool.start)[0] if text[tool.start] == "{" else {}
        for name in ("functionDeclarations", "function_declarations"):
            if name in found and text[found[name].start] == "[":
                patches += _sorted(body, elements(text, found[name].start))
    return patches


def _sorted(body: bytes, items: list[Span]) -> list[Patch]:
    ordered = sorted(items, key=lambda item: (_name(read_value(body, item)), body[item.start : item.end]))
    return [
        Patch(item.start, item.end, body[other.start : other.end])
        for item, other in zip(items, ordered, strict=True)
        if item != other
    ]


def _name(tool: object) -> str:
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    inner = function.get("name") if isinstance(function, dict) else None
    return str(tool.get("name") or inner or tool.get("type") or "")
