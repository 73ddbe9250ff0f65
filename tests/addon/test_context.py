"""headroom_context through a real mitmdump: no request is too long, and what went once stays gone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headroom.ccr.originals import open_originals
from tests.context.conversations import task
from tests.support.stage import Stage, stage

LIMIT = 14_000
OPTIONS = ["headroom_context=intelligent", f"headroom_context_limit={LIMIT}"]
HEADERS = {"user-agent": "claude-cli/2.1.197 (external, cli)", "x-claude-code-session-id": "s1"}
RETRIEVE = {"name": "mcp__headroom__headroom_retrieve", "input_schema": {"type": "object"}}


def body(messages: list[Any], **more: Any) -> bytes:
    return json.dumps({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages, **more}).encode()


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, options=OPTIONS) as running:
        yield running


def test_a_session_that_grows_beyond_the_limit_goes_on(on: Stage) -> None:
    messages, breaks = task(80), 0
    before: list[Any] = []
    for end in range(3, len(messages) + 1, 2):
        row = on.row(on.send(body(messages[:end]), HEADERS))
        now = on.received.json["messages"]
        assert 0 < on.received.bill.input <= LIMIT - 4000  # by the provider's own count
        assert ("earlier messages dropped" in row.reason) == (len(now) < end)
        breaks += now[: len(before)] != before
        before = now
    assert 2 <= breaks <= 4
    assert before[-1] == messages[-1] and before[0] == messages[0]


def test_what_was_dropped_can_be_had_where_the_client_has_the_tool(on: Stage) -> None:
    messages = task(80)
    on.send(body(messages, tools=[RETRIEVE]), HEADERS)
    (marker,) = [m["content"] for m in on.received.json["messages"] if isinstance(m["content"], str)]
    hash = marker.split("'")[1]
    store = open_originals(path=on.workspace / "originals.db")
    original = store.get(hash)
    store.close()
    assert original is not None
    gone = json.loads(original.text)
    assert gone == [message for message in messages if message not in on.received.json["messages"]]
    assert "available via mcp__headroom__headroom_retrieve tool" in marker
