"""Programs whose conversation stays at the provider: a request names the answer that it goes on from (Responses)."""

import json
from collections.abc import Iterator

import pytest

from headroom.ccr.tool import definition
from tests.ccr.test_retrieval import ITEMS, MINE, look, retrieve
from tests.support.agent import HEADERS, PATHS, Json
from tests.support.answers import Answer
from tests.support.stage import Stage, stage

OWN = {"type": "function", "name": "catalogue", "parameters": {"type": "object"}}
PRINTS = {"catalogue": ITEMS, "headroom_retrieve": "unknown tool"}


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    options = ("headroom_profile=max", "headroom_retrieval=tool")
    with stage(tmp_path_factory.mktemp("going_on"), options=options) as running:
        yield running


def answer_to(on: Stage, body: Json) -> tuple[str, Json]:
    """The project of a request, and its answer."""
    sent = on.send(json.dumps(body).encode(), HEADERS, url=PATHS["openai-responses"])
    said = sent.response.raise_for_status()
    if not body.get("stream"):
        return sent.project, dict(said.json())
    events = [json.loads(line.removeprefix("data: ")) for line in said.text.splitlines() if line.startswith("data: ")]
    return sent.project, dict(events[-1]["response"])


@pytest.mark.parametrize("stream", [False, True])
def test_it_has_the_tool_in_each_request_and_its_calls_are_answered(on: Stage, stream: bool) -> None:
    steps = iter([Answer(calls=(look(),)), Answer(calls=(retrieve(MINE),)), Answer("Number 168 and on.")])
    on.provider.script = lambda shape, body: next(steps)
    fields = {"model": "gpt-5", "instructions": "You work.", "tools": [OWN], "stream": stream}
    project, answer = answer_to(on, {**fields, "input": [{"role": "user", "content": f"Which cost more? {stream}"}]})
    projects, received = [project], [on.received.json]
    while calls := [item for item in answer["output"] if item["type"] == "function_call"]:
        results = [
            {
                "type": "function_call_output",
                "call_id": one["call_id"],
                "output": PRINTS[one["name"]],
            }
            for one in calls
        ]
        project, answer = answer_to(on, {**fields, "previous_response_id": answer["id"], "input": results})
        projects.append(project)
        received.append(on.received.json)
    assert [len(request["tools"]) for request in received] == [2, 2, 2]
    assert all(request["tools"][1] == json.loads(definition("openai-responses")) for request in received)
    assert f"Retrieve more: hash={MINE}]" in received[1]["input"][0]["output"]
    assert received[2]["input"][0]["output"] == ITEMS
    assert len({row.session for project in projects for row in on.rows(project)}) == 1


def test_an_answer_that_nobody_knows_begins_nothing(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("Yes.")
    fields = {"model": "gpt-5", "tools": [OWN], "previous_response_id": "resp_of_another_proxy"}
    answer_to(on, {**fields, "input": [{"role": "user", "content": "And now?"}]})
    assert on.received.json["tools"] == [OWN]
