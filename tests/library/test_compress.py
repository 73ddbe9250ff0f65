"""compress(): the proxy's pipeline as a pure function over messages."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom import CompressResult, ValidationError, compress, compression
from headroom.cache import CacheSettings
from headroom.compression import PROVIDERS
from headroom.engine import Engine, RawRequest
from headroom.messages import LIST, dumps
from headroom.session.memory import RamMemory
from tests.library.conversations import MODELS, SHAPES, STEPS, Step, code, log, messages, rows


def through_the_proxy(shape: str, turns: list[list[Any]]) -> list[list[Any]]:
    """What the proxy's engine makes of a conversation whose requests come one after another."""
    engine, sent = Engine(RamMemory(), CacheSettings(enabled=False)), []
    for turn in turns:
        body = dumps({"model": MODELS[shape], LIST[shape]: turn})
        raw = RawRequest(PROVIDERS[shape], shape, "", {}, body, MODELS[shape])
        sent.append(json.loads(engine.rewrite(raw).body)[LIST[shape]])
    return sent


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SHAPES), STEPS)
def test_a_program_sends_the_bytes_that_the_proxy_would_have_sent(shape: str, steps: list[Step]) -> None:
    turns = [messages(shape, steps[:count]) for count in range(len(steps) + 1)]
    ours = [compress(turn, MODELS[shape]).messages for turn in turns]
    assert [dumps(turn) for turn in ours] == [dumps(turn) for turn in through_the_proxy(shape, turns)]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SHAPES), STEPS)
def test_what_was_sent_is_written_the_same_in_every_later_turn(shape: str, steps: list[Step]) -> None:
    before: list[Any] = []
    for count in range(len(steps) + 1):
        now = compress(messages(shape, steps[:count]), MODELS[shape]).messages
        assert now[: len(before)] == before
        before = now


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SHAPES), STEPS)
def test_the_messages_that_are_given_are_never_changed(shape: str, steps: list[Step]) -> None:
    given_messages = messages(shape, steps)
    kept = copy.deepcopy(given_messages)
    first, second = compress(given_messages, MODELS[shape]), compress(given_messages, MODELS[shape])
    assert given_messages == kept
    assert first == second


@pytest.mark.parametrize("shape", SHAPES)
def test_long_output_gets_shorter_in_every_shape(shape: str) -> None:
    steps = [
        Step("mcp__shop__orders", {}, rows(60)),
        Step("Bash", {"command": "tail log"}, log(80)),
        Step("Read", {"file_path": "/shop/price.py"}, code(60)),
        Step("Bash", {"command": "cat /shop/price.py"}, code(60)),
    ]
    given_messages = messages(shape, steps)
    result = compress(given_messages, MODELS[shape])
    assert result.compression_ratio > 0.3
    assert result.tokens_saved == result.tokens_before - result.tokens_after
    assert result.compression_ratio == round(result.tokens_saved / result.tokens_before, 4)
    assert "json" in result.transforms_applied
    assert len(result.messages) == len(given_messages)


def test_messages_that_did_not_change_are_the_callers_own_objects() -> None:
    given_messages = messages("anthropic", [Step("mcp__x", {}, rows(50)), Step("Bash", {"command": "x"}, "ok")])
    result = compress(given_messages)
    same = [ours is theirs for ours, theirs in zip(result.messages, given_messages, strict=True)]
    assert same == [True, True, False, True, True]


def test_nothing_is_optimized_when_that_is_not_wanted() -> None:
    given_messages = messages("openai-chat", [Step("mcp__x", {}, rows(50))])
    result = compress(given_messages, "gpt-4o", optimize=False)
    assert result.messages == given_messages
    assert result.tokens_before == result.tokens_after > 0
    assert result.tokens_saved == 0


def test_no_messages_are_no_messages() -> None:
    assert compress([]) == CompressResult([])


def test_a_tool_can_be_left_alone() -> None:
    given_messages = messages("openai-chat", [Step("orders", {}, rows(50))])
    assert compress(given_messages, "gpt-4o").tokens_saved > 0
    spared = compress(given_messages, "gpt-4o", tool_profiles={"orders": {"skip_compression": True}})
    assert spared.messages == given_messages


LOOP: list[Any] = []
LOOP.append(LOOP)
DEEP: Any = "x"
for _ in range(400):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("given_messages", "says"),
    [
        (None, "messages is None; expected a list of messages"),
        ("hello", "messages is of the type str"),
        (b"hello", "messages is of the type bytes"),
        ({"role": "user"}, "messages is of the type dict"),
        ([None], "messages[0] is None"),
        (["hello"], "messages[0] is of the type str"),
        ([{"role": "user", "content": "a"}, {"role": "wizard", "content": "b"}], "messages[1].role is 'wizard'"),
        ([{"content": "a"}], "messages[0].role is None"),
        ([{"role": "user", "content": b"a"}], "messages[0].content is of the type bytes"),
        ([{"role": "user", "content": [{"type": "text", "text": {1}}]}], "messages[0].content[0].text is of the type"),
        ([{"role": "user", 5: "a"}], "messages[0] has the key 5"),
        ([{"role": "user", "content": LOOP}], "messages[0].content[0] contains itself"),
        ([{"role": "user", "content": DEEP}], "is nested deeper than 200 levels"),
        (
            [{"role": "user", "parts": [{"text": "a"}]}, {"role": "tool", "content": "b", "tool_call_id": "c"}],
            "messages[1].role is of the shape openai-chat, and messages[0].parts is of the shape gemini",
        ),
    ],
)
def test_wrong_messages_are_refused_by_place(given_messages: Any, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        compress(given_messages)
    assert says in caught.value.message


@pytest.mark.parametrize(
    "content",
    ["", None, [], "\ud83d", 2**70, [{"type": "text", "text": ""}], [{"type": "text"}], [{}], [None], {"a": 1}],
)
def test_strange_content_passes_as_it_came(content: Any) -> None:
    given_messages = [{"role": "user", "content": content}]
    assert compress(given_messages).messages == given_messages


def test_a_hundred_thousand_messages_are_taken() -> None:
    given_messages = [{"role": "assistant" if n % 2 else "user", "content": "and then?"} for n in range(100_000)]
    result = compress(given_messages, model_limit=10_000_000)
    assert len(result.messages) == 100_000
    assert all(ours is theirs for ours, theirs in zip(result.messages, given_messages, strict=True))


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SHAPES), STEPS, STEPS)
def test_what_was_compressed_before_makes_no_difference(shape: str, steps: list[Step], others: list[Step]) -> None:
    compression._engines.clear()
    compression._rewrites.clear()
    fresh = compress(messages(shape, steps), MODELS[shape])
    for before in (others, [*steps, *others], others + steps, steps[:-1], others[:1] + steps):
        compress(messages(shape, before), MODELS[shape])
        compress(messages(shape, before), MODELS[shape], tool_profiles={"*": "skip"})
    compression._rewrites.clear()
    assert compress(messages(shape, steps), MODELS[shape]) == fresh
    assert compress(messages(shape, steps), MODELS[shape]) == fresh


def test_little_is_kept_of_what_was_compressed() -> None:
    for n in range(100):
        compress(messages("anthropic", [Step("orders", {}, rows(20, f"{n}"))]), f"claude-{n}")
    assert len(compression._engines) == compression.ENGINES
    assert len(compression._rewrites) == compression.REPEATED
    assert len(compression._counted) <= compression.COUNTED
