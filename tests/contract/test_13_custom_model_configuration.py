"""Custom Model Configuration."""

import json
from pathlib import Path

import pytest
from anthropic import Anthropic
from openai import OpenAI

from headroom import AnthropicProvider, ConfigurationError, HeadroomClient, OpenAIProvider, paths
from headroom.models import catalogue, context_limit, price_for
from tests.contract.programs import large_conversation
from tests.support.standin import StandIn

FILE = """{
"anthropic": {
"context_limits": {
"claude-4-opus-20250301": 200000,
"claude-custom-finetune": 128000
},
"pricing": {
"claude-4-opus-20250301": {
"input": 15.00,
"output": 75.00,
"cached_input": 1.50
}
}
},
"openai": {
"context_limits": {
"gpt-5": 256000,
"ft:gpt-4o:my-org": 128000
},
"pricing": {
"gpt-5": [5.00, 15.00]
}
}
}"""
"""As the document has it."""


PRICE = {"input": 100, "output": 200, "cached_input": 10}


@pytest.fixture(autouse=True)
def _warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_warned", set())


@pytest.fixture
def models_json() -> Path:
    paths.config_dir().mkdir(parents=True)
    return paths.config_dir() / "models.json"


def limits(**models: int) -> str:
    return json.dumps({"openai": {"context_limits": models}})


def test_a_model_that_is_newer_than_headroom_can_be_configured(models_json: Path) -> None:
    models_json.write_text('{"openai": {"context_limits": {"brand-new": 777000}, "pricing": {"brand-new": [7, 9]}}}')
    assert context_limit("openai", "brand-new") == 777_000
    assert (price_for("openai", "brand-new").input, price_for("openai", "brand-new").output) == (7, 9)


def test_a_fine_tuned_or_custom_model_can_be_configured(models_json: Path) -> None:
    models_json.write_text(FILE)
    assert context_limit("openai", "ft:gpt-4o:my-org") == 128_000
    assert context_limit("anthropic", "claude-custom-finetune") == 128_000


def test_built_in_limits_can_be_overridden(models_json: Path) -> None:
    models_json.write_text(FILE)
    assert context_limit("openai", "gpt-5") == 256_000  # built in: 400,000


# --- Configuration Methods


def test_built_in_defaults_come_first() -> None:
    assert context_limit("openai", "gpt-4o") == 128_000


def test_models_json_in_the_config_root_overrides_built_in_defaults(models_json: Path) -> None:
    models_json.write_text(limits(**{"gpt-4o": 1111}))
    assert context_limit("openai", "gpt-4o") == 1111


def test_the_default_place_is_home_headroom_config_models_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HEADROOM_CONFIG_DIR")
    path = tmp_path / ".headroom" / "config" / "models.json"
    path.parent.mkdir(parents=True)
    path.write_text(limits(**{"gpt-4o": 2222}))
    assert context_limit("openai", "gpt-4o") == 2222


def test_the_legacy_place_home_headroom_models_json_counts_while_the_canonical_file_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_json: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".headroom").mkdir()
    (tmp_path / ".headroom" / "models.json").write_text(limits(**{"gpt-4o": 3333}))
    assert context_limit("openai", "gpt-4o") == 3333
    models_json.write_text(limits(**{"gpt-4o": 4444}))
    assert context_limit("openai", "gpt-4o") == 4444


