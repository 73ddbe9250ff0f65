"""HeadroomClient with its semantic cache: a question is asked once, and nothing is billed for the second answer."""

import json
from typing import Any

import pytest
from google.genai import types

from tests.library.test_client import MODELS, SAID, SHAPES, World, method, text_of, world

__all__ = ["world"]
QUESTION = "How are the prices of the shop computed?"


def asked(shape: str, text: str = QUESTION, **more: Any) -> dict[str, Any]:
    model = {"model": MODELS[shape]}
    match shape:
        case "anthropic":
            said: list[Any] = [{"role": "user", "content": text}]
            return {**model, "max_tokens": 100, "extra_body": {"temperature": 0}, "messages": said, **more}
        case "openai-chat":
            return {**model, "temperature": 0, "messages": [{"role": "user", "content": text}], **more}
        case "openai-responses":
            return {**model, "temperature": 0, "input": text, **more}
    return {**model, "contents": text, "config": types.GenerateContentConfig(temperature=0), **more}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_question_is_asked_once(world: World, shape: str) -> None:
    with world.wrapped(shape, enable_semantic_cache=True) as client:
        for _ in range(3):
            assert text_of(shape, method(client, shape)(**asked(shape))) == SAID
        assert client.get_stats()["session"] == {
            "requests_total": 3, "requests_optimized": 0, "requests_audit": 0, "tokens_saved_total": 0, "cache_hits": 2,
        }  # fmt: skip
        assert client.get_stats()["config"]["semantic_cache"] is True
        rows = client.get_metrics()
        assert sorted(bool(row.tokens_output) for row in rows) == [False, False, True]
    assert len(world.provider.received) == 1


@pytest.mark.parametrize("shape", ["anthropic", "openai-chat"])
async def test_asynchronous_clients_ask_once_too(world: World, shape: str) -> None:
    async with world.wrapped(shape, asynchronous=True, enable_semantic_cache=True) as client:
        for _ in range(2):
            assert text_of(shape, await method(client, shape)(**asked(shape))) == SAID
    assert len(world.provider.received) == 1


def test_a_streamed_answer_is_streamed_again(world: World) -> None:
    said = []
    with world.wrapped("openai-chat", enable_semantic_cache=True) as client:
        for _ in range(2):
            chunks = list(method(client, "openai-chat")(**asked("openai-chat", stream=True)))
            said.append([chunk.choices[0].delta.content for chunk in chunks if chunk.choices])
    assert said[0] == said[1] and "".join(filter(None, said[0])) == SAID
    assert len(world.provider.received) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_off_by_default_and_in_audit(world: World, shape: str) -> None:
    with world.wrapped(shape) as client:
        for _ in range(2):
            method(client, shape)(**asked(shape))
        assert client.get_stats()["config"]["semantic_cache"] is False
    with world.wrapped(shape, default_mode="audit", enable_semantic_cache=True) as client:
        for _ in range(2):
            method(client, shape)(**asked(shape))
    assert len(world.provider.received) == 4


def test_a_client_with_other_options_has_the_same_answers(world: World) -> None:
    with world.wrapped("openai-chat", enable_semantic_cache=True) as client:
        method(client, "openai-chat")(**asked("openai-chat"))
        method(client.with_options(timeout=9), "openai-chat")(**asked("openai-chat"))
    assert len(world.provider.received) == 1


def test_breakpoints_make_no_other_question(world: World) -> None:
    block = {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}
    with world.wrapped("anthropic", enable_semantic_cache=True) as client:
        for content in (QUESTION, [block], [{"type": "text", "text": QUESTION}]):
            said = asked("anthropic", messages=[{"role": "user", "content": content}])
            method(client, "anthropic")(**said)
    bodies = [json.loads(each.body)["messages"][0]["content"] for each in world.provider.received]
    assert bodies == [QUESTION, [block]]
