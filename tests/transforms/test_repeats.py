"""References are exact: a reader who has the conversation can put every line back."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms.lines import split, write
from headroom.transforms.repeats import LineIndex, Source, compress

REFERENCE = re.compile(
    r'\[(?:lines? (\d+)(?:-(\d+))?|(\d+) lines?(?:, each after "([ +-])")?): the same as '
    r'(?:in (.+?) above|(further up in this output)|(in the one just named)), "(.*?)"(?: to "(.*)")?\]'
)
WORDS = st.sampled_from(
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
)
LINE = st.lists(WORDS, min_size=0, max_size=12).map(" ".join)
LINES = st.lists(LINE, max_size=40)


class Reader:
    """Reads a conversation as a model would, putting lines back where a reference says so."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, list[str]]] = []

    def read(self, name: str, text: str) -> str:
        out: list[str] = []
        named = ""
        numbered = bool(re.match(r" *\d+\t", text))
        number = 0
        for line in text.split("\n"):
            match = REFERENCE.fullmatch(line)
            if match is None:
                mark = re.match(r" *(\d+)\t", line) if numbered else None
                number = int(mark[1]) if mark else number + 1
                out.append(line[mark.end() :] if mark else line)
                continue
            first, last, many, prefix, source, own, _, begins, ends = match.groups()
            length = int(many) if many else int(last or first) - int(first) + 1
            named = source or named
            if source and source.endswith("for the same path"):
                named = source.replace("for the same path", name.rsplit(" ", 1)[-1])
            where = [out] if own else [lines for other, lines in self.texts if other == named]
            run = next(
                lines[i : i + length]
                for lines in where
                for i in range(len(lines) - length + 1)
                if lines[i].strip().startswith(begins.removesuffix("…"))
                and lines[i + length - 1].strip().startswith((ends if ends is not None else begins).removesuffix("…"))
            )
            out += [(prefix or "") + line for line in run]
            number += length
        self.texts.append((name, out))
        return "\n".join(out)


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
        text, source = "\n".join(lines), Source("the output of Bash", "command", f"step{block}", block)
        found = compress(text, index, f"step{block}", False, count, count(text))
        index.add(source, text, found.text if found else None)
        assert reader.read(f"{source.name} {source.subject}", found.text if found else text) == text


@given(LINES.filter(bool), st.integers(1, 500), st.integers(0, 30), st.integers(2, 40))
@settings(max_examples=100, deadline=None)
def test_numbers_that_were_left_out_can_be_counted(lines: list[str], first: int, start: int, length: int) -> None:
    lines = [f"{line} x" for line in lines]
    index, reader = LineIndex(), Reader()
    for block, window in enumerate((lines, lines[start : start + length] or lines)):
        text = numbered(window, first)
        found = compress(text, index, "a.py", True, count, count(text))
        index.add(Source("the output of Read", "path", "a.py", block), text, found.text if found else None)
        assert reader.read("the output of Read a.py", found.text if found else text) == "\n".join(window)


@given(st.text(max_size=300))
def test_splitting_and_writing_is_the_identity(text: str) -> None:
    assert write(split(text)) == text


def test_a_file_read_again_after_an_edit_shows_only_what_changed() -> None:
    lines = [f"    value_{i} = compute({i}, 'some argument')" for i in range(60)]
    edited = [*lines[:30], "    changed = True", *lines[31:]]
    index = LineIndex()
    first = compress(numbered(lines), index, "src/a.py", True, count, count(numbered(lines)))
    assert first is not None and set(first.saved) == {"line_numbers"}
    index.add(Source("the output of Read", "path", "src/a.py", 7), numbered(lines), first.text)
    again = compress(numbered(edited), index, "src/a.py", True, count, count(numbered(edited)))
    assert again is not None and again.sources == {7}
    assert again.text == (
        "[lines 1-30: the same as in the output of Read for the same path above, "
        "\"value_0 = compute(0, 'some argument')\" to \"value_29 = compute(29, 'some argument')\"]\n"
        "31\t    changed = True\n"
        "[lines 32-60: the same as in the one just named, \"value_31 = compute(31, 'some argument')\" to "
        "\"value_59 = compute(59, 'some argument')\"]"
    )


def test_a_git_diff_names_the_lines_that_a_write_call_said() -> None:
    body = [f"def function_{i}(): return {i} * some_constant" for i in range(12)]
    index = LineIndex()
    index.add(Source("the input of Write", "path", "new.py", 3), "\n".join(body))
    diff = "\n".join(["diff --git a/new.py b/new.py", "@@ -0,0 +1,12 @@", *("+" + line for line in body)])
    found = compress(diff, index, "git diff", False, count, count(diff))
    assert found is not None and found.sources == {3}
    assert found.text.split("\n")[2].startswith(
        '[12 lines, each after "+": the same as in the input of Write new.py above'
    )


def test_equal_lines_of_a_stack_trace_stand_once() -> None:
    trace = [f'  File "app/module_{i}.py", line {i * 7}, in handler_{i}' for i in range(8)]
    text = "\n".join(["first", *trace, "second", *trace, "third", *trace])
    found = compress(text, LineIndex(), "", False, count, count(text))
    assert found is not None and found.text.count("further up in this output") == 2 and not found.sources


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
    ],
    ids=["all alike", "all different", "one long line", "short lines"],
)
def test_finding_repeats_is_linear(text: str) -> None:
    index = LineIndex()
    index.add(Source("the output of Bash", "", "", 0), text)
    began = time.monotonic()
    compress(text, index, "", False, len, len(text))
    assert time.monotonic() - began < 10


def test_lines_that_are_all_alike_take_no_long_time() -> None:
    text = "the same line again\n" * 20_000
    start = time.perf_counter()
    compress(text, LineIndex(), "", True, len, len(text))
    assert time.perf_counter() - start < 5
