"""Claude Code with headroom's MCP server: it has the way back itself, and nothing is added to its requests."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headroom.ccr.tool import definition
from headroom.ccr.ways import TOOL
from tests.e2e import checks
from tests.e2e.retrieving import CLAUDE, DONE, ORDER, ORDERS, PROMPT
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.test_claude_code import claude
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall

pytestmark = pytest.mark.e2e
Json = dict[str, Any]
OPTIONS = ("headroom_profile=balanced", "headroom_tool_profiles=Bash=normal")
THEIRS = f"mcp__headroom__{TOOL}"
MARKER_WITH = re.compile(r"Retrieve more with (\w+): hash=([0-9a-f]{24})")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("mcp"), websocket=False, options=OPTIONS) as running:
        yield running


LOOK = ToolCall("ToolSearch", {"query": f"select:{THEIRS}", "max_results": 5})


def model(shape: str, body: Json) -> Answer:
    """Looks for the tool, as Claude Code says of an MCP server's; runs the program; asks for what the marker names."""
    if not has_tools(body):
        return aside(body)
    found = list(dict(checks.results(body)).values())
    if len(found) < 2:
        return Answer("", ((LOOK, CLAUDE.run("orders"))[len(found)],))
    named = MARKER_WITH.search(json.dumps(found[1]))
    if len(found) > 2 or named is None:
        return Answer(DONE)
    return Answer("Order 5077 was left out.", (ToolCall(named[1], {"hash": named[2]}),))


def test_claude_code_asks_the_mcp_server_and_has_no_tool_added(world: World, commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (project.folder / "orders.py").write_text(ORDERS)
    server = [sys.executable, "-m", "headroom.cli.main", "mcp"]
    added = subprocess.run(
        [
            commands / "claude",
            "mcp",
            "add",
            "headroom",
            "-e",
            f"HEADROOM_WORKSPACE_DIR={world.proxy.workspace}",
            "--",
            *server,
        ],
        cwd=project.folder,
        env=world.environment(tmp_path / "home"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert added.returncode == 0, added.stdout + added.stderr
    world.begin(model)
    assert DONE in claude(world, commands, project, PROMPT)
    exchanges = [one for one in world.exchanges() if has_tools(one.sent.json)]
    assert len(exchanges) == 4
    for one in exchanges:
        assert definition("anthropic").encode() not in one.received.body
        assert one.received.json["tools"] == one.sent.json["tools"]
    assert THEIRS in [tool["name"] for tool in exchanges[-1].sent.json["tools"]]
    seen = [json.dumps([value for _, value in checks.results(one.received.json)]) for one in exchanges]
    plain = [text.replace('\\\\\\"', '"').replace('\\"', '"') for text in seen]
    assert ORDER not in plain[2] and ORDER in plain[3]
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
