"""One proxy and one stand-in provider for the tests of a module; their log is shown when a test fails."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.npm_clients import installed
from tests.e2e.retrieving import project_with_programs
from tests.e2e.task import Project
from tests.e2e.world import World
from tests.e2e.world import world as start


@pytest.fixture(scope="session")
def commands() -> Path:
    """The folder with `claude`, `codex` and `gemini`."""
    return installed()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with programs that print much."""
    return project_with_programs(tmp_path / "project")


@pytest.fixture
def through_the_proxy(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a user of the proxy, for clients in this process."""
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in world.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    running = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(running, World):
        report.sections.append(("mitmdump", running.proxy.log[-20_000:]))
    return report
