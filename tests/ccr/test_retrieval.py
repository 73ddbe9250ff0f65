"""What was left out comes back: our tool in the request, the model's call, the answer one request later."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from headroom.ccr.deferred import EXPIRED, NO_HASH, UNKNOWN
from headroom.ccr.originals import hash_of
from headroom.ccr.tool import definition
from tests.support.agent import HEADERS, PATHS, SHAPES, Agent, Json, name_of, results, tools
from tests.support.answers import Answer, ToolCall
from tests.support.stage import Stage, stage
from tests.support.standin import Received

ITEMS = json.dumps([{"id": 1000 + i, "name": f"item number {i}", "price": i * 3, "stock": "yes"} for i in range(200)])
OTHER = json.dumps([{"id": 5000 + i, "name": f"thing number {i}", "price": i * 7, "stock": "no"} for i in range(150)])
MINE, THEIRS = hash_of(ITEMS), hash_of(OTHER)
OPTIONS = ("headroom_profile=balanced", "headroom_retrieval=tool", "headroom_tool_profiles=catalogue=normal")
DONE = "Items 168 to 199 cost more than 500."


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("retrieval"), options=OPTIONS) as running:
        yield running


def look(page: str = "1") -> ToolCall:
    return ToolCall("catalogue", {"page": page})


def retrieve(hash: str, **more: object) -> ToolCall:
    return ToolCall("headroom_retrieve", {"hash": hash, **more})


def agent(on: Stage, shape: str, /, *steps: Answer, **fields: object) -> Agent:
    """An agent with a catalogue, and a model that takes the steps one by one, each when the results before it came."""

    def model(shape: str, body: Json) -> Answer:
        left = len(results(shape, body))
        for step in steps:
            if left < len(step.calls):
                return step
            left -= len(step.calls)
        return Answer(DONE)

    on.provider.script = model

    def send(body: bytes) -> Json:
        answer: Json = on.send(body, HEADERS, url=PATHS[shape]).response.raise_for_status().json()
        return answer

    return Agent(shape, {"catalogue": lambda given: OTHER if given.get("page") == "2" else ITEMS}, send, **fields)


def session(on: Stage, agent: Agent, words: str) -> list[Received]:
    """The requests as they reached the provider."""
    before = len(on.provider.received)
    assert agent.ask(words) == DONE
    return on.provider.received[before:]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_original_reaches_the_provider_in_the_next_request_and_stays_there(on: Stage, shape: str) -> None:
    client = agent(on, shape, Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)), Answer(calls=(look("3"),)))
    requests = session(on, client, f"Which cost more than 500? Asked in {shape}.")
    assert len(requests) == 4
    for request in requests:  # the same tool, last, from the first request on
        listed = tools(shape, request.json)
        assert [name_of(tool) for tool in listed] == ["catalogue", "headroom_retrieve"]
        assert request.body.count(definition(shape).encode()) == 1
    shortened = [results(shape, request.json)[0]["text"] for request in requests[1:]]
    assert f"Retrieve more: hash={MINE}]" in shortened[0] and len(set(shortened)) == 1
    for request in requests[2:]:
        given = results(shape, request.json)[1]
        assert given["text"] == ITEMS
        assert given["error"] is False


@pytest.mark.parametrize("shape", SHAPES)
def test_several_retrievals_beside_another_call_in_one_answer(on: Stage, shape: str) -> None:
    unknown = "0" * 24
    client = agent(
        on,
        shape,
        Answer(calls=(look(), look("2"))),
        Answer(calls=(retrieve(THEIRS), look("2"), retrieve(MINE, query="item number 123"), retrieve(unknown))),
    )
    requests = session(on, client, f"Compare the pages. Asked in {shape}.")
    theirs, again, mine, nothing = results(shape, requests[-1].json)[2:]
    assert theirs["text"] == OTHER
    assert again["text"].startswith("[1 line as in headroom_retrieve above: ")  # where it stands in full
    said, *parts = mine["text"].split("\n")
    assert said == "[2 of 200 items, the parts that match best first. The whole: headroom_retrieve with the hash alone]"
    assert parts == [line for n in (41, 123) for line in (f"[item {n + 1}]", json.dumps(json.loads(ITEMS)[n]))]
    assert nothing["text"] == UNKNOWN.format(unknown)
    assert [given["error"] for given in (theirs, mine, nothing)] == [False, False, shape in ("anthropic", "gemini")]


def test_what_expired_is_told_from_what_never_was(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(retrieve("f" * 24), ToolCall("headroom_retrieve", {}))))
    requests = session(on, client, "Nothing was ever left out here.")
    unknown, none = results("anthropic", requests[-1].json)
    assert unknown["text"] == UNKNOWN.format("f" * 24) and unknown["error"] is True
    assert none["text"] == NO_HASH
    assert EXPIRED.format("f" * 24) != unknown["text"]


def test_the_alias_is_answered_too(on: Stage) -> None:
    asked = ToolCall("ccr_retrieve", {"reference": MINE})
    client = agent(on, "openai-chat", Answer(calls=(look(),)), Answer(calls=(asked,)))
    requests = session(on, client, "Which cost more? By another name.")
    assert results("openai-chat", requests[-1].json)[1]["text"] == ITEMS


@pytest.mark.parametrize("shape", SHAPES)
def test_a_proxy_that_was_killed_sends_the_same_again(tmp_path: Path, shape: str) -> None:
    with stage(tmp_path / "killed", options=OPTIONS) as on:
        client = agent(on, shape, Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
        before = session(on, client, "Which cost more than 500?")[-1]
        on.proxy.stop(signal.SIGKILL)
        on.proxy.start()
        after = session(on, client, "And now?")[0]
        assert results(shape, after.json) == results(shape, before.json)
        assert tools(shape, after.json) == tools(shape, before.json)


def test_a_session_under_way_gets_no_tool_and_loses_nothing(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(look(),)))
    client.turns = [{"role": "user", "content": "Begun elsewhere."}, {"role": "assistant", "content": "Yes?"}]
    requests = session(on, client, "Which cost more than 500?")
    for request in requests:
        assert [name_of(tool) for tool in tools("anthropic", request.json)] == ["catalogue"]
    assert "Retrieve more" not in results("anthropic", requests[-1].json)[0]["text"]


CONTEXT = "<session_context>What is the same for every session in this folder.</session_context>"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_session_under_way_keeps_the_tool_from_no_other(on: Stage, shape: str) -> None:
    """Of one program, in one folder, and neither says which session it is."""

    def begun(words: str) -> Agent:
        client = agent(on, shape, Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
        turn = client._said(f"{CONTEXT}{words}")
        if shape == "gemini":
            turn["parts"] = [{"text": CONTEXT}, {"text": words}]
        client.turns = [turn]
        return client

    def listed(requests: list[Received]) -> list[list[str]]:
        return [[name_of(tool) for tool in tools(shape, request.json)] for request in requests]

    elsewhere = begun("It began elsewhere.")
    elsewhere.turns.append(
        {"role": "model", "parts": [{"text": "Yes?"}]}
        if shape == "gemini"
        else {"role": "assistant", "content": "Yes?"}
    )
    assert listed(session(on, elsewhere, "What costs more?")) == [["catalogue"]] * 3
    new = begun("It begins here.")
    assert listed(session(on, new, "What costs more?")) == [["catalogue", "headroom_retrieve"]] * 3
    assert results(shape, on.received.json)[1]["text"] == ITEMS
    assert listed(session(on, elsewhere, "And now?")) == [["catalogue"]]
    assert listed(session(on, new, "And now?")) == [["catalogue", "headroom_retrieve"]]


@pytest.mark.parametrize(
    "fields", [{"tool_choice": {"type": "any"}}, {"tools": []}, {"output_config": {"format": {"type": "json_schema"}}}]
)
def test_a_request_whose_model_is_not_free_to_ask_gets_no_tool(on: Stage, fields: Json) -> None:
    client = agent(on, "anthropic", **fields)
    (request,) = session(on, client, f"Asked with {json.dumps(fields)}.")
    assert b"headroom_retrieve" not in request.body


@pytest.mark.parametrize("shape", SHAPES)
def test_a_retrieval_that_the_client_dropped_stays_dropped(on: Stage, shape: str) -> None:
    client = agent(on, shape, Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
    session(on, client, f"Which cost more than 500? Then clear it. Asked in {shape}.")
    cleared = "[Old tool result content cleared]"
    error = json.dumps(client._run("headroom_retrieve", {})[0])
    client.turns = json.loads(json.dumps(client.turns).replace(error, json.dumps(cleared)))
    (request,) = session(on, client, "And now?")
    assert results(shape, request.json)[1]["text"] == cleared


@pytest.mark.parametrize("shape", SHAPES)
def test_where_the_client_sums_up_what_stood_before_a_marker_the_tool_stays(on: Stage, shape: str) -> None:
    """Nothing else says which session it is."""
    client = agent(on, shape, Answer(calls=(look(),)))
    before = session(on, client, f"Which cost more than 500? Then sum up. Asked in {shape}.")[-1]
    client.turns[:1] = [client._said(f"[The user wanted to know in {shape} what costs more than 500.]")]
    (request,) = session(on, client, "And now?")
    assert tools(shape, request.json) == tools(shape, before.json)
    assert f"hash={MINE}]" in results(shape, request.json)[0]["text"]
    assert results(shape, request.json) == results(shape, before.json)


def test_a_history_that_begins_anew_with_a_summary_gets_the_tool_anew(on: Stage) -> None:
    """Gemini CLI's, after it was resumed: its system prompt is another one then."""
    client = agent(on, "gemini", Answer(calls=(look(),)))
    client.turns = [
        client._said("<state_snapshot>The user wants to know what costs more than 500.</state_snapshot>"),
        {"role": "model", "parts": [{"text": "Got it. Thanks for the additional context!"}]},
    ]
    for request in session(on, client, "And now?"):
        assert [name_of(tool) for tool in tools("gemini", request.json)] == ["catalogue", "headroom_retrieve"]
    assert f"hash={MINE}]" in results("gemini", on.received.json)[0]["text"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sub_agent_that_was_told_a_hash_can_ask_for_it(on: Stage, shape: str) -> None:
    session(on, agent(on, shape, Answer(calls=(look(),))), f"Which cost more? The parent asks in {shape}.")
    helper = agent(on, shape, Answer(calls=(retrieve(MINE),)))
    requests = session(on, helper, f"You are a helper. Look at what has the hash {MINE}.")
    assert results(shape, requests[-1].json)[0]["text"] == ITEMS


def test_a_sub_agent_of_codex_has_the_tool_from_its_first_request_on(on: Stage) -> None:
    """Its task is no message: it comes from another agent."""
    own = {"type": "function", "name": "catalogue", "parameters": {"type": "object"}}
    task = {"type": "agent_message", "content": [{"type": "encrypted_content", "encrypted_content": "bG9vaw=="}]}
    body: Json = {
        "model": "gpt-5",
        "store": False,
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [own]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>"}]},
            task,
        ],
    }
    headers = {**HEADERS, "session-id": "0199-sub-agent"}
    on.send(json.dumps(body).encode(), headers, url=PATHS["openai-responses"]).response.raise_for_status()
    listed, *others = on.received.json["input"]
    assert [name_of(tool) for tool in listed["tools"]] == ["catalogue", "headroom_retrieve"]
    assert others == body["input"][1:]


