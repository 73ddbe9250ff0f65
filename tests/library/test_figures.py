"""What a client tells of its work, and what of a request is waste."""

import base64
import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import pytest

from headroom import ConfigurationError, HeadroomClient, RequestMetrics
from headroom.inspection import SIGNALS, inspect
from headroom.tokenizers import count
from headroom.wire.shapes import read
from tests.library.conversations import messages, rows
from tests.library.test_client import MODELS, SHAPES, STEPS, World, asked, method, world
from tests.support.answers import Answer

__all__ = ["world"]
METRICS = (
    "request_id",
    "timestamp",
    "model",
    "stream",
    "mode",
    "tokens_input_before",
    "tokens_input_after",
    "tokens_output",
    "block_breakdown",
    "waste_signals",
    "stable_prefix_hash",
    "cache_alignment_score",
    "cached_tokens",
    "transforms_applied",
    "error",
)


@pytest.mark.parametrize("shape", SHAPES)
def test_get_stats_says_what_the_client_did_and_how_it_is_set(world: World, shape: str) -> None:
    with world.wrapped(shape) as client:
        method(client, shape)(**asked(shape))
        method(client, shape)(**asked(shape, headroom_mode="audit"))
        found = client.get_stats()
    saved = found["session"].pop("tokens_saved_total")
    assert saved > 500
    hits = found["session"].pop("cache_hits")
    assert 0 <= hits <= 2
    assert found["session"] == {"requests_total": 2, "requests_optimized": 1, "requests_audit": 1}
    provider = {"anthropic": "anthropic", "gemini": "google"}.get(shape, "openai")
    assert found["config"] == {
        "mode": "optimize",
        "provider": provider,
        "cache_optimizer": shape != "gemini",
        "semantic_cache": False,
    }
    assert found["transforms"] == {
        "smart_crusher_enabled": True,
        "cache_aligner_enabled": False,
        "rolling_window_enabled": True,
        "intelligent_context_enabled": True,
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_get_metrics_has_every_figure_of_each_request(world: World, shape: str) -> None:
    with world.wrapped(shape) as client:
        method(client, shape)(**asked(shape))
        (row,) = client.get_metrics()
    assert isinstance(row, RequestMetrics) and tuple(RequestMetrics.__dataclass_fields__) == METRICS
    assert row.request_id and row.model == MODELS[shape] and row.mode == "optimize" and row.stream is False
    assert timedelta(0) <= datetime.now(UTC) - row.timestamp < timedelta(minutes=10)
    assert 0 < row.tokens_input_after < row.tokens_input_before
    assert row.tokens_output and row.cached_tokens is not None and row.error is None
    assert row.block_breakdown["tool_results"] > 1000 and row.waste_signals["repetition_tokens"] > 1000
    assert len(row.stable_prefix_hash) == 16 and row.cache_alignment_score == 100
    assert row.transforms_applied


def test_get_metrics_and_get_summary_look_at_what_they_are_asked_for(world: World) -> None:
    with world.wrapped("openai-chat") as client:
        method(client, "openai-chat")(**asked("openai-chat"))
        between = client.get_metrics()[0].timestamp + timedelta(microseconds=1)
        world.provider.script = lambda shape, body: Answer("slow down", status=429)
        with pytest.raises(Exception, match="slow down"):
            method(client, "openai-chat")(**{**asked("openai-chat", headroom_mode="audit"), "model": "gpt-5"})
        newest, oldest = client.get_metrics()
        assert (newest.model, oldest.model) == ("gpt-5", "gpt-4o") and newest.error and not oldest.error
        assert client.get_metrics(limit=1) == [newest]
        assert client.get_metrics(model="gpt-4o") == [oldest] and client.get_metrics(mode="audit") == [newest]
        assert client.get_metrics(start_time=between) == [newest] and client.get_metrics(end_time=between) == [oldest]
        whole, first = client.get_summary(), client.get_summary(end_time=between)
        assert whole["total_requests"] == 2 and whole["errors"] == 1
        assert first["total_requests"] == first["requests_optimized"] == 1 and first["errors"] == 0
        assert first["total_tokens_before"] - first["total_tokens_after"] == first["total_tokens_saved"] > 500
        assert first["average_savings_percent"] == pytest.approx(
            100 * first["total_tokens_saved"] / first["total_tokens_before"], abs=0.01
        )
        assert sum(first["saved_by_transform"].values()) == first["total_tokens_saved"]
        assert 0 < first["cost_usd"] < first["cost_without_usd"] and first["tokens_output"] > 0
        assert first["saved_usd"] == pytest.approx(first["cost_without_usd"] - first["cost_usd"], abs=2e-6)
        later = client.get_summary(start_time=datetime.now(UTC) + timedelta(days=1))
        assert later["total_requests"] == 0 and later["average_savings_percent"] == 0
        with pytest.raises(ConfigurationError, match="expected a datetime"):
            client.get_metrics(start_time="yesterday")


def test_validate_setup_names_what_can_not_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.wrapped("anthropic") as client:
        good = client.validate_setup()
        assert good == {
            "valid": True,
            "issues": [],
            "provider": {"ok": True, "name": "anthropic", "error": None},
            "storage": {"ok": True, "url": f"sqlite:///{world.folder}/headroom.db", "error": None},
            "config": {"ok": True, "mode": "optimize", "error": None},
            "cache_optimizer": {"ok": True, "name": "anthropic-cache-optimizer", "error": None},
        }
        monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"anthropic": {"context_limits": {"claude-x": "much"}}}')
        bad = client.validate_setup()
        assert bad["valid"] is False and not bad["config"]["ok"] and "claude-x" in bad["config"]["error"]
        assert bad["issues"] == [f"config: {bad['config']['error']}"]
    monkeypatch.delenv("HEADROOM_MODEL_LIMITS")
    folder = world.folder / "gone"
    with HeadroomClient(anthropic.Anthropic(api_key="k"), store_url=f"sqlite:///{folder}/headroom.db") as client:
        shutil.rmtree(folder)
        found = client.validate_setup()
        assert found["valid"] is False and str(folder) in found["storage"]["error"]
    assert world.provider.received == []


