"""What a provider answers, in the four shapes: a script says text and tool calls, this says which bytes that is."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Event = tuple[str | None, str]
"""One server-sent event: its name, if the shape names them, and its data."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """``arguments`` is the input object; a string is the free-form input of an OpenAI custom tool."""

    name: str
    arguments: Mapping[str, object] | str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``delay``: seconds before each event of a stream. ``cut_after``: events until the connection breaks.
    ``pace`` is called before each event with its number.

    A ``status`` other than 200 is an error whose message is ``text``. ``thinking`` is a signed block (Anthropic only).
    ``compacted`` is what stands for the conversation from then on, where it was asked for (Responses only).
    ``used`` is how many input tokens the provider says there were, where it is not what there were: clients go by that
    when they compact.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    compacted: str = ""
    used: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut_after: int | None = None
    pace: Callable[[int], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens by price: input that is not cached, written to the cache, read from it; output."""

    plain: int = 0
    write: int = 0
    read: int = 0
    output: int = 0

    @property
    def input(self) -> int:
        return self.plain + self.write + self.read


def unique(prefix: str) -> str:
    """An id that no other answer has: clients merge messages with equal ids."""
    return f"{prefix}{next(_numbers):06d}"


def signature() -> str:
    """What a provider signs its thinking with: base64, another one each time."""
    return base64.b64encode(unique("signed ").encode()).decode()


def output_tokens(answer: Answer) -> int:
    said = len(answer.text) + len(answer.thinking) + sum(len(_arguments(call)) for call in answer.calls)
    return said // 4 + 1


def error(shape: str | None, answer: Answer) -> Json:
    """The body of an error answer, as that provider writes it."""
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    kind = kinds.get(answer.status, "api_error")
    if shape == "gemini":
        return {"error": {"code": answer.status, "message": answer.text, "status": kind.upper()}}
    if shape == "anthropic":
        return {"type": "error", "error": {"type": kind, "message": answer.text}, "request_id": unique("req_")}
    return {"error": {"message": answer.text, "type": kind, "param": None, "code": None}}


def whole(shape: str, answer: Answer, bill: Bill, model: str) -> Json:
    """The answer as one JSON object."""
    return _WHOLE[shape](answer, bill, model)


def stream(shape: str, complete: Json) -> Iterator[Event]:
    """The events that bring the same answer piece by piece."""
    return _STREAM[shape](complete)


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def _pieces(text: str, count: int = 4) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


# Anthropic Messages


