"""HeadroomClient sends no conversation that is longer than its model's context less the output buffer."""

import json
from typing import Any

import pytest

from headroom import HeadroomConfig
from headroom.config import IntelligentContextConfig, RollingWindowConfig
from tests.context.conversations import LIST, chat
from tests.context.test_managers import is_legal, size
from tests.library.test_client import MODELS, SAID, World, method, text_of, world

__all__ = ["world"]
SHAPES = ("anthropic", "openai-chat", "openai-responses")
BUFFER = IntelligentContextConfig(output_buffer_tokens=500)


def asked(shape: str, turns: int, **more: Any) -> dict[str, Any]:
    fields = {"max_tokens": 100} if shape == "anthropic" else {}
    return {"model": MODELS[shape], LIST[shape]: chat(shape, turns), **fields, **more}


def sent(world: World, shape: str) -> list[Any]:
    found: list[Any] = json.loads(world.last.body)[LIST[shape]]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_conversation_that_grows_is_sent_within_the_limit(world: World, shape: str) -> None:
    limits, breaks = {MODELS[shape]: 6000}, 0
    before: list[Any] = []
    config = HeadroomConfig(intelligent_context=BUFFER)
    with world.wrapped(shape, model_context_limits=limits, config=config) as client:
        for turns in range(1, 40):
            assert text_of(shape, method(client, shape)(**asked(shape, turns))) == SAID
            now = sent(world, shape)
            is_legal(shape, now)
            assert 0 < world.last.bill.input <= 5500  # by the provider's own count
            breaks += now[: len(before) - 1] != before[:-1]
            before = now
    assert len(before) < len(chat(shape, 39)) and 1 <= breaks <= 6


def test_headroom_output_buffer_tokens_reserves_more_tokens_for_output(world: World) -> None:
    limits = {"gpt-4o": 6000}
    with world.wrapped(
        "openai-chat", model_context_limits=limits, config=HeadroomConfig(intelligent_context=BUFFER)
    ) as to:
        method(to, "openai-chat")(**asked("openai-chat", 14))
        assert len(sent(world, "openai-chat")) == 57
        method(to, "openai-chat")(**asked("openai-chat", 14, headroom_output_buffer_tokens=3000))
        assert size("openai-chat", sent(world, "openai-chat")) <= 3000


def test_the_rolling_window_is_used_where_the_intelligent_context_is_off(world: World) -> None:
    config = HeadroomConfig(
        intelligent_context=IntelligentContextConfig(enabled=False),
        rolling_window=RollingWindowConfig(output_buffer_tokens=500),
    )
    with world.wrapped("openai-chat", model_context_limits={"gpt-4o": 4000}, config=config) as client:
        method(client, "openai-chat")(**asked("openai-chat", 20))
    assert b"dropped by rolling window" in world.last.body
    off = HeadroomConfig(
        intelligent_context=IntelligentContextConfig(enabled=False), rolling_window=RollingWindowConfig(enabled=False)
    )
    with world.wrapped("openai-chat", model_context_limits={"gpt-4o": 4000}, config=off) as client:
        method(client, "openai-chat")(**asked("openai-chat", 20))
    assert len(sent(world, "openai-chat")) == 81
