"""Session Beta Header Tracking."""

from collections.abc import AsyncIterator
from hashlib import md5

import pytest
import pytest_asyncio

from headroom.session.betas import SessionBetaTracker, beta_session_key
from tests.contract.proxied import MODEL, OPENAI, SYSTEM, Proxied, proxied


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxied]:
    async with proxied() as running:
        yield running


async def test_the_proxy_maintains_a_union_of_anthropic_beta_tokens_per_session(proxy: Proxied) -> None:
    assert await proxy.betas({"anthropic-beta": "one-2025,two-2025"}) == "one-2025,two-2025"
    assert await proxy.betas({"anthropic-beta": "three-2025"}, "Go on.") == "one-2025,two-2025,three-2025"


async def test_the_same_holds_for_openai_beta(proxy: Proxied) -> None:
    assert await proxy.betas({"OpenAI-Beta": "responses=experimental"}, url=OPENAI) == "responses=experimental"
    assert await proxy.betas({}, url=OPENAI) == "responses=experimental"


def test_it_is_kept_by_session_beta_tracker() -> None:
    tracker = SessionBetaTracker()
    assert tracker.merge("anthropic", "session", ["one-2025"]) is None, "the header stays as it is"
    assert tracker.merge("anthropic", "session", ["two-2025"]) == "one-2025,two-2025"


async def test_the_session_key_is_the_header_x_headroom_session_id_if_present(proxy: Proxied) -> None:
    assert beta_session_key({"x-headroom-session-id": "mine"}, MODEL, SYSTEM) == "mine"
    await proxy.betas({"x-headroom-session-id": "mine", "anthropic-beta": "one-2025"})
    assert await proxy.betas({"x-headroom-session-id": "other"}) is None
    flow = await proxy.send({"x-headroom-session-id": "mine"})
    assert flow.request.headers["anthropic-beta"] == "one-2025"
    assert "x-headroom-session-id" not in flow.request.headers


def test_otherwise_it_is_derived_from_the_model_and_the_beginning_of_the_system_prompt() -> None:
    expected = md5((MODEL + SYSTEM[:500]).encode()).hexdigest()[:16]
    assert beta_session_key({}, MODEL, SYSTEM) == expected
    assert beta_session_key({}, MODEL, SYSTEM[:500] + "another end") == expected
    assert beta_session_key({}, "claude-opus-4-5", SYSTEM) != expected


async def test_the_key_is_stable_across_turns_of_the_same_conversation(proxy: Proxied) -> None:
    await proxy.betas({"anthropic-beta": "one-2025"}, "Hello!")
    assert await proxy.betas({}, "How are you?") == "one-2025"


async def test_a_token_that_the_client_drops_between_two_turns_is_injected_again(proxy: Proxied) -> None:
    first = await proxy.betas({"anthropic-beta": "claude-code-20250219,context-1m-2025-08-07"})
    assert await proxy.betas({"anthropic-beta": "claude-code-20250219"}, "Go on.") == first


async def test_once_seen_a_token_is_sent_for_the_rest_of_the_session(proxy: Proxied) -> None:
    await proxy.betas({"anthropic-beta": "one-2025"})
    for turn in range(5):
        assert await proxy.betas({}, f"turn {turn}") == "one-2025"


async def test_disabled_passes_the_clients_value_verbatim_without_accumulation(
    proxy: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "disabled")
    for value in ("one-2025", "Two-2025 , three-2025"):
        assert await proxy.betas({"anthropic-beta": value}) == value
    assert await proxy.betas({}) is None
