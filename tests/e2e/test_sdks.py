"""The Python SDKs of OpenAI, Anthropic and Google through the proxy, each in a tool loop of its own."""

from pathlib import Path

import pytest

from tests.e2e import checks
from tests.e2e.sdk_clients import CONVERSATIONS, AnthropicMessages, Conversation, Said
from tests.e2e.sdk_task import STEPS, TOOLS, use
from tests.e2e.task import DONE, PROMPT, Project, play
from tests.e2e.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("through_the_proxy")]


async def work(project: Project, conversation: Conversation) -> list[Said]:
    """Talk with the model until it asks for no more tools; what it said, turn by turn."""
    turns = [await conversation.ask()]
    while turns[-1].calls:
        conversation.tell([(call, use(project, call)) for call in turns[-1].calls])
        turns.append(await conversation.ask())
    return turns


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("sdk", CONVERSATIONS)
async def test_an_sdk_does_its_task_with_shorter_requests(
    world: World, tmp_path: Path, sdk: str, asynchronous: bool, streaming: bool
) -> None:
    project = Project(tmp_path / "project")
    world.begin(play(STEPS))

    turns = await work(project, CONVERSATIONS[sdk](PROMPT, TOOLS, asynchronous=asynchronous, streaming=streaming))

    assert turns[-1].text == DONE
    assert [turn.text for turn in turns] == [*(step.text for step in STEPS), DONE]
    assert [[(call.name, call.arguments) for call in turn.calls] for turn in turns] == [
        *([(call.name, call.arguments) for call in step.calls] for step in STEPS),
        [],
    ]
    assert project.is_done
    exchanges = world.exchanges()
    assert [(turn.input_tokens, turn.output_tokens) for turn in turns] == [
        (exchange.received.bill.input, exchange.received.bill.output) for exchange in exchanges
    ]
    saved = [checks.only_tool_results_changed(exchange) for exchange in exchanges]
    assert saved[-1] > 5_000
    checks.no_prefix_broke(exchanges)
    checks.results_stayed(exchanges)
    checks.is_written_down(world, exchanges)
    if sdk.startswith("openai"):
        keys = [exchange.received.json.get("prompt_cache_key") for exchange in exchanges]
        assert keys[-1] and set(keys) <= {keys[-1], None}, "none while a prompt is too short for the cache, then one"


async def test_a_beta_that_a_client_drops_is_sent_on(world: World, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    world.begin(play(STEPS))
    conversation = AnthropicMessages(PROMPT, TOOLS, asynchronous=False, streaming=False)

    for betas in (["fast-2026-01-01", "wide-2026-02-02"], ["wide-2026-02-02"], ["deep-2026-03-03"], []):
        conversation.betas = betas
        said = await conversation.ask()
        conversation.tell([(call, use(project, call)) for call in said.calls])

    exchanges = world.exchanges()
    checks.betas_stayed(exchanges, "anthropic-beta")
    assert exchanges[-1].sent.header("anthropic-beta") == ""
    assert exchanges[-1].received.header("anthropic-beta") == "fast-2026-01-01,wide-2026-02-02,deep-2026-03-03"


async def test_a_program_that_leaves_the_cache_unused_reads_from_it(world: World, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    world.begin(play(STEPS))
    conversation = AnthropicMessages(PROMPT, TOOLS, asynchronous=False, streaming=True)
    conversation.cache_control = {}

    turns = await work(project, conversation)

    exchanges = world.exchanges()
    assert turns[-1].text == DONE
    assert not any("cache_control" in exchange.sent.body.decode() for exchange in exchanges)
    bills = [exchange.received.bill for exchange in exchanges]
    assert bills[-1].read > 0.5 * bills[-1].input
    checks.no_prefix_broke(exchanges)
    checks.results_stayed(exchanges)
    checks.is_written_down(world, exchanges)
