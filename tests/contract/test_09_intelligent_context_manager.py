"""Rolling Window Configuration, Intelligent Context Manager Configuration, CCR Integration, Scoring Weights."""

import json
import math
import re
from itertools import pairwise

import pytest

from headroom.ccr.originals import open_originals
from headroom.config import IntelligentContextConfig, ScoringWeights
from headroom.telemetry import get_toin
from headroom.transforms import IntelligentContextManager, RollingWindow, RollingWindowConfig
from tests.context.conversations import chat, task


def test_rolling_window_config_controls_context_window_management() -> None:
    config = RollingWindowConfig(min_keep_turns=3, output_buffer_tokens=4000, prefer_drop_tool_outputs=True)
    assert config == RollingWindowConfig()
    messages = chat("openai-chat", 40, 100)
    result = RollingWindow(config).apply(messages, "gpt-4o", model_limit=16_000)
    assert result.tokens_after <= 16_000 - 4000 < result.tokens_before


def test_min_keep_turns_is_the_minimum_of_turns_that_are_always_kept() -> None:
    messages = chat("openai-chat", 12)
    config = RollingWindowConfig(min_keep_turns=3, output_buffer_tokens=0)
    result = RollingWindow(config).apply(messages, "gpt-4o", model_limit=2500)
    assert result.messages[-9:] == messages[-9:]


def test_the_oldest_tool_outputs_are_dropped_first() -> None:
    messages = chat("openai-chat", 12)
    result = RollingWindow(RollingWindowConfig(output_buffer_tokens=0)).apply(messages, "gpt-4o", model_limit=3500)
    assert messages[2] not in result.messages and messages[0] in result.messages and messages[4] in result.messages


def test_the_documented_settings_of_the_intelligent_context_are_the_defaults() -> None:
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


def test_weights_are_normalized_to_sum_to_one() -> None:
    normalized = ScoringWeights(recency=1.0, toin_importance=1.0).normalized()
    assert (normalized.recency, normalized.toin_importance) == (0.5, 0.5)
    assert sum(normalized.as_dict().values()) == 1.0


def test_recency_is_an_exponential_decay_from_the_end_of_the_conversation() -> None:
    scores = [score for _, score in IntelligentContextManager().scores(task(5))]
    recency = [score.factors["recency"] for score in scores]
    assert recency[-1] == 1.0
    assert all(after / before == pytest.approx(math.exp(0.1)) for before, after in pairwise(recency))


def test_forward_reference_grows_with_the_later_messages_that_refer_to_one() -> None:
    messages = task(12)
    messages[2]["content"][0]["content"] = "made shop/prices.py"
    messages[4]["content"][0]["content"] = "made shop/taxes.py"
    for n in (9, 11, 13):
        messages[n]["content"][1]["input"] = {"command": "cat shop/prices.py"}
    messages[15]["content"][1]["input"] = {"command": "cat shop/taxes.py"}
    found = IntelligentContextManager().scores(messages)
    scores = {places[-1]: score.factors["forward_reference"] for places, score in found}
    assert scores[2] > scores[4] > scores[6] == 0


def test_token_density_is_the_share_of_different_tokens() -> None:
    messages = [{"role": "user", "content": said} for said in ("one two one two", "one two")]
    assert [score.factors["token_density"] for _, score in IntelligentContextManager().scores(messages)] == [0.5, 1.0]


def test_dropped_messages_are_stored_recorded_to_toin_and_marked_with_the_reference() -> None:
    toin = get_toin()
    manager = IntelligentContextManager(config=IntelligentContextConfig(), toin=toin)
    messages = chat("openai-chat", 40, 100)
    result = manager.apply(messages, "gpt-4o", model_limit=16_000)
    marker = re.fullmatch(
        r"\[Earlier context compressed: (\d+) message\(s\) dropped by importance scoring\.\n"
        r"Full content available via ccr_retrieve tool with reference '([0-9a-f]{24})'\.\]",
        result.marker,
    )
    assert marker and int(marker[1]) == result.messages_dropped
    assert [m["content"] for m in result.messages].count(result.marker) == 1
    stored = open_originals()
    original = stored.get(marker[2])
    stored.close()
    assert original and len(json.loads(original.text)) == result.messages_dropped
    assert toin.get_stats()["total_compressions"] > 0


def test_compression_is_tried_first_when_a_conversation_is_less_than_a_tenth_over_the_budget() -> None:
    messages = task(10)
    rows = [{"id": n, "name": f"item {n}", "state": "active"} for n in range(150)]
    messages[2]["content"][0]["content"] = json.dumps(rows, indent=1)
    config = IntelligentContextConfig(output_buffer_tokens=0)
    full = IntelligentContextManager(config).apply(messages, "claude-sonnet-4-5", model_limit=10**6).tokens_before
    result = IntelligentContextManager(config).apply(messages, "claude-sonnet-4-5", model_limit=int(full / 1.09))
    assert result.messages_dropped == 0 and len(result.messages) == len(messages)
