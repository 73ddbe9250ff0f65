"""Intelligent Context Manager Configuration. CCR Integration. Scoring Weights."""

import json
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headroom.ccr.originals import open_originals
from headroom.config import IntelligentContextConfig, ScoringWeights
from headroom.telemetry import Toin, ToolSignature, get_toin
from headroom.transforms import IntelligentContextManager
from tests.context.conversations import chat, task

WEIGHTS = {
    "recency": 0.20,
    "semantic_similarity": 0.20,
    "toin_importance": 0.25,
    "error_indicator": 0.15,
    "forward_reference": 0.15,
    "token_density": 0.05,
}


@pytest.fixture(autouse=True)
def _words_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever embedder is installed here."""
    monkeypatch.setattr("headroom.context.managers.embedder", lambda: None)


def factors(name: str, messages: Sequence[Any], toin: Toin | None = None) -> dict[int, float]:
    """What each unit has of a factor, by the place of its last message."""
    found = IntelligentContextManager(toin=toin).scores(messages)
    return {places[-1]: score.factors[name] for places, score in found}


def cut(config: IntelligentContextConfig, messages: Sequence[Any], limit: int, toin: Toin | None = None) -> list[Any]:
    return IntelligentContextManager(config, toin).apply(messages, "gpt-4o", model_limit=limit).messages


def test_the_documented_settings_of_intelligent_context_config_are_the_defaults() -> None:
    weights = ScoringWeights(
        recency=0.20,
        semantic_similarity=0.20,
        toin_importance=0.25,
        error_indicator=0.15,
        forward_reference=0.15,
        token_density=0.05,
    )
    config = IntelligentContextConfig(
        enabled=True,
        keep_system=True,
        keep_last_turns=2,
        output_buffer_tokens=4000,
        use_importance_scoring=True,
        scoring_weights=weights,
        toin_integration=True,
        recency_decay_rate=0.1,
        compress_threshold=0.1,
    )
    assert config == IntelligentContextConfig() and weights == ScoringWeights()


def test_enabled_enables_or_disables_the_manager() -> None:
    messages = chat("openai-chat", 12)
    assert cut(IntelligentContextConfig(enabled=False, output_buffer_tokens=0), messages, 2000) == messages
    assert len(cut(IntelligentContextConfig(output_buffer_tokens=0), messages, 2000)) < len(messages)


def test_keep_system_never_drops_system_messages() -> None:
    system = {"role": "system", "content": "You keep a shop. " * 40}
    messages = [*chat("openai-chat", 6), system, *chat("openai-chat", 6)]
    assert system in cut(IntelligentContextConfig(output_buffer_tokens=0), messages, 1500)


def test_keep_last_turns_protects_the_last_user_turns() -> None:
    messages = chat("openai-chat", 12)
    left = cut(IntelligentContextConfig(output_buffer_tokens=0, keep_last_turns=4), messages, 1800)
    assert left[-13:] == messages[-13:] and len(left) < len(messages)


def test_output_buffer_tokens_is_reserved_for_the_models_output() -> None:
    messages = chat("openai-chat", 40, 100)
    result = IntelligentContextManager().apply(messages, "gpt-4o", model_limit=16_000)
    assert result.tokens_after <= 16_000 - 4000 < result.tokens_before


def test_use_importance_scoring_scores_by_meaning_instead_of_position_only() -> None:
    messages = chat("openai-chat", 12)
    failed = "Traceback (most recent call last):\n  File 'shop.py'\nKeyError: 'price'\n" + messages[2]["content"]
    messages[2]["content"] = failed
    by_score = cut(IntelligentContextConfig(output_buffer_tokens=0), messages, 3000)
    by_place = cut(IntelligentContextConfig(output_buffer_tokens=0, use_importance_scoring=False), messages, 3000)
    assert messages[2] in by_score and messages[2] not in by_place


def test_scoring_weights_are_custom_weights() -> None:
    messages = chat("openai-chat", 12)
    messages[2]["content"] = "Traceback (most recent call last):\nKeyError: 'price'\n" + messages[2]["content"]
    only = IntelligentContextConfig(output_buffer_tokens=0, scoring_weights=ScoringWeights(recency=1.0))
    assert messages[2] not in cut(only, messages, 3000)


def test_toin_integration_uses_toin_patterns_if_available(tmp_path: Path) -> None:
    messages = chat("openai-chat", 8)
    toin = learned(tmp_path, messages[2]["content"], times=5)
    scores = IntelligentContextManager(IntelligentContextConfig(toin_integration=False), toin).scores(messages)
    assert not any(score.factors["toin_importance"] for _, score in scores)
    scores = IntelligentContextManager(IntelligentContextConfig(), toin).scores(messages)
    assert any(score.factors["toin_importance"] for _, score in scores)


def test_recency_decay_rate_is_the_lambda_of_an_exponential_decay() -> None:
    for rate in (0.1, 0.5):
        manager = IntelligentContextManager(IntelligentContextConfig(recency_decay_rate=rate))
        recency = [score.factors["recency"] for _, score in manager.scores(task(5))]
        assert all(after / before == pytest.approx(math.exp(rate)) for before, after in pairwise(recency))


def test_compress_threshold_tries_compression_first_when_less_than_a_tenth_over_budget() -> None:
    messages = task(10)
    rows = [{"id": n, "name": f"item {n}", "state": "active"} for n in range(150)]
    messages[2]["content"][0]["content"] = json.dumps(rows, indent=1)
    config = IntelligentContextConfig(output_buffer_tokens=0)
    full = IntelligentContextManager(config).apply(messages, "claude-sonnet-4-5", model_limit=10**6).tokens_before
    result = IntelligentContextManager(config).apply(messages, "claude-sonnet-4-5", model_limit=int(full / 1.09))
    assert result.messages_dropped == 0 and len(result.messages) == len(messages)
    result = IntelligentContextManager(config).apply(messages, "claude-sonnet-4-5", model_limit=int(full / 1.2))
    assert result.messages_dropped > 0


# --- CCR Integration


def test_dropped_messages_are_stored_in_ccr_so_that_the_model_can_retrieve_them() -> None:
    result = IntelligentContextManager(toin=get_toin()).apply(chat("openai-chat", 40, 100), "gpt-4o", 16_000)
    stored = open_originals()
    original = stored.get(result.reference)
    stored.close()
    assert original and len(json.loads(original.text)) == result.messages_dropped > 0


def test_dropped_messages_are_recorded_to_toin_so_that_it_learns_which_patterns_matter() -> None:
    toin = get_toin()
    before = toin.get_stats()["total_compressions"]
    manager = IntelligentContextManager(config=IntelligentContextConfig(), toin=toin)
    manager.apply(chat("openai-chat", 40, 100), "gpt-4o", model_limit=16_000)
    assert toin.get_stats()["total_compressions"] > before


def test_the_inserted_marker_has_the_documented_words_and_the_ccr_reference() -> None:
    result = IntelligentContextManager(toin=get_toin()).apply(chat("openai-chat", 40, 100), "gpt-4o", 16_000)
    assert re.fullmatch(
        rf"\[Earlier context compressed: {result.messages_dropped} message\(s\) dropped by importance scoring\.\n"
        rf"Full content available via ccr_retrieve tool with reference '{result.reference}'\.\]",
        result.marker,
    )
    assert [m["content"] for m in result.messages].count(result.marker) == 1


# --- Scoring Weights


@pytest.mark.parametrize("weight", WEIGHTS)
def test_the_default_weight_is_the_documented_one(weight: str) -> None:
    assert ScoringWeights().as_dict()[weight] == WEIGHTS[weight]


def test_recency_is_an_exponential_decay_from_the_conversations_end() -> None:
    recency = list(factors("recency", task(5)).values())
    assert recency[-1] == 1.0 and recency == sorted(recency)


def test_semantic_similarity_is_the_cosine_of_embeddings_to_the_recent_context(monkeypatch: pytest.MonkeyPatch) -> None:
    class Words:
        """Knows that prices and costs are one thing."""

        name, dimensions = "words", 2

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            alike = ("price", "cost")
            return np.array([[1.0, 0.0] if any(w in text for w in alike) else [0.6, 0.8] for text in texts])

    monkeypatch.setattr("headroom.context.managers.embedder", Words)
    messages = task(12)
    messages[2]["content"][0]["content"] = "every price of the shop"
    messages[-1]["content"][0]["content"] = "what things cost"
    found = factors("semantic_similarity", messages)
    assert found[2] == pytest.approx(1.0) and found[4] == pytest.approx(0.6)


def test_toin_importance_is_toins_retrieval_rate(tmp_path: Path) -> None:
    messages = chat("openai-chat", 8)
    messages[2]["content"] = json.dumps([{"sku": n, "stock": n} for n in range(40)])
    rates = []
    for times in (1, 9):
        toin = learned(tmp_path / str(times), messages[2]["content"], times)
        rates.append(factors("toin_importance", messages, toin)[2])
    assert 0 < rates[0] < rates[1] <= 1


def test_error_indicator_is_toins_detection_of_error_fields(tmp_path: Path) -> None:
    messages = chat("openai-chat", 8)
    messages[2]["content"] = json.dumps([{"sku": n, "error": "no such part"} for n in range(4)])
    found = factors("error_indicator", messages)
    assert found[2] == 1.0 and found[6] == 0.0


def test_forward_reference_is_the_count_of_later_messages_that_reference_one() -> None:
    messages = task(12)
    messages[2]["content"][0]["content"] = "made shop/prices.py"
    messages[4]["content"][0]["content"] = "made shop/taxes.py"
    for n in (9, 11, 13):
        messages[n]["content"][1]["input"] = {"command": "cat shop/prices.py"}
    messages[15]["content"][1]["input"] = {"command": "cat shop/taxes.py"}
    scores = factors("forward_reference", messages)
    assert scores[2] > scores[4] > scores[6] == 0


def test_token_density_is_unique_tokens_by_total_tokens() -> None:
    messages = [{"role": "user", "content": said} for said in ("one two one two", "one two")]
    assert list(factors("token_density", messages).values()) == [0.5, 1.0]


def test_weights_are_normalized_to_sum_to_one() -> None:
    weights = ScoringWeights(recency=1.0, toin_importance=1.0)
    normalized = weights.normalized()
    assert (normalized.recency, normalized.toin_importance) == (0.5, 0.5)
    assert sum(normalized.as_dict().values()) == 1.0
    several = IntelligentContextConfig(scoring_weights=ScoringWeights(recency=3.0, token_density=1.0))
    ((_, score),) = IntelligentContextManager(several).scores([{"role": "user", "content": "one one"}])
    assert score.total == pytest.approx(0.75 * score.factors["recency"] + 0.25 * score.factors["token_density"])


def learned(folder: Path, output: str, times: int) -> Toin:
    """What was learned in an earlier process, in which such an output was asked for so often of ten times."""
    folder.mkdir(exist_ok=True)
    before = Toin(folder / "toin.json")
    signature = ToolSignature.of(output, "look_up")
    for _ in range(10):
        before.record_compression(signature, 10, 5, 100, 50, "smart_crusher")
    for _ in range(times):
        before.record_retrieval(signature)
    before.save()
    before.close()
    return Toin(folder / "toin.json")
