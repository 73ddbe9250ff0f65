"""Claude Code, headless, through the proxy: https://docs.anthropic.com/en/docs/claude-code"""

import subprocess
from pathlib import Path

import pytest

from tests.e2e import checks
from tests.e2e.task import DONE, NEW, NEW_TOO, OLD, OLD_TOO, PROMPT, Project, play
from tests.e2e.world import Exchange, World
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

pytestmark = pytest.mark.e2e


def model(project: Project) -> Script:
    file = str(project.prices)
    read = ToolCall("Read", {"file_path": file})
    run = ToolCall("Bash", {"command": "python3 checks.py", "description": "Run the checks"})

    def edit(old: str, new: str) -> ToolCall:
        return ToolCall("Edit", {"file_path": file, "old_string": old, "new_string": new})

    return play(
        [
            Answer("I look at the file first.", (read,), thinking="Where is number 42?"),
            Answer("", (run,)),
            Answer("", (edit(OLD, NEW),), thinking="One is missing."),
            Answer("I look at it again and check.", (read, run)),
            Answer("", (edit(OLD_TOO, NEW_TOO),)),
            Answer("", (run, read)),
        ]
    )


def claude(world: World, commands: Path, project: Project, prompt: str, *options: str) -> str:
    """What `claude -p` prints."""
    environment = world.environment(project.folder.parent / "home") | {
        "ANTHROPIC_API_KEY": "sk-ant-api03-test",
        "IS_SANDBOX": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    run = subprocess.run(
        [commands / "claude", "-p", prompt, "--dangerously-skip-permissions", *options],
        cwd=project.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def conversation(world: World) -> list[Exchange]:
    """The requests of the task itself, without the client's side requests."""
    return [exchange for exchange in world.exchanges() if exchange.sent.json.get("tools")]


def test_claude_code_does_its_task_with_shorter_requests(world: World, commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    world.begin(model(project))

    assert DONE in claude(world, commands, project, PROMPT)
    assert project.is_done

    saved = [checks.only_tool_results_changed(exchange) for exchange in world.exchanges()]
    assert saved[-1] > 5_000
    exchanges = conversation(world)
    assert len(exchanges) == 7
    checks.no_prefix_broke(exchanges)
    checks.results_stayed(exchanges)
    checks.is_written_down(world, world.exchanges())
    checks.betas_stayed(exchanges, "anthropic-beta")


def test_a_resumed_session_stays_the_same_after_a_restart_of_the_proxy(
    world: World, commands: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    world.begin(model(project))
    claude(world, commands, project, PROMPT)
    world.proxy.stop()
    world.proxy.start()
    assert DONE in claude(world, commands, project, "Is it all right now?", "--continue")

    exchanges = conversation(world)
    assert len(exchanges) == 8
    assert checks.only_tool_results_changed(exchanges[-1]) > 5_000
    checks.no_prefix_broke(exchanges)
    checks.results_stayed(exchanges)
    checks.is_written_down(world, world.exchanges())
