import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom import paths
from headroom.errors import ConfigurationError, StorageError, ValidationError

type Resource = Callable[..., Path]

FILES: list[tuple[Resource, str | None, str]] = [
    (paths.savings_path, "HEADROOM_SAVINGS_PATH", "proxy_savings.json"),
    (paths.toin_path, "HEADROOM_TOIN_PATH", "toin.json"),
    (paths.subscription_state_path, "HEADROOM_SUBSCRIPTION_STATE_PATH", "subscription_state.json"),
    (paths.memory_path, None, "memory.db"),
    (paths.session_stats_path, None, "session_stats.jsonl"),
    (paths.logs_dir, None, "logs"),
    (paths.ledger_path, None, "ledger.db"),
    (paths.state_path, None, "state.db"),
]
ROOTS: list[tuple[Resource, str, str]] = [
    (paths.workspace_dir, "HEADROOM_WORKSPACE_DIR", ".headroom"),
    (paths.config_dir, "HEADROOM_CONFIG_DIR", ".headroom/config"),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and no headroom variable."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    variables = [variable for _, variable, _ in (*FILES, *ROOTS) if variable]
    for variable in (*variables, "HEADROOM_WORKSPACE", "HEADROOM_MODEL_LIMITS"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.mark.parametrize(("root", "variable", "default"), ROOTS)
def test_a_root_is_the_argument_else_its_variable_else_in_the_home_folder(
    root: Resource, variable: str, default: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert root() == home / default
    monkeypatch.setenv(variable, "/from/variable")
    assert root() == Path("/from/variable")
    assert root("/explicit") == root(Path("/explicit")) == Path("/explicit")


@pytest.mark.parametrize(("resource", "variable", "name"), FILES)
def test_a_file_is_the_argument_else_its_variable_else_below_the_workspace(
    resource: Resource, variable: str | None, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resource() == home / ".headroom" / name
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    assert resource() == Path("/work") / name
    if variable:
        monkeypatch.setenv(variable, "/own/place")
        assert resource() == Path("/own/place")
    assert resource("/explicit") == Path("/explicit")


def test_the_docker_mount_variable_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE", "/docker/mount")
    assert paths.workspace_dir() == home / ".headroom"


def test_moving_the_workspace_leaves_the_config_where_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    assert paths.config_dir() == home / ".headroom/config"


def test_an_empty_variable_or_argument_counts_as_not_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", " ")
    monkeypatch.setenv("HEADROOM_TOIN_PATH", "")
    assert paths.workspace_dir("") == home / ".headroom"
    assert paths.toin_path() == home / ".headroom/toin.json"


def test_a_tilde_is_the_home_folder_in_variables_and_arguments(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_SAVINGS_PATH", "~/money.json")
    assert paths.savings_path() == home / "money.json"
    assert paths.memory_path("~/m.db") == home / "m.db"


def test_an_unknown_home_folder_is_an_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_TOIN_PATH", "~no-such-user-here/toin.json")
    with pytest.raises(ConfigurationError, match=r"HEADROOM_TOIN_PATH is '~no-such-user-here/toin.json'"):
        paths.toin_path()


def test_models_are_read_from_the_config_root_and_else_from_the_legacy_places(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(work))
    monkeypatch.setenv("HEADROOM_CONFIG_DIR", str(tmp_path / "config"))
    canonical = tmp_path / "config/models.json"
    assert paths.models_path() == canonical
    for place in (home / ".headroom/models.json", work / "models.json", canonical):
        place.parent.mkdir(parents=True)
        place.write_text("{}")
        assert paths.models_path() == place
    assert paths.models_path("/explicit.json") == Path("/explicit.json")


def test_inline_model_limits_are_not_taken_for_a_path(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"openai": {}}')
    assert paths.models_path() == home / ".headroom/config/models.json"


def test_each_plugin_has_a_folder_below_both_roots(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", "/work")
    assert paths.plugin_config_dir("my-plugin") == home / ".headroom/config/plugins/my-plugin"
    assert paths.plugin_workspace_dir("my-plugin") == Path("/work/plugins/my-plugin")


@pytest.mark.parametrize("name", ["a/b", "a\\b", "/etc", "../up", "..\\up", "..", ".", "", "a\0b"])
@pytest.mark.parametrize("folder", [paths.plugin_config_dir, paths.plugin_workspace_dir])
def test_a_plugin_name_that_leaves_its_folder_is_refused(folder: Resource, name: str) -> None:
    with pytest.raises(ValidationError, match="without / and") as caught:
        folder(name)
    assert caught.value.details["found"] == name


def test_asking_for_a_path_makes_nothing(home: Path) -> None:
    for resource, _, _ in FILES:
        resource()
    paths.models_path()
    paths.plugin_workspace_dir("p")
    assert list(home.iterdir()) == []


def test_a_private_folder_and_its_missing_parents_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = paths.private_dir(tmp_path / "a/b/c")
    for made in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert paths.private_dir(folder) == folder


def test_a_private_folder_that_exists_keeps_the_mode_its_owner_gave_it(tmp_path: Path) -> None:
    shared = tmp_path / "team"
    shared.mkdir()
    shared.chmod(0o770)
    paths.private_dir(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o770


def test_a_folder_that_cannot_be_made_is_a_storage_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(StorageError, match=str(place)):
            paths.private_dir(place)
