"""Items that are about what the agent is after: by their words, or by what they mean."""

import json
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from headroom import embedding
from headroom.ccr.ways import CcrSettings
from headroom.engine import Engine, RawRequest
from headroom.session.memory import RamMemory
from headroom.transforms import relevance
from headroom.transforms.base import Context
from headroom.transforms.config import SmartCrusherConfig
from headroom.transforms.smart_crusher import compress
from tests.support.originals import RamOriginals

MEANING = SmartCrusherConfig(relevance_tier="embedding")
THINGS = ["apples", "pears", "plums", "screws", "nails", "cherries"]
ROWS = [{"id": i, "what": f"{THINGS[i % 6]} of lot {i}", "shelf": f"s{i}"} for i in range(60)]
ROWS[41]["what"] = "an automobile, red"


class Words:
    """An embedder that knows that a car is an automobile."""

    name, dimensions = "words", 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array(
            [[1.0, 0.0] if "automobile" in text or "car" in text.split() else [0.1, 0.995] for text in texts]
        )


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Words:
    found = Words()
    monkeypatch.setattr(embedding, "embedder", lambda: found)
    return found


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(embedding, "embedder", lambda: None)
    relevance._say_once.cache_clear()
    yield
    relevance._say_once.cache_clear()


def kept(config: SmartCrusherConfig, query: str) -> str:
    cut = compress(json.dumps(ROWS), Context(query=query, lossless=False, smart_crusher=config))
    assert cut is not None and cut.left_out > 30
    return cut.text


def test_items_are_found_by_their_meaning(words: Words) -> None:
    assert "automobile" in kept(MEANING, "where is the car")
    assert all(len(text) <= relevance.MOST_CHARACTERS for text in words.asked)
    assert words.asked[-1] == "where is the car"


def test_what_has_little_in_common_with_the_query_is_no_match(words: Words) -> None:
    scores = relevance.meaning("where is the car", [row["what"] for row in map(dict, ROWS)])  # type: ignore[misc]
    assert [i for i, score in enumerate(scores) if score] == [41]


def test_without_an_embedder_words_are_compared_and_that_is_said_once(
    none: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert "lot 37" in kept(MEANING, "what about lot 37") and "lot 37" in kept(SmartCrusherConfig(), "lot 37?")
    assert [record.message[:31] for record in caplog.records] == ["relevance_tier is 'embedding', "]


def test_without_a_query_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "embedder", lambda: pytest.fail("opened"))
    assert relevance.meaning("", ["a", "b"]) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("asked", "called", "found"), [("Where is lot 37?", "", 37), ("Go on.", "I look for lot 23.", 23)]
)
def test_in_a_request_the_query_is_what_was_asked_and_what_the_model_said_with_the_call(
    asked: str, called: str, found: int
) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "stock", "input": {}}
    said = [{"type": "text", "text": called}] if called else []
    messages = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": [*said, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": json.dumps(ROWS)}]},
    ]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("stock", "mcp__x__headroom_retrieve")]
    body = json.dumps({"model": "claude-sonnet-4-5", "tools": tools, "messages": messages}).encode()
    engine = Engine(RamMemory(), originals=RamOriginals(), ccr=CcrSettings(level="balanced"))
    request = RawRequest("anthropic", "anthropic", "/v1/messages", {}, body, tool_profiles={"stock": "normal"})
    sent = json.loads(engine.rewrite(request).body)["messages"][2]["content"][0]["content"]
    assert f"of lot {found}," in sent and "of lot 31," not in sent


def test_the_settings_of_a_request_say_how_many_items_stay() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "stock", "input": {}}
    messages = [
        {"role": "user", "content": "What is there?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": json.dumps(ROWS)}]},
    ]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("stock", "mcp__x__headroom_retrieve")]
    body = json.dumps({"model": "claude-sonnet-4-5", "tools": tools, "messages": messages}).encode()

    def lines(**settings: int) -> int:
        engine = Engine(RamMemory(), originals=RamOriginals(), ccr=CcrSettings(level="balanced"))
        crusher = SmartCrusherConfig(**settings)  # type: ignore[arg-type]
        request = RawRequest(
            "anthropic", "anthropic", "/v1/messages", {}, body, tool_profiles={"stock": "normal"}, smart_crusher=crusher
        )
        sent = json.loads(engine.rewrite(request).body)["messages"][2]["content"][0]["content"]
        return str(sent).count("of lot")

    assert lines(max_items_after_crush=6) < lines() < lines(max_items_after_crush=40) < len(ROWS)
