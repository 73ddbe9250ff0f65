"""A call of our tool is answered before a program sees it that does not loop on tool calls."""

import json
from collections.abc import Iterator

import pytest

from headroom.ccr.inline import ROUNDS, our_calls
from tests.ccr.test_retrieval import DONE, ITEMS, MINE, OPTIONS, agent, look, retrieve
from tests.support.agent import HEADERS, PATHS, SHAPES, results
from tests.support.answers import Answer
from tests.support.stage import Stage, stage


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


def test_a_stream_passes_as_it_comes(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
    client.ask("Which cost more than 500? As a stream.")
    del client.turns[3:]
    body = json.dumps({**json.loads(client.body()), "stream": True}).encode()
    sent = on.send(body, HEADERS)
    assert sent.response.headers["content-type"].startswith("text/event-stream")
    assert "headroom_retrieve" in sent.response.text


def test_an_answer_that_cannot_be_read_calls_nothing() -> None:
    for answer in ({}, None, {"content": [{"type": "text", "text": "Yes."}]}, {"content": [{"type": "tool_use"}]}):
        assert our_calls("anthropic", answer) == []
