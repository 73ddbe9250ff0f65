"""What changes from request to request goes to the end of a system prompt, sentence by sentence, and nothing else."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.errors import ConfigurationError
from headroom.transforms import CacheAlignerConfig
from headroom.transforms.cache_aligner import align, volatile, without

ON = CacheAlignerConfig(enabled=True)
TAIL = "\n\n---\n[Dynamic Context]\n"
VOLATILE = [
    "Today is 2026-03-01.",
    "Today's date: March 1, 2026",
    "Today\u2019s date is Sunday.",
    "The current date and time is Sunday, March 1, 2026 at 10:00 AM UTC.",
    "Current time: 2026-03-01T09:59:58.123Z",
    "**Current date:** 01.03.2026",
    "Now: 10:00:03",
    "Timestamp: 1772358000",
    "It is 12:03:44.",
    "It's currently 10:15 in Berlin.",
    "Session ID: 3f2b8c1e-7a4d-4e5f-9b6a-0c1d2e3f4a5b.",
    "Your conversation id is conv_8812aa.",
    "Request ID: `req_011CSHoEeqs5C35K2UUqR7Fy`",
    "<current_date>2026-03-01</current_date>",
]
STABLE = [
    "It is important that all is done by March.",
    "Time: 30 minutes for each question.",
    "Your training data ends in June 2025.",
    "The session ID is in the header x-session-id.",
    "Write dates as 2026-03-01 and times as 09:59.",
    "Today is a good day to learn.",
    "Version 2024-10-22 of the API is used.",
    "Der Termin ist am 1. März. 🕰 Später nicht.",
]


@pytest.mark.parametrize("said", VOLATILE)
def test_what_says_now_is_moved_whole(said: str) -> None:
    for before, after in (
        ("You are a clerk.\n", "\nBe brief."),
        ("", "\nBe brief."),
        ("# Rules\n- Be nice.\n- ", "\n"),
    ):
        aligned = align(before + said + after, ON)
        static, tail = aligned.split(TAIL)
        assert said.strip() in tail and tail.replace(said, "").strip() in ("", "-")
        assert said not in static


@pytest.mark.parametrize("said", STABLE)
def test_what_stays_the_same_stays_where_it_is(said: str) -> None:
    assert align(f"You are a clerk. {said}\n{said}", ON) == f"You are a clerk. {said}\n{said}"


def test_a_sentence_leaves_no_gap() -> None:
    assert align("You are X. Today is 2026-03-01. Be brief.", ON) == f"You are X. Be brief.{TAIL}Today is 2026-03-01."
    env = "<env>\nFolder: /a\nToday's date: 2026-03-01\nOS: Linux\n</env>"
    assert align(env, ON) == f"<env>\nFolder: /a\nOS: Linux\n</env>{TAIL}Today's date: 2026-03-01"


def test_several_keep_their_order() -> None:
    text = "Now: 10:00\nYou are X. Session ID: abc12345. Be brief.\nToday is Monday."
    assert align(text, ON).split(TAIL) == [
        "You are X. Be brief.\n",
        "Now: 10:00\nSession ID: abc12345.\nToday is Monday.",
    ]


def test_code_is_left_alone() -> None:
    text = "An answer looks like this:\n```\nDate: 2026-03-01\n```\nBe brief."
    assert align(text, ON) == text


def test_a_text_that_is_nothing_else_stays() -> None:
    assert align("Today is 2026-03-01.", ON) == "Today is 2026-03-01."


def test_it_is_off_until_asked_for() -> None:
    text = "You are X. Today is 2026-03-01. Be brief."
    assert align(text, CacheAlignerConfig()) == text


def test_patterns_and_separator_of_ones_own() -> None:
    config = CacheAlignerConfig(
        enabled=True,
        dynamic_patterns=[r"Today is \w+ \d+, \d{4}", r"Current time: .*"],
        dynamic_tail_separator="\n== now ==\n",
    )
    text = "You are X. Today is March 1, 2026. Be brief.\nCurrent time: 10:00\nIt is 12:03:44."
    assert (
        align(text, config)
        == "You are X. Be brief.\nIt is 12:03:44.\n== now ==\nToday is March 1, 2026.\nCurrent time: 10:00"
    )


def test_whitespace_is_normalized_where_asked_for() -> None:
    text = "You are X.  \n\n\n\nBe brief.\nNow: 10:00\n"
    loose = CacheAlignerConfig(enabled=True, normalize_whitespace=True)
    assert align(text, loose) == f"You are X.\n\nBe brief.\n{TAIL}Now: 10:00"
    assert align(text, ON) == f"You are X.  \n\n\n\nBe brief.\n{TAIL}Now: 10:00"


@pytest.mark.parametrize(
    ("field", "value"),
    [("dynamic_patterns", ["Today (is"]), ("dynamic_patterns", [7]), ("dynamic_tail_separator", " \n")],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=field):
        CacheAlignerConfig(**{field: value})  # type: ignore[arg-type]


TEXTS = st.lists(
    st.tuples(
        st.sampled_from([*VOLATILE, *STABLE]) | st.text(max_size=40), st.sampled_from([" ", "\n", "\n\n", "\n- "])
    )
).map(lambda parts: "".join(said + gap for said, gap in parts))


@given(TEXTS)
def test_all_that_is_said_is_said_still(text: str) -> None:
    aligned = align(text, ON)
    said = Counter("".join(aligned.split()))
    if aligned != text:
        said -= Counter("".join(TAIL.split()))
    assert said == Counter("".join(text.split()))


@given(TEXTS)
def test_what_stays_keeps_its_order_and_its_bytes(text: str) -> None:
    parts = volatile(text, ON)
    assert parts == sorted(parts)
    assert all(a < b for a, b in parts) and all(one[1] <= other[0] for one, other in pairwise(parts))
    if without(text, parts).strip():
        assert align(text, ON).startswith(without(text, parts))


@given(TEXTS)
def test_aligning_twice_is_aligning_once(text: str) -> None:
    assert align(align(text, ON), ON) == align(text, ON)


@given(TEXTS, st.sampled_from(STABLE))
def test_another_clock_changes_nothing_before_the_tail(text: str, static: str) -> None:
    one = align(f"{static}\nIt is 21:07:03.\n{text}", ON).partition(TAIL)
    other = align(f"{static}\nIt is 22:42:59.\n{text}", ON).partition(TAIL)
    assert one[0] == other[0]
    assert one[2].replace("21:07:03", "") == other[2].replace("22:42:59", "")
