"""Lines that came again with other times: a reader who has the conversation can put every one back."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.near import compress
from headroom.transforms.pipeline import shorten
from headroom.transforms.references import Source
from headroom.transforms.values import SLOT, masked, values

REFERENCE = re.compile(r"\[(\d+) lines? as in (.+?) above, with (.*?) as its times: (.*)\]")
NAMES = [
    "orders",
    "prices",
    "rates",
    "stores",
    "users",
    "views",
    "forms",
    "mails",
    "tools",
    "parcels",
    "taxes",
    "refunds",
    "cards",
    "codes",
    "days",
    "hours",
]


def read(text: str, before: dict[str, str]) -> str:
    """What a reader makes of a text: lines of an earlier one, with these times in place of its own."""
    out: list[str] = []
    for line in text.split("\n"):
        match = REFERENCE.fullmatch(line)
        if match is None:
            out.append(line)
            continue
        many, named, said, quoted = int(match[1]), match[2], match[3], match[4]
        first, _, last = quoted.partition(" … ")
        lines = [mask(row) for row in before[named].split("\n")]
        runs = {
            tuple(lines[i : i + many])
            for i in range(len(lines) - many + 1)
            if starts(lines[i], first) and starts(lines[i + many - 1], last or first)
        }
        assert len(runs) == 1, "the reference can mean one place only"
        run = "\n".join(runs.pop())
        slots = run.count(SLOT)
        here = (
            [said.removesuffix(" each")] * slots
            if said.endswith(" each")
            else said.split(", " if "," in said else None)
        )
        assert len(here) == slots
        for value in here:
            run = run.replace(SLOT, value, 1)
        out.append(run)
    return "\n".join(out)


def mask(line: str) -> str:
    return masked(f"{line}\n1s\n1s\n1s").split("\n")[0]  # type: ignore[union-attr]


def starts(line: str, quoted: str) -> bool:
    return line.strip().replace(SLOT, "_").startswith(quoted)


def run(seed: int, names: list[str]) -> str:
    """What a test run prints."""
    lines = [f"--- PASS: Test{name.title()} ({seed * 7 * (n + 1) % 97}.{seed}4s)" for n, name in enumerate(names)]
    return "\n".join([f"started at 2026-03-0{seed % 9 + 1}T10:0{seed % 6}:11Z", *lines, "PASS"])


def test_a_test_run_that_comes_again_says_only_its_times() -> None:
    index = LineIndex()
    source = Source("Bash", "command", "go test ./...", 3)
    index.add(source, run(1, NAMES))
    found = compress(run(2, NAMES), index, "go test -v", count, count(run(2, NAMES)))
    assert found is not None
    assert found.sources == {3}
    assert found.text.count("\n") == 0
    assert found.saved == {"near repeats": count(run(2, NAMES)) - count(found.text)}
    assert count(found.text) < 0.8 * count(run(2, NAMES))
    assert read(found.text, {"Bash go test ./...": run(1, NAMES)}) == run(2, NAMES)


def test_only_what_changed_beside_the_times_is_shown() -> None:
    index = LineIndex()
    index.add(Source("Bash", "command", "go test ./...", 0), run(1, NAMES))
    text = run(2, NAMES).replace("PASS: TestTaxes", "FAIL: TestTaxes")
    found = compress(text, index, "", count, count(text))
    assert found is not None
    shown = [line for line in found.text.split("\n") if not line.startswith("[")]
    assert shown[0] == next(line for line in text.split("\n") if "FAIL" in line)
    assert len(shown) < 8, "what comes after it, where a reference is no shorter"
    assert read(found.text, {"Bash go test ./...": run(1, NAMES)}) == text


STEP = st.tuples(st.integers(1, 8), st.lists(st.sampled_from(NAMES), min_size=1, max_size=14))


@given(st.lists(STEP, min_size=2, max_size=5))
@settings(max_examples=150, deadline=None)
def test_a_reader_gets_every_line_back(steps: list[tuple[int, list[str]]]) -> None:
    index, before = LineIndex(), dict[str, str]()
    for block, (seed, names) in enumerate(steps):
        text, source = run(seed, names), Source("Bash", "command", f"step{block}", block)
        found = compress(text, index, "", count, count(text))
        index.add(source, text, found.text if found else None)
        assert read(found.text if found else text, before) == text
        before[f"Bash step{block}"] = found.text if found else text


def test_through_the_pipeline_the_shortest_form_wins_and_a_file_keeps_its_lines() -> None:
    index = LineIndex()
    index.add(Source("Bash", "command", "go test ./...", 0), run(1, NAMES))
    text = run(2, NAMES)
    short = shorten(text, count(text), index, "", Context("Bash", {"command": "go test ./..."}))
    assert short is not None and "near repeats" in short.saved and short.sources == {0}
    assert shorten(text, count(text), index, "", Context("Read", {"file_path": "/srv/expected.txt"})) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("took 3ms, 1.25 s, 40 seconds", ["3ms", "1.25 s", "40 seconds"]),
        ("at 10:00:11 and 2026-03-01T10:00:11.250Z", ["10:00:11", "2026-03-01T10:00:11.250Z"]),
        ("object at 0x7f8cbce0 and 0X1", ["0x7f8cbce0"]),
        ("order 41, line 12:4, v1.2.3s, item5s, 1.5.2s, 3 stores", []),
    ],
)
def test_times_and_addresses_are_values_and_other_numbers_are_not(text: str, found: list[str]) -> None:
    assert values(text) == found


def test_a_private_character_in_a_text_keeps_it_as_it_is() -> None:
    assert masked(f"{SLOT} 1s 2s 3s 4s") is None
    assert masked("1s 2s") is None


@pytest.mark.parametrize("line", ["took 1s", "x" * 50, "1" * 50, "0x" * 25, "10:00:" * 9])
def test_a_long_text_takes_no_long_time(line: str) -> None:
    index, text = LineIndex(), f"{line}\n" * 4_000
    index.add(Source("Bash", "command", "a", 0), text)
    start = time.thread_time()
    compress(text.replace("1s", "2s"), index, "", count, count(text))
    assert time.thread_time() - start < 10
