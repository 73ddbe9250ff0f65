"""Configuration Precedence: defaults, then the environment, the constructor, the request."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy.test import taddons
from openai import OpenAI

from addon import HeadroomAddon
from addon.settings import read_settings
from headroom import ConfigurationError, HeadroomClient, OpenAIProvider, paths
from headroom.cli.config import show_config
from headroom.settings import effective, load_config
from tests.contract.programs import large_conversation, sent
from tests.support.standin import StandIn


@pytest.fixture
def file() -> Iterator[Path]:
    folder = paths.config_dir()
    folder.mkdir(parents=True, exist_ok=True)
    yield folder / "config.toml"


def mode_of_a_client(**constructor: str) -> str:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), **constructor) as client:  # type: ignore[arg-type]
        return str(client.get_stats()["config"]["mode"])


def test_default_values_come_first(provider: StandIn) -> None:
    assert mode_of_a_client() == "audit"


def test_the_config_file_overrides_default_values(provider: StandIn, file: Path) -> None:
    file.write_text('default_mode = "simulate"\n')
    assert mode_of_a_client() == "simulate"


def test_environment_variables_override_the_config_file(
    provider: StandIn, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('default_mode = "simulate"\n')
    for variable in ("HEADROOM_DEFAULT_MODE", "HEADROOM_MODE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "optimize")
            assert mode_of_a_client() == "optimize"


def test_sdk_constructor_arguments_override_environment_variables(
    provider: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_DEFAULT_MODE", "optimize")
    assert mode_of_a_client(default_mode="audit") == "audit"


def test_per_request_overrides_override_sdk_constructor_arguments(provider: StandIn) -> None:
    with HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), default_mode="audit") as client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation(), headroom_mode="optimize")
    assert sent(provider) != large_conversation()


def test_headroom_config_shows_where_each_value_comes_from(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('default_mode = "optimize"\n[proxy]\nmode = "audit"\nbudget = 10.0\n[ccr]\nstore_max_entries = 5\n')
    monkeypatch.setenv("HEADROOM_SMART_CRUSHER_MAX_ITEMS_AFTER_CRUSH", "30")
    monkeypatch.setenv("HEADROOM_PROXY_BUDGET", "12.50")
    assert show_config(str(file.parent / "mitmproxy"), as_json=True) == 0
    said = {one["name"]: (one["value"], one["source"]) for one in json.loads(capsys.readouterr().out)["settings"]}
    assert said["default_mode"] == ("optimize", str(file))
    assert said["ccr.store_max_entries"] == (5, str(file))
    assert said["smart_crusher.max_items_after_crush"] == (30, "HEADROOM_SMART_CRUSHER_MAX_ITEMS_AFTER_CRUSH")
    assert said["smart_crusher.min_tokens_to_crush"] == (200, "default")
    assert said["headroom_mode"] == ("audit", str(file))
    assert said["headroom_budget"] == ("12.50", "HEADROOM_PROXY_BUDGET")
    assert said["headroom_time_budget"] == (250, "default")


def test_the_proxy_has_the_same_precedence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        '[proxy]\nmode = "audit"\nbudget = 10.0\ntool_profiles = { Bash = "skip" }\n'
        "[smart_crusher]\nmax_items_after_crush = 30\n"
    )
    monkeypatch.setenv("HEADROOM_PROXY_BUDGET", "12.50")
    with taddons.context(HeadroomAddon()) as context:
        found = read_settings(context.options)
        assert (found.mode, found.budget_usd, found.tool_profiles) == ("audit", 12.5, {"Bash": "skip"})
        assert found.smart_crusher.max_items_after_crush == 30
        context.options.set("headroom_mode=optimize")
        assert read_settings(context.options).mode == "optimize"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("default_mod = 'audit'", "default_mod is no setting; did you mean default_mode?"),
        ("default_mode = 'fast'", "default_mode is 'fast'; expected audit, optimize, simulate"),
        ("[smart_crusher]\nmax_item_after_crush = 3", "did you mean max_items_after_crush?"),
        ("[smart_crusher]\nmax_items_after_crush = 'few'", "smart_crusher.max_items_after_crush is 'few'; expected a"),
        ("[proxy]\nbuget = 3", "proxy.buget is no setting; did you mean budget?"),
        ("[proxy]\ntime_budget = 'long'", "proxy.time_budget is 'long'; expected a whole number"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_the_place_the_value_and_what_is_allowed(
    text: str, says: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_config()
        show_config(str(file.parent), as_json=True)
    assert str(file) in caught.value.message and says in caught.value.message


def test_every_setting_can_be_said_by_a_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in effective():
        if isinstance(setting.value, bool | int | float) and setting.path[-1] not in (
            "first_fraction",
            "last_fraction",
        ):
            text = str(not setting.value).lower() if isinstance(setting.value, bool) else "1"
            variable = "HEADROOM_" + "_".join(setting.path).upper()
            with monkeypatch.context() as patch:
                patch.setenv(variable, text)
                (found,) = [each for each in effective() if each.path == setting.path]
                assert found.source == variable and str(found.value).lower() in (text, f"{text}.0"), setting.name