def _anthropic(answer: Answer, bill: Bill, model: str) -> Json:
    content: list[Json] = []
    if answer.thinking:
        content.append({"type": "thinking", "thinking": answer.thinking, "signature": signature()})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    content += [
        {"type": "tool_use", "id": unique("toolu_"), "name": call.name, "input": call.arguments}
        for call in answer.calls
    ]
    usage = {
        "input_tokens": bill.plain,
        "cache_creation_input_tokens": bill.write,
        "cache_read_input_tokens": bill.read,
        "cache_creation": {"ephemeral_5m_input_tokens": bill.write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": bill.output,
        "service_tier": "standard",
    }
    return {
        "id": unique("msg_"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if answer.calls else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def _anthropic_stream(complete: Json) -> Iterator[Event]:
    def event(kind: str, **fields: object) -> Event:
        return kind, json.dumps({"type": kind, **fields})

    usage = complete["usage"]
    yield event(
        "message_start",
        message={**complete, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
    )
    yield event("ping")
    for index, block in enumerate(complete["content"]):
        kind = block["type"]
        if kind == "tool_use":
            empty, text = {**block, "input": {}}, json.dumps(block["input"])
            name, field_name = "input_json_delta", "partial_json"
        else:
            empty, text = {**block, kind: ""} | ({"signature": ""} if kind == "thinking" else {}), block[kind]
            name, field_name = f"{kind}_delta", kind
        yield event("content_block_start", index=index, content_block=empty)
        for piece in _pieces(text):
            yield event("content_block_delta", index=index, delta={"type": name, field_name: piece})
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            yield event("content_block_delta", index=index, delta=signed)
        yield event("content_block_stop", index=index)
    stop = {"stop_reason": complete["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=stop, usage={"output_tokens": usage["output_tokens"]})
    yield event("message_stop")


# OpenAI chat completions


def _chat(answer: Answer, bill: Bill, model: str) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = [
            {"id": unique("call_"), "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in answer.calls
        ]
    usage = {
        "prompt_tokens": bill.input,
        "completion_tokens": bill.output,
        "total_tokens": bill.input + bill.output,
        "prompt_tokens_details": {"cached_tokens": bill.read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    finish = "tool_calls" if answer.calls else "stop"
    return {
        "id": unique("chatcmpl-"),
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
    }


def _chat_stream(complete: Json) -> Iterator[Event]:
    """All chunks; the one with the usage comes last and is left out when the request did not ask for it."""
    head = {key: complete[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}

    def chunk(delta: Json, finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, json.dumps({**head, "choices": [choice]})

    choice = complete["choices"][0]
    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(choice["message"]["content"] or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(choice["message"].get("tool_calls", ())):
        function = call["function"]
        yield chunk({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        for piece in _pieces(function["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    if "usage" in complete:
        yield None, json.dumps({**head, "choices": [], "usage": complete["usage"]})
    yield None, "[DONE]"


# OpenAI Responses


def _responses(answer: Answer, bill: Bill, model: str) -> Json:
    output: list[Json] = []
    if answer.text:
        said = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        item = {"type": "message", "id": unique("msg_"), "status": "completed", "role": "assistant", "content": [said]}
        output.append(item)
    if answer.compacted:
        sealed = base64.b64encode(answer.compacted.encode()).decode()
        output.append({"type": "compaction", "id": unique("cmp_"), "encrypted_content": sealed})
    for call in answer.calls:
        base: Json = {"call_id": unique("call_"), "name": call.name, "status": "completed"}
        if call.namespace:
            base["namespace"] = call.namespace
        if isinstance(call.arguments, str):
            output.append({"type": "custom_tool_call", "id": unique("ctc_"), "input": call.arguments, **base})
        else:
            output.append({"type": "function_call", "id": unique("fc_"), "arguments": _arguments(call), **base})
    return {
        "id": unique("resp_"),
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "completed",
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "usage": {
            "input_tokens": bill.input,
            "input_tokens_details": {"cached_tokens": bill.read},
            "output_tokens": bill.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": bill.input + bill.output,
        },
    }


def _responses_stream(complete: Json) -> Iterator[Event]:
    sequence = itertools.count()

    def event(kind: str, **fields: object) -> Event:
        return kind, json.dumps({"type": kind, "sequence_number": next(sequence), **fields})

    begun = {**complete, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(complete["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        working = {**item, "status": "in_progress"}
        if item["type"] == "message":
            part = item["content"][0]
            inside = {**place, "content_index": 0}
            yield event("response.output_item.added", output_index=index, item={**working, "content": []})
            yield event("response.content_part.added", **inside, part={**part, "text": ""})
            for piece in _pieces(part["text"]):
                yield event("response.output_text.delta", **inside, delta=piece, logprobs=[])
            yield event("response.output_text.done", **inside, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **inside, part=part)
        elif item["type"] == "compaction":
            yield event("response.output_item.added", output_index=index, item={**item, "encrypted_content": ""})
        else:
            name = "arguments" if item["type"] == "function_call" else "input"
            kind = "function_call_arguments" if name == "arguments" else "custom_tool_call_input"
            yield event("response.output_item.added", output_index=index, item={**working, name: ""})
            for piece in _pieces(item[name]):
                yield event(f"response.{kind}.delta", **place, delta=piece)
            yield event(f"response.{kind}.done", **place, **{name: item[name]})
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=complete)


# Gemini generateContent


def _gemini(answer: Answer, bill: Bill, model: str) -> Json:
    parts: list[Json] = [{"text": answer.text}] if answer.text else []
    for call in answer.calls:
        made = {"functionCall": {"id": unique("call-"), "name": call.name, "args": call.arguments}}
        parts.append({**made, "thoughtSignature": signature()})
    usage = {
        "promptTokenCount": bill.input,
        "candidatesTokenCount": bill.output,
        "totalTokenCount": bill.input + bill.output,
    }
    if bill.read:
        usage["cachedContentTokenCount"] = bill.read
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": unique("response-"),
    }


def _gemini_stream(complete: Json) -> Iterator[Event]:
    candidate = complete["candidates"][0]
    parts: list[Json] = []
    for part in candidate["content"]["parts"]:
        parts += [{"text": piece} for piece in _pieces(part["text"])] if "text" in part else [part]
    for number, part in enumerate(parts, 1):
        piece: Json = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if number == len(parts):
            piece["finishReason"] = candidate["finishReason"]
        yield None, json.dumps({**complete, "candidates": [piece]})


_WHOLE = {"anthropic": _anthropic, "openai-chat": _chat, "openai-responses": _responses, "gemini": _gemini}
_STREAM = {
    "anthropic": _anthropic_stream,
    "openai-chat": _chat_stream,
    "openai-responses": _responses_stream,
    "gemini": _gemini_stream,
}
