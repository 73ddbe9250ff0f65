"""Which way back a request has: what the client offers decides, and what the user allows."""

import json
from typing import Any

import pytest

from headroom.ccr.markers import Way
from headroom.ccr.ways import Retrieval, Tools, way_back
from headroom.wire.shapes import read

type Json = dict[str, Any]
THEIRS = "mcp__headroom__headroom_retrieve"
ANNOUNCED = (
    "The following deferred tools are now available via ToolSearch. Use ToolSearch to load them before calling them:\n"
    f"CronCreate\nmcp__headroom__headroom_compress\n{THEIRS}"
)


def offered(names: list[str], *messages: Json) -> Any:
    said = [{"role": "user", "content": "Which cost more than 500?"}, *messages]
    body = {"model": "claude-sonnet-4-5", "tools": [{"name": name} for name in names], "messages": said}
    return Tools().offered(read("anthropic", json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("names", "injected", "retrieval", "expected"),
    [
        (["Bash", "Read"], False, "auto", None),
        (["Bash", "Read"], True, "auto", Way("tool", "headroom_retrieve")),
        (["Bash", "Read"], True, "tool", Way("tool", "headroom_retrieve")),
        (["Bash", THEIRS], True, "auto", Way("mcp", THEIRS)),
        (["Bash", THEIRS], False, "mcp", Way("mcp", THEIRS)),
        (["Bash", THEIRS], False, "tool", None),
        (["Bash", THEIRS], False, "command", Way("command")),
        (["Bash"], False, "command", Way("command")),
        (["exec_command"], False, "command", Way("command")),
        (["run_shell_command"], False, "command", Way("command")),
        (["Read"], False, "command", None),
        (["Bash", THEIRS], True, "native", None),
        (["Bash", THEIRS], True, "off", None),
        ([], True, "auto", None),
    ],
)
def test_the_way_is_the_cheapest_that_the_client_has(
    names: list[str], injected: bool, retrieval: Retrieval, expected: Way | None
) -> None:
    assert way_back(offered(names), injected, retrieval) == expected


@pytest.mark.parametrize("role", ["system", "user"])
def test_a_tool_that_claude_code_announces_is_the_clients(role: str) -> None:
    found = offered(["Bash", "ToolSearch"], {"role": role, "content": ANNOUNCED})
    assert way_back(found, False, "auto") == Way("mcp", THEIRS)
    assert THEIRS not in found.names  # a session is known by the tools that are listed


def test_a_server_that_codex_announces_has_the_tool() -> None:
    tools = {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]}
    said = "<tools>\nDeferred tool namespaces:\n- mcp__docs\n- mcp__headroom\n</tools>"

    def way(*items: Json) -> Way | None:
        body = json.dumps({"model": "m", "input": items}).encode()
        return way_back(Tools().offered(read("openai-responses", body)), False, "auto")

    developer: Json = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": said}]}
    assert way(tools, developer) == Way("mcp", "mcp__headroom__headroom_retrieve")
    printed = {"type": "custom_tool_call_output", "call_id": "call_1", "output": said}
    assert way(tools, printed) is None
    assert way(developer) is None


def test_a_tool_that_is_only_spoken_of_is_not_the_clients() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "cat docs/mcp.md"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": ANNOUNCED}
    printed = ({"role": "assistant", "content": [call]}, {"role": "user", "content": [result]})
    assert way_back(offered(["Bash", "ToolSearch"], *printed), False, "auto") is None
    asked = {"role": "user", "content": f"What is {THEIRS}, and what has ToolSearch to do with it?"}
    assert way_back(offered(["Bash", "ToolSearch"], asked), False, "auto") is None
    assert way_back(offered(["Bash"], {"role": "system", "content": ANNOUNCED}), False, "auto") is None
