"""References are exact: a reader who has the conversation can put every line back."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.lines import LONG, split, write
from headroom.transforms.pipeline import shorten
from headroom.transforms.references import Source
from headroom.transforms.repeats import compress

REFERENCE = re.compile(
    r"\[(?:lines? (\d+)(?:-(\d+))?|…?(\d+) (?:lines?|characters)(?:, each after \"([ +-])\",)?) as "
    r"(?:in (.+?) above|(above here)|there): (.*?)…?\]"
)
STRETCH = re.compile(r"\[…\d+ characters as (?:in .+? above|above here|there): .*? … .*?…\]")
WORDS = st.sampled_from(
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
)
LINE = st.lists(WORDS, min_size=0, max_size=12).map(" ".join)
LINES = st.lists(LINE, max_size=40)


class Reader:
    """Reads a conversation as a model would, putting lines back where a reference says so."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, list[str]]] = []
        self.named = ""

    def read(self, name: str, text: str) -> str:
        out: list[str] = []
        numbered = bool(re.match(r" *\d+\t", text))
        number = 0
        for line in text.split("\n"):
            mark = re.match(r" *(\d+)\t", line) if numbered else None
            rest = line[mark.end() :] if mark else line
            number = int(mark[1]) if mark else number + 1
            match = REFERENCE.fullmatch(line)
            if match is None or "characters" in line.split(" as ")[0]:
                out.append("")
                while stretch := STRETCH.search(rest):
                    out[-1] += rest[: stretch.start()]
                    rest, words = rest[stretch.end() :], REFERENCE.fullmatch(stretch[0])
                    assert words is not None
                    out[-1] += self.characters(words, name, out)
                out[-1] += rest
                continue
            run = self.lines(match, name, out)
            out += [(match[4] or "") + line for line in run]
            number += len(run) - 1
        self.texts.append((name, out))
        return "\n".join(out)

    def sources(self, source: str | None, own: str | None, name: str, out: list[str]) -> list[list[str]]:
        """The texts that a reference can mean."""
        if source is not None:
            self.named = source.replace("for this command", name.split(" ", 1)[1]).replace(
                "for this path", name.split(" ", 1)[1]
            )
        elif own:
            self.named = ""
        return [lines for other, lines in self.texts if other == self.named] if self.named else [out]

    def lines(self, match: re.Match[str], name: str, out: list[str]) -> list[str]:
        first, last, many, _, source, own, said = match.groups()
        length = int(many) if many else int(last or first) - int(first) + 1
        places = {
            tuple(lines[i : i + length])
            for lines in self.sources(source, own, name, out)
            for i in range(len(lines) - length + 1)
            if any(
                lines[i].strip().startswith(begins) and lines[i + length - 1].strip().startswith(ends)
                for begins, ends in (said.split(" … ") for said in [said if length > 1 else f"{said} … {said}"])
            )
        }
        assert len(places) == 1, "the reference can mean one place only"
        return list(places.pop())

    def characters(self, match: re.Match[str], name: str, out: list[str]) -> str:
        length, (begins, ends) = int(match[3]), match[7].split(" … ")
        texts = [line for lines in self.sources(match[5], match[6], name, out) for line in lines]
        places = {
            text[at : at + length]
            for text in texts
            if len(text) >= LONG or text is out[-1]
            for at in range(len(text))
            if text.startswith(begins, at) and text[at : at + length].endswith(ends) and len(text) >= at + length
        }
        assert len(places) == 1, "the reference can mean one place only"
        return places.pop()


def numbered(lines: list[str], first: int = 1) -> str:
    return "\n".join(f"{i}\t{line}" for i, line in enumerate(lines, first))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40), st.integers(1, 40), LINES), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_reader_gets_every_line_back(steps: list[tuple[int, int, int, list[str]]]) -> None:
    """Each step is a new output: some lines of its own and a window of an earlier one."""
    index, reader, originals = LineIndex(), Reader(), [[f"line {i} of the first file, said once" for i in range(60)]]
    for block, (which, start, length, own) in enumerate(steps):
        old = originals[which % len(originals)]
        lines = own[:5] + old[start : start + length] + own[5:]
        originals.append(lines)
        text, source = "\n".join(lines), Source("Bash", "command", f"step{block}", block)
        found = compress(text, index, f"step{block}", False, count, count(text))
        index.add(source, text, found.text if found else None)
        assert reader.read(f"{source.name} {source.subject}", found.text if found else text) == text


