import datetime
import logging
from pathlib import Path

import pytest

from headroom.models import DEFAULT_LIMIT, DEFAULT_PRICE, Price, catalogue, context_limit, load, overrides, price_for


@pytest.fixture(autouse=True)
def nothing_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No models.json, no variable, and no model that was warned of before."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HEADROOM_CONFIG_DIR", "HEADROOM_WORKSPACE_DIR", "HEADROOM_MODEL_LIMITS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(catalogue, "_warned", set())
    catalogue._price.cache_clear()
    catalogue._limit.cache_clear()


def five(price: Price) -> tuple[float, float, float, float, float]:
    return price.input, price.output, price.cache_read, price.cache_write, price.cache_write_1h


def test_a_claude_model_has_the_prices_of_both_cache_lives() -> None:
    assert five(price_for("anthropic", "claude-opus-4-5")) == (5, 25, 0.5, 6.25, 10)


def test_an_openai_model_writes_its_cache_for_nothing_extra() -> None:
    assert five(price_for("openai", "gpt-5")) == (1.25, 10, 0.125, 1.25, 1.25)


def test_a_claude_model_listed_without_cache_prices_gets_anthropics_rule() -> None:
    assert five(price_for("anthropic", "claude-2")) == pytest.approx((8, 24, 0.8, 10, 16))


@pytest.mark.parametrize(
    ("provider", "model", "start"),
    [("anthropic", "claude-sonnet-4-5", 200_000), ("gemini", "gemini-2.5-pro", 200_000)],
)
def test_a_long_request_costs_more_from_the_first_token_on(provider: str, model: str, start: int) -> None:
    price = price_for(provider, model)
    assert price.at(start) is price
    longer = price.at(start + 1)
    assert (longer.input, longer.cache_read) == (2 * price.input, 2 * price.cache_read)
    assert longer.output == 1.5 * price.output


def test_a_price_that_changes_on_a_day_is_taken_by_the_day() -> None:
    nothing = overrides()
    before = catalogue._price("anthropic", "claude-opus-4-6", datetime.date(2026, 3, 12), nothing)
    after = catalogue._price("anthropic", "claude-opus-4-6", datetime.date(2026, 3, 13), nothing)
    assert before.at(300_000).input == 10
    assert after.at(300_000).input == 5


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        ("vertex", "claude-sonnet-4-5@20250929", ("anthropic", "claude-sonnet-4-5")),
        ("anthropic", "claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
        ("anthropic", "Claude-Sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", ("anthropic", "claude-sonnet-4-5")),
        ("openai", "anthropic/claude-sonnet-4.5", ("anthropic", "claude-sonnet-4-5")),
        ("vertex", "gemini-2.5-pro", ("gemini", "gemini-2.5-pro")),
        ("gemini", "models/gemini-2.5-pro", ("gemini", "gemini-2.5-pro")),
        ("google", "gemini-2.5-pro", ("gemini", "gemini-2.5-pro")),
        ("azure", "gpt-4o-2024-08-06", ("openai", "gpt-4o")),
        ("openai", "gpt-5-2025-08-07", ("openai", "gpt-5")),
    ],
)
def test_a_model_costs_the_same_however_its_host_spells_it(
    provider: str, model: str, same_as: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert price_for(provider, model) == price_for(*same_as)
    assert context_limit(provider, model) == context_limit(*same_as)
    assert not caplog.records


@pytest.mark.parametrize(
    ("provider", "model", "limit", "like"),
    [
        ("anthropic", "claude-opus-99", 200_000, "claude-opus-5-5"),
        ("anthropic", "my-sonnet-finetune", 200_000, "claude-sonnet-5-5"),
        ("anthropic", "claude-haiku-99-20301231", 200_000, "claude-haiku-5-5"),
        ("openai", "gpt-4o-next", 128_000, "gpt-4o"),
        ("openai", "ft:gpt-4o:my-org", 128_000, "gpt-4o"),
        ("openai", "o1-next", 200_000, "o1"),
        ("openai", "o3-next", 200_000, "o3"),
        ("gemini", "gemini-99-flash", 1_048_576, "gemini-2.5-flash"),
        ("gemini", "gemini-99-ultra", 1_048_576, "gemini-2.5-pro"),
    ],
)
def test_a_model_newer_than_the_list_is_inferred_from_its_name(
    provider: str, model: str, limit: int, like: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert price_for(provider, like).assumed is False
    assert not caplog.records
    assert price_for(provider, model) == price_for(provider, like)
    assert context_limit(provider, model) == limit
    assert [like in record.getMessage() for record in caplog.records] == [True]


def test_the_contracts_example_of_a_new_sonnet_works_at_once() -> None:
    assert context_limit("anthropic", "claude-4-sonnet-20251201") == 200_000
    assert five(price_for("anthropic", "claude-4-sonnet-20251201"))[:2] == (3, 15)


def test_a_model_that_nobody_knows_gets_the_stated_default_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert price_for("openai", "nobody-knows-it") == DEFAULT_PRICE
        assert context_limit("openai", "nobody-knows-it") == DEFAULT_LIMIT == 128_000
    assert DEFAULT_PRICE.assumed
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    text = caplog.records[0].getMessage()
    assert "'nobody-knows-it'" in text and "128,000 tokens" in text and "3 / 15 USD" in text


def test_a_model_that_somebody_else_sells_has_his_price_but_is_no_ground_for_a_claim() -> None:
    price = price_for("openai", "deepseek-chat")
    assert price.assumed
    assert 0 < price.cache_read < price.input < DEFAULT_PRICE.input


def test_a_model_without_a_price_for_text_gets_the_default() -> None:
    assert price_for("openai", "tts-1") == DEFAULT_PRICE


@pytest.mark.parametrize("model", ["", "\x00", "x" * 100_000, "'; DROP TABLE", "../..", "models/", "\ud800"])
def test_no_name_of_a_model_breaks_the_lookup(model: str) -> None:
    assert price_for("anthropic", model).input > 0
    assert context_limit("nobody", model) > 0


def test_warnings_end_when_somebody_sends_endless_names(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(catalogue._WARNINGS + 50):
        context_limit("openai", f"made-up-{number}")
    assert len(caplog.records) == catalogue._WARNINGS


def test_prices_are_read_without_a_thread_or_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import threading

    def refuse(*args: object) -> None:
        raise AssertionError("a price went to the network")

    before = set(threading.enumerate())
    monkeypatch.setattr(socket.socket, "connect", refuse)
    load()
    assert price_for("gemini", "gemini-2.5-flash").input == 0.3
    assert set(threading.enumerate()) == before
