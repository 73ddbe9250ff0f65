"""SDK Configuration."""

import sqlite3
from pathlib import Path

import pytest
from openai import OpenAI

from headroom import HeadroomClient, OpenAIProvider
from tests.contract.programs import large_conversation, long_conversation, sent, sizes
from tests.support.standin import StandIn


def test_headroom_client_takes_the_original_client_a_provider_and_the_documented_settings(provider: StandIn) -> None:
    client = HeadroomClient(
        original_client=OpenAI(),
        provider=OpenAIProvider(),
        default_mode="optimize",
        enable_cache_optimizer=True,
        enable_semantic_cache=False,
        model_context_limits={"gpt-4o": 128000, "gpt-4o-mini": 128000},
    )
    with client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation())
        assert client.get_stats()["config"] == {
            "mode": "optimize",
            "provider": "openai",
            "cache_optimizer": True,
            "semantic_cache": False,
        }
    assert len(provider.received) == 1


def test_default_mode_audit_observes_only(provider: StandIn) -> None:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), default_mode="audit") as client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation())
    assert sent(provider) == large_conversation()


def test_default_mode_optimize_applies_transforms(provider: StandIn) -> None:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), default_mode="optimize") as client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation())
    assert sizes(sent(provider)) < sizes(large_conversation())


def test_enable_cache_optimizer_enables_provider_specific_cache_optimization(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headroom.cache.openai.HOST", "localhost")  # where the stand-in is
    for enabled in (True, False):
        with HeadroomClient(
            original_client=OpenAI(),
            provider=OpenAIProvider(),
            default_mode="optimize",
            enable_cache_optimizer=enabled,
        ) as client:
            client.chat.completions.create(model="gpt-4o", messages=large_conversation())
        assert ("prompt_cache_key" in provider.received[-1].json) is enabled


def test_enable_semantic_cache_enables_query_level_semantic_caching(provider: StandIn) -> None:
    for enabled, requests in ((False, 2), (True, 1)):
        provider.received.clear()
        with HeadroomClient(
            original_client=OpenAI(),
            provider=OpenAIProvider(),
            default_mode="optimize",
            enable_semantic_cache=enabled,
        ) as client:
            for _ in range(2):
                client.chat.completions.create(
                    model="gpt-4o", temperature=0, messages=[{"role": "user", "content": "Which parts are there?"}]
                )
        assert len(provider.received) == requests


def test_model_context_limits_override_the_default_limits_per_model(provider: StandIn) -> None:
    with HeadroomClient(
        original_client=OpenAI(),
        provider=OpenAIProvider(),
        default_mode="optimize",
        model_context_limits={"gpt-4o": 6000, "gpt-4o-mini": 128000},
    ) as client:
        assert client.context_limit("gpt-4o") == 6000
        for model, fits in (("gpt-4o-mini", True), ("gpt-4o", False)):
            client.chat.completions.create(model=model, messages=long_conversation(20))
            assert (len(sent(provider)) == len(long_conversation(20))) is fits


def test_the_database_is_in_the_temp_directory_by_default(provider: StandIn, temporary: Path) -> None:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider()) as client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation())
        url = client.validate_setup()["storage"]["url"]
    path = Path(url.removeprefix("sqlite:///"))
    assert path.is_relative_to(temporary) and path.is_file()


def test_store_url_is_the_databases_location(provider: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "absolute" / "path" / "headroom.db"
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), store_url=f"sqlite:///{path}") as client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation())
    assert f"sqlite:///{path}".startswith("sqlite:////")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM exchanges").fetchone() == (1,)
    connection.close()