def test_headroom_model_limits_overrides_models_json(models_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models_json.write_text(limits(**{"gpt-4o": 1111, "gpt-5": 5555}))
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", limits(**{"gpt-4o": 6666}))
    assert context_limit("openai", "gpt-4o") == 6666
    assert context_limit("openai", "gpt-5") == 5555, "what it does not say stands"


def test_sdk_constructor_arguments_override_headroom_model_limits(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", limits(**{"gpt-4o": 6666, "gpt-5": 7777}))
    with HeadroomClient(OpenAI(), OpenAIProvider(), model_context_limits={"gpt-4o": 8888}) as client:
        assert (client.context_limit("gpt-4o"), client.context_limit("gpt-5")) == (8888, 7777)


def test_pricing_of_a_provider_overrides_headroom_model_limits_too(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"openai": {"pricing": {"mine": [1, 2], "other": [3, 4]}}}')
    costs = {}
    for name, pricing in (("variable", {}), ("list", {"mine": [100, 200]}), ("object", {"mine": PRICE})):
        with HeadroomClient(OpenAI(), OpenAIProvider(pricing=pricing), default_mode="simulate") as client:
            plan = client.chat.completions.simulate(model="mine", messages=large_conversation())
            costs[name] = float(plan.estimated_savings.removeprefix("$").removesuffix(" per request"))
    assert costs["list"] == costs["object"] == pytest.approx(100 * costs["variable"], rel=0.05)
    with pytest.raises(ConfigurationError, match=r"OpenAIProvider: pricing\.mine is 'dear'; expected"):
        OpenAIProvider(pricing={"mine": "dear"})  # type: ignore[dict-item]


# --- Config File Format


def test_the_documented_file_says_context_limits(models_json: Path) -> None:
    models_json.write_text(FILE)
    assert context_limit("anthropic", "claude-4-opus-20250301") == 200_000
    assert context_limit("anthropic", "claude-custom-finetune") == 128_000
    assert context_limit("openai", "gpt-5") == 256_000
    assert context_limit("openai", "ft:gpt-4o:my-org") == 128_000


def test_a_price_is_an_object_of_input_output_and_cached_input(models_json: Path) -> None:
    models_json.write_text(FILE)
    price = price_for("anthropic", "claude-4-opus-20250301")
    assert (price.input, price.output, price.cache_read) == (15.0, 75.0, 1.5)


def test_a_price_is_a_list_of_input_and_output(models_json: Path) -> None:
    models_json.write_text(FILE)
    price = price_for("openai", "gpt-5")
    assert (price.input, price.output) == (5.0, 15.0)


# --- Environment Variable


def test_headroom_model_limits_may_be_a_json_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"anthropic":{"context_limits":{"claude-new":200000}}}')
    assert context_limit("anthropic", "claude-new") == 200_000


def test_headroom_model_limits_may_be_a_file_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text(FILE)
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", str(tmp_path / "models.json"))
    assert context_limit("anthropic", "claude-custom-finetune") == 128_000


# --- Pattern-Based Inference


@pytest.mark.parametrize(
    ("model", "limit", "like"),
    [
        ("claude-opus-99", 200_000, "claude-opus-5-5"),
        ("claude-sonnet-99", 200_000, "claude-sonnet-5-5"),
        ("claude-haiku-99", 200_000, "claude-haiku-5-5"),
        ("gpt-4o-next", 128_000, "gpt-4o"),
        ("o1-next", 200_000, "o1"),
        ("o3-next", 200_000, "o3"),
    ],
)
def test_an_unknown_model_is_inferred_from_its_name(model: str, limit: int, like: str) -> None:
    maker = "anthropic" if model.startswith("claude") else "openai"
    assert context_limit(maker, model) == limit
    assert price_for(maker, model) == price_for(maker, like)


def test_new_models_like_claude_4_sonnet_20251201_work_automatically_with_sonnet_tier_defaults() -> None:
    assert context_limit("anthropic", "claude-4-sonnet-20251201") == 200_000
    price = price_for("anthropic", "claude-4-sonnet-20251201")
    assert (price.input, price.output, price.assumed) == (3.0, 15.0, False)


# --- SDK Override


def test_context_limits_of_a_provider_override_specific_models(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"anthropic":{"context_limits":{"claude-new-model":200000}}}')
    client = HeadroomClient(
        original_client=Anthropic(),
        provider=AnthropicProvider(
            context_limits={
                "claude-new-model": 300000,
            }
        ),
    )
    with client:
        assert client.context_limit("claude-new-model") == 300_000
