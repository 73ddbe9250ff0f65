"""headroom_stable_prefix through a real mitmdump: the clock goes to the end, the beginning is read from the cache."""

from collections.abc import Iterator

import pytest

from headroom.cache.stable import TAIL
from tests.cache.programs import SYSTEM, TOOLS, Json, agent, dumps, text
from tests.support.answers import Answer
from tests.support.stage import Stage, stage


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), options=["headroom_stable_prefix=true"]) as running:
        yield running


def at(n: int) -> Json:
    """The n-th request of an agent with a clock in its system prompt, and its tools in another order each time."""
    return agent(n, system=f"It is 10:{n:02}:00.\n{SYSTEM}", tools=TOOLS[n:] + TOOLS[:n])


def test_an_api_client_reads_its_beginning_from_the_cache(on: Stage) -> None:
    headers = {"user-agent": "Anthropic/Python 1.0"}
    rows = [on.row(on.send(dumps(at(n)), headers)) for n in range(1, 5)]
    for n, received in enumerate(on.provider.received, 1):
        system, tail = received.json["system"]
        assert (system["text"], tail) == (SYSTEM, text(f"{TAIL}It is 10:{n:02}:00."))
        assert received.json["tools"] == TOOLS
        assert received.json["messages"][:2] == at(n)["messages"][:2]
    assert len({row.session for row in rows}) == 1, "a session is not told by its clock"
    assert [bool(row.usage and row.usage.cache_read_tokens) for row in rows] == [False, False, True, True]
    assert sum(row.optimizer_saved_usd for row in rows) > 0
    assert [(row.break_part, row.break_kind, row.break_tokens) for row in rows[1:]] == [("system", "time", 0)] * 3


def test_claude_code_keeps_its_order(on: Stage) -> None:
    body = dumps(at(1))
    on.send(body, {"user-agent": "claude-cli/2.1.197 (external, cli)"})
    assert on.received.body == body


def test_what_the_provider_refuses_leaves_in_its_own_order(on: Stage) -> None:
    before = on.provider.script
    on.provider.script = lambda shape, body: Answer("no", status=400) if len(body["system"]) == 2 else Answer("Done.")
    body = dumps(agent(2, "Another question", system=f"Now: 10:00\n{SYSTEM}"))
    sent = on.send(body, {"user-agent": "Anthropic/Python 1.0"})
    on.provider.script = before
    assert sent.response.status_code == 200
    assert on.received.body == body
    assert on.row(sent).outcome == "resent"
