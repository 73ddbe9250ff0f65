"""Rolling Window Configuration."""

from headroom.transforms import RollingWindow, RollingWindowConfig
from tests.context.conversations import chat


def test_rolling_window_config_is_imported_from_headroom_transforms_and_the_documented_settings_are_the_defaults() -> (
    None
):
    config = RollingWindowConfig(min_keep_turns=3, output_buffer_tokens=4000, prefer_drop_tool_outputs=True)
    assert config == RollingWindowConfig()


def test_min_keep_turns_is_the_minimum_of_turns_that_are_always_kept() -> None:
    messages = chat("openai-chat", 12)
    config = RollingWindowConfig(min_keep_turns=3, output_buffer_tokens=0)
    result = RollingWindow(config).apply(messages, "gpt-4o", model_limit=2500)
    assert result.messages[-9:] == messages[-9:] and result.messages_dropped > 0


def test_output_buffer_tokens_reserves_tokens_for_output() -> None:
    messages = chat("openai-chat", 40, 100)
    result = RollingWindow(RollingWindowConfig()).apply(messages, "gpt-4o", model_limit=16_000)
    assert result.tokens_after <= 16_000 - 4000 < result.tokens_before


def test_prefer_drop_tool_outputs_drops_the_oldest_tool_outputs_first() -> None:
    messages = chat("openai-chat", 12)
    result = RollingWindow(RollingWindowConfig(output_buffer_tokens=0)).apply(messages, "gpt-4o", model_limit=3500)
    assert messages[2] not in result.messages and messages[4] in result.messages and messages[7] in result.messages
    plain = RollingWindowConfig(output_buffer_tokens=0, prefer_drop_tool_outputs=False)
    result = RollingWindow(plain).apply(messages, "gpt-4o", model_limit=3500)
    assert messages[7] not in result.messages, "without, whole turns go"
