"""What the SDKs can do beside a plain call: raw and streamed responses, parsed answers, tools that run by themselves.

In each the request leaves shorter than the SDK alone would send it, and what comes back is the SDK's own.
"""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google.genai import types
from pydantic import BaseModel

from headroom import HeadroomClient
from tests.library.test_client import ROWS, SAID, World, asked, world
from tests.support.answers import Answer, ToolCall

__all__ = ["world"]
PLAIN = 2 * len(ROWS)
"""Bytes that a request has at the least which leaves as it came: it says the table twice."""


class Stock(BaseModel):
    parts: int


def shorter(world: World, requests: int = 1) -> None:
    """The last requests left shorter than they came."""
    assert len(world.provider.received) >= requests
    for received in world.provider.received[-requests:]:
        assert len(received.body) < 0.75 * PLAIN


def anthropic_script(shape: str, body: Any) -> Answer:
    """Asks for the stock once, then says how it is."""
    again = "tool_result" in json.dumps(body["messages"])
    return Answer(SAID) if again else Answer("Let me look.", (ToolCall("list_parts", {"shelf": "north"}),))


# Anthropic


def test_anthropic_raw_and_streamed_responses(world: World) -> None:
    with world.wrapped("anthropic") as client:
        raw = client.messages.with_raw_response.create(**asked("anthropic"))
        assert raw.status_code == 200 and raw.parse().content[0].text == SAID and raw.headers["content-type"]
        raw = client.with_raw_response.messages.create(**asked("anthropic", headroom_keep_turns=0))
        assert raw.parse().content[0].text == SAID
        with client.messages.with_streaming_response.create(**asked("anthropic")) as streamed:
            assert json.loads(streamed.read())["content"][0]["text"] == SAID
        with client.beta.messages.stream(**asked("anthropic")) as stream:
            assert stream.get_final_message().content[0].text == SAID
        assert client.get_stats()["session"]["requests_optimized"] == 4
        assert all(row.tokens_output for row in client.get_metrics())
    shorter(world, 4)


def test_anthropic_answers_are_parsed_and_options_hold(world: World) -> None:
    world.provider.script = lambda shape, body: Answer('{"parts": 80}')
    with world.wrapped("anthropic") as client:
        assert client.messages.parse(**asked("anthropic", output_format=Stock)).parsed_output == Stock(parts=80)
        other = client.with_options(timeout=9, default_headers={"x-team": "stock"})
        assert isinstance(other, HeadroomClient) and other.timeout == 9
        assert other.messages.parse(**asked("anthropic", output_format=Stock)).parsed_output == Stock(parts=80)
        assert world.last.header("x-team") == "stock"
        assert client.copy().messages.create(**asked("anthropic")).content[0].text == '{"parts": 80}'
    shorter(world, 3)


def test_anthropic_tools_run_by_themselves(world: World) -> None:
    @anthropic.beta_tool
    def list_parts(shelf: str) -> str:
        """The parts on a shelf.

        Args:
            shelf: Its name.
        """
        return ROWS

    world.provider.script = anthropic_script
    said = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "How many?"}]}
    with world.wrapped("anthropic") as client:
        runner = client.beta.messages.tool_runner(**said, tools=[list_parts])
        assert runner.until_done().content[0].text == SAID
        assert client.get_stats()["session"]["requests_total"] == 2
        assert client.get_stats()["session"]["requests_optimized"] >= 1
    assert len(world.provider.received) == 2 and len(world.last.body) < len(ROWS) * 0.7


async def test_anthropic_asynchronously(world: World) -> None:
    @anthropic.beta_async_tool
    async def list_parts(shelf: str) -> str:
        """The parts on a shelf."""
        return ROWS

    async with world.wrapped("anthropic", asynchronous=True) as client:
        raw = await client.messages.with_raw_response.create(**asked("anthropic"))
        assert (await raw.parse()).content[0].text == SAID
        async with client.messages.with_streaming_response.create(**asked("anthropic")) as streamed:
            assert json.loads(await streamed.read())["content"][0]["text"] == SAID
        events = [event.type async for event in await client.messages.create(**asked("anthropic", stream=True))]
        assert events[0] == "message_start" and events[-1] == "message_stop"
        async with client.messages.stream(**asked("anthropic")) as stream:
            assert (await stream.get_final_message()).content[0].text == SAID
        assert (await client.with_options(timeout=9).messages.create(**asked("anthropic"))).content[0].text == SAID
        plan = await client.messages.simulate(**asked("anthropic"))
        assert plan.tokens_saved > 500
        shorter(world, 5)
        world.provider.script = lambda shape, body: Answer('{"parts": 80}')
        assert (await client.messages.parse(**asked("anthropic", output_format=Stock))).parsed_output == Stock(parts=80)
        world.provider.script = anthropic_script
        said = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "How many?"}]}
        runner = client.beta.messages.tool_runner(**said, tools=[list_parts])
        assert (await runner.until_done()).content[0].text == SAID
        assert client.get_stats()["session"]["requests_total"] == 8
    assert len(world.last.body) < len(ROWS) * 0.7


# OpenAI


