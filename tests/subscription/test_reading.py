"""What answers say of their users' plans."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.subscription import Window, from_event, from_headers, from_usage

NOW = 1_790_000_000.0
CLAUDE = {
    "content-type": "text/event-stream",
    "anthropic-organization-id": "11111111-2222-3333-4444-555555555555",
    "anthropic-ratelimit-unified-status": "allowed",
    "anthropic-ratelimit-unified-5h-status": "allowed",
    "anthropic-ratelimit-unified-5h-utilization": "0.42",
    "anthropic-ratelimit-unified-5h-reset": "1790009000",
    "anthropic-ratelimit-unified-7d-utilization": "0.18",
    "anthropic-ratelimit-unified-7d-reset": "1790600000",
    "anthropic-ratelimit-unified-7d_oi-utilization": "0.5",
    "anthropic-ratelimit-unified-overage-utilization": "0.0",
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
}
CODEX = {
    "x-codex-plan-type": "plus",
    "x-codex-primary-used-percent": "61",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "1790009000",
    "x-codex-primary-reset-after-seconds": "60",
    "x-codex-secondary-used-percent": "12.5",
    "x-codex-secondary-window-minutes": "10080",
    "x-codex-secondary-reset-after-seconds": "600",
}


def test_the_windows_of_a_claude_plan_stand_in_every_answer() -> None:
    reading = from_headers(CLAUDE, NOW)
    assert reading is not None and reading.provider == "anthropic"
    assert reading.windows == (
        Window("5 hours", 0.42, 1_790_009_000, 300, "allowed"),
        Window("7 days", 0.18, 1_790_600_000, 10080),
        Window("7 days (oi)", 0.5, None, 10080),
    )


def test_an_account_is_known_by_a_hash_alone() -> None:
    reading = from_headers(CLAUDE, NOW)
    assert reading is not None and len(reading.account) == 8 and "1111" not in reading.account


def test_the_windows_of_chatgpt_are_named_by_their_length() -> None:
    reading = from_headers(CODEX, NOW)
    assert reading is not None and (reading.provider, reading.plan) == ("openai", "plus")
    assert reading.windows == (
        Window("5 hours", 0.61, 1_790_009_000, 300),
        Window("7 days", 0.125, NOW + 600, 10080),
    )


def test_a_limit_of_one_model_keeps_its_name() -> None:
    reading = from_headers({"x-codex-spark-primary-used-percent": "97", "x-codex-spark-primary-window-minutes": "300"})
    assert reading is not None and reading.windows == (Window("5 hours (spark)", 0.97, None, 300),)


def test_codex_tells_its_windows_over_the_websocket_too() -> None:
    primary = {"used_percent": 40.0, "window_minutes": 300, "reset_at": 1_790_009_000}
    event = {"type": "codex.rate_limits", "plan_type": "pro", "rate_limits": {"primary": primary, "secondary": None}}
    reading = from_event(json.dumps(event).encode())
    assert reading is not None and reading.plan == "pro"
    assert reading.windows == (Window("5 hours", 0.4, 1_790_009_000, 300),)
    assert from_event(b'{"type": "response.completed"}') is None


def test_what_clients_ask_of_their_usage_is_read_too() -> None:
    claude = {"five_hour": {"utilization": 6.0, "resets_at": "2026-09-21T14:13:20+00:00"}, "seven_day_opus": None}
    reading = from_usage("anthropic", json.dumps(claude).encode())
    assert reading is not None and reading.windows == (Window("5 hours", 0.06, 1_790_000_000, 300),)
    window = {"used_percent": 33, "limit_window_seconds": 18000, "reset_at": 1_790_009_000}
    codex = {"plan_type": "plus", "rate_limit": {"primary_window": window}}
    reading = from_usage("openai", json.dumps(codex).encode())
    assert reading is not None and reading.windows == (Window("5 hours", 0.33, 1_790_009_000, 300),)


@pytest.mark.parametrize("headers", [{}, {"anthropic-ratelimit-requests-remaining": "10"}, {"x-ratelimit-limit": "5"}])
def test_answers_to_keys_say_nothing_of_a_plan(headers: dict[str, str]) -> None:
    assert from_headers(headers) is None


@pytest.mark.parametrize("value", ["", "nan", "inf", "-1", "1e400", "many", "1" * 400])
def test_a_number_that_is_none_is_left_out(value: str) -> None:
    assert from_headers({"x-codex-primary-used-percent": value}) is None
    headers = {"x-codex-primary-used-percent": "5", "x-codex-primary-reset-at": value}
    reading = from_headers(headers, NOW)
    assert reading is not None and reading.windows[0].resets_at is None


NAMES = ["rate_limits", "primary", "used_percent", "five_hour", "utilization"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(JSON)
def test_whatever_an_answer_has_nothing_is_raised(value: object) -> None:
    body = json.dumps({"type": "codex.rate_limits", "rate_limits": value}).encode()
    assert from_event(body) is None or from_event(body) is not None
    for provider in ("anthropic", "openai"):
        from_usage(provider, json.dumps(value).encode())
        from_usage(provider, json.dumps({"rate_limit": value}).encode())
