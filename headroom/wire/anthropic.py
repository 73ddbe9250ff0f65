"""Anthropic Messages: https://docs.anthropic.com/en/api/messages"""

from bisect import bisect_right

from headroom.wire.layout import Block, Cacheable, Call, Layout, Turn
from headroom.wire.spans import Patch, Span, elements, members, read_string, skip_value, walk_array

LIST = "messages"


def turn(layout: Layout, text: str, start: int, index: int) -> int:
    if text[start : start + 1] != "{":
        return skip_value(text, start)
    blocks: list[tuple[Span, dict[str, Span]]] = []

    def block(at: int) -> int:
        if text[at : at + 1] != "{":
            return skip_value(text, at)
        found, end = members(text, at)
        blocks.append((Span(at, end), found))
        return end

    def value(key: str, at: int) -> int:
        listed = key == "content" and text[at : at + 1] == "["
        return walk_array(text, at, block) if listed else skip_value(text, at)

    found, end = members(text, start, value)
    answer = read_string(layout.body, found.get("role")) == "assistant"
    layout.turns.append(Turn(Span(start, end), answer, len(layout.blocks)))
    content = found.get("content")
    if content is None:
        return end
    said = Block(content, "assistant" if answer else "user", index)
    if text[content.start] == '"':
        layout.blocks.append(said)
        layout.cacheable.append(Cacheable(content, "string", False, index))
    for span, inside in blocks:
        _block(layout, text, span, inside, said)
    return end


def _block(layout: Layout, text: str, span: Span, found: dict[str, Span], said: Block) -> None:
    kind = read_string(layout.body, found.get("type")) or ""
    layout.cacheable.append(Cacheable(span, kind, "cache_control" in found, said.turn))
    if kind == "text" and "text" in found:
        layout.blocks.append(said._replace(span=found["text"]))
    elif kind == "tool_use" and "input" in found:
        call = read_string(layout.body, found.get("id")) or ""
        layout.calls[call] = Call(read_string(layout.body, found.get("name")) or "", found["input"])
        layout.blocks.append(Block(found["input"], "call", said.turn, call))
    elif kind == "tool_result" and "content" in found:
        _result(layout, text, found, said.turn)


def _result(layout: Layout, text: str, found: dict[str, Span], index: int) -> None:
    call = read_string(layout.body, found.get("tool_use_id")) or ""
    error = "is_error" in found and text[found["is_error"].start] == "t"
    content, cached = found["content"], _may_be_cached(text, found)
    if text[content.start] == '"':
        layout.blocks.append(Block(content, "result", index, call, free=cached, error=error))
    elif text[content.start] == "[":
        parts = [members(text, span.start)[0] for span in elements(text, content.start) if text[span.start] == "{"]
        # a text beside an image may be what tells the two apart: such a result stays as it is
        free = cached and all(
            read_string(layout.body, part.get("type")) == "text" and _may_be_cached(text, part) for part in parts
        )
        for number, part in enumerate(parts):
            if "text" in part:
                layout.blocks.append(Block(part["text"], "result", index, call, number, free, error))


def _may_be_cached(text: str, found: dict[str, Span]) -> bool:
    """Whether the client did not say that a block is not to be cached: ``"cache_control": null``, or false."""
    return "cache_control" not in found or text[found["cache_control"].start] == "{"


def billing_line(layout: Layout) -> list[Patch]:
    """What takes Claude Code's billing line out of the system prompt: the whole first block, where others follow."""
    span = layout.fields.get("system")
    if span is None or layout.body[span.start : span.start + 1] != b"[":
        return []
    text = layout.body.decode("latin-1")
    blocks = elements(text, span.start)
    if len(blocks) < 2 or text[blocks[0].start] != "{":
        return []
    said = read_string(layout.body, members(text, blocks[0].start)[0].get("text")) or ""
    return [Patch(blocks[0].start, blocks[1].start, b"")] if said.startswith("x-anthropic-billing-header:") else []


def no_error(layout: Layout, span: Span) -> Patch | None:
    """What takes the flag of an error off the tool result whose text stands at ``span``; None where it has none."""
    number = bisect_right(layout.cacheable, span.start, key=lambda block: block.span.start) - 1
    if number < 0:
        return None
    start, end = layout.cacheable[number].span
    found, _ = members(layout.body[start:end].decode("latin-1"), 0)
    flag = found.get("is_error")
    if flag is None or layout.body[start + flag.start : start + flag.end] != b"true":
        return None
    return Patch(start + flag.start, start + flag.end, b"false")
