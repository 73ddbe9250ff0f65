"""Agents have back what was left out by their own tools: they run or read again what a marker names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import checks
from tests.e2e.retrieving import CLAUDE, CLIENTS, DONE, Client, Json, conversation, given
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall

pytestmark = pytest.mark.e2e
PRINT = "cat prices.py"
MARKER = re.compile(r"^\[lines (\d+)-(\d+) left out; run it again through (sed -n '\1,\2p') to see them.*\]$", re.M)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("native"), websocket=False, options=("headroom_profile=max",)) as running:
        yield running


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_the_model_has_the_lines_back(world: World, commands: Path, tmp_path: Path, client: Client) -> None:
    project = Project(tmp_path / "project")

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        found = given(body)
        if not found:
            return Answer("I look at it.", (client.shell(PRINT),))
        named = MARKER.search("\n".join(found[0]))
        return Answer(DONE) if len(found) > 1 or not named else Answer("", (client.shell(f"{PRINT} | {named[3]}"),))

    world.begin(answer)
    assert DONE in client.ask(world, commands, project, "Which prices are there?")

    exchanges = conversation(world)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 2]
    shortened, again = ("\n".join(texts) for texts in given(exchanges[2].received.json))
    marker = MARKER.search(shortened)
    assert marker is not None
    first, last = int(marker[1]) - 1, int(marker[2])
    lines = project.before.split("\n")
    assert shortened[: marker.start()].splitlines()[-1].endswith(lines[first - 1])
    assert "\n".join(lines[first:last]).strip() in again and "left out" not in again
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
    for one in world.exchanges():
        checks.only_tool_results_changed(one)
    checks.is_written_down(world, world.exchanges())


def test_claude_code_reads_the_lines_of_a_log_again(world: World, commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    log = project.folder / "server.log"
    log.write_text(
        "".join(f"07:{n // 60:02}:{n % 60:02} INFO worker-{n % 7} handled {n * 31}\n" for n in range(1, 241))
    )
    read_again = re.compile(r"\[lines (\d+)-(\d+) left out; read them with offset (\d+), limit (\d+)")

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        found = given(body)
        if not found:
            return Answer("I look at it.", (ToolCall("Read", {"file_path": str(log)}),))
        named = read_again.search(found[0][0])
        if len(found) > 1 or not named:
            return Answer(DONE)
        part = {"file_path": str(log), "offset": int(named[3]), "limit": int(named[4])}
        return Answer("", (ToolCall("Read", part),))

    world.begin(answer)
    assert DONE in CLAUDE.ask(world, commands, project, "How many requests were there?")

    exchanges = conversation(world)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 2]
    (shortened,), (again,) = given(exchanges[2].received.json)
    marker = read_again.search(shortened)
    assert marker is not None and "left out" not in again
    lines = given(exchanges[2].sent.json)[1][0].rstrip().split("\n")
    assert lines[0].startswith(f"{marker[1]}\t") and lines[-1].startswith(f"{min(int(marker[2]), 240)}\t")
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)


def test_claude_code_reads_the_file_of_a_background_task(world: World, commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (project.folder / "build.py").write_text("for n in range(240):\n    print(f'Compiling {n % 7} files')\n")
    build = {"command": "python3 build.py", "description": "Build it", "run_in_background": True}
    started, instead = re.compile(r"with ID: (\w+)"), re.compile(r"left out; read (\S+) to see them")

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        found = ["\n".join(texts) for texts in given(body)]
        if not found:
            return Answer("I build it.", (ToolCall("Bash", build),))
        if len(found) == 1 and (task := started.search(found[0])):
            return Answer("", (ToolCall("TaskOutput", {"task_id": task[1], "block": True, "timeout": 60000}),))
        if len(found) == 2 and (named := instead.search(found[1])):
            return Answer("", (ToolCall("Read", {"file_path": named[1]}),))
        return Answer(DONE)

    world.begin(answer)
    assert DONE in CLAUDE.ask(world, commands, project, "Build it.")

    exchanges = conversation(world)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 2, 3]
    _, (shortened,), (whole,) = given(exchanges[3].received.json)
    assert instead.search(shortened) and "left out" not in whole
    assert given(exchanges[3].sent.json)[2][0].count("Compiling ") == 240 > shortened.count("Compiling ")
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
