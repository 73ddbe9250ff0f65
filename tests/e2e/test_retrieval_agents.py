"""Clients that have sub-agents and ask the model things on the side: each conversation has its own way back."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.e2e import checks
from tests.e2e.retrieving import (
    CLAUDE,
    CODEX,
    DONE,
    GEMINI,
    OPTIONS,
    ORDER,
    PART,
    PROMPT,
    Client,
    Json,
    asked,
    came_back,
    conversation,
    given,
    our_tool_stays,
    over_websockets,
    passed_untouched,
    retrieve,
    takes,
)
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.world import Exchange, World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

pytestmark = pytest.mark.e2e
TASK = "You are a helper: look at what stock.py prints."
HELPED = "P-02666 goes with it."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("agents"), websocket=False, options=OPTIONS) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Agents:
    """``spawn`` are the calls, one after the other, after which the sub-agent with a task has answered; ``ends`` is how
    the sub-agent answers."""

    client: Client
    spawn: Callable[[str], Sequence[ToolCall]]
    ends: Answer = Answer(HELPED)  # noqa: RUF009


IN_CLAUDE_CODE = Agents(
    CLAUDE,
    lambda task: [ToolCall("Agent", {"description": "Look", "prompt": task, "subagent_type": "general-purpose"})],
)
IN_CODEX = Agents(
    CODEX,
    lambda task: [
        ToolCall("spawn_agent", {"task_name": "look", "message": task, "fork_turns": "none"}, "collaboration"),
        ToolCall("wait_agent", {"timeout_ms": 30_000}, "collaboration"),
    ],
)
IN_GEMINI_CLI = Agents(
    GEMINI,
    lambda task: [ToolCall("invoke_agent", {"agent_name": "generalist", "prompt": task})],
    Answer(calls=(ToolCall("complete_task", {"result": {"response": HELPED}}),)),
)


def is_of_the_helper(body: Json) -> bool:
    text = json.dumps(body)
    return TASK in text and PROMPT not in text


def model(agents: Agents) -> Script:
    """Of both: the main one runs a program and asks for what was left out when the helper has answered, which runs
    another, and asks for what was left out of its own and of the main one's, whose hash it was told."""
    run, calls = agents.client.run, agents.spawn(TASK)
    told: list[str] = []
    waited_for = threading.Event()

    def call(number: int, named: Sequence[str]) -> Answer:
        told[:] = named[:1]
        if number + 1 == len(calls):
            waited_for.set()
        return Answer("A helper looks at the other.", (calls[number],))

    def end(_: Sequence[str]) -> Answer:
        assert waited_for.wait(30)  # else its answer might come before the main one waits for it
        return agents.ends

    main = takes(
        lambda _: Answer("I run one.", (run("orders"),)),
        *(partial(call, number) for number in range(len(calls))),
        lambda named: Answer("Order 5077 was left out.", (retrieve(named[0]),)),
    )
    helper = takes(
        lambda _: Answer("I run it.", (run("stock"),)),
        lambda named: Answer("Much was left out.", (retrieve(named[0]), retrieve(told[0]))),
        end,
    )

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        return (helper if is_of_the_helper(body) else main)(body)

    return answer


@pytest.mark.parametrize(
    "agents", [IN_CLAUDE_CODE, IN_CODEX, IN_GEMINI_CLI], ids=["claude-code", "codex", "gemini-cli"]
)
def test_a_sub_agent_and_the_main_one_each_have_back_what_was_left_out(
    world: World, commands: Path, project: Project, agents: Agents
) -> None:
    world.begin(model(agents))
    assert DONE in agents.client.ask(world, commands, project, PROMPT)

    helper = [one for one in conversation(world) if is_of_the_helper(one.sent.json)]
    main = [one for one in conversation(world) if not is_of_the_helper(one.sent.json)]
    assert [len(given(one.received.json)) for one in helper] == [0, 1, 3]
    came_back(helper[2:], 1, 0)
    came_back([main[1], helper[2]], -1, 0)
    spawned = len(agents.spawn(TASK))
    assert [len(given(one.received.json)) for one in main] == [*range(spawned + 2), spawned + 2]
    came_back(main[-1:], -1, 0)
    assert PART in given(helper[2].received.json)[1][0] and ORDER in given(main[-1].received.json)[-1][0]
    for one in (helper, main):
        checks.results_stayed(one)
        checks.no_prefix_broke(one)
        our_tool_stays(one)
    passed_untouched([one for one in world.exchanges() if not has_tools(one.sent.json)])
    checks.is_written_down(world, world.exchanges())


def test_codex_and_its_sub_agent_have_it_back_over_a_websocket_each(
    world: World, commands: Path, project: Project
) -> None:
    with over_websockets(world):
        world.begin(model(IN_CODEX))
        assert DONE in CODEX.ask(world, commands, project, PROMPT)

    helper: list[Exchange] = []
    main: list[Exchange] = []
    for one in asked(world):
        (helper if "x-openai-subagent" in one.sent.json["client_metadata"] else main).append(one)
    assert [len(given(one.received.json)) for one in helper] == [0, 1, 2]
    assert [len(given(one.received.json)) for one in main] == [0, 1, 1, 1, 1]
    came_back(helper, 1, 0)
    came_back([main[1], helper[2]], -1, 0)
    came_back(main, -1, 0)
    our_tool_stays([helper[0], main[0]])


def test_what_claude_code_asks_on_the_side_passes_and_disturbs_nothing(
    world: World, commands: Path, project: Project
) -> None:
    """A search by a request of its own, and counts of tokens: /context has each part of the prompt counted."""
    searched = takes(
        lambda _: Answer("", (CLAUDE.run("orders"), ToolCall("WebSearch", {"query": "order 5077"}))),
        lambda named: Answer("Order 5077 was left out.", (retrieve(named[0]),)),
    )

    def answer(shape: str, body: Json) -> Answer:
        return searched(body) if has_tools(body) and "tool_choice" not in body else aside(body)

    world.begin(answer)
    assert DONE in CLAUDE.ask(world, commands, project, PROMPT)
    assert "Context Usage" in CLAUDE.ask(world, commands, project, *CLAUDE.on("/context"))
    assert DONE in CLAUDE.ask(world, commands, project, *CLAUDE.on("And now?"))

    tools = names(conversation(world)[0])
    as_the_session = [one for one in world.exchanges() if names(one) == tools]
    others = [one for one in world.exchanges() if names(one) != tools]
    passed_untouched(others)
    assert sum("tool_choice" in one.sent.json for one in others) == 1
    assert sum(counts(one) for one in others) > 10
    our_tool_stays(as_the_session)  # where all tools are counted, ours is counted too: so it will be sent
    assert [counts(one) for one in as_the_session] == [False, False, False, True, False]
    exchanges = [one for one in as_the_session if not counts(one)]
    came_back(exchanges[2:3], 2, 0)
    came_back(exchanges[3:], 2, 0)
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)


def names(exchange: Exchange) -> list[str]:
    """The tools that the client listed."""
    return [tool["name"] for tool in exchange.sent.json.get("tools", ())]


def counts(exchange: Exchange) -> bool:
    return "/count_tokens" in exchange.received.path
