"""What programs of the tests say to models, and what they are told."""

import json
from typing import Any

from tests.context.conversations import chat
from tests.library.conversations import Step, messages
from tests.support.standin import StandIn


def large_conversation(
    shape: str = "openai-chat", prompt: str = "What is wrong with the shop?", shelf: str = "north"
) -> list[Any]:
    """A question, and a tool that printed the same long table twice."""
    rows = [{"sku": f"A-{i:04}", "name": f"part {i}", "stock": i * 7 % 50, "shelf": shelf} for i in range(80)]
    steps = [Step("list_stock", {"shelf": shelf, "again": again}, json.dumps(rows)) for again in (False, True)]
    return list(messages(shape, steps, prompt))


def long_conversation(turns: int) -> list[Any]:
    """So many questions and answers, in OpenAI's shape."""
    return list(chat("openai-chat", turns))


def sent(provider: StandIn) -> list[Any]:
    """The messages of the last request, as they reached the provider."""
    found: list[Any] = provider.received[-1].json["messages"]
    return found


def sizes(said: list[Any]) -> int:
    """Characters of what messages say."""
    return sum(len(str(message.get("content"))) for message in said)
