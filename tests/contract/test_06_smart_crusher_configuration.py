"""SmartCrusher Configuration."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headroom import ConfigurationError, embedding
from headroom.tokenizers import count
from headroom.transforms import SmartCrusher, SmartCrusherConfig
from headroom.transforms.base import Compressed, Context

DOCUMENTED = SmartCrusherConfig(
    # Maximum items to keep after compression
    max_items_after_crush=15,
    # Minimum tokens before applying compression
    min_tokens_to_crush=200,
    # Relevance scoring tier: "bm25" (fast) or "embedding" (accurate)
    relevance_tier="bm25",
    # Always keep items with these field values
    preserve_fields=["error", "warning", "failure"],
)


def items(count: int) -> list[dict[str, Any]]:
    """Items that hardly tell more than their number."""
    return [{"id": n, "name": f"part {n}", "price": 10 + n % 7, "state": "ready"} for n in range(count)]


def crushed(value: object, config: SmartCrusherConfig, query: str = "") -> Compressed:
    found = SmartCrusher(config).compress(json.dumps(value), Context(lossless=False, query=query))
    assert found is not None
    return found


def test_the_documented_smart_crusher_config_is_the_default() -> None:
    assert SmartCrusherConfig() == DOCUMENTED


def test_max_items_after_crush_is_the_maximum_of_items_kept_after_compression() -> None:
    for most in (8, 15):
        found = crushed(items(100), replace(DOCUMENTED, max_items_after_crush=most))
        assert 0 < 100 - found.left_out <= most


def test_min_tokens_to_crush_is_the_minimum_of_tokens_before_compression_is_applied() -> None:
    tokens = count(json.dumps(items(60)))
    assert crushed(items(60), replace(DOCUMENTED, min_tokens_to_crush=tokens + 1)).left_out == 0
    assert crushed(items(60), replace(DOCUMENTED, min_tokens_to_crush=tokens)).left_out > 0


def test_relevance_tier_bm25_keeps_the_items_that_share_words_with_the_query() -> None:
    said = items(100)
    said[43]["name"] = "part of a gearbox"
    assert "gearbox" not in crushed(said, DOCUMENTED, "What does the engine cost?").text
    assert "gearbox" in crushed(said, DOCUMENTED, "What does the gearbox cost?").text


def test_relevance_tier_embedding_keeps_the_items_that_mean_what_the_query_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Words:
        """Knows that a gearbox is a transmission."""

        name, dimensions = "words", 2

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            alike = ("gearbox", "transmission")
            return np.array([[1.0, 0.0] if any(word in text for word in alike) else [0.0, 1.0] for text in texts])

    monkeypatch.setattr(embedding, "embedder", Words)
    said = items(100)
    said[43]["name"] = "part of a gearbox"
    query = "What does the transmission cost?"
    assert "gearbox" not in crushed(said, DOCUMENTED, query).text
    assert "gearbox" in crushed(said, replace(DOCUMENTED, relevance_tier="embedding"), query).text


def test_relevance_tier_is_bm25_or_embedding() -> None:
    with pytest.raises(ConfigurationError, match="relevance_tier is 'magic'; expected bm25 or embedding"):
        SmartCrusherConfig(relevance_tier="magic")


@pytest.mark.parametrize("value", ["error", "warning", "failure", "recalled"])
def test_preserve_fields_always_keeps_the_items_with_these_field_values(value: str) -> None:
    config = replace(DOCUMENTED, preserve_fields=[*DOCUMENTED.preserve_fields, "recalled"])
    for odd in ({"state": value}, {value: "the thread is too short"}):
        said = items(100)
        said[43] |= odd
        assert "part 43," in crushed(said, config).text
