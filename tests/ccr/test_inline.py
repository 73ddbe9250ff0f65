"""A call of our tool is answered before a program sees it that does not loop on tool calls."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headroom.ccr.inline import ROUNDS, our_calls, read_answer
from headroom.wire.events import usage_of
from tests.ccr.test_retrieval import DONE, ITEMS, MINE, OPTIONS, agent, look, retrieve
from tests.support.agent import HEADERS, PATHS, SHAPES, results
from tests.support.answers import Answer
from tests.support.stage import Sent, Stage, stage


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("inline"), options=(*OPTIONS, "headroom_ccr_inline=true")) as running:
        yield running


@pytest.mark.parametrize("shape", SHAPES)
def test_the_program_sees_one_ordinary_answer(on: Stage, shape: str) -> None:
    client = agent(on, shape, Answer(calls=(look(),)), Answer("Left out.", calls=(retrieve(MINE),)))
    before = len(on.provider.received)
    assert client.ask(f"Which cost more than 500? Answered within, {shape}.") == DONE
    requests = on.provider.received[before:]
    assert len(client.answers) == 2 and len(requests) == 3
    assert b"headroom_retrieve" not in json.dumps(client.answers).encode()
    given = results(shape, requests[2].json)
    assert [one["text"] for one in given[1:]] == [ITEMS]
    same = results(shape, requests[1].json)[0]
    assert given[0] == same and "Retrieve more" in same["text"]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_all_answers_used_is_billed_and_told(on: Stage, shape: str) -> None:
    client = agent(on, shape, Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
    client.send = lambda body: dict((sent := on.send(body, HEADERS, url=PATHS[shape])).response.json(), p=sent.project)
    before = len(on.provider.received)
    client.ask(f"Which cost more than 500? And the bill, {shape}.")
    bills = [request.bill for request in on.provider.received[before + 1 :]]
    row = on.rows(client.answers[1]["p"])[0]
    assert row.usage is not None and row.usage.total_input == sum(bill.input for bill in bills)
    assert row.usage.output_tokens == sum(bill.output for bill in bills)
    assert row.reason == "1 retrieval answered within the exchange"


def test_a_call_of_another_tool_beside_it_leaves_the_answer_as_it_came(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(look(),)), Answer(calls=(retrieve(MINE), look("2"))))
    assert client.ask("Compare the pages, within.") == DONE
    assert "headroom_retrieve" in json.dumps(client.answers[1])


def test_a_model_that_asks_again_and_again_is_answered_three_times(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(look(),)), *[Answer(calls=(retrieve(MINE),))] * (ROUNDS + 1))
    before = len(on.provider.received)
    assert client.ask("Which cost more than 500? Again and again.") == DONE
    assert len(client.answers) == 3 and len(on.provider.received) - before == 1 + 2 * (1 + ROUNDS)
    assert "headroom_retrieve" in json.dumps(client.answers[1])  # and now the program is told


def text_of(shape: str, answer: dict[str, Any]) -> str:
    if shape == "gemini":
        return "".join(part.get("text", "") for part in answer["candidates"][0]["content"]["parts"])
    return json.dumps(answer)


def streamed(on: Stage, shape: str, words: str, *steps: Answer) -> Sent:
    """The answer to a streaming request of an agent whose model has just seen that something was left out."""
    client = agent(on, shape, Answer(calls=(look(),)), *steps)
    client.ask(words)
    del client.turns[3:]
    url = PATHS[shape]
    asked = json.loads(client.body())
    if shape == "gemini":
        url = url.replace(":generateContent", ":streamGenerateContent?alt=sse")
    else:
        asked["stream"] = True
    if shape == "openai-chat":
        asked["stream_options"] = {"include_usage": True}
    return on.send(json.dumps(asked).encode(), HEADERS, url=url)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_program_sees_one_ordinary_stream(on: Stage, shape: str) -> None:
    asks = Answer("Left out.", calls=(retrieve(MINE),), thinking="What is there?")
    before = len(on.provider.received)
    sent = streamed(on, shape, f"Which cost more than 500? Streamed, {shape}.", asks, asks)
    requests = on.provider.received[before:]
    assert sent.response.headers["content-type"].startswith("text/event-stream")
    assert "headroom_retrieve" not in sent.response.text
    said = read_answer(shape, sent.response.content)
    assert said.answer is not None and DONE in text_of(shape, said.answer)
    rounds = requests[-3:]  # the question, and a follow-up for each retrieval
    assert [ITEMS in [one["text"] for one in results(shape, request.json)] for request in rounds] == [0, 1, 1]
    if shape == "anthropic":
        (thinking,) = [b for b in rounds[1].json["messages"][-2]["content"] if b["type"] == "thinking"]
        assert thinking["thinking"] == "What is there?" and thinking["signature"].encode() in rounds[0].answer
    if shape == "gemini":
        call = next(part for part in rounds[1].json["contents"][-2]["parts"] if "functionCall" in part)
        assert call["thoughtSignature"].encode() in rounds[0].answer
    # but for the figures of its usage it is the last answer's stream
    used = [usage for event in said.events if (usage := usage_of(said.body, event))]
    last = read_answer(shape, rounds[-1].answer)
    assert [event.value.keys() for event in said.events] == [event.value.keys() for event in last.events]
    bills = [request.bill for request in rounds]
    row = on.rows(sent.project)[0]
    assert used and row.usage is not None and row.reason == "2 retrievals answered within the exchange"
    assert row.usage.total_input == sum(bill.input for bill in bills)
    assert row.usage.output_tokens == sum(bill.output for bill in bills)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stream_that_calls_nothing_of_ours_passes_byte_for_byte(on: Stage, shape: str) -> None:
    for steps in ((), (Answer("Both.", calls=(retrieve(MINE), look("2"))),)):
        sent = streamed(on, shape, f"Which cost more than 500? {len(steps)} calls, {shape}.", *steps)
        assert sent.response.content == on.received.answer


def test_a_follow_up_that_fails_leaves_the_stream_as_it_came(on: Stage) -> None:
    asks = Answer("Left out.", calls=(retrieve(MINE),))
    for failure in (Answer("Too much.", status=529), Answer("No more.", cut_after=4)):
        client = agent(on, "anthropic", Answer(calls=(look(),)))
        client.ask(f"Which cost more than 500? And then {failure.text}")
        del client.turns[3:]
        on.provider.script = lambda shape, body, failure=failure: (  # type: ignore[misc]
            failure if len(results(shape, body)) > 1 else asks
        )
        body = json.dumps({**json.loads(client.body()), "stream": True}).encode()
        before = len(on.provider.received)
        sent = on.send(body, HEADERS)
        assert sent.response.content == on.provider.received[before].answer
        assert "headroom_retrieve" in sent.response.text


def test_a_stream_that_breaks_off_while_it_is_held_back_is_an_error(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(look(),)))
    client.ask("Which cost more than 500? And break off.")
    del client.turns[3:]
    on.provider.script = lambda shape, body: Answer("No more.", cut_after=4)
    body = json.dumps({**json.loads(client.body()), "stream": True}).encode()
    assert on.send(body, HEADERS).response.status_code == 502


def test_a_call_of_a_server_of_the_client_is_not_ours() -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "headroom_retrieve", "arguments": "{}"}
    for namespace, count in (("mcp__headroom", 0), ("functions", 1)):
        answer = {"output": [{**call, "namespace": namespace}]}
        assert len(our_calls("openai-responses", answer)) == count


def test_an_answer_that_cannot_be_read_calls_nothing() -> None:
    for answer in ({}, None, {"content": [{"type": "text", "text": "Yes."}]}, {"content": [{"type": "tool_use"}]}):
        assert our_calls("anthropic", answer) == []
