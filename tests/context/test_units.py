"""Messages that stay or go together."""

from typing import Any

import pytest

from headroom.context.units import Unit, sizes, units
from headroom.tokenizers import count
from tests.context.conversations import chat, layout_of, task


def kinds(shape: str, messages: list[Any]) -> list[tuple[tuple[int, ...], str, int]]:
    return [(unit.messages, unit.kind, unit.turn) for unit in units(layout_of(shape, messages))]


@pytest.mark.parametrize("shape", ["anthropic", "openai-chat", "gemini"])
def test_a_call_and_its_result_are_one_unit(shape: str) -> None:
    assert kinds(shape, chat(shape, 2)) == [
        ((0,), "user", 0),
        ((1, 2), "tools", 0),
        ((3,), "answer", 0),
        ((4,), "user", 1),
        ((5, 6), "tools", 1),
        ((7,), "answer", 1),
        ((8,), "user", 2),
    ]


def test_reasoning_stays_with_the_call_that_it_led_to() -> None:
    assert kinds("openai-responses", chat("openai-responses", 1)) == [
        ((0,), "user", 0),
        ((1, 2, 3), "tools", 0),
        ((4,), "answer", 0),
        ((5,), "user", 1),
    ]


def test_calls_of_one_answer_are_one_unit_with_all_their_results() -> None:
    calls = [{"id": f"call_{n}", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)]
    messages = [
        {"role": "system", "content": "You keep a shop."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
        {"role": "assistant", "content": "done"},
    ]
    assert kinds("openai-chat", messages) == [
        ((0,), "system", -1),
        ((1,), "user", 0),
        ((2, 3, 4), "tools", 0),
        ((5,), "answer", 0),
    ]


def test_a_result_that_comes_late_belongs_to_its_call() -> None:
    items = [
        {"role": "user", "content": "hello"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": "of an earlier one"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "late"},
    ]
    assert kinds("openai-responses", items)[1] == ((1, 2, 3, 4), "tools", 0)


def test_an_image_as_the_only_result_belongs_to_its_call() -> None:
    messages = task(1)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    messages[2]["content"][0]["content"] = [image]
    assert kinds("anthropic", messages) == [((0,), "user", 0), ((1, 2), "tools", 0)]


def test_what_the_user_says_beside_a_result_begins_a_turn_and_a_clients_note_does_not() -> None:
    messages = task(3)
    messages[2]["content"].append({"type": "text", "text": "<system-reminder>\nBe quick.\n</system-reminder>"})
    messages[4]["content"].append({"type": "text", "text": "No, the other file!"})
    assert kinds("anthropic", messages) == [
        ((0,), "user", 0),
        ((1, 2), "tools", 0),
        ((3, 4), "tools", 1),
        ((5, 6), "tools", 1),
    ]


@pytest.mark.parametrize("item", [{"type": "compaction", "encrypted_content": "gAAA"}, {"type": "item_reference"}, 7])
def test_what_is_no_message_stays(item: Any) -> None:
    found = units(layout_of("openai-responses", [{"role": "user", "content": "a"}, {"role": "assistant"}, item]))
    assert Unit((2,), "fixed", 0) in found or item == 7


def test_sizes_are_those_of_the_texts_and_a_little_for_what_is_around_them() -> None:
    messages = task(4)
    some = sizes(layout_of("anthropic", messages))
    assert len(some) == len(messages)
    for size, message in zip(some[2::2], messages[2::2], strict=True):
        said = count(message["content"][0]["content"])
        assert said < size < said + 40


def test_an_image_does_not_count_by_its_bytes() -> None:
    messages = task(1)
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 2_000_000}
    messages[2]["content"][0]["content"] = [{"type": "image", "source": source}]
    assert sizes(layout_of("anthropic", messages))[2] < 12_000
