"""Clients with headroom's MCP server: they have the way back themselves, and nothing is added to their requests."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headroom.ccr.tool import definition
from headroom.ccr.ways import TOOL
from tests.e2e import checks
from tests.e2e.retrieving import (
    CLAUDE,
    CODEX,
    DONE,
    GEMINI,
    ORDER,
    ORDERS,
    PROMPT,
    Client,
    conversation,
    given,
    printed_again,
)
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.test_claude_code import claude
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall

pytestmark = pytest.mark.e2e
Json = dict[str, Any]
PROFILES = "Bash=normal,exec=normal,run_shell_command=normal"
OPTIONS = ("headroom_profile=balanced", f"headroom_tool_profiles={PROFILES}")
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


def set_up_gemini_cli(home: Path, server: list[str], workspace: Path) -> None:
    named = {"command": server[0], "args": server[1:], "env": {"HEADROOM_WORKSPACE_DIR": str(workspace)}}
    (home / ".gemini").mkdir(parents=True)
    (home / ".gemini" / "settings.json").write_text(json.dumps({"mcpServers": {"headroom": named}}))


def set_up_codex(home: Path, server: list[str], workspace: Path) -> None:
    (home / ".codex").mkdir(parents=True)
    command, arguments, where = map(json.dumps, (server[0], server[1:], str(workspace)))
    (home / ".codex" / "config.toml").write_text(
        f"[mcp_servers.headroom]\ncommand = {command}\nargs = {arguments}\n"
        f"env = {{ HEADROOM_WORKSPACE_DIR = {where} }}\nrequired = true\nstartup_timeout_sec = 30\n"
    )


def by_its_name(tool: str, hash: str) -> ToolCall:
    return ToolCall(tool, {"hash": hash})


def in_javascript(tool: str, hash: str) -> ToolCall:
    script = f"text((await tools.{tool}({{hash: {json.dumps(hash)}}})).content[0].text);\n"
    return ToolCall("exec", script, namespace="functions")


@pytest.mark.parametrize(
    ("client", "set_up", "call"),
    [(GEMINI, set_up_gemini_cli, by_its_name), (CODEX, set_up_codex, in_javascript)],
    ids=["gemini-cli", "codex"],
)
def test_gemini_cli_and_codex_ask_the_mcp_server_too(
    world: World,
    commands: Path,
    tmp_path: Path,
    project: Project,
    client: Client,
    set_up: Callable[[Path, list[str], Path], None],
    call: Callable[[str, str], ToolCall],
) -> None:
    """Codex's model runs JavaScript that calls it; of its servers Codex says only the names."""
    set_up(tmp_path / "home", [sys.executable, "-m", "headroom.cli.main", "mcp"], world.proxy.workspace)

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        found = given(body)
        named = MARKER_WITH.search(json.dumps(found))
        if not found:
            return Answer("I run it.", (client.run("orders"),))
        return Answer(DONE) if len(found) > 1 or not named else Answer("", (call(named[1], named[2]),))

    world.begin(answer)
    assert DONE in client.ask(world, commands, project, PROMPT)
    exchanges = conversation(world)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 2]
    printed_again(exchanges)
    for one in exchanges:
        assert definition(one.received.shape or "").encode() not in one.received.body
        checks.only_tool_results_changed(one)
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
