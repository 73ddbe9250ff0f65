"""Gemini generateContent and streamGenerateContent, at Google AI and Vertex AI:
https://ai.google.dev/api/generate-content"""

import re
from hashlib import blake2b

from headroom.wire.layout import Block, Call, Layout, Turn
from headroom.wire.spans import Patch, Span, elements, members, read_string, skip_value, walk_array, walk_object

LIST = "contents"
_ERROR_KEY = re.compile(rb'\{\s*"(error)"\s*:\s*\Z')
_KEY_WITHIN = 64
"""Bytes before a string within which its key stands, blanks included."""


def turn(layout: Layout, text: str, start: int, index: int) -> int:
    if text[start : start + 1] != "{":
        return skip_value(text, start)
    found, end = members(text, start)
    answer = read_string(layout.body, found.get("role")) == "model"
    layout.turns.append(Turn(Span(start, end), answer, len(layout.blocks)))
    parts = found.get("parts")
    if parts is None or text[parts.start] != "[":
        return end
    calls = results = 0
    for span in elements(text, parts.start):
        if text[span.start] != "{":
            continue
        part, _ = members(text, span.start)
        call = part.get("functionCall") or part.get("function_call")
        result = part.get("functionResponse") or part.get("function_response")
        if "text" in part:
            if "thought" not in part:
                layout.blocks.append(Block(part["text"], "assistant" if answer else "user", index))
        elif call is not None:
            _call(layout, text, call, index, calls)
            calls += 1
        elif result is not None:
            _result(layout, text, result, index, results)
            results += 1
    return end


def _call(layout: Layout, text: str, span: Span, index: int, number: int) -> None:
    if text[span.start] != "{":
        return
    found, _ = members(text, span.start)
    if "args" in found:
        call = read_string(layout.body, found.get("id")) or _place(layout, index, number)
        layout.calls[call] = Call(read_string(layout.body, found.get("name")) or "", found["args"])
        layout.blocks.append(Block(found["args"], "call", index, call))


def _result(layout: Layout, text: str, span: Span, index: int, number: int) -> None:
    if text[span.start] != "{":
        return
    found, _ = members(text, span.start)
    response = found.get("response")
    if response is None:
        return
    call = read_string(layout.body, found.get("id")) or _place(layout, index - 1, number)
    strings: list[Span] = []
    _strings(text, response.start, strings)
    for part, string in enumerate(strings):
        layout.blocks.append(Block(string, "result", index, call, part))


def _place(layout: Layout, index: int, number: int) -> str:
    """What stands for the id of a call without one: its place in a conversation that begins so. The answer to the
    n-th call of a turn is the n-th result in the turn after it."""
    begins = layout.turns[0].span
    digest = blake2b(layout.body[begins.start : begins.end], digest_size=8).hexdigest()
    return f"{digest}.{index}.{number}"


def _strings(text: str, start: int, found: list[Span]) -> int:
    """Collect the spans of all strings in a value; return its end."""
    mark = text[start]
    if mark == "{":
        return walk_object(text, start, lambda _, pos: _strings(text, pos, found))
    if mark == "[":
        return walk_array(text, start, lambda pos: _strings(text, pos, found))
    end = skip_value(text, start)
    if mark == '"':
        found.append(Span(start, end))
    return end


def no_error(layout: Layout, span: Span) -> Patch | None:
    """What names the string at ``span`` output where the client named it error."""
    before = _ERROR_KEY.search(layout.body, max(0, span.start - _KEY_WITHIN), span.start)
    return Patch(before.start(1), before.end(1), b"output") if before else None
