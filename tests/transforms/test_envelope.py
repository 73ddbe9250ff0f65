"""What clients write around an output stays, and JSON strings get their lines back without losing a character."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms import search
from headroom.transforms.base import Compressed, Context
from headroom.transforms.envelope import bodies, inside, is_call, unwrap, unwrapped
from headroom.transforms.router import kind
from tests.support.short import short

CONTEXT = Context()
CODEX = (
    "Chunk ID: 9a671f\nWall time: 0.0512 seconds\nProcess exited with code 0\nOriginal token count: 1271\nOutput:\n{}"
)
GEMINI = "<untrusted_context>\nOutput: {}\nProcess Group PGID: 24795\n</untrusted_context>"
LISTING = "\n".join(f"src/models/order_{number // 10}.py:{number}:class Order{number}(Base):" for number in range(40))
"""What `grep -rn` prints."""


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def wrapped(text: str) -> str:
    """The JSON that ``unwrap`` was given."""
    return re.sub(r"'''\n(.*?)'''", lambda match: compact(match[1]), text, flags=re.S)


LINES = st.lists(st.sampled_from(["", "x = 'a'", '"""Doc."""', "\tif a:\\", "\x1b[31mred", "é→", "'''", "{", "0"]))
VALUES = st.one_of(LINES.map("\n".join), LINES.map(lambda lines: "\n".join(lines * 8)), st.integers(), st.text())


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_every_character_can_be_told_from_the_lines(value: dict[str, object], indent: int | None, plain: bool) -> None:
    text = json.dumps([value, value], ensure_ascii=plain, indent=indent)
    found = unwrapped(text)
    assert found is None or wrapped(found) == text


def test_the_result_of_a_command_in_json_shows_its_lines() -> None:
    output = 'def a():\n    return "x\\n"\n' * 5
    text = compact({"chunk_id": "d44391", "wall_time_seconds": 0.05, "exit_code": 0, "output": output})
    found = short(unwrap, text, CONTEXT).text
    assert found == f'{{"chunk_id":"d44391","wall_time_seconds":0.05,"exit_code":0,"output":\'\'\'\n{output}\'\'\'}}'
    assert wrapped(found) == text
    assert [found[start:end] for start, end in bodies(found)] == [output]
    assert is_call(found)


def test_several_results_show_theirs_each() -> None:
    outputs = ["one line\n" * 20, "another line\n" * 20]
    text = compact([{"exit_code": 0, "output": output} for output in outputs])
    found = short(unwrap, text, CONTEXT).text
    assert wrapped(found) == text
    assert [found[start:end] for start, end in bodies(found)] == outputs


@pytest.mark.parametrize(
    "text",
    [
        compact({"output": "short\n"}),
        compact({"a\nb\nc\n" * 30: 1}),  # a key
        compact({"output": "'''\n" * 40}),
        compact({"output": "it ends so'\n" * 40 + "'"}),
        compact({"rows": list(range(500)), "output": "line\n" * 20}),  # mostly something else
        json.dumps({"output": "Grüße\n" * 40}),  # escaped otherwise
        compact({"output": "line\n" * 40})[:-1],
        "text " + compact({"output": "line\n" * 40}),
        '{"output":"\\ud800' + "line\\n" * 40 + '"}',
        "",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert unwrapped(text) is None


def test_the_output_is_found_in_what_each_client_writes_around_it() -> None:
    def body(text: str) -> list[str]:
        return [text[start:end] for start, end in bodies(text)]

    assert body(CODEX.format("a\nb\n")) == ["a\nb\n"]
    assert body("Wall time: 5.0 seconds\nProcess running with session ID 7\nOutput:\n") == [""]
    assert body("Exit code: 1\nWall time: 0 seconds\nTotal output lines: 2\nOutput:\na\nb") == ["a\nb"]
    assert body("Script completed\nWall time 0.1 seconds\nOutput:\na") == ["a"]
    cut = "Warning: truncated output (original token count: 72224)\nTotal output lines: 50000\n\n"
    assert body(CODEX.format(f"{cut}a\n…62224 tokens truncated…\nz")) == ["a\n…62224 tokens truncated…\nz"]
    assert body(GEMINI.format("a\nb")) == ["a\nb"]
    old = "Output: a\nb\nError: (none)\nExit Code: 0\nSignal: (none)\nBackground PIDs: (none)\nProcess Group PGID: 7"
    assert body(old) == ["a\nb"]
    assert body("<untrusted_context>\nWhat a page says.\n</untrusted_context>") == ["What a page says."]
    for text in ("Output: of a program\nthat says so", "a\nb\n", "", "Chunk ID: 1\nand no more"):
        assert body(text) == [text]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("exec_command", {"cmd": "grep -rn class src"}),
        ("shell", {"command": ["bash", "-lc", "grep -rn class src"]}),
        ("local_shell", {"command": ["bash", "-lc", "grep -rn class src"]}),
        ("exec", {"input": 'text((await tools.exec_command({cmd: "grep -rn class src"})).output);'}),
        ("run_shell_command", {"command": "grep -rn class src"}),
    ],
)
@pytest.mark.parametrize("frame", ["{}", CODEX, GEMINI])
def test_an_output_is_treated_as_what_the_command_prints_in_every_frame(
    tool: str, arguments: dict[str, object], frame: str
) -> None:
    text, context = frame.format(LISTING), Context(tool, arguments)
    found = kind(text, context)
    assert found is not None and found.name == "search"
    form = short(found.transforms[0], text, context).text
    before, after = frame.split("{}")
    assert form.startswith(before) and form.endswith(after)
    assert form.removeprefix(before).removesuffix(after) == short(search.compress, LISTING, context).text


def test_the_lines_of_a_file_stay_in_json_too() -> None:
    text = compact({"exit_code": 0, "output": "def a():\n    return 1\n" * 20})
    found = kind(text, Context("exec", {"input": "text(await tools.exec_command({cmd: 'cat a.py'}))"}))
    assert found is not None and (found.name, found.opens) == ("file", unwrap)
    opened = short(unwrap, text, CONTEXT).text
    assert all(transform(opened, CONTEXT) is None for transform in found.transforms)


def test_numbers_that_a_command_printed_stay_without_the_blanks_before_them() -> None:
    numbered = "\n".join(f"{number:6}\tline {number} of the file" for number in range(1, 60))
    for frame in ("{}", CODEX, GEMINI):
        found = kind(frame.format(numbered), Context("exec_command", {"cmd": "cat -n a.txt"}))
        assert found is not None and found.name == "file"
        forms = [form.text for transform in found.transforms if (form := transform(frame.format(numbered), CONTEXT))]
        assert forms == [frame.format("\n".join(f"{number}\tline {number} of the file" for number in range(1, 60)))]


def test_a_form_that_would_end_its_string_is_not_taken() -> None:
    text = short(unwrap, compact({"output": "a\n" * 60}), CONTEXT).text
    assert inside(lambda body, context: Compressed("'''", "bad"))(text, CONTEXT) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"output":"' + "line\\n" * 600_000 + '"}',
        "[" + '"a\\nb\\nc",' * 300_000 + "1]",
        '{"a":' * 100_000,
        '"' * 1_000_000,
        "{" + "'''\n" * 250_000,
        "<untrusted_context>\nOutput: " + "\nError: x" * 200_000,
        "Warning: truncated output (original token count: 1" * 20_000,
    ],
    ids=["long string", "many strings", "deep", "quotes", "fences", "feet", "heads"],
)
def test_strange_texts_take_linear_time(text: str) -> None:
    started = time.thread_time()
    unwrapped(text)
    bodies(text)
    assert time.thread_time() - started < 10
