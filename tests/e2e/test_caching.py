"""Programs that leave the provider's cache unused, through the proxy: the field arrives, the bill shrinks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headroom.ledger import Exchange as Row
from headroom.models import price_for
from tests.e2e import checks
from tests.e2e.sdk_clients import AnthropicMessages, Asked, Said, Tool
from tests.e2e.sdk_task import STEPS, TOOLS, use
from tests.e2e.task import DONE, PROMPT, Project, play
from tests.e2e.world import Exchange, World
from tests.support.answers import Answer, Bill
from tests.support.billing import PrefixCache

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("through_the_proxy")]
FIELD = b'"cache_control":{"type":"ephemeral"},'
MARK = {"type": "ephemeral"}
OPUS = price_for("anthropic", "claude-opus-4-8")
REFUSED = "cache_control: Extra inputs are not permitted"


class Loop(AnthropicMessages):
    """A plain loop with the SDK: nothing is said about caching."""

    def __init__(self, name: str, prompt: str = PROMPT, *, tools: list[Tool] = TOOLS, streaming: bool = False) -> None:
        super().__init__(prompt, tools, asynchronous=False, streaming=streaming)
        self.system = f"You correct prices. You are called {name}, and no other program is."
        self.cache_control = {}

    async def work(self, project: Project) -> list[Said]:
        turns = [await self.ask()]
        while turns[-1].calls:
            self.tell([(call, use(project, call)) for call in turns[-1].calls])
            turns.append(await self.ask())
        return turns


def unmarked(exchange: Exchange) -> Exchange:
    """The exchange as if the field had not been added, which it was at most once and at the start."""
    body = exchange.received.body
    assert body.count(b'"cache_control"') == exchange.sent.body.count(b'"cache_control"') + body.startswith(
        b"{" + FIELD
    )
    return replace(exchange, received=replace(exchange.received, body=body.replace(FIELD, b"", 1)))


def usd(bill: Bill) -> float:
    """What the provider asks for the input."""
    return (bill.plain * OPUS.input + bill.write * OPUS.cache_write + bill.read * OPUS.cache_read) / 1e6


def saved_by_the_bill(exchanges: list[Exchange]) -> float:
    """What the same requests had cost without what was added, less what they did cost."""
    cache = PrefixCache()
    return sum(
        usd(cache.bill("anthropic", unmarked(exchange).received.json)) - usd(exchange.received.bill)
        for exchange in exchanges
    )


def is_right_to_the_cent(rows: list[Row], exchanges: list[Exchange]) -> float:
    """Look that the ledger says what was saved; that."""
    saved = sum(row.optimizer_saved_usd for row in rows)
    assert saved == pytest.approx(saved_by_the_bill(exchanges), abs=0.005)
    assert saved == pytest.approx(saved_by_the_bill(exchanges), rel=0.01)
    assert sum(row.cost_usd or 0.0 for row in rows) < sum(row.cost_without_usd or 0.0 for row in rows) - saved + 1e-9
    return saved


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
async def test_a_plain_loop_reads_what_it_wrote(world: World, tmp_path: Path, streaming: bool) -> None:
    project = Project(tmp_path / "project")
    world.begin(play(STEPS))

    turns = await Loop("streaming" if streaming else "whole", streaming=streaming).work(project)

    assert [turn.text for turn in turns] == [*(step.text for step in STEPS), DONE]
    assert project.is_done
    exchanges = world.exchanges()
    assert [exchange.received.body.startswith(b"{" + FIELD) for exchange in exchanges] == [
        False,
        *[True] * (len(exchanges) - 1),
    ]
    assert sum(checks.only_tool_results_changed(unmarked(exchange)) for exchange in exchanges) > 5_000
    assert [(turn.input_tokens, turn.output_tokens) for turn in turns] == [
        (exchange.received.bill.input, exchange.received.bill.output) for exchange in exchanges
    ]
    checks.no_prefix_broke(exchanges)
    checks.is_written_down(world, exchanges)
    reads = [exchange.received.bill.read for exchange in exchanges]
    assert reads[:2] == [0, 0] and reads[2:] == sorted(set(reads[2:])) and reads[2] > 0, "they grow with every request"
    assert is_right_to_the_cent(world.rows(len(exchanges)), exchanges) > 0


async def test_a_loop_that_marks_its_system_prompt_only_is_marked_at_the_end(world: World, tmp_path: Path) -> None:
    project, loop = Project(tmp_path / "project"), Loop("half")
    rules = "Prices are whole numbers, and nothing but prices.py is ever edited. " * 100
    loop.system = [{"type": "text", "text": f"{loop.system} {rules}", "cache_control": MARK}]
    world.begin(play(STEPS))

    await loop.work(project)

    assert project.is_done
    exchanges = world.exchanges()
    for exchange in exchanges:
        assert exchange.received.json["system"] == exchange.sent.json["system"]
    own = PrefixCache()
    saved = 0.0
    for exchange in exchanges:
        body = exchange.received.json
        for block in body["messages"][-1]["content"]:
            if isinstance(block, dict):
                block.pop("cache_control", None)
        saved += usd(own.bill("anthropic", body)) - usd(exchange.received.bill)
    rows = world.rows(len(exchanges))
    assert sum(row.optimizer_saved_usd for row in rows) == pytest.approx(saved, abs=0.005)
    assert saved > 0.01


async def test_a_provider_that_refuses_the_field_gets_the_original_once(world: World, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    plays = play(STEPS)
    world.begin(lambda shape, body: Answer(REFUSED, status=400) if "cache_control" in body else plays(shape, body))

    turns = await Loop("refused").work(project)

    assert turns[-1].text == DONE
    assert project.is_done
    first, refused, taken, *later = world.exchanges()
    assert refused.received.body.startswith(b"{" + FIELD)
    assert taken.received.body == refused.sent.body
    for exchange in (first, taken, *later):
        assert b"cache_control" not in exchange.received.body
    assert [exchange.received.body for exchange in later] == [exchange.sent.body for exchange in later]
    rows = world.rows(len(turns))[::-1]
    assert [row.outcome for row in rows] == ["unchanged", "resent", *["unchanged"] * len(later)]
    assert rows[1].reason == "refused with 400: session left alone"
    assert all(row.optimizer_saved_usd == 0 and row.cost_usd == row.cost_without_usd for row in rows)


async def test_single_questions_are_never_marked(world: World) -> None:
    world.begin(lambda shape, body: Answer("Four."))
    for number in range(6):
        await Loop("once", f"Question {number}: how many are these? {'and one ' * 4000}", tools=[]).ask()
    assert all(exchange.received.body == exchange.sent.body for exchange in world.exchanges())


async def test_a_clock_in_the_system_prompt_is_named_and_has_its_price(world: World, tmp_path: Path) -> None:
    project, loop = Project(tmp_path / "project"), Loop("clock")
    own = loop.system
    world.begin(play(STEPS))
    said = await loop.ask()
    for number in range(3):
        if number == 2:
            loop.system = f"{own} The clock says 17:42:11."
        loop.tell([(call, use(project, call)) for call in said.calls])
        said = await loop.ask()
    loop.system = f"{own} The clock says 17:43:58."
    loop.tell([(call, use(project, call)) for call in said.calls])
    await loop.ask()

    exchanges = world.exchanges()
    rows = world.rows(len(exchanges))[::-1]
    assert [(row.break_part, row.break_kind) for row in rows] == [
        ("", ""), ("", ""), ("", ""), ("system", "text"), ("system", "time"),
    ]  # fmt: skip
    last, before = rows[-1], exchanges[-2].received
    assert exchanges[-1].sent.body[last.break_at :].startswith(b"3:58")
    assert last.break_tokens == pytest.approx(before.bill.input, rel=0.35)
    assert last.break_usd == pytest.approx(last.break_tokens * (OPUS.cache_write - OPUS.cache_read) / 1e6, rel=0.01)
    assert (
        f"the client changed system at byte {last.break_at:,} (a time): {last.break_tokens:,} tokens" in world.proxy.log
    )
    assert "17:4" not in world.proxy.log


async def test_langchains_model_in_a_tool_loop_is_cached(world: World, tmp_path: Path) -> None:
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage

    project = Project(tmp_path / "project")
    world.begin(play(STEPS))
    tools: list[dict[str, Any]] = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in TOOLS
    ]
    model = ChatAnthropic(model="claude-opus-4-8", api_key="sk-ant-api03-test", max_tokens=1000)  # type: ignore[call-arg, arg-type]
    agent = model.bind_tools(tools)
    said: list[BaseMessage] = [SystemMessage("You correct prices with a chain."), HumanMessage(PROMPT)]

    answers = [agent.invoke(said)]
    while answers[-1].tool_calls:
        said.append(answers[-1])
        for call in answers[-1].tool_calls:
            result = use(project, Asked(str(call["id"]), call["name"], call["args"]))
            said.append(ToolMessage(result, tool_call_id=call["id"]))
        answers.append(agent.invoke(said))

    assert answers[-1].text == DONE
    assert project.is_done
    exchanges = world.exchanges()
    assert len(exchanges) == len(STEPS) + 1
    assert all(b"cache_control" not in exchange.sent.body for exchange in exchanges)
    marked = [exchange.received.body.startswith(b"{" + FIELD) for exchange in exchanges]
    assert marked == [False, *[True] * len(STEPS)]
    assert sum(checks.only_tool_results_changed(unmarked(exchange)) for exchange in exchanges) > 5_000
    used = [answer.usage_metadata for answer in answers]
    read = [one["input_token_details"]["cache_read"] if one else 0 for one in used]
    assert read == [exchange.received.bill.read for exchange in exchanges]
    assert read[2:] == sorted(set(read[2:])) and read[2] > 0
    assert is_right_to_the_cent(world.rows(len(exchanges)), exchanges) > 0
