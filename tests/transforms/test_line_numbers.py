"""The blanks before the numbers of nl and cat -n."""

from headroom.transforms.base import Context
from headroom.transforms.line_numbers import unalign
from headroom.transforms.lines import split
from tests.support.short import short

LINES = ["import json", "", "def total(prices):", "\treturn sum(prices)", "    # 7\tdays"] * 30


def aligned(first: int) -> str:
    return "".join(f"{number:6}\t{line}\n" for number, line in enumerate(LINES, first))


def test_numbers_and_lines_stay_and_the_blanks_go() -> None:
    for first in (1, 95, 9_990, 99_950):
        found = short(unalign, aligned(first), Context())
        assert (found.strategy, found.lossless, found.left_out) == ("line_numbers", True, 0)
        assert found.text == "".join(f"{number}\t{line}\n" for number, line in enumerate(LINES, first))
        assert [line.text for line in split(found.text)] == [line.text for line in split(aligned(first))]


def test_parts_of_a_file_are_numbered_too() -> None:
    some = "".join(aligned(1).splitlines(keepends=True)[:40] + aligned(1).splitlines(keepends=True)[90:])
    assert short(unalign, some, Context()).text == some.replace("\n ", "\n").replace("\n ", "\n").replace(
        "\n ", "\n"
    ).replace("\n ", "\n").replace("\n ", "\n").lstrip(" ")


def test_columns_of_other_numbers_are_left_alone() -> None:
    for text in (
        "",
        "".join(f"{number * number:6}\tfile{number}\n" for number in range(100)),
        "".join(f"{number}\tline\n" for number in range(100)),
        "".join(f"{number:7}\tline\n" for number in range(100)),
        aligned(1) + "7\tit said\n",
        "     1\ta\n     2\tb\n",
    ):
        assert unalign(text, Context()) is None
