"""Proxy Configuration: Command Line Options, Feature Flags, All Options. What each does in a running proxy is tried in
tests/cli/test_proxy.py."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from addon.settings import OPTIONS, Settings, read_settings
from headroom.cli.main import headroom
from headroom.cli.settings import options
from headroom.ledger import Ledger
from tests.contract.programs import large_conversation
from tests.contract.proxied import proxied
from tests.ledger.rows import exchange


class Started:
    """What `headroom proxy` would start mitmproxy with."""

    def __init__(self, settings: Sequence[str]) -> None:
        self.typed = [setting for setting in settings if not setting.startswith("scripts=")]
        self.options = options(self.typed)

    @property
    def settings(self) -> Settings:
        return read_settings(self.options)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    """Every start of the proxy, in place of it."""
    found: list[Started] = []
    monkeypatch.setattr("headroom.cli.proxy.run", lambda settings: found.append(Started(settings)))
    return found


def command(*words: str) -> Result:
    return CliRunner().invoke(headroom, ["proxy", *words])


def proxy(started: list[Started], *words: str) -> Started:
    """`headroom proxy` with these words."""
    ran = command(*words)
    assert ran.exit_code == 0, ran.output
    return started.pop()


def test_the_documented_command_starts_the_proxy(
    started: list[Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADROOM_API_KEY", "a-key-of-ours")  # others reach 0.0.0.0
    words = "--port 8787 --host 0.0.0.0 --budget 10.00 --log-file headroom.jsonl"
    settings = proxy(started, *words.split()).settings
    assert (settings.mode, settings.budget_usd) == ("optimize", 10.0)


def test_port_is_the_port_to_listen_on(started: list[Started]) -> None:
    assert proxy(started, "--port", "9000").options.listen_port == 9000
    assert proxy(started).options.listen_port == 8787, "by default"


def test_host_is_the_host_to_bind_to(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy(started).options.listen_host == "127.0.0.1", "by default"
    assert proxy(started, "--host", "::1").options.listen_host == "::1"
    refused = command("--host", "0.0.0.0")
    assert refused.exit_code == 2 and "HEADROOM_API_KEY" in refused.output, "not without a key"
    monkeypatch.setenv("HEADROOM_API_KEY", "a-key-of-ours")
    assert proxy(started, "--host", "0.0.0.0").options.listen_host == "0.0.0.0"


async def test_budget_is_the_daily_budget_limit_in_usd(started: list[Started], tmp_path: Path) -> None:
    assert proxy(started, "--budget", "10.00").settings.budget_usd == 10.0
    ledger = Ledger(tmp_path / "work" / "ledger.db")
    ledger.record(exchange(cost_usd=10.5, time=time.time() + 3600))  # of today also when the day ends meanwhile
    ledger.close()
    for budget, status in (("10.00", 429), ("11.00", None)):
        async with proxied(headroom_budget=budget, headroom_workspace=str(tmp_path / "work")) as running:
            flow = await running.send({})
            assert (flow.response.status_code if flow.response else None) == status


def test_log_file_is_the_log_files_path(started: list[Started], tmp_path: Path) -> None:
    path = tmp_path / "headroom.jsonl"
    found = proxy(started, "--log-file", str(path))
    assert f"headroom_log_file={path}" in found.typed
    assert path.stat().st_mode & 0o777 == 0o600


# --- Feature Flags


async def test_no_optimize_disables_optimization(started: list[Started]) -> None:
    assert proxy(started).settings.mode == "optimize", "by default"
    assert proxy(started, "--no-optimize").settings.mode == "off"
    for mode, changed in (("optimize", True), ("off", False)):
        async with proxied(headroom_mode=mode) as running:
            body: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 9}
            body["messages"] = large_conversation("anthropic")
            flow = await running.send({}, body=body)
            assert (flow.request.json() != body) is changed


async def test_no_cache_disables_semantic_caching(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_SEMANTIC_CACHE_ENABLED", "true")
    assert proxy(started).settings.semantic_cache.enabled
    assert not proxy(started, "--no-cache").settings.semantic_cache.enabled


def test_no_ccr_responses_disables_ccr_response_handling(started: list[Started]) -> None:
    assert proxy(started).settings.ccr.responses, "by default"
    assert not proxy(started, "--no-ccr-responses").settings.ccr.responses


def test_no_ccr_expansion_disables_proactive_expansion(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_PROXY_CCR_EXPANSION", "true")
    assert proxy(started).settings.ccr.expansion
    assert not proxy(started, "--no-ccr-expansion").settings.ccr.expansion


def test_the_retired_flag_llmlingua_is_gone() -> None:
    refused = command("--llmlingua")
    assert refused.exit_code == 2 and "No such option" in refused.output


# --- All Options


@pytest.mark.parametrize("option", [name for name, _, _ in OPTIONS])
def test_every_option_has_a_default_a_sentence_and_can_be_set(option: str, started: list[Started]) -> None:
    ((default, text),) = [(default, text) for name, default, text in OPTIONS if name == option]
    assert getattr(proxy(started).options, option) == default
    assert len(text) > 20 and text.endswith(".")
    other: Any = (not default) if isinstance(default, bool) else default + 1 if isinstance(default, int) else "other"
    assert getattr(proxy(started, "--set", f"{option}={str(other).lower()}").options, option) == other


def test_a_memory_database_can_be_named(
    started: list[Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []
    monkeypatch.setattr("headroom.cli.proxy.serve_notes", lambda port, path: served.append(path))
    proxy(started, "--memory-db-path", str(tmp_path / "notes.db"))
    assert served == [str(tmp_path / "notes.db")]
