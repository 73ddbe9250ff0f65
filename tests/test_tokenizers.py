import random
import re
import threading
import time
from typing import Any

import pytest
from bpe_openai._bindings import tokenizer_for_encoding  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.tokens import LEAST, errors, steps
from headroom.tokenizers import CHUNK, count, encoding_for, estimate_factor

LINES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
        st.sampled_from(
            ["", " ", "\t", "    return x", "/usr/bin/env", "\r", "  \r\n", "1234567", "中", "\u0301", ";"]
        ),
    ),
    min_size=1,
    max_size=12,
)


def test_known_counts_of_both_vocabularies() -> None:
    assert count("") == 0
    assert count("hello world") == 2
    assert count("antidisestablishmentarianism") == 6
    assert count("antidisestablishmentarianism", "cl100k_base") == 6
    assert count("こんにちは世界") == 2
    assert count("こんにちは世界", "cl100k_base") == 4


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(0, 3))
@example(["", ";", "/usr", ""], 0)
@example(["", " ", "\t", "\r"], 1)
def test_a_long_text_of_lines_counts_as_it_would_in_one_piece(lines: list[str], seed: int) -> None:
    text = "\n".join(lines)
    text = (text + "\n") * (2 * CHUNK // (len(text) + 1) + 1)
    assert len(text) > CHUNK
    for encoding in ("o200k_base", "cl100k_base"):
        whole = tokenizer_for_encoding(encoding).count(text)
        cuts = len(text) // CHUNK + 1
        counted = count(text, encoding)
        can_be_cut = any(re.match(r"[^\s/]", line) for line in lines)
        assert counted == whole if can_be_cut else abs(counted - whole) <= cuts


def test_a_line_of_20_mb_takes_a_time_that_grows_with_its_length() -> None:
    rows = [f'{{"id":{i},"name":"user {i}","tags":["a","b"]}},' for i in range(1000)]
    line = "".join(rows) * (20_000_000 // len("".join(rows)) + 1)
    whole = tokenizer_for_encoding("o200k_base").count(line[:2_000_000])

    def seconds(text: str) -> float:
        began = time.thread_time()
        count(text)
        return time.thread_time() - began

    assert abs(count(line[:2_000_000]) - whole) <= 2_000_000 // CHUNK + 1
    small = min(seconds(line[n:1_000_000]) for n in range(3))
    assert len(line) >= 20_000_000 and seconds(line) < 8 * 20 * small  # 400 times where it grew with the square


@pytest.mark.parametrize("run", ["a", " ", "\n", "=", "\u0301", "😀", " \t", "\n \n"])
def test_a_megabyte_of_one_thing_is_counted_in_a_moment(run: str) -> None:
    began = time.thread_time()
    assert count(run * (1_000_000 // len(run))) > 0
    assert time.thread_time() - began < 20


def test_a_lone_surrogate_is_counted_and_does_not_raise() -> None:
    assert count("a\ud800b") == count("a?b")
    assert count("\udfff" * 3) == count("???")
    assert count("x\n" * CHUNK + "\ud83d") == count("x\n" * CHUNK + "?")


def test_other_threads_run_while_a_long_text_is_counted() -> None:
    text = "def f(x):\n    return x + 1\n" * 100_000
    turns, begun, done = 0, threading.Event(), threading.Event()

    def watch() -> None:
        nonlocal turns
        begun.set()
        while not done.wait(0.0005):
            turns += 1

    count("what loads the vocabulary")
    watcher = threading.Thread(target=watch)
    watcher.start()
    begun.wait()
    count(text)
    done.set()
    watcher.join()
    assert turns > 5


def test_many_threads_count_the_same() -> None:
    texts = [" ".join(random.Random(seed).choices(["alpha", "beta", "\n", "{}", "42"], k=500)) for seed in range(8)]
    expected = [count(text) for text in texts]
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append([count(text) for text in texts])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo:org", "cl100k_base"),
        ("openai/gpt-4", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o3", "o200k_base"),
        ("claude-sonnet-4-5", "o200k_base"),
        ("", "o200k_base"),
    ],
)
def test_each_openai_model_has_its_vocabulary(model: str, encoding: str) -> None:
    assert encoding_for(model) == encoding


def test_claude_and_gemini_have_more_tokens_than_we_count_and_openai_as_many() -> None:
    assert estimate_factor("anthropic", "") == estimate_factor("vertex", "claude-opus-5") == 1.25
    assert estimate_factor("gemini", "") == estimate_factor("vertex", "gemini-2.5-pro") == 1.25
    assert estimate_factor("openai", "gpt-5") == estimate_factor("localhost", "llama") == 1.0


def session(*, factor: float = 1.25, around: int = 60) -> dict[str, Any]:
    """A recorded session in which a provider billed ``factor`` of our tokens and so many more for each step."""
    texts = ["".join(f"{n * k} passed, {n} failed in step {n}\n" for n in range(20 + 10 * k)) for k in range(1, 20)]
    said: list[dict[str, Any]] = [{"role": "user", "content": "Test it."}]
    billed, requests = 20_000.0, []
    for number, text in enumerate(texts):
        requests.append({"n": len(said), "usage": {"input_tokens": 3, "cache_read_input_tokens": round(billed) - 3}})
        call = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": "pytest"}}
        result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": text}
        said += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        billed += around + factor * (count(text) + count('{"command": "pytest"}') + count("Bash"))
    return {"messages": said, "requests": requests}


def test_the_benchmark_finds_what_a_provider_counts() -> None:
    found = [step for step in steps(session(factor=1.25)) if step.tokens >= LEAST]
    assert len(found) > 5
    low, middle, high = errors(found, 1.25, around=60)
    assert abs(low) < 0.01 and abs(middle) < 0.01 and abs(high) < 0.01
    low, middle, high = errors(found, 1.25, around=0)
    assert -0.2 < low < middle < high < 0, "what a step adds around is missing"
    assert errors([step for step in steps(session(factor=1.0)) if step.tokens >= LEAST], 1.25, 60)[1] > 0.15
