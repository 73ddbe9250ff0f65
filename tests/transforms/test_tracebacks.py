"""Frames of Python's tracebacks in their short form, from which each can be read again."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms import logs
from headroom.transforms.base import Context
from headroom.transforms.tracebacks import SAME, compress
from tests.support.short import short

HEADING = "Traceback (most recent call last):"
TWO = f"""\
order 41 could not be stored
{HEADING}
  File "/srv/shop/views.py", line 12, in store
    orders.save(order)
  File "/srv/shop/orders.py", line 40, in save
    self.check(order)
    ~~~~~~~~~~^^^^^^^
  File "/srv/shop/orders.py", line 61, in check
    raise ValueError(order)
ValueError: 41

During handling of the above exception, another exception occurred:

{HEADING}
  File "/srv/shop/orders.py", line 7, in <module>
    main()
StoreError: order 41
"""
_frame = re.compile(rf"^( *)({SAME}|[^\s:]+):(\d+) in ", re.M)


def read(text: str) -> str:
    """What a reader makes of the form."""
    path = ""

    def whole(frame: re.Match[str]) -> str:
        nonlocal path
        path = path if frame[2] == SAME else frame[2]
        return f'{frame[1]}File "{path}", line {frame[3]}, in '

    return _frame.sub(whole, text)


def test_a_frame_is_a_path_with_a_line_and_a_path_is_not_said_twice_in_a_row() -> None:
    found = short(compress, TWO, Context())
    assert (found.strategy, found.lossless, found.left_out) == ("tracebacks", True, 0)
    assert found.text.split("\n")[2:8] == [
        "  /srv/shop/views.py:12 in store",
        "    orders.save(order)",
        "  /srv/shop/orders.py:40 in save",
        "    self.check(order)",
        "    ~~~~~~~~~~^^^^^^^",
        f"  {SAME}:61 in check",
    ]


def test_a_new_traceback_says_its_first_path_in_full() -> None:
    assert "  /srv/shop/orders.py:7 in <module>" in short(compress, TWO, Context()).text


def test_every_frame_can_be_read_again() -> None:
    assert read(short(compress, TWO, Context()).text) == TWO
    log = (Path(__file__).parents[2] / "benchmarks/corpus/outputs/python-worker.txt").read_text()
    assert log.count('  File "/') > 10
    assert read(short(compress, log, Context()).text) == log


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/a/b.py", "/a/c d.py", "<string>", "/a/b.py"]),
            st.integers(1, 5000),
            st.sampled_from(["f", "<module>", "g.<locals>.h"]),
            st.sampled_from(["", "    x = 1\n", f"{HEADING}\n", "KeyError: 'a:1 in b'\n"]),
        ),
        min_size=3,
        max_size=12,
    )
)
def test_any_frames_can_be_read_again(frames: list[tuple[str, int, str, str]]) -> None:
    text = f"{HEADING}\n" + "".join(f'  File "{p}", line {n}, in {f}\n{rest}' for p, n, f, rest in frames)
    found = compress(text, Context())
    assert found is not None
    path, lines = "", []
    for line in found.text.split("\n"):
        if (
            match := re.match(rf"  ({SAME}|.+):(\d+) in (?=\S)", line)
            if line.startswith("  ") and line[2] != " "
            else None
        ):
            path = path if match[1] == SAME else match[1]
            line = f'  File "{path}", line {match[2]}, in {line[match.end() :]}'
        lines.append(line)
    assert "\n".join(lines) == text


def test_what_could_be_taken_for_a_short_frame_keeps_the_text_as_it_is() -> None:
    for line in ("  same file:3 in x", "/srv/a.py:3 in x"):
        assert compress(f"{TWO}{line}\n", Context()) is None


def test_text_without_tracebacks_is_left_alone() -> None:
    for text in ("", HEADING, f'{HEADING}\n  File "a.py", line 1, in f\n', TWO.replace(HEADING, "Calls:")):
        assert compress(text, Context()) is None


def test_a_traceback_that_comes_again_is_still_named() -> None:
    again = short(compress, TWO * 4, Context()).text
    named = short(logs.compress, again, Context()).text
    assert named.count(f"  {SAME}:61 in check") == 1
