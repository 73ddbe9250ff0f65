"""Per-Request Overrides."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from headroom import HeadroomClient, HeadroomConfig, IntelligentContextConfig, OpenAIProvider
from tests.contract.conftest import SAID
from tests.contract.programs import large_conversation, long_conversation, sent, sizes
from tests.support.standin import StandIn


@pytest.fixture
def client(provider: StandIn) -> Iterator[HeadroomClient[OpenAI]]:
    config = HeadroomConfig(
        default_mode="optimize",  # type: ignore[arg-type]
        model_context_limits={"gpt-4o": 20_000},
        intelligent_context=IntelligentContextConfig(output_buffer_tokens=500),
    )
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), config=config) as made:
        yield made


def test_the_documented_call_is_answered_and_no_override_reaches_the_provider(
    client: HeadroomClient[OpenAI], provider: StandIn
) -> None:
    response = client.chat.completions.create(
        model="gpt-4o",
        messages=large_conversation(),
        headroom_mode="audit",
        headroom_output_buffer_tokens=8000,
        headroom_keep_turns=5,
        headroom_tool_profiles={"important_tool": {"skip_compression": True}},
    )
    assert response.choices[0].message.content == SAID
    assert provider.received[-1].json == {"model": "gpt-4o", "messages": large_conversation()}
    assert "headroom" not in str(provider.received[-1].headers).lower()


def test_headroom_mode_overrides_the_mode_for_this_request(client: HeadroomClient[OpenAI], provider: StandIn) -> None:
    client.chat.completions.create(model="gpt-4o", messages=large_conversation(), headroom_mode="audit")
    assert sent(provider) == large_conversation()
    client.chat.completions.create(model="gpt-4o", messages=large_conversation(prompt="And what else?"))
    assert sizes(sent(provider)) < sizes(large_conversation())


def test_headroom_output_buffer_tokens_reserves_more_tokens_for_output(
    client: HeadroomClient[OpenAI], provider: StandIn
) -> None:
    one, other = long_conversation(50), [{"role": "user", "content": "Hello!"}, *long_conversation(50)]
    client.chat.completions.create(model="gpt-4o", messages=one)
    assert len(sent(provider)) == len(one)
    client.chat.completions.create(model="gpt-4o", messages=other, headroom_output_buffer_tokens=8000)
    assert len(sent(provider)) < len(one)


def test_headroom_keep_turns_keeps_the_last_turns_uncompressed(
    client: HeadroomClient[OpenAI], provider: StandIn
) -> None:
    early, late = large_conversation(prompt="First?"), large_conversation(prompt="Second?", shelf="south")[1:]
    said: list[Any] = [*early, {"role": "assistant", "content": "That is all."}, *late]
    client.chat.completions.create(model="gpt-4o", messages=early)
    compressed = sent(provider)
    client.chat.completions.create(model="gpt-4o", messages=said, headroom_keep_turns=1)
    assert sent(provider) == [*compressed, *said[len(early) :]] and sizes(compressed) < sizes(early)
    other = large_conversation(prompt="Third?", shelf="west")
    client.chat.completions.create(model="gpt-4o", messages=other, headroom_keep_turns=5)
    assert sent(provider) == other


def test_headroom_tool_profiles_skips_compression_for_specific_tools(
    client: HeadroomClient[OpenAI], provider: StandIn
) -> None:
    skip = {"list_stock": {"skip_compression": True}}
    client.chat.completions.create(model="gpt-4o", messages=large_conversation(), headroom_tool_profiles=skip)
    assert sent(provider) == large_conversation()
    other = {"important_tool": {"skip_compression": True}}
    said = large_conversation(prompt="And what else?")
    client.chat.completions.create(model="gpt-4o", messages=said, headroom_tool_profiles=other)
    assert sizes(sent(provider)) < sizes(said)
