"""Agents with a shell have back what was left out by the command that the marker names; requests get nothing added."""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headroom.ccr.ways import TOOL
from tests.e2e import checks
from tests.e2e.retrieving import (
    CLIENTS,
    DONE,
    OPTIONS,
    PROMPT,
    Client,
    Json,
    conversation,
    given,
    printed_again,
)
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer

pytestmark = pytest.mark.e2e
MARKER = re.compile(r"Retrieve more: headroom retrieve ([0-9a-f]{24})")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    options = ("headroom_retrieval=command", *OPTIONS[1:])
    with start(tmp_path_factory.mktemp("command"), websocket=False, options=options) as running:
        yield running


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_the_model_has_it_back_by_the_command(world: World, commands: Path, project: Project, client: Client) -> None:
    headroom = shlex.quote(str(Path(sys.executable).with_name("headroom")))
    where = f"HEADROOM_WORKSPACE_DIR={shlex.quote(str(world.proxy.workspace))}"

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        found = given(body)
        named = MARKER.search(json.dumps(found))
        steps = [client.run("orders"), client.shell(f"{where} {headroom} retrieve {named[1]}") if named else None]
        step = steps[len(found)] if len(found) < len(steps) else None
        return Answer("I run it.", (step,)) if step else Answer(DONE)

    world.begin(answer)
    assert DONE in client.ask(world, commands, project, PROMPT)

    exchanges = conversation(world)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 2]
    printed_again(exchanges)
    assert not any(TOOL.encode() in one.received.body for one in exchanges)
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
    checks.is_written_down(world, world.exchanges())
