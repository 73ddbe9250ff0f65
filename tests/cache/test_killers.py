"""What broke a prefix is found: where, what kind, how much had to be written again."""

import copy
import json
from typing import Any

import pytest

from headroom.cache.killers import PrefixBreak, find_break
from headroom.wire.shapes import read
from tests.cache.programs import MARK, SYSTEM, TOOLS, Json, agent, chat, dumps, layout_of, text


def broken(before: Json, after: Json, **how: Any) -> PrefixBreak | None:
    return find_break(layout_of(before), layout_of(after), **how)


def test_a_conversation_that_grows_broke_nothing() -> None:
    for make in (agent, chat):
        for n in range(1, 4):
            assert broken(make(n), make(n + 1)) is None
            assert broken(make(n), make(n)) is None


def test_breakpoints_that_move_broke_nothing() -> None:
    before, after = agent(3), agent(4)
    for body in (before, after):
        body["system"] = [text(SYSTEM, cache_control=MARK)]
        body["messages"][-1]["content"][-1]["cache_control"] = MARK
    assert broken(before, after) is None


def test_a_text_that_becomes_a_block_to_carry_a_breakpoint_broke_nothing() -> None:
    before, after = chat(3), chat(4)
    before["messages"][-1]["content"] = [text(before["messages"][-1]["content"], cache_control=MARK)]
    assert broken(before, after) is None


def test_the_billing_line_of_claude_code_broke_nothing() -> None:
    def line(checksum: str) -> Json:
        return text(f"x-anthropic-billing-header: cc_version=2.1; cch={checksum};")

    before, after = agent(2, system=[line("12ab3"), text(SYSTEM)]), agent(3, system=[line("98fe7"), text(SYSTEM)])
    assert broken(before, after) is None


def test_another_conversation_broke_nothing() -> None:
    assert broken(agent(3), agent(1, "Who ordered the red ones, and when will they get them?")) is None
    other = agent(3)
    other["messages"][1]["content"] = [text("I would rather ask first: which shop?")]
    other["messages"][2]["content"] = [text("The one in the old harbour.")]
    del other["messages"][3:]
    assert broken(agent(3), other) is None


def test_a_step_back_broke_nothing() -> None:
    assert broken(agent(4), agent(2)) is None


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("Today is 2026-03-01.", "Today is 2026-03-02.", "date"),
        ("Today is March 1, 2026.", "Today is April 12, 2026.", "date"),
        ("It is Monday.", "It is Tuesday.", "date"),
        ("Now: 09:59:58", "Now: 10:00:03", "time"),
        ("Now: 2026-03-01T09:59:58.123Z", "Now: 2026-03-02T10:00:03.456Z", "time"),
        ("Started 1772358000", "Started 1772359123", "time"),
        ("Session 3f2b8c1e-7a4d-4e5f-9b6a-0c1d2e3f4a5b.", "Session 9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d.", "id"),
        ("Trace req_011CSHoEeqs5C35K2UUqR7Fy", "Trace req_011CTKpFfrt6D46L3VVrS8Gz", "id"),
        ("You have 3 orders.", "You have 4 parcels.", "text"),
        ("It is 10:00, be quick.", "It is 10:05, take your time.", "text"),
    ],
)
def test_what_changed_in_a_system_prompt_is_named(old: str, new: str, kind: str) -> None:
    before, after = (
        agent(3, system=f"You are a clerk. {old} {SYSTEM}"),
        agent(4, system=f"You are a clerk. {new} {SYSTEM}"),
    )
    found = broken(before, after)
    assert found is not None
    assert (found.part, found.kind) == ("system", kind)
    raw = dumps(after)
    assert raw[: found.at] in dumps(before)[: found.at + 1] or raw[: found.at] == dumps(before)[: found.at]
    assert raw[found.at : found.at + 1] != dumps(before)[found.at : found.at + 1]


def test_all_that_stands_behind_it_is_written_again() -> None:
    early = broken(agent(5, system="At 10:00. " + SYSTEM), agent(6, system="At 10:01. " + SYSTEM))
    late = broken(agent(5, system=SYSTEM + " At 10:00."), agent(6, system=SYSTEM + " At 10:01."))
    assert early is not None and late is not None
    tools, system = len(dumps(TOOLS)), len(SYSTEM)  # type: ignore[arg-type]
    assert early.tokens == pytest.approx((len(dumps(agent(5))) - tools) / 3.6, rel=0.05)
    assert early.tokens - late.tokens == pytest.approx(system / 3.6, rel=0.02)


