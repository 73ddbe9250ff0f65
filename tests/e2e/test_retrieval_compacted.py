"""A client wrote its history anew, and what had come back went with it: it is had again, by the hash alone."""

import base64
import json
import re
from collections.abc import Callable, Iterator
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
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer

pytestmark = pytest.mark.e2e
AND_NOW = "And what is 1 + 1? tally.py knows."
SUMMARY = "The user wanted to know what order 5077 costs. All orders are kept under the hash {}."
_hash = re.compile(r"hash\W+([0-9a-f]{24})")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start(tmp_path_factory.mktemp("compacted"), websocket=False, options=OPTIONS) as running:
        yield running


class Model:
    """It runs a program, asks for what was left out, sums up where the client wants that, and then asks again.

    Codex and Gemini CLI go by what was used: of the first conversation it says that it was long, of the second that it
    is short.
    """

    def __init__(self, client: Client) -> None:
        long, self.short = (150_000 if client is CODEX else 0), (100 if client is GEMINI else 0)
        self.first = takes(
            lambda _: Answer("I run it.", (client.run("orders"),)),
            lambda named: Answer("Order 5077 was left out.", (retrieve(named[0]),)),
            lambda _: Answer(DONE, used=long),
        )
        self.client = client

    def __call__(self, shape: str, body: Json) -> Answer:
        known = _hash.findall(_readable(body))
        if _is_to_compact(body):
            said = SUMMARY.format(known[-1])
            tag = "state_snapshot" if self.client is GEMINI else "summary"
            return Answer(f"<analysis>Short.</analysis>\n<{tag}>{said}</{tag}>", compacted=said)
        if not has_tools(body):
            return aside(body)
        if SUMMARY.split("{")[0] not in _readable(body):
            return self.first(body)
        again = takes(
            lambda _: Answer("The summary names it.", (retrieve(known[0]),), used=self.short),
            lambda _: Answer("", (self.client.run("tally"),), used=self.short),
        )
        return again(body)


def _is_to_compact(body: Json) -> bool:
    """Whether a request asks for what stands for its conversation from then on."""
    if "messages" in body:  # Claude Code's /compact
        last = json.dumps(body["messages"][-1])
        return "<analysis>" in last and "<summary>" in last
    if "input" in body:
        return {"type": "compaction_trigger"} in body["input"]
    return "<state_snapshot>" in json.dumps(body.get("systemInstruction"))


def _readable(body: Json) -> str:
    """A request, with what the provider sealed for itself."""
    sealed = [item["encrypted_content"] for item in body.get("input", ()) if item.get("type") == "compaction"]
    return json.dumps(body) + "".join(base64.b64decode(one).decode() for one in sealed)


def compact_claude_code(world: World, commands: Path, project: Project) -> str:
    CLAUDE.ask(world, commands, project, *CLAUDE.on("/compact"))
    return CLAUDE.ask(world, commands, project, *CLAUDE.on(AND_NOW))


def compact_codex(world: World, commands: Path, project: Project) -> str:
    """It compacts when a turn begins and what was used last is above its limit."""
    return CODEX.ask(world, commands, project, "-c", "model_auto_compact_token_limit=100000", *CODEX.on(AND_NOW))


def compact_gemini_cli(world: World, commands: Path, project: Project) -> str:
    """It compresses when it goes on with a history above a share of the model's window, here a thousand tokens."""
    settings = project.folder.parent / "home" / ".gemini" / "settings.json"
    settings.write_text(json.dumps({"model": {"compressionThreshold": 0.001}}))
    return GEMINI.ask(world, commands, project, *GEMINI.on(AND_NOW))


@pytest.mark.parametrize(
    ("client", "compact"),
    [(CLAUDE, compact_claude_code), (CODEX, compact_codex), (GEMINI, compact_gemini_cli)],
    ids=["claude-code", "codex", "gemini-cli"],
)
def test_what_the_client_summed_up_can_be_had_again(
    world: World, commands: Path, project: Project, client: Client, compact: Callable[[World, Path, Project], str]
) -> None:
    world.begin(Model(client))
    assert DONE in client.ask(world, commands, project, PROMPT)
    assert DONE in compact(world, commands, project)

    compacting = [one for one in world.exchanges() if _is_to_compact(one.sent.json)]
    assert compacting
    exchanges = [one for one in conversation(world) if one not in compacting]
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 2, 0, 1, 2]
    came_back(exchanges[2:3], 1, 0)
    (original,) = given(exchanges[2].received.json)[1]
    assert ORDER not in exchanges[3].received.body.decode().replace("\\", "")
    for one in exchanges[4:]:
        assert given(one.received.json)[0] == [original]
    assert given(exchanges[5].received.json)[1] == given(exchanges[5].sent.json)[1]
    checks.results_stayed(exchanges)
    checks.no_prefix_broke(exchanges)
    our_tool_stays(exchanges)
    if client is GEMINI:  # it compresses by requests without tools
        passed_untouched(compacting)
    else:
        our_tool_stays(compacting)
        assert all(given(one.received.json)[1] == [original] for one in compacting)


def test_what_codex_summed_up_can_be_had_again_over_its_websocket(
    world: World, commands: Path, project: Project
) -> None:
    with over_websockets(world):
        world.begin(Model(CODEX))
        assert DONE in CODEX.ask(world, commands, project, PROMPT)
        assert DONE in compact_codex(world, commands, project)

    exchanges = asked(world)
    (compacting,) = [number for number, one in enumerate(exchanges) if _is_to_compact(one.sent.json)]
    before, after = exchanges[:compacting], exchanges[compacting + 1 :]
    assert [len(given(one.received.json)) for one in exchanges] == [0, 1, 1, 2, 0, 1, 1]
    came_back(before, 1, 0)
    (original,) = given(*(one.received.json for one in before))[1]
    assert (
        [original] == given(exchanges[compacting].received.json)[1] == given(*(one.received.json for one in after))[0]
    )
    our_tool_stays([before[0], exchanges[compacting], after[0]])
