"""What is left of a command's output is what a terminal shows in the end."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.terminal import compress

CONTEXT = Context()
AGAIN = re.compile(r"\[the line above (\d+) more times\]")


def shown(text: str) -> str:
    found = compress(text, CONTEXT)
    return found.text if found else text


def expanded(text: str) -> list[str]:
    """The lines of a text with repeated ones said as often as they stood."""
    out: list[str] = []
    for line in text.split("\n"):
        times = AGAIN.fullmatch(line)
        out += [out[-1]] * int(times[1]) if times else [line]
    return out


def screen(text: str) -> list[str]:
    """A terminal of endless size, character by character."""
    cells: dict[tuple[int, int], str] = {}
    row = column = last = 0
    for token in re.findall(r"\x1b\[\d*[A-Za-z]|.", text, re.S):
        if token == "\n":
            row, column = row + 1, 0
            last = max(last, row)
        elif token == "\r":
            column = 0
        elif token == "\b":
            column = max(0, column - 1)
        elif token.endswith("A") and token[0] == "\x1b":
            row = max(0, row - int(token[2:-1]))
        elif token == "\x1b[K":
            cells = {at: char for at, char in cells.items() if at[0] != row or at[1] < column}
        elif token[0] != "\x1b":
            cells[row, column] = token
            column += 1
    rows = [{column: char for (at, column), char in cells.items() if at == row} for row in range(last + 1)]
    return ["".join(line.get(i, " ") for i in range(max(line, default=-1) + 1)).rstrip() for line in rows]


TYPED = st.lists(
    st.sampled_from(["tea", "ok ", "50%", "a", " ", "\n", "\n", "\r", "\b"])
    | st.sampled_from(["\x1b[32m", "\x1b[0m", "\x1b[K", "\x1b[1A", "\x1b[2A"]),
    max_size=40,
).map("".join)


def without_blank_runs(lines: list[str]) -> list[str]:
    """Lines with runs of empty ones cut to two."""
    return [line for i, line in enumerate(lines) if line or lines[max(0, i - 2) : i] != ["", ""]]


@given(TYPED)
def test_the_result_is_what_a_terminal_shows(text: str) -> None:
    found = compress(text, CONTEXT)
    if found:
        assert without_blank_runs(expanded(found.text)) == without_blank_runs(screen(text))


@given(st.lists(st.sampled_from(["a line that comes again", "another line", "", "x"]), min_size=1, max_size=60))
def test_lines_that_repeat_can_be_counted(lines: list[str]) -> None:
    assert without_blank_runs(expanded(shown("\n".join(lines)))) == without_blank_runs(lines)


def test_colour_goes_and_words_stay() -> None:
    assert shown("\x1b[1;31merror\x1b[0m: no such file \x1b[33mshop.py\x1b[39m") == "error: no such file shop.py"


def test_a_progress_bar_is_shown_as_it_ended() -> None:
    bar = "".join(f"\rDownloading {n:3d}% [{'=' * (n // 10):10}]" for n in range(101))
    assert shown(f"start{bar}\ndone\n") == f"Downloading 100% [{'=' * 10}]\ndone\n"


def test_rows_that_are_drawn_again_are_shown_once() -> None:
    drawn = (
        "pull a: waiting\npull b: waiting\n\x1b[2A\x1b[2Kpull a: done\n\x1b[2Kpull b: 50%\n\x1b[1A\x1b[2Kpull b: done\n"
    )
    assert shown(drawn) == "pull a: done\npull b: done\n"


def test_what_progress_overwrote_stays_if_it_speaks_of_trouble() -> None:
    assert shown("fetching a\rERROR: b is gone\rfetching c          \n") == "ERROR: b is gone\nfetching c\n"
    assert shown("warning: disk full\x1b[2K\rall done\n") == "warning: disk full\nall done\n"


def test_links_and_titles_keep_their_text() -> None:
    assert shown("\x1b]0;title\x07see \x1b]8;;https://example.com\x1b\\docs\x1b]8;;\x1b\\") == "see docs"


def test_a_movement_far_to_the_right_takes_no_memory() -> None:
    assert len(shown("a\x1b[999999999Cb\x1b[999999999Cc\x1b[31m")) < 20_000


def test_plain_text_is_not_touched() -> None:
    assert compress("one\ntwo\n\nthree\n", CONTEXT) is None


def test_a_phrase_of_ours_in_the_text_keeps_lines_from_being_counted() -> None:
    text = "[the line above 3 more times]\n" + "same line again and again\n" * 9
    assert compress(text, CONTEXT) is None
