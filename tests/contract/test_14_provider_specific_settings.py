"""Provider-Specific Settings."""

from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from headroom import AnthropicProvider, GoogleProvider, HeadroomClient, OpenAIProvider
from tests.contract.programs import large_conversation
from tests.library.test_explicit_caches import Gemini, ask
from tests.library.test_explicit_caches import client as gemini_client
from tests.library.test_explicit_caches import provider as gemini
from tests.support.standin import StandIn

__all__ = ["gemini"]


def test_enable_prefix_caching_of_openai_provider_enables_automatic_prefix_caching(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headroom.cache.openai.HOST", "localhost")  # where the stand-in is
    for enabled in (True, False):
        made = OpenAIProvider(enable_prefix_caching=enabled)
        with HeadroomClient(original_client=OpenAI(), provider=made, default_mode="optimize") as client:
            client.chat.completions.create(model="gpt-4o", messages=large_conversation())
        assert ("prompt_cache_key" in provider.received[-1].json) is enabled
    assert OpenAIProvider().enable_prefix_caching


def test_enable_cache_control_of_anthropic_provider_enables_cache_control_blocks(provider: StandIn) -> None:
    turns: list[Any] = large_conversation("anthropic")
    for enabled in (True, False):
        made = AnthropicProvider(enable_cache_control=enabled)
        with HeadroomClient(original_client=Anthropic(), provider=made, default_mode="optimize") as client:
            for end in (3, 5):  # the second request shows that the conversation goes on
                client.messages.create(
                    model="claude-opus-4-5", max_tokens=9, system="You keep a shop. " * 500, messages=turns[:end]
                )
        assert (b"cache_control" in provider.received[-1].body) is enabled
    assert AnthropicProvider().enable_cache_control


def test_enable_context_caching_of_google_provider_enables_explicit_caches(gemini: Gemini, tmp_path: Path) -> None:
    for enabled in (True, False):
        gemini.received.clear()
        made = GoogleProvider(enable_context_caching=enabled)
        with gemini_client(gemini, tmp_path / str(enabled), provider=made) as client:
            assert [ask(client, said) for said in "abc"] == ["Done."] * 3
        assert any(path == "cachedContents" for _, path, _ in gemini.received) is enabled
        assert gemini.living == set(), "they are deleted at the end"
    assert not GoogleProvider().enable_context_caching
