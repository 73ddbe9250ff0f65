"""What the newest message names of what was left out is added to it, and to no other, the same bytes ever after."""

import json
from pathlib import Path
from typing import Any

import pytest

from headroom.cache import CacheSettings
from headroom.ccr.expansion import EXPANDED, names
from headroom.ccr.ways import CcrSettings
from headroom.engine import Engine, RawRequest, Rewrite
from headroom.session.memory import Memory, RamMemory, SqliteMemory
from tests.support.originals import RamOriginals

type Json = dict[str, Any]
ORDERS = json.dumps([{"order": 50_000 + n, "customer": f"customer {n}", "cents": n * 130} for n in range(200)])
TOOLS: list[Json] = [
    {"name": name, "input_schema": {}} for name in ("orders", "Bash", "mcp__headroom__headroom_retrieve")
]
ITEM = '{"order":50123,"customer":"customer 123","cents":15990}'
ADDED = f"[of what was left out of orders above, items 124:]\n{ITEM}"


def said(words: str) -> Json:
    return {"role": "user", "content": words}


def called(id: str, name: str, arguments: Json, result: str) -> list[Json]:
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": arguments}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": result}]},
    ]


START = [said("What did people order?"), *called("toolu_1", "orders", {}, ORDERS)]
ANSWER = {"role": "assistant", "content": "Two hundred orders."}


def engine(memory: Memory | None = None, expansion: bool = True) -> Engine:
    settings = CcrSettings(level="balanced", expansion=expansion)
    return Engine(memory or RamMemory(), CacheSettings(enabled=False), originals=RamOriginals(), ccr=settings)


def send(to: Engine, messages: list[Json], **fields: Any) -> tuple[list[Json], Rewrite]:
    body = json.dumps({"model": "claude-sonnet-4-5", "tools": TOOLS, **fields, "messages": messages}).encode()
    raw = RawRequest("anthropic", "anthropic", "/v1/messages", {}, body, tool_profiles={"orders": "normal"})
    rewrite = to.rewrite(raw)
    return json.loads(rewrite.body)["messages"], rewrite


def test_what_the_user_names_is_added_to_the_users_words_and_stays(tmp_path: Path) -> None:
    memory = SqliteMemory(tmp_path / "state.db")
    to = engine(memory)
    first, _ = send(to, START)
    assert ITEM not in json.dumps(first) and "50123" not in json.dumps(first)
    asking = [*START, ANSWER, said("And what about order 50123?")]
    second, rewrite = send(to, asking)
    assert second[-1]["content"] == f"And what about order 50123?\n{ADDED}"
    assert second[:3] == first  # nothing that was sent before changed
    assert rewrite.saved[EXPANDED] < 0
    more = [*asking, {"role": "assistant", "content": "It cost 159.90."}, said("Is 50123 paid?")]
    third, _ = send(to, more)
    assert third[:5] == second
    assert third[-1] == said("Is 50123 paid?")  # by now it stands in the conversation
    memory.close()
    memory = SqliteMemory(tmp_path / "state.db")
    assert send(engine(memory, expansion=False), more)[0] == third  # after a restart, and without the option
    memory.close()


def test_what_the_models_call_names_is_added_to_its_result() -> None:
    to = engine()
    send(to, START)
    sent, _ = send(to, [*START, *called("toolu_2", "Bash", {"command": "bill show 50123"}, "no such bill")])
    assert sent[-1]["content"][0]["content"] == f"no such bill\n{ADDED}"


@pytest.mark.parametrize(
    "words",
    [
        "And what about the others?",
        "And what about order 59999?",  # in no original
        "Who is customer?",  # no name of one thing
        "And order 50001?",  # was not left out
    ],
)
def test_nothing_is_added_where_nothing_left_out_is_named(words: str) -> None:
    to = engine()
    send(to, START)
    assert send(to, [*START, ANSWER, said(words)])[0][-1] == said(words)


def test_what_stands_elsewhere_too_is_not_added() -> None:
    to = engine()
    start = [said("What did people order? Mind order 50123."), *START[1:]]
    send(to, start)
    assert send(to, [*start, ANSWER, said("So 50123?")])[0][-1] == said("So 50123?")


def test_the_same_words_in_another_conversation_are_left_alone() -> None:
    to = engine()
    send(to, START)
    send(to, [*START, ANSWER, said("And what about order 50123?")])
    other = [said("Hello."), ANSWER, said("And what about order 50123?")]
    assert send(to, other)[0] == other


def test_without_the_option_and_where_history_may_vanish_nothing_is_added() -> None:
    asking = [*START, ANSWER, said("And what about order 50123?")]
    to = engine(expansion=False)
    send(to, START)
    assert send(to, asking)[0][-1] == asking[-1]
    to, edits = engine(), {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
    send(to, START, **edits)
    assert send(to, asking, **edits)[0][-1] == asking[-1]


def test_names_are_what_hardly_stands_for_anything_else() -> None:
    said = "Look at src/shop/cart.py:120, order_total and getPrice in build 4711; not at the cart or in 12 places."
    assert names(said) == ["src/shop/cart.py:120", "order_total", "getPrice", "4711"]
    assert names("x" * 30_000 + " order_total") == []
