"""The answer that a stream brings piece by piece, put together, and where the figures of its usage stand.

How each shape's pieces become an answer: https://docs.anthropic.com/en/api/messages-streaming,
https://platform.openai.com/docs/api-reference/chat-streaming and .../responses-streaming,
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from headroom.wire.spans import Span, elements, members, read_value

type Json = dict[str, Any]

_data = re.compile(rb"^data:[ ]?([^\r\n]*)", re.M).finditer
_SAID_WHOLE = frozenset({"role", "type", "id", "index", "name"})
"""Fields of a chat message's pieces that do not come in pieces; some providers repeat them."""
_USAGE = (("usage",), ("message", "usage"), ("response", "usage"), ("usageMetadata",))


class Event(NamedTuple):
    """What one event says, and where in the body it says that."""

    span: Span
    value: Json


def events(body: bytes) -> list[Event]:
    """The events of a stream, server-sent or in Gemini's list; an answer that is no stream is one.

    Raises ValueError where one is no JSON object, ScanError where a list is cut off.
    """
    text = body.strip()
    start = body.find(text)
    if text.startswith(b"{"):
        spans = [Span(start, start + len(text))]
    elif text.startswith(b"["):
        spans = elements(body.decode("latin-1"), start)
    else:
        spans = [Span(*found.span(1)) for found in _data(body) if found[1].strip() != b"[DONE]"]
    values = [(span, read_value(body, span)) for span in spans]
    said = [Event(span, value) for span, value in values if isinstance(value, dict)]
    if len(said) < len(spans):
        raise ValueError("an event that is no JSON object")
    return said


def whole(shape: str, body: bytes, said: Sequence[Event]) -> Json | None:
    """The answer that a body brings, as it would have come at once; None where it broke off or ended in an error.

    Raises ValueError, KeyError, TypeError or IndexError for what is not of the shape.
    """
    if body.lstrip().startswith(b"{"):
        return said[0].value
    values = [event.value for event in said]
    if any(value.get("type") == "error" or value.get("error") for value in values):
        return None
    return _WHOLE[shape](values)


def usage_of(body: bytes, event: Event) -> tuple[Span, Json] | None:
    """Where an event says what the answer used, and what it says there; None where it does not."""
    for path in _USAGE:
        value: Any = event.value
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, dict):
            at, text = 0, body[slice(*event.span)].decode("latin-1")
            for name in path:
                at, end = members(text, at)[0][name]
            return Span(event.span.start + at, event.span.start + end), value
    return None


def _anthropic(said: Sequence[Json]) -> Json | None:
    answer: Json = {}
    content: dict[int, Json] = {}
    inputs: dict[int, str] = {}
    for event in said:
        match event["type"]:
            case "message_start":
                answer = {**event["message"]}
            case "content_block_start":
                content[event["index"]] = {**event["content_block"]}
            case "content_block_delta":
                _add_to_block(content[event["index"]], event["delta"], inputs, event["index"])
            case "message_delta":
                figures = {name: value for name, value in event.get("usage", {}).items() if value is not None}
                answer |= {**event["delta"], "usage": {**answer["usage"], **figures}}
            case "message_stop":
                for index, text in inputs.items():
                    if text:
                        content[index]["input"] = json.loads(text)
                return {**answer, "content": [content[index] for index in sorted(content)]}
    return None


def _add_to_block(block: Json, delta: Json, inputs: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case other:
            raise ValueError(f"a piece of an unknown kind: {other}")


def _chat(said: Sequence[Json]) -> Json | None:
    message: Json = {}
    calls: dict[int, Json] = {}
    finish, usage = None, None
    for chunk in said:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            if choice["index"] != 0:
                raise ValueError("several answers in one")
            delta = dict(choice.get("delta") or {})
            for piece in delta.pop("tool_calls", None) or ():
                _add(calls.setdefault(piece["index"], {}), {k: v for k, v in piece.items() if k != "index"})
            _add(message, delta)
            finish = choice.get("finish_reason") or finish
    if not finish:
        return None
    message["content"] = message.get("content") or None
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    answer: Json = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return {**answer, "usage": usage} if usage else answer


def _add(to: Json, piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        before = to.get(name)
        if value is None:
            continue
        if isinstance(value, dict):
            _add(to.setdefault(name, {}), value)
        elif isinstance(value, list):
            to[name] = [*(before or ()), *value]
        elif isinstance(value, str) and isinstance(before, str) and name not in _SAID_WHOLE:
            to[name] = before + value
        else:
            to[name] = value


def _responses(said: Sequence[Json]) -> Json | None:
    last = next((event for event in reversed(said) if event["type"] == "response.completed"), None)
    if last is None:
        return None
    done = {event["output_index"]: event["item"] for event in said if event["type"] == "response.output_item.done"}
    answer: Json = last["response"]
    # ChatGPT's own backend says nothing in the list at the end that it has said before
    return answer if answer.get("output") else {**answer, "output": [done[index] for index in sorted(done)]}


def _gemini(said: Sequence[Json]) -> Json | None:
    parts: list[Json] = []
    finish, usage = None, None
    for chunk in said:
        usage = chunk.get("usageMetadata") or usage
        for candidate in chunk.get("candidates") or ():
            if candidate.get("index", 0) != 0:
                raise ValueError("several answers in one")
            finish = candidate.get("finishReason") or finish
            # a part without text still has what the model thought, signed; one with nothing can't be sent back
            parts += [part for part in candidate.get("content", {}).get("parts") or () if part != {"text": ""}]
    if not finish or any("partialArgs" in part.get("functionCall", {}) for part in parts):
        return None
    answer: Json = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}]}
    return {**answer, "usageMetadata": usage} if usage else answer


_WHOLE: Mapping[str, Callable[[Sequence[Json]], Json | None]] = {
    "anthropic": _anthropic,
    "openai-chat": _chat,
    "openai-responses": _responses,
    "gemini": _gemini,
}
