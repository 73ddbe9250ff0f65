"""Gemini CLI, headless, through the proxy: https://github.com/google-gemini/gemini-cli"""

import subprocess
from pathlib import Path

import pytest

from tests.e2e import checks
from tests.e2e.task import DONE, NEW, NEW_TOO, OLD, OLD_TOO, PROMPT, Project, play
from tests.e2e.world import World
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

pytestmark = pytest.mark.e2e


def model(project: Project) -> Script:
    file = str(project.prices)
    read = ToolCall("read_file", {"file_path": file})
    run = ToolCall("run_shell_command", {"command": "python3 checks.py", "description": "Run the checks"})

    def edit(old: str, new: str) -> ToolCall:
        given = {"file_path": file, "old_string": old, "new_string": new, "instruction": "Correct the price."}
        return ToolCall("replace", given)

    return play(
        [
            Answer("I look at the file first.", (read,)),
            Answer("", (run,)),
            Answer("", (edit(OLD, NEW),)),
            Answer("I look at it again and check.", (read, run)),
            Answer("", (edit(OLD_TOO, NEW_TOO),)),
            Answer("", (run, read)),
        ]
    )


def gemini(world: World, commands: Path, project: Project, prompt: str, *options: str) -> str:
    """What `gemini -p` prints."""
    environment = world.environment(project.folder.parent / "home")
    run = subprocess.run(
        [commands / "gemini", "--yolo", "--skip-trust", *options, "-p", prompt],
        cwd=project.folder,
        env=environment | {"GEMINI_API_KEY": "test", "GEMINI_TELEMETRY_ENABLED": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_gemini_cli_does_its_task_with_shorter_requests(world: World, commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    world.begin(model(project))

    assert DONE in gemini(world, commands, project, PROMPT)
    assert project.is_done

    saved = [checks.only_tool_results_changed(exchange) for exchange in world.exchanges()]
    assert saved[-1] > 5_000
    exchanges = [exchange for exchange in world.exchanges() if exchange.sent.json.get("tools")]
    assert len(exchanges) == 7
    checks.no_prefix_broke(exchanges)
    checks.results_stayed(exchanges)
    checks.is_written_down(world, world.exchanges())
