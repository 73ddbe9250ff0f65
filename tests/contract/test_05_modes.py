"""Modes. Simulate Mode."""

import re
from pathlib import Path

import pytest
from openai import OpenAI

from headroom import HeadroomClient, HeadroomMode, OpenAIProvider
from tests.contract.conftest import SAID
from tests.contract.programs import large_conversation, sent, sizes
from tests.support.standin import StandIn


def wrapped(mode: str) -> HeadroomClient[OpenAI]:
    return HeadroomClient(original_client=OpenAI(), provider=OpenAIProvider(), default_mode=mode)


def test_the_modes_are_audit_optimize_and_simulate() -> None:
    assert list(HeadroomMode) == ["audit", "optimize", "simulate"]


def test_audit_observes_and_logs_without_modifications(provider: StandIn) -> None:
    with wrapped("audit") as client:
        client.chat.completions.create(model="gpt-4o", messages=large_conversation())
        (row,) = client.get_metrics()
    assert sent(provider) == large_conversation()
    assert row.mode == "audit" and row.tokens_input_after < row.tokens_input_before


def test_optimize_applies_safe_deterministic_transforms(provider: StandIn, tmp_path: Path) -> None:
    bodies = []
    for number in range(2):
        url = f"sqlite:///{tmp_path}/{number}/headroom.db"
        with HeadroomClient(OpenAI(), OpenAIProvider(), url, default_mode="optimize") as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=large_conversation())
        assert answer.choices[0].message.content == SAID
        bodies.append(provider.received[-1].body)
    assert bodies[0] == bodies[1]
    assert sizes(sent(provider)) < sizes(large_conversation())
    for row in range(80):
        assert f"part {row}" in bodies[0].decode(), "nothing is lost"


@pytest.mark.parametrize("how", ["default_mode", "headroom_mode"])
def test_simulate_returns_a_plan_without_an_api_call(provider: StandIn, how: str) -> None:
    keywords = {"headroom_mode": "simulate"} if how == "headroom_mode" else {}
    with wrapped("optimize" if keywords else "simulate") as client:
        plan = client.chat.completions.create(model="gpt-4o", messages=large_conversation(), **keywords)
    assert plan.tokens_saved > 0
    assert provider.received == []


def test_the_plan_of_a_large_conversation_says_tokens_saved_transforms_and_estimated_savings(provider: StandIn) -> None:
    with wrapped("audit") as client:
        plan = client.chat.completions.simulate(model="gpt-4o", messages=large_conversation())
    assert plan.tokens_saved == plan.tokens_before - plan.tokens_after > 0
    assert isinstance(plan.transforms, list) and plan.transforms
    assert re.fullmatch(r"\$0\.\d*[1-9]\d* per request", plan.estimated_savings)
    assert provider.received == []
