"""The options and the environment: what they are called, what is told of a wrong one, what they come to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mitmproxy.exceptions import OptionsError
from mitmproxy.test import taddons

from addon import HeadroomAddon
from addon.settings import OPTIONS, read_settings
from headroom import paths
from tests.support.proxy import ADDON

WRONG_OPTIONS = {
    "headroom_mode=fast": "headroom_mode is 'fast'; allowed: optimize | audit | off",
    "headroom_hosts=llm.test=soap": "headroom_hosts has 'llm.test=soap'; allowed: host=shape with a shape of anthropic",
    "headroom_hosts=https://llm.test=openai": "headroom_hosts has 'https://llm.test=openai'; allowed: a host name",
    "headroom_tool_profiles=Bash=hard": "headroom_tool_profiles is 'Bash=hard'; allowed: name=profile",
    "headroom_profile=brave": "headroom_profile is 'brave'; allowed: safe | balanced | max",
    "headroom_retrieval=mail": "headroom_retrieval is 'mail'; allowed: auto | native | tool | mcp | command | off",
    "headroom_context=big": "headroom_context is 'big'; allowed: off | intelligent | rolling",
    "headroom_context_limit=-1": "headroom_context_limit is -1; allowed: tokens, or 0",
    "headroom_time_budget=0": "headroom_time_budget is 0; allowed: milliseconds, at least 1",
    "headroom_budget=ten": "headroom_budget is 'ten'; allowed: US dollars above 0",
    "headroom_budget=-1": "headroom_budget is '-1'; allowed: US dollars above 0",
    "headroom_cache_ttl=2h": "headroom_cache_ttl is '2h'; allowed: auto | 5m | 1h",
}
WRONG_ENVIRONMENT = {
    "HEADROOM_BETA_TRACKER_MAX_SESSIONS=0": "HEADROOM_BETA_TRACKER_MAX_SESSIONS is '0'; allowed: a whole number",
    'HEADROOM_MODEL_LIMITS={"anthropic": {"pricing": {"claude-x": 3}}}': "HEADROOM_MODEL_LIMITS: anthropic.pricing",
}
AT_START = ("headroom_mode=fast", "headroom_hosts=llm.test=soap", *WRONG_ENVIRONMENT)
"""What a real mitmdump is started with; all of them are tested without."""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[taddons.context]:
    with taddons.context(HeadroomAddon()) as made:
        yield made


@pytest.mark.parametrize("setting", WRONG_OPTIONS)
def test_a_wrong_option_is_refused_and_the_old_value_stays(context: taddons.context, setting: str) -> None:
    name, _, _ = setting.partition("=")
    before = getattr(context.options, name)
    with pytest.raises(OptionsError) as refused:
        context.options.set(setting)
    assert str(refused.value).startswith(WRONG_OPTIONS[setting])
    assert getattr(context.options, name) == before


def test_a_number_that_is_none_is_refused(context: taddons.context) -> None:
    with pytest.raises(OptionsError, match="headroom_time_budget"):
        context.options.set("headroom_time_budget=soon")


@pytest.mark.parametrize("setting", WRONG_ENVIRONMENT)
def test_a_wrong_variable_is_refused(context: taddons.context, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    with pytest.raises(OptionsError) as refused:
        context.configure(context.master.addons.get("headroomaddon"), headroom_mode="audit")
    assert str(refused.value).startswith(WRONG_ENVIRONMENT[setting])


def test_a_wrong_models_json_is_refused(
    context: taddons.context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADROOM_CONFIG_DIR", str(tmp_path))
    (tmp_path / "models.json").write_text('{"anthropic": {"prices": {}}}')
    with pytest.raises(OptionsError) as refused:
        context.configure(context.master.addons.get("headroomaddon"), headroom_mode="audit")
    assert "models.json: anthropic.prices is unknown" in str(refused.value)


def test_what_stands_in_no_option_comes_from_the_environment(
    context: taddons.context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = read_settings(context.options)
    assert (settings.mode, settings.time_budget, settings.budget_usd, settings.hosts) == ("optimize", 0.25, None, {})
    assert settings.workspace == paths.workspace_dir() and settings.savings == paths.savings_path()
    monkeypatch.setenv("HEADROOM_SAVINGS_PATH", str(tmp_path / "elsewhere.json"))
    context.configure(
        context.master.addons.get("headroomaddon"),
        headroom_workspace=str(tmp_path / "own"),
        headroom_budget="12.50",
        headroom_hosts="llm.test=openai-chat, *.example.com=anthropic",
        headroom_tool_profiles="Bash=skip",
    )
    settings = read_settings(context.options)
    assert settings.workspace == tmp_path / "own" and settings.savings == tmp_path / "elsewhere.json"
    assert settings.budget_usd == 12.5 and settings.tool_profiles == {"Bash": "skip"}
    assert settings.hosts == {"llm.test": "openai-chat", "*.example.com": "anthropic"}


# --- a real mitmdump


def run(tmp_path: Path, *words: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    own = {"HOME": str(tmp_path), "HEADROOM_WORKSPACE_DIR": str(tmp_path / "workspace"), **(environment or {})}
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("mitmdump")), "-s", str(ADDON), "--set", f"confdir={tmp_path}", *words],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output(process: "subprocess.Popen[str]", seconds: float = 120) -> str:
    """What it has said when it ends by itself."""
    try:
        return process.communicate(timeout=seconds)[0]
    finally:
        process.kill()


def test_a_wrong_value_stops_the_start(tmp_path: Path) -> None:
    started = {}
    for number, setting in enumerate(AT_START):
        folder = tmp_path / str(number)
        folder.mkdir()
        name, _, value = setting.partition("=")
        listen = ("--listen-host", "127.0.0.1", "--listen-port", "0")
        if setting in WRONG_OPTIONS:
            started[setting] = run(folder, *listen, "--set", setting)
        else:
            started[setting] = run(folder, *listen, environment={name: value})
    for setting, process in started.items():
        said = output(process)
        assert process.returncode != 0
        assert {**WRONG_OPTIONS, **WRONG_ENVIRONMENT}[setting] in said
        assert "exiting" in said and "direct cause" not in said


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("headroom_time_budget=soon",), "headroom_time_budget: Failed to parse option headroom_time_budget"),
        (("headroom_mode=audit", "headroom_mode=off"), "headroom_mode: Received multiple values"),
    ],
)
def test_a_value_of_another_type_or_several_stop_the_start(tmp_path: Path, typed: tuple[str, ...], says: str) -> None:
    words = [word for setting in typed for word in ("--set", setting)]
    process = run(tmp_path, *("--listen-host", "127.0.0.1", "--listen-port", "0"), *words)
    said = output(process)
    assert process.returncode != 0 and says in said and "Traceback" not in said


def test_a_wrong_config_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[proxy]\nbuget = 3\n")
    process = run(
        tmp_path,
        *("--listen-host", "127.0.0.1", "--listen-port", "0"),
        environment={"HEADROOM_CONFIG_DIR": str(tmp_path)},
    )
    said = output(process)
    assert process.returncode != 0
    assert f"{tmp_path / 'config.toml'}: proxy.buget is no setting; did you mean budget?" in said


def test_mitmdump_lists_the_options(tmp_path: Path) -> None:
    said = output(run(tmp_path, "--options"))
    for name, default, text in OPTIONS:
        shown = "''" if default == "" else default if isinstance(default, str) else json.dumps(default)
        assert f"\n{name}: {shown}\n" in said, name
        comment = "".join(line.removeprefix("# ") for line in said.partition(f"\n{name}:")[0].splitlines()[-8:])
        assert text.replace(" ", "") in comment.replace(" ", "")
    assert not (tmp_path / "workspace").exists(), "nothing is made for it"