def test_openai_streams_raw_and_streamed_responses(world: World) -> None:
    with world.wrapped("openai-chat") as client:
        with client.chat.completions.stream(**asked("openai-chat")) as stream:
            assert stream.get_final_completion().choices[0].message.content == SAID
        with client.chat.completions.with_streaming_response.create(**asked("openai-chat")) as streamed:
            assert json.loads(streamed.read())["choices"][0]["message"]["content"] == SAID
        raw = client.responses.with_raw_response.create(**asked("openai-responses"))
        assert raw.parse().output_text == SAID
        events = list(client.responses.create(**asked("openai-responses", stream=True)))
        assert events[0].type == "response.created" and events[-1].type == "response.completed"
        assert client.get_stats()["session"]["requests_optimized"] == 4
    shorter(world, 4)


async def test_openai_asynchronously(world: World) -> None:
    async with world.wrapped("openai-chat", asynchronous=True) as client:
        raw = await client.chat.completions.with_raw_response.create(**asked("openai-chat"))
        assert raw.parse().choices[0].message.content == SAID
        chunks = await client.chat.completions.create(**asked("openai-chat", stream=True))
        assert "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices]) == SAID
        async with client.chat.completions.stream(**asked("openai-chat")) as stream:
            assert (await stream.get_final_completion()).choices[0].message.content == SAID
        async with client.responses.stream(**asked("openai-responses")) as stream:
            assert (await stream.get_final_response()).output_text == SAID
        answer = await client.with_options(max_retries=1).responses.create(**asked("openai-responses"))
        assert answer.output_text == SAID
        plan = await client.responses.simulate(**asked("openai-responses"))
        assert plan.tokens_saved > 500
        shorter(world, 5)
        world.provider.script = lambda shape, body: Answer('{"parts": 80}')
        answer = await client.chat.completions.parse(**asked("openai-chat", response_format=Stock))
        assert answer.choices[0].message.parsed == Stock(parts=80)
        answer = await client.responses.parse(**asked("openai-responses", text_format=Stock))
        assert answer.output_parsed == Stock(parts=80)
    shorter(world, 2)


def test_openai_tools_are_described_and_their_arguments_parsed(world: World) -> None:
    class ListParts(BaseModel):
        shelf: str

    world.provider.script = lambda shape, body: Answer("", (ToolCall("ListParts", {"shelf": "north"}),))
    tool = openai.pydantic_function_tool(ListParts)
    with world.wrapped("openai-chat") as client:
        answer = client.chat.completions.parse(**asked("openai-chat", tools=[tool]))
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.parsed_arguments == ListParts(shelf="north")
    shorter(world)


# Google


def list_parts(shelf: str) -> str:
    """The parts on a shelf."""
    return ROWS


def gemini_script(shape: str, body: Any) -> Answer:
    again = "functionResponse" in json.dumps(body["contents"])
    return Answer(SAID) if again else Answer("", (ToolCall("list_parts", {"shelf": "north"}),))


def test_google_chats_call_functions_by_themselves(world: World) -> None:
    world.provider.script = gemini_script
    with world.wrapped("gemini") as client:
        chat = client.chats.create(model="gemini-2.5-pro", config=types.GenerateContentConfig(tools=[list_parts]))
        assert chat.send_message("How many?").text == SAID
        assert len(world.provider.received) == 2 and len(world.last.body) < len(ROWS)
        assert "".join(part.text or "" for part in chat.send_message_stream("Sure?")) == SAID
        assert client.get_stats()["session"]["requests_total"] == len(world.provider.received)


async def test_google_asynchronously(world: World) -> None:
    async with world.wrapped("gemini") as client:
        plan = await client.aio.models.simulate(**asked("gemini"))
        assert plan.tokens_saved > 500 and world.provider.received == []
        world.provider.script = gemini_script
        config = types.GenerateContentConfig(tools=[list_parts])
        answer = await client.aio.models.generate_content(model="gemini-2.5-pro", contents="How many?", config=config)
        assert answer.text == SAID and len(world.last.body) < len(ROWS)
        chat = client.aio.chats.create(model="gemini-2.5-pro", config=config)
        assert (await chat.send_message("How many?")).text == SAID
        world.provider.script = lambda shape, body: Answer(SAID)
        parts = await chat.send_message_stream("Sure?")
        assert "".join([part.text or "" async for part in parts]) == SAID


def test_google_answers_are_parsed_and_tokens_counted(world: World) -> None:
    world.provider.script = lambda shape, body: Answer('{"parts": 80}')
    config = {"response_mime_type": "application/json", "response_schema": Stock}
    with world.wrapped("gemini") as client:
        assert client.models.generate_content(**asked("gemini", config=config)).parsed == Stock(parts=80)
    shorter(world)


# All


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_counting_tokens_counts_what_would_be_sent(world: World, asynchronous: bool) -> None:
    client = world.wrapped("anthropic", asynchronous=asynchronous)
    fields = {name: value for name, value in asked("anthropic").items() if name != "max_tokens"}
    counted = client.messages.count_tokens(**fields)
    if asynchronous:
        await counted
    shorter(world)
    client.close()
    assert client.original.is_closed() is False


def test_each_wrapped_method_says_what_the_sdks_own_does(world: World) -> None:
    with world.wrapped("anthropic") as client:
        ours: Callable[..., Any] = client.messages.create
        own: Callable[..., Any] = client.original.messages.create
        assert ours.__doc__ == own.__doc__ and ours.__name__ == own.__name__
        assert {"create", "stream", "parse", "simulate"} <= set(dir(client.messages))
        assert repr(client.messages) and isinstance(client.sdk, anthropic.Anthropic)
