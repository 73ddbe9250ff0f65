"""What ``previous_response_id`` stands for on a WebSocket."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.wire.chain import Chain
from headroom.wire.spans import Patch, splice
from tests.support.answers import Answer, Bill, ToolCall, stream, whole

Json = dict[str, Any]
CALL = ToolCall("exec_command", {"cmd": "cat a.py"})


def answered(chain: Chain, *answer: Answer) -> Json:
    """The provider answers the request that was asked; the answer as a whole."""
    complete = whole("openai-responses", answer[0] if answer else Answer("Aha.", (CALL,)), Bill(), "gpt-5.1-codex")
    for _, data in stream("openai-responses", complete):
        chain.hear(data.encode())
    return complete


def message(items: list[Json], previous: str | None = None, **fields: object) -> Json:
    chained = {} if previous is None else {"previous_response_id": previous}
    return {"type": "response.create", "model": "m", **chained, "input": items, **fields}


def asked(chain: Chain, body: Json) -> Json | None:
    """The whole of a request."""
    found = chain.ask(json.dumps(body).encode())
    return None if found is None else json.loads(found.body)


FIRST: list[Json] = [{"role": "user", "content": "Look."}]
NEXT: list[Json] = [{"type": "function_call_output", "call_id": "c", "output": "ä 1\n"}]


def test_a_request_that_goes_on_is_seen_with_all_that_was_said_before() -> None:
    chain = Chain()
    assert asked(chain, message(FIRST)) is None, "it says all by itself"
    one = answered(chain)
    found = asked(chain, message(NEXT, one["id"], tools=[]))
    assert found == {**message([*FIRST, *one["output"], *NEXT], tools=[]), "previous_response_id": None}
    two = answered(chain, Answer("Done."))
    found = asked(chain, message([], two["id"]))
    assert found and found["input"] == [*FIRST, *one["output"], *NEXT, *two["output"]]


def test_a_request_that_goes_on_from_nothing_says_all_by_itself() -> None:
    """Codex opens its WebSocket with an empty request."""
    chain = Chain()
    asked(chain, message([], generate=False))
    one = answered(chain, Answer())
    assert asked(chain, message(FIRST, one["id"])) == {**message(FIRST, one["id"]), "previous_response_id": None}


def test_a_request_that_begins_anew_forgets_what_was_said() -> None:
    chain = Chain()
    asked(chain, message(FIRST))
    answered(chain)
    assert asked(chain, message(NEXT)) is None
    two = answered(chain, Answer("Done."))
    found = asked(chain, message(FIRST, two["id"]))
    assert found and found["input"] == [*NEXT, *two["output"], *FIRST]


@pytest.mark.parametrize(
    "body",
    [
        message(NEXT, "resp_of_another_connection"),
        message(NEXT, "") | {"previous_response_id": 7},
        {"type": "response.create", "input": "text", "previous_response_id": "x"},
        {"type": "response.create", "previous_response_id": "x"},
    ],
)
def test_what_was_not_seen_is_not_made_up(body: Json) -> None:
    chain = Chain()
    assert asked(chain, body) is None
    later = answered(chain)
    assert asked(chain, message(NEXT, later["id"])) is None, "nor what follows on it"


def test_a_broken_message_is_not_read() -> None:
    assert Chain().ask(b'{"input": [') is None
    assert Chain().ask(b'{"input": [], "input": []}') is None


def test_what_the_model_thought_is_left_out_and_a_compaction_ends_the_conversation() -> None:
    chain = Chain()
    asked(chain, message(FIRST))
    thought = {"type": "response.output_item.done", "item": {"type": "reasoning", "encrypted_content": "x" * 99}}
    chain.hear(json.dumps(thought).encode())
    one = answered(chain)
    found = asked(chain, message(NEXT, one["id"]))
    assert found and found["input"] == [*FIRST, *one["output"], *NEXT]
    compacted = {"type": "response.output_item.done", "item": {"type": "compaction", "encrypted_content": "x"}}
    chain.hear(json.dumps(compacted).encode())
    two = answered(chain)
    assert asked(chain, message(NEXT, two["id"])) is None


def test_only_the_last_answers_can_be_gone_on_from() -> None:
    chain, ids = Chain(), []
    for _ in range(4):
        asked(chain, message(FIRST))
        ids.append(answered(chain)["id"])
    assert [asked(chain, message(NEXT, name)) is not None for name in reversed(ids)] == [True, True, False, False]


WORDS = st.lists(st.text('aä"\\\n', max_size=5), max_size=3)


@given(before=st.booleans(), spaces=st.sampled_from(["", " ", "\n  "]), items=WORDS, history=WORDS)
def test_a_patch_of_the_whole_lands_in_its_place_in_the_message(
    before: bool, spaces: str, items: list[str], history: list[str]
) -> None:
    chain = Chain()
    asked(chain, message([{"role": "user", "content": text} for text in history]))
    name = answered(chain)["id"]
    own = {"input": [{"role": "user", "content": text} for text in items]}
    chained = {"previous_response_id": name}
    fields: Json = chained | own if before else own | chained
    body = json.dumps({"first": "A", **fields, "last": "Z"}, separators=("," + spaces, ":" + spaces)).encode()
    found = chain.ask(body)
    assert found is not None
    start, end = found.history
    patches = [Patch(at, at + 1, b"<%d>" % at) for at in range(len(found.body)) if found.body[at : at + 1] in b"A{Z"]
    outside = [patch for patch in patches if not start <= patch.start < end]
    cut = [Patch(start, end, b""), Patch(at := found.body.index(b"null"), at + 4, json.dumps(name).encode())]
    assert splice(found.body, cut) == body
    assert splice(found.body, [*outside, *cut]) == splice(body, found.own(patches))
