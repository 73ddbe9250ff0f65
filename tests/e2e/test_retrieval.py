"""What was left out comes back to the model through the real clients, which know nothing of our tool."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headroom.ccr.tool import definition
from headroom.ccr.ways import TOOL
from tests.e2e import checks
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.test_claude_code import claude
from tests.e2e.test_codex import codex
from tests.e2e.test_gemini_cli import gemini
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

pytestmark = pytest.mark.e2e
Json = dict[str, Any]
OPTIONS = (
    "headroom_profile=balanced",
    "headroom_retrieval=tool",
    "headroom_tool_profiles=Bash=normal,exec=normal,run_shell_command=normal",
)
ORDERS = """\
import json

print(json.dumps([{"order": 5000 + n, "customer": f"customer {n * 7}", "cents": n * 130} for n in range(160)]))
"""
PROMPT = "What does order 5077 cost? orders.py prints all orders."
DONE = "10010 cents."
WANTED = '"order": 5077, "customer": "customer 539", "cents": 10010'
"""Of the output, in the middle of what is left out."""
MARKER = re.compile(r"Retrieve more: hash=([0-9a-f]{24})")
MARKER_WITH = re.compile(r"Retrieve more with (\w+): hash=([0-9a-f]{24})")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("retrieval"), websocket=False, options=OPTIONS) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    (made.folder / "orders.py").write_text(ORDERS)
    return made


def model(run: ToolCall) -> Script:
    """Runs the program, asks for what the marker names, runs it again beside asking for nothing that is kept, ends."""

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        found = dict(checks.results(body))
        if not found:
            return Answer("I run it.", (run,))
        text = json.dumps(list(found.values()), ensure_ascii=False)
        retrieve = ToolCall(TOOL, {"hash": MARKER.findall(text)[0] if MARKER.search(text) else ""})
        nothing = ToolCall(TOOL, {"hash": "0" * 24})
        return {1: Answer("Order 5077 was left out.", (retrieve,)), 2: Answer("", (nothing, run))}.get(
            len(found), Answer(DONE)
        )

    return answer


def look(world: World) -> None:
    """The original came one request after it was asked for, and stays; nothing else changed."""
    exchanges = [one for one in world.exchanges() if has_tools(one.sent.json)]
    assert len(exchanges) == 4
    assert TOOL.encode() not in exchanges[0].sent.body
    shape = exchanges[0].received.shape or ""
    assert all(one.received.body.count(definition(shape).encode()) == 1 for one in exchanges)
    seen = [json.dumps([value for _, value in checks.results(one.received.json)]) for one in exchanges]
    unescaped = [text.replace('\\\\\\"', '"').replace('\\"', '"') for text in seen]
    assert WANTED not in unescaped[1] and MARKER.search(seen[1])
    assert WANTED in unescaped[2] and WANTED in unescaped[3]
    assert "nothing was ever kept under the hash" in seen[3]
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)


IN_CODEX = 'text((await tools.exec_command({cmd: "python3 orders.py"})).output);\n'
RUN = {"command": "python3 orders.py", "description": "Print the orders"}


@pytest.mark.parametrize(
    ("client", "run"),
    [
        (claude, ToolCall("Bash", RUN)),
        (codex, ToolCall("exec", IN_CODEX, namespace="functions")),
        (gemini, ToolCall("run_shell_command", RUN)),
    ],
    ids=["claude-code", "codex", "gemini-cli"],
)
def test_the_model_has_back_what_was_left_out(
    world: World, commands: Path, project: Project, client: Callable[..., str], run: ToolCall
) -> None:
    world.begin(model(run))
    assert DONE in client(world, commands, project, PROMPT)
    look(world)
