"""Filesystem Contract."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom import ValidationError, paths
from headroom.ccr.originals import open_originals
from headroom.ledger import Ledger
from headroom.memory import open_memory
from headroom.subscription import Subscriptions, from_headers
from headroom.telemetry import Toin
from tests.contract.proxied import proxied
from tests.ledger.rows import exchange

type Resource = Callable[..., Path]

RESOURCES: dict[str, tuple[Resource, str | None, str]] = {
    "savings ledger": (paths.savings_path, "HEADROOM_SAVINGS_PATH", "proxy_savings.json"),
    "TOIN": (paths.toin_path, "HEADROOM_TOIN_PATH", "toin.json"),
    "subscription state": (
        paths.subscription_state_path,
        "HEADROOM_SUBSCRIPTION_STATE_PATH",
        "subscription_state.json",
    ),
    "memory": (paths.memory_path, None, "memory.db"),
    "session stats": (paths.session_stats_path, None, "session_stats.jsonl"),
    "logs": (paths.logs_dir, None, "logs"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and no variable of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HEADROOM_WORKSPACE_DIR", "HEADROOM_CONFIG_DIR"):
        monkeypatch.delenv(name)
    return tmp_path


def test_headroom_config_dir_is_the_root_of_read_mostly_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paths.config_dir() == home / ".headroom" / "config"
    monkeypatch.setenv("HEADROOM_CONFIG_DIR", "/config")
    assert paths.config_dir() == Path("/config")
    assert paths.workspace_dir() == home / ".headroom", "each root has its own variable"


def test_headroom_workspace_dir_is_the_root_of_read_write_state(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.workspace_dir() == home / ".headroom"
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    assert paths.workspace_dir() == Path("/work")
    assert paths.config_dir() == home / ".headroom" / "config", "each root has its own variable"


@pytest.mark.parametrize("resource", RESOURCES)
def test_an_explicit_argument_wins_over_its_variable_over_the_root_over_the_default(
    resource: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, variable, name = RESOURCES[resource]
    assert path() == home / ".headroom" / name
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    assert path() == Path("/work") / name
    if variable:
        monkeypatch.setenv(variable, "/own/place")
        assert path() == Path("/own/place")
    assert path("/explicit") == Path("/explicit")


def test_every_resource_is_written_below_the_workspace() -> None:
    work = paths.workspace_dir()
    ledger = Ledger(paths.ledger_path(), paths.savings_path())
    ledger.record(exchange())
    ledger.close()
    toin = Toin()
    toin.record_compression("look_up", 10, 5, 100, 50, "smart_crusher")
    toin.save()
    toin.close()
    originals = open_originals()
    originals.stats()
    originals.close()
    memory = open_memory()
    memory.save("Prices are in cents.", project="shop")
    memory.close()
    made = {path.name for path in work.iterdir()}
    assert {"ledger.db", "proxy_savings.json", "toin.json", "originals.db", "memory.db"} <= made
    assert all(path.stat().st_mode & 0o077 == 0 for path in (work, *work.iterdir())), "for their owner only"


async def test_session_stats_are_a_line_of_json_for_each_session() -> None:
    async with proxied() as proxy:
        await proxy.send({"x-headroom-session-id": "mine"})
    (line,) = paths.session_stats_path().read_text().splitlines()
    found = json.loads(line)
    assert (found["session"], found["requests"]) == ("mine", 1) and found["began"] <= found["last"]


def test_the_subscription_state_is_written_where_its_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_SUBSCRIPTION_STATE_PATH", str(tmp_path / "plan.json"))
    reading = from_headers({"anthropic-ratelimit-unified-5h-utilization": "0.5"})
    assert reading is not None
    Subscriptions(paths.subscription_state_path()).record(reading)
    assert json.loads((tmp_path / "plan.json").read_text())


def test_plugins_have_a_folder_below_each_root(home: Path) -> None:
    assert paths.plugin_config_dir("mine") == home / ".headroom" / "config" / "plugins" / "mine"
    assert paths.plugin_workspace_dir("mine") == home / ".headroom" / "plugins" / "mine"


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", ""])
def test_a_plugins_name_is_the_name_of_one_folder(name: str) -> None:
    for folder in (paths.plugin_config_dir, paths.plugin_workspace_dir):
        with pytest.raises(ValidationError, match="without / and"):
            folder(name)


def test_legacy_places_and_variables_continue_to_work(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    legacy = home / ".headroom" / "models.json"
    legacy.parent.mkdir(parents=True)
    legacy.write_text("{}")
    assert paths.models_path() == legacy
    for variable in ("HEADROOM_SAVINGS_PATH", "HEADROOM_TOIN_PATH", "HEADROOM_SUBSCRIPTION_STATE_PATH"):
        monkeypatch.setenv(variable, "/legacy/file.json")
    assert {paths.savings_path(), paths.toin_path(), paths.subscription_state_path()} == {Path("/legacy/file.json")}


def test_headroom_workspace_is_not_headroom_workspace_dir(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE", "/docker/mount")
    assert paths.workspace_dir() == home / ".headroom"


def test_the_savings_ledger_is_json_with_the_documented_parts() -> None:
    ledger = Ledger(paths.ledger_path(), paths.savings_path())
    ledger.record(exchange())
    ledger.close()
    found = json.loads(paths.savings_path().read_text())
    assert {"schema_version", "lifetime", "display_session", "projects", "history"} <= set(found)
