"""The answer that a stream brings piece by piece is the one that would have come at once."""

import json
from typing import Any

import pytest

from headroom.wire.events import events, usage_of, whole
from tests.support.agent import SHAPES
from tests.support.answers import Answer, Bill, ToolCall, stream
from tests.support.answers import whole as complete

Json = dict[str, Any]
ANSWER = Answer("Größe 🙂: data: [DONE]\n\n", (ToolCall("look", {"a": 'x"\n', "b": [1]}), ToolCall("none", {})), "Hm.")


def body(shape: str, answer: Json, end: str = "\n") -> bytes:
    lines = []
    for name, data in stream(shape, answer):
        lines += [*([f"event: {name}"] if name else ()), f"data: {data}", ""]
    return end.join([*lines, ""]).encode()


def read(shape: str, answer: bytes) -> Json | None:
    return whole(shape, answer, events(answer))


def said(shape: str, answer: Json) -> object:
    """What the model said in an answer, and what it used, without what only frames it."""
    match shape:
        case "anthropic":
            return answer["content"], answer["stop_reason"], answer["usage"]
        case "openai-chat":
            message = {name: value for name, value in answer["choices"][0]["message"].items() if value is not None}
            return message, answer["choices"][0]["finish_reason"], answer["usage"]
        case "openai-responses":
            return answer["output"], answer["usage"]
    content = answer["candidates"][0]["content"]
    text = "".join(part.get("text", "") for part in content["parts"])
    return text, [part for part in content["parts"] if "text" not in part], answer["usageMetadata"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_pieces_together_are_the_whole(shape: str, end: str) -> None:
    answer = complete(shape, ANSWER, Bill(10, 20, 30, 40), "a-model")
    found = read(shape, body(shape, answer, end))
    assert found is not None and said(shape, found) == said(shape, answer)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_that_is_no_stream_is_itself(shape: str) -> None:
    answer = complete(shape, ANSWER, Bill(10), "a-model")
    assert read(shape, json.dumps(answer, indent=1).encode()) == answer


def test_geminis_list_is_read_as_its_events_are() -> None:
    answer = complete("gemini", ANSWER, Bill(10, output=3), "a-model")
    listed = "[" + "\n,".join(data for _, data in stream("gemini", answer)) + "]\n"
    assert read("gemini", listed.encode()) == read("gemini", body("gemini", answer))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stream_that_broke_off_brings_no_answer(shape: str) -> None:
    pieces = [data for _, data in stream(shape, complete(shape, ANSWER, Bill(10), "a-model"))]
    ends = 3 if shape == "openai-chat" else 1  # the reason why it ended, the usage, and the word that it did
    cut = "".join(f"data: {data}\n\n" for data in pieces[:-ends]).encode()
    assert read(shape, cut) is None
    assert read(shape, cut + b'data: {"type": "error", "error": {"type": "overloaded_error"}}\n\n') is None


def test_what_backends_leave_out_of_the_end_is_taken_from_the_pieces() -> None:
    answer = complete("openai-responses", ANSWER, Bill(10), "a-model")
    lines = []
    for _, data in stream("openai-responses", answer):
        event = json.loads(data)
        if event["type"] == "response.completed":
            event["response"]["output"] = []
        lines.append(f"data: {json.dumps(event)}\n\n")
    assert read("openai-responses", "".join(lines).encode()) == answer


@pytest.mark.parametrize("shape", SHAPES)
def test_the_usage_stands_where_it_is_said_to(shape: str) -> None:
    answer = body(shape, complete(shape, ANSWER, Bill(10, 20, 30, 40), "a-model"))
    found = [usage for event in events(answer) if (usage := usage_of(answer, event))]
    assert found
    for span, figures in found:
        assert json.loads(answer[slice(*span)]) == figures


def test_an_event_that_is_no_json_is_told() -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        events(b'data: {"a":\ndata: 1}\n\n')
