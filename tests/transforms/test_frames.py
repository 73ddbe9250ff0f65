"""The tags around a command's output can be closed again by whoever reads them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.frames import FRAMES, bodies, compress
from tests.support.short import short

CONTEXT = Context()


def closed(text: str) -> str:
    """The text with its end tags: one-line elements end with their line, the last open one with the text."""
    at = 0
    out = ""
    while element := re.compile(r"<([a-z_]+)>([^<>\n]+)(\n+)").match(text, at):
        out += f"<{element[1]}>{element[2]}</{element[1]}>{element[3]}"
        at = element.end()
    rest = text[at:]
    opened = [
        m[1]
        for m in re.finditer(r"^<([a-z_]+)>$", rest, re.M)
        if m[1] in FRAMES and f"</{m[1]}>" not in rest[m.end() :]
    ]
    return out + rest + (f"</{opened[-1]}>" if opened else "")


BODY = st.lists(
    st.sampled_from(["ok", "<p>a</p>", "x = 1", "", "</div>", "<output>", "</output>", "<b>"]), max_size=8
).map("\n".join)
HEAD = st.sampled_from(
    ["<returncode>0</returncode>\n", "<retrieval_status>success</retrieval_status>\n\n<task_id>b1</task_id>\n\n"]
)


@given(HEAD, BODY, st.booleans())
def test_left_out_tags_are_where_a_line_or_the_text_ends(head: str, body: str, closing: bool) -> None:
    text = f"{head}<output>\n{body}{'</output>' if closing else ''}"
    found = compress(text, CONTEXT)
    if found and "<output>\n" not in body + "\n" and text.endswith("</output>"):
        assert closed(found.text) == text


def test_an_observation_of_mini_swe_agent() -> None:
    assert short(compress, "<returncode>1</returncode>\n<output>\nno such file\n</output>", CONTEXT).text == (
        "<returncode>1\n<output>\nno such file\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "<status>ok</status>\n<output>\nx\n</output>",  # a file may begin so
        "<div>\n<p>x</p>\n</div>",
        "<returncode>0\n<output>\nx",
        "plain text </output>",
        "",
    ],
)
def test_what_is_no_frame_stays(text: str) -> None:
    assert compress(text, CONTEXT) is None


def test_many_elements_take_linear_time() -> None:
    assert compress("<returncode>0</returncode>\n" + "<status>x</status>\n" * 100_000, CONTEXT) is not None


def body(text: str) -> list[str]:
    lines = text.split("\n")
    return [line for start, end in bodies(lines) for line in lines[start:end]]


def test_the_part_that_a_command_wrote_is_known_for_each_client() -> None:
    assert body("<returncode>0</returncode>\n<output>\na\nb\n</output>") == ["a", "b"]
    cut = "<returncode>0</returncode>\n<warning>\nToo long.\n</warning><output_head>\na\n</output_head>\n"
    cut += "<elided_chars>\n9 characters elided\n</elided_chars>\n<output_tail>\nz\n</output_tail>"
    assert body(cut) == ["a", "z"]
    assert body("Exit code 1\na\n") == ["a"]
    assert body("a\nb\n\n<system-reminder>\nx\n</system-reminder>") == ["a", "b"]
    assert body("Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\na\n") == ["a"]
    assert body("Command: ls\nDirectory: (root)\nOutput: a\nb\nc\nError: (none)\nExit Code: 0") == ["b", "c"]
    assert body("") == []
