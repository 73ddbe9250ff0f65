"""A LangChain agent with our middleware: a real chat model, a real tool, a stand-in provider."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import SecretStr

from headroom import ConfigurationError, compress
from headroom.config import IntelligentContextConfig
from headroom.integrations.langchain import HeadroomMiddleware
from tests.library.conversations import rows
from tests.support.answers import Answer, ToolCall
from tests.support.standin import StandIn

SAID = "Sixty orders."


@tool
def orders(day: int) -> str:
    """The orders of a day."""
    return rows(60)


@tool
def picture(day: int) -> list[Any]:
    """A picture and what it shows."""
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    return [{"type": "text", "text": rows(60)}, {"type": "image", "source": source}]


def script(shape: str, body: Any) -> Answer:
    """Asks for the orders twice, then says that there are sixty."""
    said = sum(message["role"] == "assistant" for message in body["messages"])
    name = body["tools"][0]["name"]
    return Answer("Let me look.", (ToolCall(name, {"day": said}),)) if said < 2 else Answer(SAID)


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with StandIn(tmp_path, script) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running
    assert running.failures == []


def model(provider: StandIn, **more: Any) -> ChatAnthropic:
    url = f"https://localhost:{provider.port}"
    return ChatAnthropic(model="claude-sonnet-4-5", api_key=SecretStr("test"), base_url=url, max_retries=0, **more)  # type: ignore[call-arg]


def results(body: Any) -> list[Any]:
    """The contents of a request's tool results."""
    return [
        block["content"]
        for message in body["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else ())
        if block["type"] == "tool_result"
    ]


ASKED = {"messages": [HumanMessage("How many orders?")]}


def test_the_model_gets_shorter_results_and_the_state_keeps_them_whole(provider: StandIn) -> None:
    middleware = HeadroomMiddleware()
    agent = create_agent(model(provider), tools=[orders], middleware=[middleware])
    said = agent.invoke(ASKED)["messages"]  # type: ignore[call-overload]
    assert said[-1].text == SAID
    assert [message.text for message in said if isinstance(message, ToolMessage)] == [rows(60)] * 2
    first, second = results(provider.received[-1].json)
    assert len(first) < len(rows(60)) / 2 and len(second) < len(first) / 5
    assert results(provider.received[-2].json) == [first]
    assert middleware.get_stats()["requests_optimized"] == 2
    assert middleware.get_stats()["requests_total"] == 3


async def test_an_asynchronous_agent_and_a_streaming_model_send_the_same(provider: StandIn) -> None:
    create_agent(model(provider), [orders], middleware=[HeadroomMiddleware()]).invoke(ASKED)  # type: ignore[call-overload]
    expected = results(provider.received[-1].json)
    agent = create_agent(model(provider, streaming=True), tools=[orders], middleware=[HeadroomMiddleware()])
    state = await agent.ainvoke(ASKED)  # type: ignore[call-overload]
    assert state["messages"][-1].text == SAID
    assert [text.partition(" ")[2][:40] for text in results(provider.received[-1].json)] == [
        text.partition(" ")[2][:40] for text in expected
    ]


def test_a_result_with_a_picture_stays_as_it_is(provider: StandIn) -> None:
    create_agent(model(provider), tools=[picture]).invoke(ASKED)  # type: ignore[call-overload]
    plain = results(provider.received[-1].json)
    create_agent(model(provider), tools=[picture], middleware=[HeadroomMiddleware()]).invoke(ASKED)  # type: ignore[call-overload]
    assert results(provider.received[-1].json) == plain


def test_what_is_sent_of_a_conversation_is_what_compress_makes_of_it(provider: StandIn) -> None:
    call = {"name": "orders", "args": {"day": 1}, "id": "c1"}
    said = [HumanMessage("How many?"), AIMessage("", tool_calls=[call]), ToolMessage(rows(60), tool_call_id="c1")]
    agent = create_agent(model(provider), tools=[orders], middleware=[HeadroomMiddleware()])
    agent.invoke({"messages": [*said, AIMessage("60."), HumanMessage("Sure?")]})  # type: ignore[call-overload]
    plain = [
        {"role": "user", "content": "How many?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "orders", "arguments": '{"day": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": rows(60)},
    ]
    assert results(provider.received[0].json)[0] == compress(plain, "claude-sonnet-4-5").messages[2]["content"]


def test_an_agent_whose_conversation_does_not_fit_goes_on(provider: StandIn) -> None:
    call = [{"name": "orders", "args": {"day": n}, "id": f"c{n}"} for n in range(20)]
    said: list[Any] = [HumanMessage("How many?")]
    for n in range(20):
        text = "\n".join(f"order {n}-{i} of {i * n % 7} parts" for i in range(60))
        said += [AIMessage("", tool_calls=[call[n]]), ToolMessage(text, tool_call_id=f"c{n}")]
    small = IntelligentContextConfig(output_buffer_tokens=500)
    middleware = HeadroomMiddleware(model_limit=8000, intelligent_context=small)
    agent = create_agent(model(provider), tools=[orders], middleware=[middleware])
    agent.invoke({"messages": said})
    body = provider.received[0].json
    assert len(results(body)) < 20 and "dropped by importance scoring" in str(body["messages"])
    assert 0 < provider.received[0].bill.input <= 7500


def test_a_wrong_setting_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="model_limit"):
        HeadroomMiddleware(model_limit=-1)


def test_a_failure_leaves_the_messages_as_they_came(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "the text of a request"

    def broken(*args: object, **keywords: object) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr("headroom.integrations.shortener.compress", broken)
    create_agent(model(provider), tools=[orders], middleware=[HeadroomMiddleware()]).invoke(ASKED)  # type: ignore[call-overload]
    assert results(provider.received[-1].json) == [rows(60)] * 2
    assert "messages stay as they came" in caplog.text and secret not in caplog.text
