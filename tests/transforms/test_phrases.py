"""Phrases said once: a reader who knows what the signs stand for has every character, and no word is cut."""

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.phrases import LEAST_SHARE, MOST_TEXT, SAMPLE, SIGNS, compress

WORD = st.from_regex(r"\A[a-z]{1,8}([./-][a-z0-9]{1,6}){0,2}\Z")
MARK = st.sampled_from([" ", ", ", ": ", ' = "', '"], [', "\t", " | ", " `", "` ", "] ["])
PHRASE = st.lists(st.tuples(WORD, MARK), min_size=4, max_size=9).map(lambda pairs: "".join(map("".join, pairs)))


def read(text: str) -> str:
    """What a reader makes of the legend: each sign in the text below it stands for a phrase."""
    legend, rest = text.split("\n", 1)
    said = re.fullmatch(rf"\[In this output ((?:[{SIGNS}] stands for `.+?`(?:, (?=[{SIGNS}] )|(?=\]\Z)))+)\]", legend)
    assert said is not None
    for sign, phrase in re.findall(rf"([{SIGNS}]) stands for `(.+?)`(?:, (?=[{SIGNS}] )|\Z)", said[1]):
        rest = rest.replace(sign, phrase)
    return rest


@given(st.lists(PHRASE, min_size=1, max_size=4), st.lists(st.tuples(st.integers(0, 3), WORD), min_size=30, max_size=80))
@settings(max_examples=40, deadline=None)
def test_a_reader_gets_every_character_back(phrases: list[str], lines: list[tuple[int, str]]) -> None:
    text = "\n".join(f"{word}{phrases[which % len(phrases)]}{word}-{i}" for i, (which, word) in enumerate(lines))
    found = compress(text, Context())
    assume(found is not None)
    assert found is not None and read(found.text) == text
    assert count(found.text) <= (1 - LEAST_SHARE) * count(text)


def test_no_word_path_or_number_is_cut() -> None:
    lines = [f"the state of src/app is install (check {n} of 100)" for n in range(60)]
    text = "\n".join([*lines, "the state of src/app is install (check 1000", "the state of src/app is installed"])
    found = compress(text, Context())
    assert found is not None and read(found.text) == text
    assert "installed" in found.text and "1000" in found.text
    words = set(re.findall(r"[\w./-]+", text))
    assert words <= set(re.findall(r"[\w./-]+", found.text))


def test_signs_that_the_text_has_stand_for_nothing() -> None:
    text = "\n".join(f"§{n} of the law on the upkeep of public roads, ¶{n} applies" for n in range(60))
    found = compress(text, Context())
    assert found is not None and "† stands for " in found.text and "§ stands for " not in found.text
    assert read(found.text) == text


def test_of_a_long_text_stretches_are_looked_at_and_the_phrases_go_everywhere() -> None:
    lines = [
        f"{n * 7919 % 100_003} GET /api/v1/orders/open-and-paid answered in {n * 31 % 97} ms" for n in range(3_000)
    ]
    text = "\n".join(lines)
    assert SAMPLE < len(text) < MOST_TEXT
    found = compress(text, Context())
    assert found is not None and read(found.text) == text
    assert found.text.count("/api/v1/orders/open-and-paid") == 1


@pytest.mark.parametrize(
    "text",
    [
        "short and short and short and short",
        "\n".join(f"{n * 7919 % 10007} {n * 104729 % 1000003} {n * n}" for n in range(400)),
        "\n".join("§¶†¤‡¦ says the same thing again" for _ in range(100)),
        "\n".join(f"the same thing again {n}" for n in range(20 + MOST_TEXT // 20)),
    ],
    ids=["short", "nothing repeats", "no sign is free", "long"],
)
def test_a_text_in_which_little_is_saved_stays(text: str) -> None:
    assert compress(text, Context()) is None


@pytest.mark.parametrize(
    "text",
    [
        "ab " * 133_000,
        "a" * 399_000,
        "the same line\n" * 28_000,
        "a,b;" * 99_000,
        "".join(f"{n} x " for n in range(50_000)),
        "the same thing again in one line, " * 11_000,
    ],
    ids=["one line of words", "one word", "lines all alike", "marks", "numbers", "one line that repeats itself"],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.thread_time()
    compress(text, Context(count=lambda said: len(said) // 4))
    assert time.thread_time() - start < 20