def test_tools_in_another_order() -> None:
    found = broken(agent(3), agent(4, tools=TOOLS[::-1]))
    assert found is not None
    assert (found.part, found.kind) == ("tools", "tool order")
    assert found.tokens == pytest.approx(len(dumps(agent(3))) / 3.6, rel=0.05)


def test_keys_in_another_order() -> None:
    turned = [dict(reversed(tool.items())) for tool in TOOLS]
    found = broken(agent(3), agent(4, tools=turned))
    assert found is not None
    assert (found.part, found.kind) == ("tools", "key order")
    after = agent(4)
    after["messages"][1]["content"][1] = dict(reversed(after["messages"][1]["content"][1].items()))
    found = broken(agent(3), after)
    assert found is not None
    assert (found.part, found.kind) == ("message 1", "key order")


def test_a_tool_that_comes_or_goes() -> None:
    found = broken(agent(3), agent(4, tools=TOOLS[:-1]))
    assert found is not None
    assert (found.part, found.kind) == ("tools", "text")
    without = agent(4)
    del without["tools"]
    found = broken(agent(3), without)
    assert found is not None
    assert found.part == "tools"


def test_a_result_that_the_client_took_away() -> None:
    after = agent(6)
    after["messages"][4]["content"][0]["content"] = "[cleared]"
    found = broken(agent(5), after)
    assert found is not None
    assert (found.part, found.kind) == ("message 4", "text")
    assert dumps(after)[found.at :].startswith(b"[cleared]")


def test_a_clock_in_an_early_message() -> None:
    found = broken(agent(3, "It is 10:00. Which orders are late?"), agent(4, "It is 10:02. Which orders are late?"))
    assert found is not None
    assert (found.part, found.kind) == ("message 0", "time")


def test_the_place_is_right_behind_breakpoints() -> None:
    before, after = agent(3, system=[text(SYSTEM, cache_control=MARK), text("At 10:00.")]), None
    after = agent(4, system=[text(SYSTEM, cache_control=MARK), text("At 10:07.")])
    found = broken(before, after)
    assert found is not None
    assert dumps(after)[found.at :].startswith(b'7."')


@pytest.mark.parametrize(
    ("field", "part", "kind"),
    [
        ({"model": "claude-opus-4-8"}, "model", "model"),
        ({"tool_choice": {"type": "any"}}, "tool_choice", "setting"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking", "setting"),
    ],
)
def test_settings_that_the_cache_depends_on(field: Json, part: str, kind: str) -> None:
    found = broken(agent(3), agent(4, **field))
    assert found is not None
    assert (found.part, found.kind) == (part, kind)


def test_a_setting_that_it_does_not_depend_on() -> None:
    assert broken(agent(3), agent(4, max_tokens=5, temperature=0.5, stream=True)) is None


def test_a_beta_token_that_comes_or_goes() -> None:
    found = broken(agent(3), agent(4), betas=("a-2025, b-2025", "A-2025"))
    assert found is not None
    assert (found.part, found.kind, found.at) == ("headers", "beta header", 0)
    assert broken(agent(3), agent(4), betas=("a-2025, b-2025", "B-2025,a-2025")) is None


def test_other_shapes() -> None:
    def openai(clock: str, n: int) -> bytes:
        said = [{"role": "system", "content": f"It is {clock}. " + SYSTEM}]
        said += [{"role": ("user", "assistant")[i % 2], "content": f"word {i} " * 50} for i in range(n)]
        return json.dumps({"model": "gpt-5", "messages": said}).encode()

    chat_break = find_break(read("openai-chat", openai("10:00", 3)), read("openai-chat", openai("10:01", 5)))
    assert chat_break is not None
    assert (chat_break.part, chat_break.kind) == ("message 0", "time")

    def gemini(clock: str, n: int) -> bytes:
        said = [{"role": ("user", "model")[i % 2], "parts": [{"text": f"word {i} " * 50}]} for i in range(n)]
        return json.dumps(
            {"contents": said, "systemInstruction": {"parts": [{"text": f"It is {clock}. {SYSTEM}"}]}}
        ).encode()

    gemini_break = find_break(read("gemini", gemini("10:00", 3)), read("gemini", gemini("10:01", 5)))
    assert gemini_break is not None
    assert (gemini_break.part, gemini_break.kind) == ("systemInstruction", "time")


def test_the_same_is_found_with_blocks_taken_over_from_the_layout_before() -> None:
    before = layout_of(agent(8))
    changed = copy.deepcopy(agent(9))
    changed["messages"][6]["content"][0]["content"] = "[cleared]"
    again = read("anthropic", dumps(changed), lambda _: before)
    assert again.reused > 0
    assert find_break(before, again) == find_break(before, read("anthropic", dumps(changed)))
