"""OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat"""

from headroom.wire.layout import Block, BlockKind, Call, Layout, Turn
from headroom.wire.spans import Span, elements, members, read_string, skip_value

LIST = "messages"


def turn(layout: Layout, text: str, start: int, index: int) -> int:
    if text[start : start + 1] != "{":
        return skip_value(text, start)
    found, end = members(text, start)
    role = read_string(layout.body, found.get("role"))
    layout.turns.append(Turn(Span(start, end), role == "assistant", len(layout.blocks)))
    kind: BlockKind = "result" if role in ("tool", "function") else "assistant" if role == "assistant" else "user"
    call = read_string(layout.body, found.get("tool_call_id") or found.get("name")) or "" if kind == "result" else ""
    content = found.get("content")
    if content is not None:
        add_content(layout, text, content, Block(content, kind, index, call))
    calls = found.get("tool_calls")
    if calls is not None and text[calls.start] == "[":
        for span in elements(text, calls.start):
            if text[span.start] == "{":
                _call(layout, text, members(text, span.start)[0], index)
    return end


def add_content(layout: Layout, text: str, content: Span, block: Block) -> None:
    """Add a content that is a string, or a list of typed parts of which those with a ``text`` count."""
    if text[content.start] == '"':
        layout.blocks.append(block._replace(span=content))
    elif text[content.start] == "[":
        parts = [members(text, span.start)[0] for span in elements(text, content.start) if text[span.start] == "{"]
        free = all("text" in part for part in parts)
        for number, part in enumerate(parts):
            if "text" in part:
                layout.blocks.append(block._replace(span=part["text"], part=number, free=free))


def _call(layout: Layout, text: str, found: dict[str, Span], index: int) -> None:
    function = found.get("function") or found.get("custom")
    if function is None or text[function.start] != "{":
        return
    inner, _ = members(text, function.start)
    given = inner.get("arguments") or inner.get("input")
    if given is not None:
        call = read_string(layout.body, found.get("id")) or ""
        layout.calls[call] = Call(read_string(layout.body, inner.get("name")) or "", given)
        layout.blocks.append(Block(given, "call", index, call))
