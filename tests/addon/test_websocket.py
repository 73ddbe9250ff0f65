"""Codex's WebSocket, on which a request says only what is new: it becomes what it would in one that says everything."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.answers import Answer, ToolCall
from tests.support.codex import URL, websocket
from tests.support.coding import COMMAND_REFERENCE, source
from tests.support.stage import Stage, stage

Json = dict[str, Any]
Ask = Callable[..., Json]
CALLS = ("cat handler.py", "cat other.py", "cat handler.py", "cat handler.py")


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("websocket")) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(on: Stage) -> None:
    calls = iter(CALLS)

    def script(shape: str, body: Json) -> Answer:
        command = next(calls, None)
        return Answer("Done.") if command is None else Answer("", (ToolCall("exec_command", {"cmd": command}),))

    on.provider.script = script
    on.provider.received.clear()


def headers(session: str) -> dict[str, str]:
    return {"session_id": session, "originator": "codex_exec", "x-headroom-project": session}


@contextlib.contextmanager
def codex(on: Stage, session: str) -> Iterator[Ask]:
    """A connection: a function that sends items, on top of an answer if one is named, and gives back the answer."""
    with websocket(on, headers(session)) as send:

        def ask(items: list[Json], previous: str | None = None, **fields: object) -> Json:
            chained = {"previous_response_id": previous} if previous else {}
            events = send({"type": "response.create", "model": "gpt-5.1-codex", "input": items, **chained, **fields})
            complete: Json = events[-1]["response"]
            return complete

        yield ask


def outputs(answer: Json) -> list[Json]:
    """What the client's tools give back for an answer."""
    return [
        {
            "type": "function_call_output",
            "call_id": item["call_id"],
            "output": source(json.loads(item["arguments"])["cmd"].split()[1].removesuffix(".py")),
        }
        for item in answer["output"]
        if item["type"] == "function_call"
    ]


def task() -> list[Json]:
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look at all files."}]}]


def play(on: Stage, session: str, **fields: object) -> list[Json]:
    """A session that says only what is new; gives back all of its items as the client has them."""
    with codex(on, session) as ask:
        items, new, previous = list[Json](), task(), None
        while new:
            answer = ask(new, previous, **fields)
            items += [*new, *answer["output"]]
            new, previous = outputs(answer), answer["id"]
    return items


def held(on: Stage) -> list[str]:
    """The outputs that the provider got, in the order in which they came."""
    return [
        item["output"]
        for received in on.provider.received
        for item in received.json["input"]
        if item["type"] == "function_call_output"
    ]


def test_a_request_that_says_only_what_is_new_refers_to_what_was_said_before(on: Stage) -> None:
    session = on.new_project()
    items = play(on, session)
    received = on.provider.received
    assert len(received) == len(CALLS) + 1
    assert all("previous_response_id" in one.json for one in received[1:])
    assert all(len(one.json["input"]) == 1 for one in received), "nothing is sent that the client did not send"
    first, other, again, once_more = held(on)
    assert [COMMAND_REFERENCE in text for text in (first, other, again, once_more)] == [False, False, True, True]
    assert len(again) < 300 > len(once_more)
    rows = on.rows(session, 5)
    assert [row.outcome for row in rows[3:]] == ["rewritten"] * 2
    assert rows[-1].tokens_saved > 1000, "what the provider has in fewer tokens is in every later request"
    assert items[-1]["role"] == "assistant"


def test_a_connection_that_is_made_again_sends_the_same_bytes(on: Stage) -> None:
    session = on.new_project()
    items = play(on, session)
    before = held(on)
    on.provider.received.clear()
    on.provider.script = lambda shape, body: Answer("Done.")
    with codex(on, session) as ask:
        ask([*items, *task()])
    assert held(on) == before
    on.move(on.workspace.parent / "elsewhere")
    on.move(on.workspace.parent / "workspace")  # as after a restart
    on.provider.received.clear()
    with codex(on, session) as ask:
        ask([*items, *task()])
    assert held(on) == before


def test_the_same_session_over_http_becomes_the_same(on: Stage) -> None:
    items = play(on, on.new_project())
    over_websocket = held(on)
    on.provider.script = lambda shape, body: Answer("Done.")
    session, before = on.new_project(), []
    for end in range(1, len(items)):
        if items[end - 1]["type"] == "function_call_output":
            body = json.dumps({"model": "gpt-5.1-codex", "input": [*task(), *items[1:end]]}).encode()
            on.send(body, headers(session), url=f"https://{URL}")
    before = [i["output"] for i in on.received.json["input"] if i["type"] == "function_call_output"]
    assert before == over_websocket


@pytest.mark.parametrize(
    "fields",
    [{"context_management": [{"type": "compaction", "compact_threshold": 1000}]}, {"truncation": "auto"}],
    ids=["compaction", "truncation"],
)
def test_nothing_refers_to_what_the_provider_may_drop(on: Stage, fields: Json) -> None:
    play(on, on.new_project(), **fields)
    assert len(held(on)) == len(CALLS) and not any(COMMAND_REFERENCE in text for text in held(on))


def test_an_answer_that_was_not_seen_is_not_referred_to(on: Stage) -> None:
    """The client goes on from an answer of a connection that is gone, as if the provider still knew it."""
    session = on.new_project()
    with codex(on, session) as ask:
        one = ask(task())
        two = ask(outputs(one), one["id"])
    with codex(on, session) as ask:
        three = ask([*outputs(two)], two["id"])
        ask(outputs(three), three["id"])
    assert not any(COMMAND_REFERENCE in text for text in held(on))