def test_a_client_without_a_key_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with HeadroomClient(anthropic.Anthropic(), store_url=f"sqlite:///{world.folder}/headroom.db") as client:
        found = client.validate_setup()
    assert found["provider"] == {"ok": False, "name": "anthropic", "error": "the anthropic client has no key"}
    assert found["issues"] == ["provider: the anthropic client has no key"]


# Waste

FILE = base64.b64encode(bytes(range(256)) * 8).decode()
PAGE = (
    "<!DOCTYPE html><html><head><title>Shop</title><style>p { color: red }</style></head>"
    "<body><script>let a = 1;</script>"
    + "".join(f'<div class="row row-{n}"><p>Part {n} is there.</p></div>' for n in range(30))
    + "</body></html>"
)
SPACED = "".join(f"part {n}          {n * 3}   \n\n\n\n" for n in range(40))
DATED = "You keep a shop. Today is November 25, 2026. Session id: 7f3e-9921-aa. Be brief."
PLAIN = "Every part is where it belongs, and nothing is missing from the shelf in the north."
WASTE = {
    "base64_tokens": (FILE, 0.95),
    "whitespace_tokens": (SPACED, 0.1),
    "json_bloat_tokens": (json.dumps(json.loads(rows(40)), indent=4), 0.3),
    "html_noise_tokens": (PAGE, 0.5),
}


def found_in(output: str, *, system: str = "You keep a shop.", twice: bool = False) -> dict[str, int]:
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": output}
    said: list[Any] = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": [use]}]
    said.append({"role": "user", "content": [result]})
    if twice:
        said += [
            {"role": "assistant", "content": [{**use, "id": "t2"}]},
            {"role": "user", "content": [{**result, "tool_use_id": "t2"}]},
        ]
    body = {"model": "claude-sonnet-4-5", "system": system, "messages": said}
    return dict(inspect(read("anthropic", json.dumps(body).encode())).waste)


@pytest.mark.parametrize("signal", WASTE)
def test_waste_is_named_with_the_tokens_that_it_costs(signal: str) -> None:
    text, least = WASTE[signal]
    found = found_in(text)
    assert set(found) == {signal}
    assert least * count(text) <= found[signal] <= count(text) + 2


def test_a_text_that_stood_before_is_waste_the_second_time() -> None:
    long = "\n".join(f"{n}: {PLAIN}" for n in range(20))
    assert found_in(long) == {}
    assert found_in(long, twice=True) == {"repetition_tokens": count(long)}


def test_dates_and_ids_are_waste_in_the_system_prompt_alone() -> None:
    found = found_in(PLAIN, system=DATED)
    assert set(found) == {"dynamic_date_tokens"} and 10 < found["dynamic_date_tokens"] < count(DATED)
    assert found_in(DATED) == {}


def test_a_tidy_request_wastes_nothing() -> None:
    code = "def price(part: Part) -> int:\n    if part.sold:\n        return 0\n    return part.price\n" * 3
    hashes = "commit 9fceb02d0ae598e95dc970b74767f19372d61af8\n" * 2
    for text in ("", "ok", PLAIN, code, hashes, "a-b_c/" * 60, '{"a": 1}'):
        assert found_in(text) == {}, text


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_looked_through_alike(shape: str) -> None:
    from headroom.messages import LIST

    body = {"model": MODELS[shape], LIST[shape]: messages(shape, STEPS)}
    found = inspect(read(shape, json.dumps(body).encode()))
    assert found.waste["repetition_tokens"] > 1000 and found.waste["json_bloat_tokens"] > 300
    assert found.blocks["tool_results"] > 2000 and set(found.waste) <= set(SIGNALS)
