"""Calls of our tool answered within the exchange, for programs that don't loop on tool calls: a follow-up request, and
one answer of several, as a stream where the program asked for one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from headroom.ccr.ways import OURS
from headroom.wire.events import Event, events, usage_of, whole
from headroom.wire.layout import Layout
from headroom.wire.openai_responses import OWN
from headroom.wire.spans import Patch, splice

ROUNDS = 3
"""Follow-up requests for one answer at most; after that the model's call goes to the program."""

type Json = dict[str, Any]


class Call(NamedTuple):
    """A call in an answer."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its bytes, decoded, what they say one after the other, and all of that together."""

    body: bytes
    events: tuple[Event, ...] = ()
    answer: Json | None = None
    """None where it can't be read, broke off or ended in an error."""


def read_answer(shape: str, body: bytes) -> Said:
    """Read an answer, whole or a stream. It never raises."""
    try:
        said = tuple(events(body))
        return Said(body, said, whole(shape, body, said))
    except (ValueError, LookupError, TypeError, AttributeError):
        return Said(body)


def our_calls(shape: str, answer: object) -> list[Call]:
    """The calls of an answer where all of them are calls of our tool; none otherwise, or where it can't be read."""
    try:
        calls = _CALLS[shape](answer)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return []
    return calls if all(call.name in OURS for call in calls) else []


def follow_up(layout: Layout, answer: Json, results: Sequence[tuple[Call, str]]) -> bytes:
    """The request with the answer and the results of its calls at the end of the conversation; nothing else changes."""
    turns = _TURNS[layout.shape](answer, results)
    at = layout.turns[-1].span.end
    added = "".join("," + json.dumps(turn, ensure_ascii=False, separators=(",", ":")) for turn in turns)
    return splice(layout.body, [Patch(at, at, added.encode("utf-8", "surrogatepass"))])


def with_usage_of(last: Said, before: Sequence[Json]) -> bytes:
    """The last answer as it came, but for its usage: there is what all of them used."""
    used: Json = {}
    for answer in before:
        used = _sum(answer.get("usage") or answer.get("usageMetadata") or {}, used)
    patches = []
    for event in last.events:
        found = usage_of(last.body, event)
        if found is not None and used:
            span, figures = found
            total = _sum(figures, _told(event.value, figures, used))
            patches.append(Patch(*span, json.dumps(total, separators=(",", ":")).encode()))
    return splice(last.body, patches)


def _told(event: Json, figures: Json, used: Json) -> Json:
    """What of ``used`` an event has to tell: Anthropic's streams begin with all but the output, and end with what has
    changed since."""
    match event.get("type"):
        case "message_start":
            return {name: value for name, value in used.items() if name != "output_tokens"}
        case "message_delta":
            return {name: value for name, value in used.items() if name in figures}
    return used


def _sum(one: Json, other: Json) -> Json:
    found = dict(one)
    for name, value in other.items():
        mine = found.get(name)
        if isinstance(value, dict):
            found[name] = _sum(mine if isinstance(mine, dict) else {}, value)
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = value + (mine if isinstance(mine, int) else 0)
        else:
            found.setdefault(name, value)
    return found


def _arguments(said: object) -> Mapping[str, object]:
    value = json.loads(said) if isinstance(said, str) else said
    return value if isinstance(value, dict) else {}


def _anthropic_calls(answer: Any) -> list[Call]:
    made = [block for block in answer["content"] if block["type"].endswith("tool_use")]
    return [Call(block["id"], block["name"], _arguments(block["input"])) for block in made]


def _chat_calls(answer: Any) -> list[Call]:
    (choice,) = answer["choices"]
    made = choice["message"].get("tool_calls") or ()
    return [Call(call["id"], call["function"]["name"], _arguments(call["function"]["arguments"])) for call in made]


def _responses_calls(answer: Any) -> list[Call]:
    made = [item for item in answer["output"] if item["type"].endswith("_call")]
    return [Call(item["call_id"], _named(item), _arguments(item["arguments"])) for item in made]


def _named(item: Json) -> str:
    """The name of a tool, with that of the server that has it."""
    server = item.get("namespace") or OWN
    return str(item["name"]) if server == OWN else f"{server}__{item['name']}"


def _gemini_calls(answer: Any) -> list[Call]:
    (candidate,) = answer["candidates"]
    made = [part["functionCall"] for part in candidate["content"]["parts"] if "functionCall" in part]
    return [Call(call.get("id", ""), call["name"], _arguments(call.get("args"))) for call in made]


def _anthropic_turns(answer: Json, results: Sequence[tuple[Call, str]]) -> list[Json]:
    given = [
        {"type": "tool_result", "tool_use_id": call.id, "content": text, "is_error": False} for call, text in results
    ]
    return [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": given}]


def _chat_turns(answer: Json, results: Sequence[tuple[Call, str]]) -> list[Json]:
    given = [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results]
    return [answer["choices"][0]["message"], *given]


def _responses_turns(answer: Json, results: Sequence[tuple[Call, str]]) -> list[Json]:
    given = [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in results]
    return [*answer["output"], *given]


def _gemini_turns(answer: Json, results: Sequence[tuple[Call, str]]) -> list[Json]:
    given = [
        {"functionResponse": {**({"id": call.id} if call.id else {}), "name": call.name, "response": {"output": text}}}
        for call, text in results
    ]
    return [answer["candidates"][0]["content"], {"role": "user", "parts": given}]


_CALLS: Mapping[str, Callable[[Any], list[Call]]] = {
    "anthropic": _anthropic_calls,
    "openai-chat": _chat_calls,
    "openai-responses": _responses_calls,
    "gemini": _gemini_calls,
}
_TURNS: Mapping[str, Callable[[Json, Sequence[tuple[Call, str]]], list[Json]]] = {
    "anthropic": _anthropic_turns,
    "openai-chat": _chat_turns,
    "openai-responses": _responses_turns,
    "gemini": _gemini_turns,
}
