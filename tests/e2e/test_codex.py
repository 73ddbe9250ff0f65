"""Codex CLI, headless, through the proxy, over its WebSocket and over HTTP/2: https://github.com/openai/codex"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import checks
from tests.e2e.task import DONE, NEW, NEW_TOO, OLD, OLD_TOO, PROMPT, Project, play
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def without_websocket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("without_websocket"), websocket=False) as running:
        yield running


def model() -> Script:
    """A model that reads and runs with JavaScript, as the newest do, or with plain calls, as others do."""

    def javascript(*lines: str) -> ToolCall:
        return ToolCall("exec", "\n".join(lines) + "\n", namespace="functions")

    def patch(old: str, new: str) -> str:
        return f"*** Begin Patch\n*** Update File: prices.py\n@@\n-{old}+{new}*** End Patch"

    read = 'text((await tools.exec_command({cmd: "cat prices.py"})).output);'
    run = 'text((await tools.exec_command({cmd: "python3 checks.py"})).output);'
    return play(
        [
            Answer("I look at the file first.", (javascript(read),)),
            Answer("", (javascript(run),)),
            Answer("", (javascript(f"text(await tools.apply_patch({json.dumps(patch(OLD, NEW))}));"),)),
            Answer("I look at it again and check.", (javascript(read, run),)),
            Answer("", (ToolCall("apply_patch", patch(OLD_TOO, NEW_TOO)),)),
            Answer(
                "",
                (
                    ToolCall("exec_command", {"cmd": "cat prices.py"}),
                    ToolCall("exec_command", {"cmd": "python3 checks.py"}),
                ),
            ),
        ]
    )


def codex(world: World, commands: Path, project: Project, *arguments: str) -> str:
    """What `codex exec` prints."""
    environment = world.environment(project.folder.parent / "home")
    keys = {"CODEX_API_KEY": "sk-test", "OPENAI_API_KEY": "sk-test"}
    options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    run = subprocess.run(
        [commands / "codex", "exec", *options, *arguments],
        cwd=project.folder,
        env=environment | keys,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_codex_does_its_task_with_shorter_requests(without_websocket: World, commands: Path, tmp_path: Path) -> None:
    world, project = without_websocket, Project(tmp_path / "project")
    world.begin(model())

    assert DONE in codex(world, commands, project, PROMPT)
    assert project.is_done

    exchanges = world.exchanges()
    assert len(exchanges) == 7
    assert not any(exchange.received.websocket for exchange in exchanges)
    saved = [checks.only_tool_results_changed(exchange) for exchange in exchanges]
    assert saved[-1] > 5_000
    checks.no_prefix_broke(exchanges)
    checks.results_stayed(exchanges)
    checks.is_written_down(world, world.exchanges())


def test_codex_does_its_task_over_its_websocket(world: World, commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    world.begin(model())

    assert DONE in codex(world, commands, project, PROMPT)
    assert project.is_done

    exchanges = world.exchanges()
    assert len(exchanges) == 8  # the first only prepares the connection
    assert all(exchange.received.websocket for exchange in exchanges)
    chained = [exchange.received.json.get("previous_response_id") for exchange in exchanges]
    assert chained[0] is None and all(chained[2:]), "from the third on, what was said before stays at the provider"
    saved = [checks.only_tool_results_changed(exchange) for exchange in exchanges]
    assert sum(saved) > 5_000, "what was said before can be referred to: the connection has seen it"
    checks.is_written_down(world, exchanges)


def test_a_resumed_codex_session_sends_its_results_again_as_they_were(
    world: World, commands: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    world.begin(model())
    codex(world, commands, project, PROMPT)
    world.proxy.stop()
    world.proxy.start()
    assert DONE in codex(world, commands, project, "resume", "--last", "Is it all right now?")

    exchanges = world.exchanges()
    assert len(list(exchanges[-1].received.json["input"])) > 20, "a new connection begins with the whole conversation"
    assert checks.only_tool_results_changed(exchanges[-1]) > 5_000
    checks.results_stayed(exchanges)