RECORD = st.lists(st.tuples(WORDS, st.integers(0, 10**6)), min_size=4, max_size=30).map(
    lambda pairs: "{" + ",".join(f'"{word}_{n % 7}":"{word} and {n}"' for word, n in pairs) + "}"
)
CUTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(50, 1200)), min_size=1, max_size=5)


@given(st.lists(st.tuples(CUTS, st.lists(RECORD, max_size=3)), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_reader_gets_every_character_of_long_lines_back(
    steps: list[tuple[list[tuple[int, int, int]], list[str]]],
) -> None:
    """Each step is a new output: some lines of its own, and lines put together from parts of earlier ones."""
    index, reader = LineIndex(), Reader()
    old = ['{"first":' + ",".join(f'"field_{i}":{i * 7919 % 1000}' for i in range(80)) + "}"]
    for block, (cuts, own) in enumerate(steps):
        lines = [*own, "".join(old[which % len(old)][start : start + length] for which, start, length in cuts), *own]
        old += lines
        text, source = "\n".join(lines), Source("Bash", "command", f"step{block}", block)
        found = compress(text, index, f"step{block}", False, count, count(text))
        index.add(source, text, found.text if found else None)
        assert reader.read(f"{source.name} {source.subject}", found.text if found else text) == text


def test_a_long_line_in_which_a_word_changed_shows_the_word_and_its_neighbours() -> None:
    page = "".join(f'<li class="item-{i}"><a href="/items/{i}">Item number {i}</a></li>' for i in range(40))
    again = page.replace("Item number 20", "Item number twenty")
    index = LineIndex()
    index.add(Source("Bash", "command", "curl -s localhost", 3), page)
    found = compress(again, index, "curl -s localhost", False, count, count(again))
    assert found is not None and found.sources == {3}
    assert re.fullmatch(
        r'\[…1\d\d\d characters as in Bash for this command above: <li class="item-0">< … [^]]{20}…\]'
        r".{0,80}Item number twenty.{0,80}"
        r"\[…1\d\d\d characters as there: [^]]{20} … m number 39</a></li>…\]",
        found.text,
    )


def test_a_line_that_an_edit_may_quote_stands_whole() -> None:
    line = "The paragraph says at length, in one line, what a reader has to know of it; " * 5
    index = LineIndex()
    index.add(Source("Read", "path", "a.md", 3), f"{line}\nand more")
    text = f"{line.replace('at length', 'in short', 1)}\nand less"
    assert shorten(text, count(text), index, "a.md", Context("Read", {"file_path": "a.md"})) is None
    found = shorten(text, count(text), index, "a.md", Context("Bash", {"command": "./explain"}))
    assert found is not None and " characters as in Read for this path above: " in found.text


def between(middle: str) -> list[str]:
    return ["a line that begins both of them", f"    {middle} in the middle, " * 4, "a line that ends both of them"]


@pytest.mark.parametrize("other", ["cat a", f"cat a {'-n ' * 30}; cat a"])
def test_a_reference_that_could_mean_two_places_is_not_made(other: str) -> None:
    """Both outputs are of one command, or of long ones that a reference calls by their beginning and end."""
    index = LineIndex()
    index.add(Source("Bash", "command", other, 1), "\n".join(between("one")))
    index.add(Source("Bash", "command", other.replace("-n -n ", "-n -b "), 2), "\n".join(["x", *between("two")]))
    text = "\n".join(["at first", *between("two")])
    assert compress(text, index, "", False, count, count(text)) is None


@given(LINES.filter(bool), st.integers(1, 500), st.integers(0, 30), st.integers(2, 40))
@settings(max_examples=100, deadline=None)
def test_numbers_that_were_left_out_can_be_counted(lines: list[str], first: int, start: int, length: int) -> None:
    lines = [f"{line} x" for line in lines]
    index, reader = LineIndex(), Reader()
    for block, window in enumerate((lines, lines[start : start + length] or lines)):
        text = numbered(window, first)
        found = compress(text, index, "a.py", True, count, count(text))
        index.add(Source("Read", "path", "a.py", block), text, found.text if found else None)
        assert reader.read("Read a.py", found.text if found else text) == "\n".join(window)


@given(st.text(max_size=300))
def test_splitting_and_writing_is_the_identity(text: str) -> None:
    assert write(split(text)) == text


def test_a_file_read_again_after_an_edit_shows_only_what_changed() -> None:
    lines = [f"    value_{i} = compute({i}, 'some argument')" for i in range(60)]
    edited = [*lines[:30], "    changed = True", *lines[31:]]
    index = LineIndex()
    first = compress(numbered(lines), index, "src/a.py", True, count, count(numbered(lines)))
    assert first is not None and set(first.saved) == {"line_numbers"}
    index.add(Source("Read", "path", "src/a.py", 7), numbered(lines), first.text)
    again = compress(numbered(edited), index, "src/a.py", True, count, count(numbered(edited)))
    assert again is not None and again.sources == {7}
    assert again.text == (
        "[lines 1-30 as in Read for this path above: value_0 = compute(0, … value_29 = compute(2]\n"
        "31\t    changed = True\n"
        "[lines 32-60 as there: value_31 = compute(3 … value_59 = compute(5]"
    )


def test_what_a_client_says_after_each_file_stands_once() -> None:
    words = "Whenever you read a file, you should think of what it is for. You may report on it and answer questions."
    said = f"\n\n<system-reminder>\n{words}\n</system-reminder>"
    index = LineIndex()
    index.add(Source("Read", "path", "a.ex", 3), numbered(["defmodule A do", "  use Application", "end", ""]) + said)
    text = numbered(["defmodule B do", "  use GenServer", "end", ""]) + said
    found = compress(text, index, "b.ex", True, count, count(text))
    assert found is not None
    assert found.text.endswith("\n\n[3 lines as in Read a.ex above: <system-reminder> … </system-reminder>]")


def test_a_git_diff_names_the_lines_that_a_write_call_said() -> None:
    body = [f"def function_{i}(): return {i} * some_constant" for i in range(12)]
    index = LineIndex()
    index.add(Source("the input of Write", "path", "new.py", 3), "\n".join(body))
    diff = "\n".join(["diff --git a/new.py b/new.py", "@@ -0,0 +1,12 @@", *("+" + line for line in body)])
    found = compress(diff, index, "git diff", False, count, count(diff))
    assert found is not None and found.sources == {3}
    assert found.text.split("\n")[2].startswith('[12 lines, each after "+", as in the input of Write new.py above: ')


def test_equal_lines_of_a_stack_trace_stand_once() -> None:
    trace = [f'  File "app/module_{i}.py", line {i * 7}, in handler_{i}' for i in range(8)]
    text = "\n".join(["first", *trace, "second", *trace, "third", *trace])
    found = compress(text, LineIndex(), "", False, count, count(text))
    assert found is not None and found.text.count(" as above here: ") == 2 and not found.sources


def test_numbers_stay_where_a_line_could_be_taken_for_a_numbered_one() -> None:
    text = numbered(["id\tname", "1\tone", "2\ttwo", "3\tthree", "4\tfour"])
    found = compress(text, LineIndex(), "", True, count, count(text))
    assert found is not None
    assert found.text == "1\tid\tname\n2\t1\tone\n3\t2\ttwo\n4\t3\tthree\n5\t4\tfour"


def test_numbers_that_do_not_count_on_stay() -> None:
    text = "1\ta line of text\n2\tanother\n5\tfar away\n6\tthe last"
    assert compress(text, LineIndex(), "", True, count, count(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "the same line\n" * 200000,
        "".join(f"line number {i} of many\n" for i in range(200000)),
        "x" * 5000000,
        "}\n\n" * 200000 + "end",
        '{"a":1,"b":2},' * 100000,
    ],
    ids=["all alike", "all different", "one long line", "short lines", "one line that repeats itself"],
)
def test_finding_repeats_is_linear(text: str) -> None:
    index = LineIndex()
    index.add(Source("Bash", "", "", 0), text)
    began = time.thread_time()
    compress(text, index, "", False, len, len(text))
    compress(text, LineIndex(), "", False, len, len(text))
    assert time.thread_time() - began < 60


def test_lines_that_are_all_alike_take_no_long_time() -> None:
    text = "the same line again\n" * 20_000
    start = time.thread_time()
    compress(text, LineIndex(), "", True, len, len(text))
    assert time.thread_time() - start < 20


def test_a_phrase_of_ours_that_comes_again_is_said_and_not_referred_to() -> None:
    phrase = '[the 9 lines below begin with "2026-11-24T01:02:" and, after one word, go on with " INFO [main] order "]'
    before, again = f"{phrase}\nfirst 1\nfirst 2\n", f"{phrase}\nsecond 1\nsecond 2\n"
    index = LineIndex()
    index.add(Source("Bash", "command", "tail a.log", 1), before)
    assert compress(again, index, "tail b.log", False, count, count(again)) is None
