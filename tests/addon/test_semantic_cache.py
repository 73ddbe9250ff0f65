"""The proxy answers a program's question from what was answered before, where the settings enable that."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.answers import Answer
from tests.support.stage import MESSAGES, Sent, Stage, stage

QUESTION = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "temperature": 0,
    "messages": [{"role": "user", "content": "How are the prices of the shop computed?"}],
}
OPENAI = "https://api.openai.com/v1/chat/completions"


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("answers")
    with stage(folder, environment={"HEADROOM_SEMANTIC_CACHE_ENABLED": "true"}) as running:
        yield running
    assert "Traceback" not in running.proxy.log


def ask(on: Stage, headers: dict[str, str] | None = None, url: str = MESSAGES, **changes: object) -> Sent:
    """A question, when it has been written down: by then its answer is kept."""
    sent = on.send(json.dumps({**QUESTION, **changes}).encode(), headers, url=url)
    on.row(sent)
    return sent


@pytest.fixture(autouse=True)
def fresh(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("In cents.")
    on.provider.received.clear()
    assert httpx.post(f"{on.proxy.url}/cache/clear", trust_env=False).json()["status"] == "cleared"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("url", [MESSAGES, OPENAI])
def test_the_same_question_is_asked_once_and_its_answer_comes_back_byte_for_byte(
    on: Stage, stream: bool, url: str
) -> None:
    first, second = (ask(on, url=url, stream=stream) for _ in range(2))
    assert len(on.provider.received) == 1
    assert second.response.content == first.response.content
    assert second.response.headers["content-type"] == first.response.headers["content-type"]
    assert second.response.headers["x-headroom-cache"] == "hit; similarity=1.000"
    assert "x-headroom-cache" not in first.response.headers
    row = on.row(second)
    assert (row.outcome, row.reason, row.status) == ("passed", "answered from the semantic cache", 200)
    assert row.usage is None and row.cost_usd is None, "nothing was billed"


@pytest.mark.parametrize(
    "varies",
    [{"temperature": 1}, {"tools": [{"name": "look_up", "input_schema": {"type": "object"}}]}],
    ids=["temperature", "tools"],
)
def test_an_answer_that_varies_or_may_be_a_call_is_asked_for_each_time(on: Stage, varies: dict[str, Any]) -> None:
    for _ in range(2):
        ask(on, **varies)
    assert len(on.provider.received) == 2


@pytest.mark.parametrize(
    "headers", [{"x-headroom-bypass": "true"}, {"x-headroom-mode": "audit"}, {"x-api-key": "another"}]
)
def test_who_wants_none_or_is_somebody_else_gets_none(on: Stage, headers: dict[str, str]) -> None:
    ask(on)
    ask(on, headers)
    assert len(on.provider.received) == 2


def test_an_error_is_not_kept(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("slow down", status=429)
    assert ask(on).response.status_code == 429
    on.provider.script = lambda shape, body: Answer("In cents.")
    assert ask(on).response.status_code == 200
    assert len(on.provider.received) == 2


def test_it_can_be_cleared_and_switched_off(on: Stage) -> None:
    ask(on)
    assert ask(on).response.headers["x-headroom-cache"]
    assert httpx.post(f"{on.proxy.url}/cache/clear", trust_env=False).json() == {"status": "cleared", "entries": 1}
    ask(on)
    assert len(on.provider.received) == 2
    on.control("options", headroom_semantic_cache=False)
    try:
        ask(on)
        assert len(on.provider.received) == 3
    finally:
        on.control("options", headroom_semantic_cache=True)
