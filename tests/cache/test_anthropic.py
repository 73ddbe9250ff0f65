"""Breakpoints: where they are set, where never, and when they begin to pay."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.cache.anthropic import minimum_tokens
from headroom.wire.usage import Usage
from tests.cache.programs import MARK, SYSTEM, TOOLS, Json, Proxy, agent, call, chat, dumps, marks, result, text

MARKED_SYSTEM = [text(SYSTEM, cache_control=MARK)]
NOTHING = Usage(5000, 0, 0, 0, 1)


def test_a_single_question_is_never_marked() -> None:
    for body in (agent(1), chat(1), agent(1, system=MARKED_SYSTEM)):
        plan, out = Proxy().send(body)
        assert plan.patches == ()
        assert out == body


def test_an_agent_is_marked_from_its_second_request_on() -> None:
    plans = Proxy().talk([agent(n) for n in range(1, 8)])
    assert [plan.kind for plan in plans] == ["", *["automatic"] * 6]


def test_the_field_stands_right_after_the_opening_brace() -> None:
    proxy = Proxy()
    proxy.send(agent(1))
    plan, out = proxy.send(agent(2))
    (patch,) = plan.patches
    assert patch == (1, 1, b'"cache_control":{"type":"ephemeral"},')
    assert next(iter(out)) == "cache_control"


def test_a_chat_is_marked_once_it_was_seen_to_go_on() -> None:
    plans = Proxy().talk([chat(n) for n in range(1, 6)], gap=60)
    assert [plan.kind for plan in plans] == ["", *["automatic"] * 4]


def test_a_running_agent_is_marked_at_first_sight_after_a_restart() -> None:
    plan, _ = Proxy().send(agent(9))
    assert plan.kind == "automatic"


def test_worked_examples_before_a_single_question_are_no_conversation() -> None:
    proxy = Proxy()
    for number in range(6):
        body = chat(4)
        body["messages"][-1]["content"] = f"Question {number}"
        assert proxy.send(body, session=str(number))[0].kind == ""
        proxy.now += 5


def test_pauses_longer_than_the_cache_lives_are_learned() -> None:
    plans = Proxy().talk([agent(n) for n in range(1, 11)], gap=600, usage=NOTHING)
    assert sum(bool(plan.patches) for plan in plans) <= 1


def test_a_program_whose_conversations_grew_is_marked_from_the_first_request() -> None:
    proxy = Proxy()
    for number in range(3):
        proxy.talk([agent(n, f"Question {number}") for n in range(1, 5)], session=str(number))
    plan, _ = proxy.send(agent(1, "Another one"), session="new")
    assert plan.kind == "automatic"


@pytest.mark.parametrize(("renamed", "known"), [(False, True), (True, False)])
def test_a_program_is_known_by_the_names_of_its_tools_whatever_their_descriptions_say(
    renamed: bool, known: bool
) -> None:
    def tools(day: int) -> list[Json]:
        return [{**tool, "description": f"Today is day {day}. {tool['description']}"} for tool in TOOLS]

    proxy = Proxy()
    for number in range(3):
        grows = [agent(n, f"Question {number}", tools=tools(number)) for n in range(1, 5)]
        proxy.talk(grows, session=str(number))
    others = [{**tool, "name": f"new_{tool['name']}"} for tool in tools(9)] if renamed else tools(9)
    plan, _ = proxy.send(agent(1, "Another one", tools=others), session="new")
    assert (plan.kind == "automatic") == known


def test_a_program_that_asks_once_is_not_marked_at_its_hundredth_question_either() -> None:
    proxy = Proxy()
    for number in range(100):
        plan, _ = proxy.send(
            chat(1) | {"messages": [{"role": "user", "content": f"Page {number}"}]}, session=str(number)
        )
        assert plan.patches == ()
        proxy.now += 3


def test_questions_that_share_a_system_prompt_share_its_cache() -> None:
    proxy = Proxy()
    seen = []
    for number in range(5):
        body = {**chat(1), "system": [text(SYSTEM)], "messages": [{"role": "user", "content": f"Page {number}"}]}
        seen.append(marks(proxy.send(body, session=str(number))[1]))
        proxy.now += 30
    assert seen == [[], ["system 0"], ["system 0"], ["system 0"], ["system 0"]]


def test_requests_of_a_conversation_renew_the_beginning_that_the_next_one_will_read() -> None:
    """One that lasts longer than an entry lives, of a program that begins one after the other."""
    proxy, seen = Proxy(), []
    for number in range(3):
        for n in range(1, 9):
            body = agent(n, question=f"Which orders of customer {number} are late?", system=[text(SYSTEM)])
            seen.append(marks(proxy.send(body, session=str(number))[1]))
            proxy.now += 60
    assert seen[:8] == [[], *[["request"]] * 7], "nobody knows yet that others come"
    assert seen[8:] == [["request", "system 0"]] * 16


def test_the_beginning_is_not_marked_for_a_program_that_pauses_between_conversations() -> None:
    proxy, seen = Proxy(), []
    for number in range(4):
        for n in range(1, 5):
            seen.append(marks(proxy.send(agent(n, question=f"Question {number}?"), session=str(number))[1]))
            proxy.now += 5
        proxy.now += 3600
    assert not any("system 0" in marked or "tools 9" in marked for marked in seen)


def test_a_prompt_with_a_clock_in_it_is_written_once_at_most() -> None:
    proxy = Proxy()
    bodies = [agent(n, system=f"It is 12:{n:02}:{7 * n:02}. {SYSTEM}") for n in range(1, 20)]
    plans = [proxy.talk([body], session=str(n))[0] for n, body in enumerate(bodies)]
    assert sum(bool(plan.patches) for plan in plans) <= 2


def test_a_window_that_rolls_over_the_history_is_written_twice_at_most() -> None:
    proxy = Proxy()
    marked = 0
    for n in range(6, 30):
        body = agent(n)
        body["messages"] = body["messages"][-5:]
        marked += bool(proxy.talk([body], session=str(n))[0].patches)
    assert marked <= 3


def test_what_is_written_and_never_read_is_given_up() -> None:
    wrote = Usage(10, 9000, 0, 0, 1)
    plans = Proxy().talk([agent(n) for n in range(1, 20)], usage=wrote)
    assert sum(bool(plan.patches) for plan in plans) <= 5
    assert plans[-1].reason == "this program's caches were written and not read"


def test_a_request_that_was_tried_again_is_still_the_first() -> None:
    proxy = Proxy()
    for _ in range(4):
        plan, _ = proxy.send(chat(1), usage=None)
        assert plan.patches == ()
        proxy.now += 2


def test_breakpoints_that_stop_at_the_system_prompt_get_one_at_the_end() -> None:
    proxy = Proxy()
    bodies = [agent(n, system=MARKED_SYSTEM) for n in range(1, 5)]
    outs = []
    for body in bodies:
        outs.append(marks(proxy.send(body)[1]))
        proxy.now += 5
    assert outs == [["system 0"], *[["system 0", f"messages {2 * n} 0"] for n in range(1, 4)]]


def test_bare_strings_behind_a_marked_system_prompt_get_the_request_level_field() -> None:
    proxy = Proxy()
    proxy.send(chat(1, system=MARKED_SYSTEM))
    _, out = proxy.send(chat(2, system=MARKED_SYSTEM))
    assert marks(out) == ["request", "system 0"]


def test_it_makes_no_difference_that_an_sdk_writes_the_messages_first() -> None:
    for n, system in ((3, MARKED_SYSTEM), (3, SYSTEM)):
        body = agent(n, system=system)
        turned = {"messages": body.pop("messages"), **body}
        proxy = Proxy()
        plan, out = proxy.send(turned)
        assert marks(out)[-1] == ("messages 4 0" if system is MARKED_SYSTEM else "request")
        assert plan.client_reach <= plan.tokens


def test_a_client_that_marks_the_end_is_left_alone() -> None:
    body = agent(5, system=MARKED_SYSTEM)
    body["messages"][-1]["content"][-1]["cache_control"] = MARK
    plan, out = Proxy().send(body)
    assert out == body
    assert plan.reason == "the client marks the end of the conversation"


@pytest.mark.parametrize("client", ["claude-code", "codex", "gemini-cli"])
def test_programs_that_look_after_their_cache_are_left_alone(client: str) -> None:
    assert Proxy(client=client).send(agent(9))[0].patches == ()


def test_the_request_level_field_of_a_client_is_left_alone() -> None:
    for value in (MARK, None):
        assert Proxy().send(agent(9, cache_control=value))[0].patches == ()


def test_four_breakpoints_are_never_exceeded() -> None:
    tools = [*TOOLS[:-1], {**TOOLS[-1], "cache_control": MARK}]
    body = agent(9, system=[text(SYSTEM, cache_control=MARK), text("b", cache_control=MARK)], tools=tools)
    body["messages"][0]["content"][0]["cache_control"] = MARK
    plan, _ = Proxy().send(body)
    assert plan.patches == ()
    assert plan.reason == "the client uses all four breakpoints"


@pytest.mark.parametrize(("parallel", "extra"), [(8, 0), (9, 0), (10, 1), (25, 1)])
def test_a_turn_beyond_the_look_back_gets_a_breakpoint_in_between(parallel: int, extra: int) -> None:
    body = agent(2)
    body["messages"].append(
        {"role": "assistant", "content": [text("All.")] + [call(i) for i in range(10, 10 + parallel)]}
    )
    body["messages"].append({"role": "user", "content": [result(i) for i in range(10, 10 + parallel)]})
    proxy = Proxy()
    proxy.talk([agent(1), agent(2)])
    plan, out = proxy.send(body)
    assert len(plan.patches) == 1 + extra
    blocks = [f"messages {i} {j}" for i, message in enumerate(body["messages"]) for j in range(len(message["content"]))]
    if extra:
        seen, between = blocks.index("messages 2 0"), blocks.index(marks(out)[-1])
        assert between - seen < 20, "it looks back to where the request before ended"
        assert between > seen


def test_the_end_of_a_client_is_bridged_too() -> None:
    body = agent(2)
    body["messages"].append({"role": "assistant", "content": [call(i) for i in range(10, 40)]})
    body["messages"].append({"role": "user", "content": [result(i) for i in range(10, 40)]})
    body["messages"][-1]["content"][-1]["cache_control"] = MARK
    plan, out = Proxy().send(body)
    assert plan.kind == "breakpoint"
    assert len(marks(out)) == 2


class TestWhereTheRequestLevelFieldIsNotKnown:
    def test_the_last_block_is_marked(self) -> None:
        proxy = Proxy(host="europe-west1-aiplatform.googleapis.com")
        _, out = proxy.send(agent(4))
        assert marks(out) == ["messages 6 0"]
        assert out["messages"][6]["content"][0]["cache_control"] == MARK

    def test_a_bare_string_can_carry_none_and_a_block_before_it_does(self) -> None:
        body = agent(4)
        body["messages"] += [
            {"role": "assistant", "content": "Three orders are late."},
            {"role": "user", "content": "Thanks. And yesterday?"},
        ]
        proxy = Proxy(host="llm.example.org")
        proxy.send(agent(4))
        assert marks(proxy.send(body)[1]) == ["messages 6 0"]

    def test_nothing_is_done_where_nothing_can_carry_one(self) -> None:
        plans = Proxy(host="llm.example.org").talk([chat(n) for n in range(1, 5)])
        assert all(plan.patches == () for plan in plans)

    def test_no_longer_life_is_asked_for(self) -> None:
        _, out = Proxy(host="llm.example.org", ttl="1h").send(agent(4))
        assert out["messages"][6]["content"][0]["cache_control"] == MARK


@pytest.mark.parametrize(
    "last",
    [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        text(""),
        text(" \n"),
        {"type": "compaction", "content": "x"},
        {"type": "something_new"},
    ],
)
def test_a_block_that_may_not_carry_a_breakpoint_carries_none(last: dict[str, object]) -> None:
    body = agent(4)
    body["messages"][-1]["content"].append(last)
    _, out = Proxy(host="llm.example.org").send(body)
    assert marks(out) == ["messages 6 0"]


def test_the_beginning_of_an_answer_is_not_marked() -> None:
    body = agent(4)
    body["messages"].append({"role": "assistant", "content": [text("The late ones are")]})
    _, out = Proxy().send(body)
    assert marks(out) == ["messages 6 0"]


class TestLife:
    def test_as_the_client_says(self) -> None:
        hour = {"type": "ephemeral", "ttl": "1h"}
        _, out = Proxy().send(agent(4, system=[text(SYSTEM, cache_control=hour)]))
        assert out["messages"][6]["content"][0]["cache_control"] == hour
        _, out = Proxy().send(agent(4, system=MARKED_SYSTEM))
        assert out["messages"][6]["content"][0]["cache_control"] == MARK

    def test_an_hour_never_comes_after_five_minutes(self) -> None:
        _, out = Proxy(ttl="1h").send(agent(4, system=MARKED_SYSTEM))
        assert out["messages"][6]["content"][0]["cache_control"] == MARK

    def test_an_hour_when_asked_for(self) -> None:
        assert Proxy(ttl="1h").send(agent(4))[1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}

    def test_auto_takes_an_hour_for_a_program_that_pauses(self) -> None:
        proxy = Proxy(ttl="auto")
        read = Usage(10, 100, 0, 5000, 1)
        plans = proxy.talk([agent(n) for n in range(1, 12)], gap=900, usage=read)
        assert plans[-1].life == "1h"
        assert plans[-1].kind == "automatic"

    def test_auto_takes_five_minutes_for_a_program_in_a_hurry(self) -> None:
        plans = Proxy(ttl="auto").talk([agent(n) for n in range(1, 12)], gap=10)
        assert {plan.life for plan in plans if plan.kind} == {"5m"}


def test_short_requests_are_not_marked() -> None:
    body = {"model": "claude-sonnet-4-5", "messages": agent(2)["messages"]}
    assert Proxy().send(body)[0].reason == "shorter than the provider caches"


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-sonnet-4-5-20250929", 1024), ("claude-opus-4-1", 1024), ("claude-opus-4-8", 1024),
        ("claude-opus-4-5", 4096), ("claude-opus-4-6", 4096), ("claude-haiku-4-5@20251001", 4096),
        ("claude-3-5-haiku-latest", 2048), ("claude-opus-4-7", 2048), ("claude-opus-5", 512), ("unknown", 1024),
    ],
)  # fmt: skip
def test_the_least_length_depends_on_the_model(model: str, least: int) -> None:
    assert minimum_tokens(model) == least


BLOCK = st.one_of(
    st.sampled_from(
        [text("a" * 400), text(""), text("x", cache_control=MARK), {"type": "image", "source": {"data": "x" * 99}}]
    ),
    st.builds(result, st.integers(0, 9)),
    st.builds(call, st.integers(0, 9)),
    st.just({"type": "thinking", "thinking": "cache_control", "signature": '"cache_control":{}'}),
)
TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": st.one_of(st.just("word " * 99), st.lists(BLOCK, max_size=30)),
    }
)
BODY = st.fixed_dictionaries(
    {
        "system": st.sampled_from([SYSTEM, [text(SYSTEM)], MARKED_SYSTEM]),
        "tools": st.sampled_from([TOOLS, []]),
        "messages": st.lists(TURN, max_size=8),
    },
    optional={"cache_control": st.just(MARK)},
)
HOST = st.sampled_from(["api.anthropic.com", "llm.example.org"])


@settings(max_examples=200, deadline=None)
@given(st.lists(BODY, min_size=1, max_size=3), HOST, st.sampled_from(["", "auto", "1h"]))
def test_whatever_is_sent_stays_what_it_was_with_at_most_four_breakpoints(
    bodies: list[dict[str, object]], host: str, ttl: str
) -> None:
    proxy = Proxy(ttl, host)
    for body in bodies:
        before = dumps(body)
        plan, out = proxy.send(json.loads(before))
        before_marks, after = marks(json.loads(before)), marks(out)
        assert set(before_marks) <= set(after)
        assert len(after) <= max(4, len(before_marks))
        assert len(after) == len(before_marks) + len(plan.patches)
        for place in set(after) - set(before_marks):
            part, *path = place.split()
            if part == "messages":
                block = out["messages"][int(path[0])]["content"][int(path[1])]
                assert block["type"] in ("text", "image", "tool_use", "tool_result")
                assert block.get("text") != ""
