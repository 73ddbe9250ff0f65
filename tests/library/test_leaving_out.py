"""HeadroomClient leaves out what hardly tells anything, where its settings let it, and the model can have it back."""

import json
import re
from typing import Any

import pytest

from headroom import HeadroomConfig
from headroom.config import CCRConfig
from tests.library.test_client import World, world

__all__ = ["world"]
ROWS = json.dumps([{"id": n, "name": f"part {n}", "price": 10 + n % 7, "state": "ready"} for n in range(400)])
TOOLS = [{"name": "list_stock", "description": "All parts.", "input_schema": {"type": "object", "properties": {}}}]
QUESTION = {"role": "user", "content": "What is wrong with the shop?"}


def result(id: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": content, **more}]}


def call(id: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": arguments}]}


def send(client: Any, messages: list[Any]) -> None:
    client.messages.create(model="claude-sonnet-4-5", max_tokens=100, tools=TOOLS, messages=messages)


def config(**changes: Any) -> HeadroomConfig:
    profiles = {"list_stock": "normal"}
    return HeadroomConfig(**{"profile": "balanced", "tool_profiles": profiles, "default_mode": "optimize", **changes})


def test_what_was_left_out_comes_back_when_the_model_asks_for_it(world: World) -> None:
    with world.wrapped("anthropic", config=config(), default_mode=None) as client:
        said: list[Any] = [QUESTION]
        send(client, said)
        assert [tool["name"] for tool in world.last.json["tools"]] == ["list_stock", "headroom_retrieve"]
        said += [call("toolu_1", "list_stock"), result("toolu_1", ROWS)]
        send(client, said)
        cut = world.last.json["messages"][2]["content"][0]["content"]
        marker = re.search(r"\[400 items compressed to (\d+)\. Retrieve more: hash=([0-9a-f]{24})\]", cut)
        assert marker and int(marker[1]) <= 15 and len(cut) < len(ROWS) / 10
        said += [call("toolu_2", "headroom_retrieve", hash=marker[2])]
        said += [result("toolu_2", "there is no tool headroom_retrieve", is_error=True)]
        send(client, said)
        sent = world.last.json["messages"]
        assert sent[2]["content"][0]["content"] == cut, "what was sent once stays as it was sent"
        back = sent[4]["content"][0]["content"]
        assert "part 222" not in cut and "part 222" in back


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": "safe"},
        {"ccr": CCRConfig(enabled=False)},
        {"ccr": CCRConfig(inject_tool=False)},
        {"ccr": CCRConfig(min_items_to_cache=500)},
        {"tool_profiles": {"list_stock": "lossless"}},
    ],
    ids=["safe", "no CCR", "no tool", "too few items", "lossless"],
)
def test_nothing_is_left_out_where_it_may_not_or_could_not_come_back(world: World, changes: dict[str, Any]) -> None:
    with world.wrapped("anthropic", config=config(**changes), default_mode=None) as client:
        send(client, [QUESTION])
        send(client, [QUESTION, call("toolu_1", "list_stock"), result("toolu_1", ROWS)])
    whole = world.last.json["messages"][2]["content"][0]["content"]
    assert all(f"part {n}" in whole for n in range(400))


def test_by_default_nothing_is_left_out_and_no_tool_is_added(world: World) -> None:
    with world.wrapped("anthropic") as client:
        send(client, [QUESTION])
        assert world.last.json["tools"] == TOOLS
