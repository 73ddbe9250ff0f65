"""The providers' Python SDKs with headroom_ccr_inline: a program that knows nothing of our tool never sees its call."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ccr.test_retrieval import ITEMS, MINE, OPTIONS
from tests.e2e import checks
from tests.e2e.sdk_clients import CONVERSATIONS, Tool
from tests.e2e.world import World
from tests.e2e.world import world as start
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("through_the_proxy")]
DONE = "Items 168 to 199 cost more than 500."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("inline")
    with start(folder, websocket=False, options=(*OPTIONS, "headroom_ccr_inline=true")) as running:
        yield running


def model() -> Script:
    steps = (
        Answer("I look.", (ToolCall("catalogue", {}),)),
        Answer("Some were left out.", (ToolCall("headroom_retrieve", {"hash": MINE}),)),
    )

    def answer(shape: str, body: dict[str, Any]) -> Answer:
        return (*steps, Answer(DONE))[len(list(checks.results(body)))]

    return answer


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("sdk", CONVERSATIONS)
async def test_an_sdk_gets_one_ordinary_answer(world: World, sdk: str, streaming: bool, asynchronous: bool) -> None:
    world.begin(model())
    prompt = f"Which cost more than 500? {sdk}, {streaming}, {asynchronous}"
    conversation = CONVERSATIONS[sdk](
        prompt, [Tool("catalogue", "Lists all.", [])], asynchronous=asynchronous, streaming=streaming
    )
    (call,) = (await conversation.ask()).calls
    conversation.tell([(call, ITEMS)])
    said = await conversation.ask()
    assert said.text == DONE and said.calls == ()
    received = world.provider.received
    assert len(received) == 3
    bills = [one.bill for one in received[1:]]
    assert said.input_tokens == sum(bill.input for bill in bills)
    assert said.output_tokens == sum(bill.output for bill in bills)
