"""What is dropped, what stays, and what the conversation looks like then."""

import copy
import json
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom import ValidationError, compress
from headroom.ccr.originals import hash_of
from headroom.config import IntelligentContextConfig, RollingWindowConfig, ScoringWeights
from headroom.context.managers import ContextResult, IntelligentContextManager, RollingWindow, tokens_of
from headroom.telemetry import Toin, ToolSignature
from tests.context.conversations import chat, layout_of, task, text
from tests.support.originals import RamOriginals

SHAPES = ("anthropic", "openai-chat", "openai-responses", "gemini")
MODELS = dict(zip(SHAPES, ("claude-sonnet-4-5", "gpt-4o", "gpt-5", "gemini-2.5-pro"), strict=True))
MARKER = (
    "[Earlier context compressed: {} message(s) dropped by {}.\n"
    "Full content available via ccr_retrieve tool with reference '{}'.]"
)


def manager(kind: str, originals: RamOriginals | None = None, **more: Any) -> IntelligentContextManager | RollingWindow:
    kept = originals or RamOriginals()
    if kind == "rolling_window":
        return RollingWindow(RollingWindowConfig(output_buffer_tokens=0, **more), kept)
    return IntelligentContextManager(IntelligentContextConfig(output_buffer_tokens=0, **more), originals=kept)


def size(shape: str, messages: list[Any]) -> int:
    return sum(tokens_of(layout_of(shape, messages), MODELS[shape]))


def outputs(messages: list[Any]) -> list[int]:
    """Which of the numbered outputs are there."""
    said = json.dumps(messages)
    return [n for n in range(200) if f"word{n}x1 " in said]


