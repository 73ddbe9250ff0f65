import json
from pathlib import Path

import pytest

from headroom.errors import ConfigurationError
from headroom.models import catalogue, context_limit, load, price_for

CONTRACT = """{
"anthropic": {
"context_limits": {"claude-4-opus-20250301": 200000, "claude-custom-finetune": 128000},
"pricing": {"claude-4-opus-20250301": {"input": 15.00, "output": 75.00, "cached_input": 1.50}}
},
"openai": {
"context_limits": {"gpt-5": 256000, "ft:gpt-4o:my-org": 128000},
"pricing": {"gpt-5": [5.00, 15.00]}
}
}"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HEADROOM_CONFIG_DIR", "HEADROOM_WORKSPACE_DIR", "HEADROOM_MODEL_LIMITS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(catalogue, "_warned", set())
    return tmp_path


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def state(monkeypatch: pytest.MonkeyPatch, **providers: object) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", json.dumps(providers))


def test_the_contracts_file_works_with_both_spellings_of_a_price(home: Path) -> None:
    put(home / ".headroom/config/models.json", CONTRACT)
    opus = price_for("anthropic", "claude-4-opus-20250301")
    assert (opus.input, opus.output, opus.cache_read) == (15, 75, 1.5)
    assert (opus.cache_write, opus.cache_write_1h) == (18.75, 30)
    gpt = price_for("openai", "gpt-5")
    assert (gpt.input, gpt.output) == (5, 15)
    assert context_limit("anthropic", "claude-4-opus-20250301") == 200_000
    assert context_limit("anthropic", "claude-custom-finetune") == 128_000
    assert context_limit("openai", "gpt-5") == 256_000
    assert context_limit("openai", "ft:gpt-4o:my-org") == 128_000


def test_what_a_price_leaves_out_keeps_its_ratio_to_the_input_price(monkeypatch: pytest.MonkeyPatch) -> None:
    state(monkeypatch, openai={"pricing": {"gpt-5": [5, 15]}}, anthropic={"pricing": {"my-own": [10, 50]}})
    assert price_for("openai", "gpt-5").cache_read == pytest.approx(0.5)  # listed: 1.25 and 0.125
    own = price_for("anthropic", "my-own")
    assert (own.cache_read, own.cache_write, own.cache_write_1h) == pytest.approx((1, 12.5, 20))


def test_a_stated_price_holds_for_every_length_and_is_no_assumption(monkeypatch: pytest.MonkeyPatch) -> None:
    state(monkeypatch, anthropic={"pricing": {"claude-sonnet-4-5": [3, 15]}}, openai={"pricing": {"llama3": [0, 0]}})
    assert price_for("anthropic", "claude-sonnet-4-5").at(900_000).input == 3
    free = price_for("openai", "llama3")
    assert (free.input, free.output, free.cache_read, free.cache_write, free.assumed) == (0, 0, 0, 0, False)


def test_a_stated_model_is_not_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    state(monkeypatch, openai={"pricing": {"mine": [1, 2]}, "context_limits": {"mine": 5000}})
    assert price_for("openai", "mine").input == 1
    assert context_limit("openai", "mine") == 5000
    assert not caplog.records


@pytest.mark.parametrize(
    ("stated", "asked"),
    [
        ("gpt-5", "gpt-5-2025-08-07"),
        ("claude-x", "claude-x-20260101"),
        ("claude-x", "claude-x@20260101"),
        ("claude-x", "claude-x-latest"),
        ("ft:gpt-4o:my-org", "ft:gpt-4o:my-org:name:abc123"),
        ("Claude-X", "claude-x"),
    ],
)
def test_what_is_stated_of_a_model_holds_for_its_versions(
    stated: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(monkeypatch, openai={"context_limits": {stated: 4321}, "pricing": {stated: [7, 8]}})
    assert context_limit("openai", asked) == 4321
    assert price_for("openai", asked).input == 7


@pytest.mark.parametrize("asked", ["gpt-5-mini", "gpt-5.1", "gpt-50"])
def test_what_is_stated_of_a_model_does_not_hold_for_its_siblings(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state(monkeypatch, openai={"context_limits": {"gpt-5": 4321}, "pricing": {"gpt-5": [77, 88]}})
    assert context_limit("openai", asked) != 4321
    assert price_for("openai", asked).input != 77


def test_google_and_gemini_are_one_provider_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    state(monkeypatch, google={"context_limits": {"gemini-2.5-pro": 1111}}, gemini={"context_limits": {"g": 2222}})
    assert context_limit("gemini", "gemini-2.5-pro") == context_limit("vertex", "gemini-2.5-pro") == 1111
    assert context_limit("google", "g") == 2222


def test_the_environment_wins_over_the_file_model_by_model(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / ".headroom/config/models.json", '{"openai": {"context_limits": {"a": 1000, "b": 2000}}}')
    state(monkeypatch, openai={"context_limits": {"b": 3000}})
    assert (context_limit("openai", "a"), context_limit("openai", "b")) == (1000, 3000)


def test_the_environment_may_name_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "elsewhere/limits.json", '\ufeff{"openai": {"context_limits": {"a": 1234}}}')
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", "~/elsewhere/limits.json")
    assert context_limit("openai", "a") == 1234


def test_the_legacy_file_counts_only_while_the_canonical_one_is_absent(home: Path) -> None:
    put(home / ".headroom/models.json", '{"openai": {"context_limits": {"legacy-only": 1111}}}')
    assert context_limit("openai", "legacy-only") == 1111
    put(home / ".headroom/config/models.json", "{}")
    assert context_limit("openai", "legacy-only") == 128_000


WRONG = [
    ("{", "the text", "JSON"),
    ("[]", "the text", "an object"),
    ('{"anthropc": {}}', "anthropc", "did you mean anthropic?"),
    ('{"anthropic": []}', "anthropic", "an object"),
    ('{"openai": {"context_limit": {}}}', "openai.context_limit", "did you mean context_limits?"),
    ('{"openai": {"context_limits": {"a": "8k"}}}', "openai.context_limits.a", "'8k'"),
    ('{"openai": {"context_limits": {"a": 0}}}', "openai.context_limits.a", "a whole number of tokens above 0"),
    ('{"openai": {"context_limits": {"a": true}}}', "openai.context_limits.a", "True"),
    ('{"openai": {"context_limits": {"a": 1.5}}}', "openai.context_limits.a", "1.5"),
    ('{"openai": {"pricing": {"a": [1]}}}', "openai.pricing.a", "[input, output]"),
    ('{"openai": {"pricing": {"a": [1, -2]}}}', "openai.pricing.a[1]", "-2"),
    ('{"openai": {"pricing": {"a": [1, NaN]}}}', "openai.pricing.a[1]", "nan"),
    ('{"openai": {"pricing": {"a": 5}}}', "openai.pricing.a", "[input, output]"),
    ('{"openai": {"pricing": {"a": {"input": 1}}}}', "openai.pricing.a.output", "missing"),
    ('{"openai": {"pricing": {"a": {"input": 1, "output": "2"}}}}', "openai.pricing.a.output", "'2'"),
    (
        '{"openai": {"pricing": {"a": {"input": 1, "output": 2, "cached": 1}}}}',
        "openai.pricing.a.cached",
        "cached_input",
    ),
]


@pytest.mark.parametrize(("text", "place", "said"), WRONG)
def test_a_wrong_file_is_an_error_that_names_place_value_and_what_is_allowed(
    text: str, place: str, said: str, home: Path
) -> None:
    path = put(home / ".headroom/config/models.json", text)
    for read in (load, lambda: price_for("openai", "gpt-5"), lambda: context_limit("openai", "gpt-5")):
        with pytest.raises(ConfigurationError) as caught:
            read()
        assert str(path) in caught.value.message
        assert place in caught.value.message and said in caught.value.message
        assert caught.value.details["setting"] == place


def test_a_wrong_variable_is_named_as_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"openai": {"context_limits": {"a": -1}}}')
    with pytest.raises(ConfigurationError, match=r"^HEADROOM_MODEL_LIMITS: openai\.context_limits\.a is -1; expected"):
        load()


def test_a_variable_that_names_no_file_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", str(home / "nowhere.json"))
    with pytest.raises(ConfigurationError, match=r"HEADROOM_MODEL_LIMITS names .*nowhere\.json, which can't be read"):
        load()


def test_a_file_that_was_wrong_and_is_right_now_is_read_again(home: Path) -> None:
    path = put(home / ".headroom/config/models.json", "{")
    with pytest.raises(ConfigurationError):
        load()
    put(path, '{"openai": {"context_limits": {"a": 4444}}}')
    assert context_limit("openai", "a") == 4444
