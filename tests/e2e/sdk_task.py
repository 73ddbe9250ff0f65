"""The task for an SDK's conversation: its tools, the steps by which the scripted model does it."""

import subprocess
import sys

from tests.e2e.sdk_clients import Asked, Tool
from tests.e2e.task import NEW, NEW_TOO, OLD, OLD_TOO, Project
from tests.support.answers import Answer, ToolCall

TOOLS = [
    Tool("read_prices", "Read prices.py.", []),
    Tool("run_checks", "Run checks.py.", []),
    Tool("edit_prices", "Replace text in prices.py.", ["old", "new"]),
]
READ, RUN = ToolCall("read_prices", {}), ToolCall("run_checks", {})
STEPS = [
    Answer("I look at the file first.", (READ,)),
    Answer("", (RUN,)),
    Answer("", (ToolCall("edit_prices", {"old": OLD, "new": NEW}),)),
    Answer("I look at it again and check.", (READ, RUN)),
    Answer("", (ToolCall("edit_prices", {"old": OLD_TOO, "new": NEW_TOO}),)),
    Answer("", (RUN, READ)),
]


def use(project: Project, call: Asked) -> str:
    """Do what a tool does."""
    match call.name:
        case "read_prices":
            return project.prices.read_text()
        case "run_checks":
            command = [sys.executable, "checks.py"]
            run = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=20, check=True)
            return run.stdout
        case "edit_prices":
            project.prices.write_text(project.prices.read_text().replace(call.arguments["old"], call.arguments["new"]))
            return "edited"
    raise AssertionError(f"no such tool: {call.name}")