def is_legal(shape: str, messages: list[Any]) -> None:
    """Every call has its result right after it, every result its call; the user speaks first."""
    said = json.dumps(messages)
    for opening, closing in (("tool_use", "tool_result"), ("functionCall", "functionResponse")):
        assert said.count(f'"{opening}"') == said.count(f'"{closing}"')
    if shape == "openai-chat":
        calls = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
        assert calls == [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    if shape == "openai-responses":
        order = [item.get("type", "message") for item in messages]
        for number, kind in enumerate(order):
            if kind == "reasoning":
                assert order[number + 1 : number + 3] == ["function_call", "function_call_output"]
    if shape == "gemini":
        for before, after in pairwise(messages):
            if "functionCall" in json.dumps(after):
                assert before["role"] == "user"
            assert ("functionCall" in json.dumps(before)) == ("functionResponse" in json.dumps(after))
    assert messages[0]["role"] == "user"


@pytest.mark.parametrize("kind", ["rolling_window", "intelligent_context"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_does_not_fit_is_dropped_and_a_marker_says_so(kind: str, shape: str) -> None:
    messages, originals = chat(shape, 12), RamOriginals()
    kept = copy.deepcopy(messages)
    limit = size(shape, messages) // 2
    result = manager(kind, originals).apply(messages, MODELS[shape], limit)
    assert messages == kept
    assert result.tokens_after <= limit < result.tokens_before == size(shape, messages)
    assert size(shape, result.messages) <= limit
    assert len(result.messages) == len(messages) - result.messages_dropped + 1
    is_legal(shape, result.messages)
    by = {"rolling_window": "rolling window", "intelligent_context": "importance scoring"}[kind]
    assert result.marker == MARKER.format(result.messages_dropped, by, result.reference)
    made = [message for message in result.messages if message not in messages]
    assert len(made) == 1 and result.marker in json.dumps(made).replace("\\n", "\n")
    stored = json.loads(originals.kept[result.reference].text)
    assert result.reference == hash_of(originals.kept[result.reference].text)
    assert [message for message in messages if message not in result.messages] == stored
    assert result.messages[-1] is messages[-1]


@pytest.mark.parametrize("kind", ["rolling_window", "intelligent_context"])
def test_what_fits_stays_as_it_is(kind: str) -> None:
    messages = chat("anthropic", 3)
    result = manager(kind).apply(messages, MODELS["anthropic"], size("anthropic", messages))
    assert result == ContextResult(messages, result.tokens_before, result.tokens_before)
    assert all(ours is theirs for ours, theirs in zip(result.messages, messages, strict=True))
    switched_off = manager(kind, enabled=False).apply(messages, MODELS["anthropic"], 100)
    assert switched_off.messages == messages


def test_the_window_drops_the_oldest_outputs_first_and_then_the_oldest_turns() -> None:
    messages = chat("anthropic", 12)
    result = manager("rolling_window").apply(messages, MODELS["anthropic"], size("anthropic", messages) * 3 // 4)
    assert outputs(result.messages) == list(range(12 - len(outputs(result.messages)), 12))
    assert all({"role": "user", "content": f"question {n}?"} in result.messages for n in range(12))
    turns = manager("rolling_window", prefer_drop_tool_outputs=False)
    result = turns.apply(messages, MODELS["anthropic"], size("anthropic", messages) * 3 // 4)
    left = [n for n in range(12) if {"role": "user", "content": f"question {n}?"} in result.messages]
    assert left == [0, *range(13 - len(left), 12)]


@pytest.mark.parametrize(
    ("kind", "field"), [("rolling_window", "min_keep_turns"), ("intelligent_context", "keep_last_turns")]
)
def test_the_last_turns_stay_whole(kind: str, field: str) -> None:
    messages = chat("openai-chat", 12)
    result = manager(kind, **cast(Any, {field: 4})).apply(messages, "gpt-4o", size("openai-chat", messages) // 2)
    assert result.messages[-13:] == messages[-13:]


def test_a_system_message_in_the_list_stays_unless_it_may_go() -> None:
    system = {"role": "system", "content": text(150)}
    messages = [system, *chat("openai-chat", 12)]
    for kind in ("rolling_window", "intelligent_context"):
        result = manager(kind).apply(messages, "gpt-4o", size("openai-chat", messages) // 3)
        assert result.messages[0] is system
        gone = manager(kind, keep_system=False).apply(messages, "gpt-4o", size("openai-chat", messages) // 3)
        assert system not in gone.messages


def test_in_one_long_turn_the_task_and_the_last_steps_stay_and_thinking_goes_with_its_call() -> None:
    messages = task(40)
    result = manager("intelligent_context").apply(messages, MODELS["anthropic"], size("anthropic", messages) // 2)
    assert result.messages[0] is messages[0]
    assert result.messages[-6:] == messages[-6:]
    assert size("anthropic", result.messages) <= size("anthropic", messages) // 2
    for message in result.messages:
        if message["role"] == "assistant":
            assert [part["type"] for part in message["content"]] == ["thinking", "tool_use"]
            assert message in messages
    is_legal("anthropic", result.messages)


def test_an_output_that_later_answers_speak_of_outlives_those_that_nobody_mentioned() -> None:
    messages = task(40)
    messages[14]["content"][0]["content"] += " see src/shop/price_table.py"
    for later in range(60, 80, 2):
        messages[later - 1]["content"][1]["input"] = {"command": f"sed -n {later}p src/shop/price_table.py"}
    limit = size("anthropic", messages) - 10
    result = manager("intelligent_context").apply(messages, MODELS["anthropic"], limit)
    assert messages[14] in result.messages and messages[13] in result.messages
    assert messages[12] not in result.messages and messages[16] not in result.messages
    plain = manager("intelligent_context", use_importance_scoring=False)
    assert messages[14] not in plain.apply(messages, MODELS["anthropic"], limit).messages


def test_an_error_outlives_what_went_well() -> None:
    messages = task(40)
    messages[14]["content"][0]["is_error"] = True
    result = manager("intelligent_context").apply(messages, MODELS["anthropic"], size("anthropic", messages) // 2)
    assert messages[14] in result.messages and messages[12] not in result.messages


def test_what_is_about_the_same_as_the_last_messages_outlives_the_rest() -> None:
    messages = task(40)
    messages[14]["content"][0]["content"] = messages[-1]["content"][0]["content"]
    ours = manager("intelligent_context", compress_threshold=0)
    result = ours.apply(messages, MODELS["anthropic"], size("anthropic", messages) - 10)
    assert messages[14] in result.messages and messages[12] not in result.messages


def test_what_was_asked_for_again_in_earlier_sessions_outlives_the_rest(tmp_path: Any) -> None:
    items = json.dumps([{"order": n, "state": "paid"} for n in range(20)])
    signature, toin = ToolSignature.of(items), Toin(tmp_path / "toin.json")
    for _ in range(20):
        toin.record_compression(signature, 20, 3, 400, 60, "smart_crusher")
        toin.record_retrieval(signature)
    toin.save()
    learned = Toin(tmp_path / "toin.json")
    messages = task(40)
    messages[14]["content"][0]["content"] = items
    limit, weights = size("anthropic", messages) - 10, ScoringWeights(recency=1.0, toin_importance=1.0)
    config = IntelligentContextConfig(output_buffer_tokens=0, scoring_weights=weights, compress_threshold=0)
    result = IntelligentContextManager(config, learned, RamOriginals()).apply(messages, MODELS["anthropic"], limit)
    assert messages[14] in result.messages and messages[12] not in result.messages
    assert learned.get_stats()["total_compressions"] > 20
    off = replace(config, toin_integration=False)
    without = IntelligentContextManager(off, Toin(tmp_path / "toin.json"), RamOriginals())
    assert messages[14] not in without.apply(messages, MODELS["anthropic"], limit).messages


def test_slightly_over_it_is_shortened_and_nothing_is_dropped() -> None:
    messages = task(10)
    table = [{"id": n, "name": f"item {n}", "state": "active"} for n in range(100)]
    messages[2]["content"][0]["content"] = json.dumps(table, indent=1)
    limit = int(size("anthropic", messages) / 1.05)
    result = manager("intelligent_context").apply(messages, MODELS["anthropic"], limit)
    assert result.messages_dropped == 0 and result.marker == "" and "json" in result.transforms_applied
    assert result.tokens_after <= limit and outputs(result.messages) == list(range(1, 10))
    assert manager("intelligent_context", compress_threshold=0.01).apply(messages, "claude", limit).messages_dropped > 0


def test_a_conversation_that_grows_is_cut_in_few_big_steps() -> None:
    messages = task(80)
    limit, breaks = size("anthropic", messages) // 4, 0
    before: list[Any] = []
    for end in range(3, len(messages) + 1, 2):
        now = manager("intelligent_context").apply(messages[:end], MODELS["anthropic"], limit).messages
        assert size("anthropic", now) <= limit
        breaks += now[: len(before)] != before
        before = now
    assert 5 <= breaks <= 9  # three windows' worth of messages went, each time 40 % of one


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(1, 14), st.integers(20, 3000), st.randoms())
def test_whatever_is_dropped_the_rest_is_legal(shape: str, turns: int, limit: int, chance: random.Random) -> None:
    messages = chat(shape, turns, chance.randint(1, 120))
    for kind in ("rolling_window", "intelligent_context"):
        result = manager(kind).apply(messages, MODELS[shape], limit)
        is_legal(shape, result.messages)
        assert result.messages[-1] is messages[-1]


def test_dropped_messages_that_cannot_be_kept_are_not_promised(caplog: pytest.LogCaptureFixture) -> None:
    messages, originals = chat("anthropic", 12), RamOriginals()
    originals.broken = True
    result = manager("rolling_window", originals).apply(messages, MODELS["anthropic"], 800)
    assert result.marker == (
        f"[Earlier context compressed: {result.messages_dropped} message(s) dropped by rolling window.]"
    )
    assert result.reference == "" and "the disk is full" in caplog.text


@pytest.mark.parametrize("shape", SHAPES)
def test_compress_drops_what_does_not_fit(shape: str) -> None:
    messages = chat(shape, 12)
    limit = size(shape, messages) // 2
    config: dict[str, Any] = {"output_buffer_tokens": 0}
    result = compress(messages, MODELS[shape], limit, intelligent_context=config)
    assert size(shape, result.messages) <= limit
    assert result.transforms_applied[0] == "intelligent_context"
    assert result.tokens_saved == result.tokens_before - result.tokens_after > 0
    is_legal(shape, result.messages)
    assert "message(s) dropped by importance scoring.]" in json.dumps(result.messages)
    window: dict[str, Any] = {"intelligent_context": {"enabled": False}, "rolling_window": config}
    assert compress(messages, MODELS[shape], limit, **window).transforms_applied[0] == "rolling_window"
    off: dict[str, Any] = {"intelligent_context": {"enabled": False}, "rolling_window": {"enabled": False}}
    assert len(compress(messages, MODELS[shape], limit, **off).messages) == len(messages)


def test_compress_cuts_a_conversation_that_grows_in_few_big_steps() -> None:
    messages = task(60)
    limit, breaks = size("anthropic", messages) // 3, 0
    before: list[Any] = []
    for end in range(3, len(messages) + 1, 2):
        now = compress(messages[:end], model_limit=limit, intelligent_context={"output_buffer_tokens": 0}).messages
        breaks += now[: len(before)] != before
        before = now
    assert 3 <= breaks <= 6


def test_each_factor_can_be_seen() -> None:
    messages = task(6)
    for messages_of, score in manager("intelligent_context").scores(messages):  # type: ignore[union-attr]
        assert messages_of and 0 <= score.total <= 1
        assert list(score.factors) == list(ScoringWeights().as_dict())
        assert all(0 <= value <= 1 for value in score.factors.values())


@pytest.mark.parametrize("wrong", [None, "hello", [None], [{"role": "wizard", "content": "a"}]])
def test_wrong_messages_are_refused_by_place(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="messages"):
        manager("rolling_window").apply(wrong, "gpt-4o", 100)