def test_what_a_server_of_the_client_answered_stays(on: Stage) -> None:
    """Codex calls it by the same name, in another namespace."""
    call = {
        "type": "function_call",
        "call_id": "call_1",
        "name": "headroom_retrieve",
        "arguments": json.dumps({"hash": MINE}),
    }
    output = [{"type": "input_text", "text": "Wall time: 0.1 seconds\nOutput:"}, {"type": "input_text", "text": "[]"}]
    body: Json = {
        "model": "gpt-5",
        "tools": [{"type": "function", "name": "catalogue", "parameters": {"type": "object"}}],
        "input": [
            {"role": "user", "content": "Look at it."},
            {**call, "namespace": "mcp__headroom"},
            {"type": "function_call_output", "call_id": "call_1", "output": output},
        ],
    }
    on.send(json.dumps(body).encode(), HEADERS, url=PATHS["openai-responses"]).response.raise_for_status()
    assert on.received.json["input"] == body["input"]


def test_the_price_of_the_tool_and_of_what_came_back_is_in_the_ledger(on: Stage) -> None:
    client = agent(on, "anthropic", Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
    client.send = lambda body: dict((sent := on.send(body, HEADERS)).response.json(), project=sent.project)
    client.ask("Which cost more than 500? And what did that cost?")
    rows = [on.rows(answer["project"])[0] for answer in client.answers]
    assert rows[0].saved_by_strategy["retrieval tool"] < 0 and rows[0].tokens_before < rows[0].tokens_after
    assert rows[1].tokens_before > rows[1].tokens_after
    assert rows[2].saved_by_strategy["retrieved"] < -3000


def test_without_responses_there_is_no_tool(tmp_path: Path) -> None:
    with stage(tmp_path / "without", options=(*OPTIONS, "headroom_ccr_responses=false")) as on:
        client = agent(on, "anthropic", Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)))
        requests = session(on, client, "Which cost more than 500?")
        assert b'"name": "headroom_retrieve", "description"' not in requests[-1].body
        assert [name_of(tool) for tool in tools("anthropic", requests[-1].json)] == ["catalogue"]
        shortened, answered = results("anthropic", requests[-1].json)
        assert "Retrieve more" not in shortened["text"]
        assert answered["error"] is True and "No such tool available" in answered["text"]
