"""What was left out comes back to the model through the real clients, which know nothing of our tool."""

import json
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from headroom.ccr.deferred import EXPIRED, UNKNOWN
from headroom.ccr.originals import open_originals, original_of
from tests.e2e import checks
from tests.e2e.retrieving import (
    CLIENTS,
    CODEX,
    DONE,
    OPTIONS,
    ORDER,
    PART,
    PROMPT,
    Client,
    Json,
    Step,
    asked,
    came_back,
    conversation,
    given,
    model,
    our_tool_stays,
    over_websockets,
    passed_untouched,
    retrieve,
    takes,
)
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.world import Exchange, World
from tests.e2e.world import world as start
from tests.support.answers import Answer
from tests.support.standin import Script

pytestmark = pytest.mark.e2e
NEVER = "0" * 24
AND_NOW = "And which part goes with it?"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("retrieval"), websocket=False, options=OPTIONS) as running:
        yield running


def of_a_session_two_days_ago(world: World, text: str) -> str:
    """The hash of an original that a session was promised that has not been heard of for two days."""
    path, original = world.proxy.workspace / "originals.db", original_of(text, "over", "Bash", "ls")
    then = time.time() - 2 * 86_400
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(time, "time", lambda: then)
        originals = open_originals(path=path)
        originals.keep([original])
        assert originals.state(original.hash) == "live"
        originals.close()
    originals = open_originals(path=path)
    assert originals.state(original.hash) == "expired"
    originals.close()
    return original.hash


def model_asks(client: Client, gone: str) -> Script:
    """A model that runs two programs, asks for what was left out of both beside a call of another tool, then for what
    can't be had."""
    run = client.run
    return model(
        lambda _: Answer("I run both.", (run("orders"), run("stock"))),
        lambda named: Answer("Much was left out.", (retrieve(named[0]), run("tally"), retrieve(named[1]))),
        lambda _: Answer("", (retrieve(NEVER), retrieve(gone))),
    )


def what_came(exchanges: Sequence[Exchange], gone: str) -> None:
    """Both originals, the other tool's own result, and why there is nothing for the other two."""
    came_back(exchanges, 2, 0)
    came_back(exchanges, 4, 1)
    sent, received = (
        given(*bodies) for bodies in zip(*((e.sent.json, e.received.json) for e in exchanges), strict=True)
    )
    assert ORDER in received[2][0] and PART in received[4][0]
    assert received[3] == sent[3] and re.search(r"\b2\b", "".join(received[3]))
    assert received[5:] in ([], [[UNKNOWN.format(NEVER)], [EXPIRED.format(gone)]])


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_the_model_has_back_what_was_left_out(world: World, commands: Path, project: Project, client: Client) -> None:
    """Two at once and beside a tool of the client's own; of what can't be had it is told why."""
    gone = of_a_session_two_days_ago(world, f"What {client} listed then.\n")
    world.begin(model_asks(client, gone))
    assert DONE in client.ask(world, commands, project, PROMPT)

    exchanges = conversation(world)
    assert len(exchanges) == 4
    what_came(exchanges[2:3], gone)
    what_came(exchanges[3:], gone)
    assert len(given(exchanges[3].received.json)) == 7
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
    our_tool_stays(exchanges)
    passed_untouched([one for one in world.exchanges() if not has_tools(one.sent.json)])
    checks.is_written_down(world, world.exchanges())


def test_codex_has_it_back_over_its_websocket(world: World, commands: Path, project: Project) -> None:
    """Where requests bring only what is new, and the model's calls stand in none."""
    gone = of_a_session_two_days_ago(world, "What codex listed then, over its WebSocket.\n")
    with over_websockets(world):
        world.begin(model_asks(CODEX, gone))
        assert DONE in CODEX.ask(world, commands, project, PROMPT)

    exchanges = asked(world)
    assert len(exchanges) == 4
    what_came(exchanges[:3], gone)
    what_came(exchanges, gone)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 2, 3, 2]
    our_tool_stays(exchanges[:1])


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_proxy_that_was_killed_gives_back_what_it_had_left_out(
    world: World, commands: Path, project: Project, client: Client
) -> None:
    steps: list[Step] = [
        lambda _: Answer("I run both.", (client.run("orders"), client.run("stock"))),
        lambda named: Answer("Much was left out.", (retrieve(named[0]),)),
    ]
    first = takes(*steps)
    after = takes(*steps, lambda named: Answer("", (retrieve(named[1]),)))

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        return (after if AND_NOW in json.dumps(body) else first)(body)

    world.begin(answer)
    assert DONE in client.ask(world, commands, project, PROMPT)
    world.proxy.stop(signal.SIGKILL)
    world.proxy.start()
    assert DONE in client.ask(world, commands, project, *client.on(AND_NOW))

    exchanges = conversation(world)
    assert [len(given(one.received.json)) for one in exchanges] == [0, 2, 3, 3, 4]
    came_back(exchanges[2:3], 2, 0)
    came_back(exchanges[4:], 3, 1)
    assert given(exchanges[4].received.json)[:3] == given(exchanges[2].received.json)
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
    our_tool_stays(exchanges)
