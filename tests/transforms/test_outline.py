"""Code that is only looked through: what it declares stays as it stands, bodies are left out by their line numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms import outline
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten

PYTHON = '''\
"""Orders."""

from decimal import Decimal

RATE = Decimal("0.19")


class Order:
    """An order of a customer."""

    def total(
        self, lines: list[Line]
    ) -> Decimal:
        """The sum of an order.

        Rounds half to even.
        """
        amount = Decimal(0)
        for line in lines:
            amount += line.price
        return amount

    def short(self) -> int:
        return 1
'''
PYTHON_OUTLINE = '''\
"""Orders."""

from decimal import Decimal

RATE = Decimal("0.19")


class Order:
    """An order of a customer."""

    def total(
        self, lines: list[Line]
    ) -> Decimal:
        """The sum of an order.
[lines 15-21 left out]

    def short(self) -> int:
        return 1
'''
BRACES = {
    "a.ts": (
        "export class Shop {\n  private x = 1;\n  async total(lines: Line[]): Promise<number> {\n"
        "    let sum = 0;\n    for (const line of lines) {\n      sum += line.price;\n    }\n    return sum;\n  }\n}\n",
        "export class Shop {\n  private x = 1;\n  async total(lines: Line[]): Promise<number> {\n"
        "[lines 4-8 left out]\n  }\n}\n",
    ),
    "a.js": (
        "export const total = (lines) => {\n  let sum = 0;\n  for (const line of lines)\n    sum += line.price;\n"
        "  return sum;\n};\n",
        "export const total = (lines) => {\n[lines 2-5 left out]\n};\n",
    ),
    "a.go": (
        "package shop\n\n// Total sums.\nfunc (o *Order) Total(lines []Line) int {\n\ts := 0\n"
        "\tfor _, l := range lines {\n\t\ts += l.Price\n\t}\n\treturn s\n}\n",
        "package shop\n\n// Total sums.\nfunc (o *Order) Total(lines []Line) int {\n[lines 5-9 left out]\n}\n",
    ),
    "a.rs": (
        "impl Line {\n    /// The sum.\n    pub fn total(&self) -> u64 {\n        let a = 1;\n        let b = 2;\n"
        "        let c = 3;\n        a + b + c\n    }\n}\n",
        "impl Line {\n    /// The sum.\n    pub fn total(&self) -> u64 {\n[lines 4-7 left out]\n    }\n}\n",
    ),
    "A.java": (
        "class A {\n  /** The sum. */\n  int total(int[] of) {\n    int sum = 0;\n    for (int n : of)\n"
        "      sum += n;\n    return sum;\n  }\n}\n",
        "class A {\n  /** The sum. */\n  int total(int[] of) {\n[lines 4-7 left out]\n  }\n}\n",
    ),
}


def outlined(text: str, tool: str = "view", **arguments: object) -> str | None:
    found = outline.compress(text, Context(tool, arguments, lossless=False, outline=True))
    return found.text if found else None


def test_signatures_and_the_first_line_of_docstrings_stay() -> None:
    assert outlined(PYTHON, path="shop/orders.py") == PYTHON_OUTLINE


@pytest.mark.parametrize("name", BRACES)
def test_languages_with_braces_keep_them(name: str) -> None:
    before, after = BRACES[name]
    assert outlined(before, path=name) == after


def test_lines_that_carry_numbers_are_called_by_them() -> None:
    numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(PYTHON.split("\n"), 101))
    text = outlined(numbered, "Read", file_path="/app/orders.py")
    assert text is not None
    assert "[lines 115-121 left out]\n122\t\n123\t    def short(self) -> int:" in text


def test_several_files_and_the_code_of_a_page_are_outlined_each_by_itself() -> None:
    files = f"--- shop/orders.py ---\n{PYTHON}\n--- shop/lines.go ---\n{BRACES['a.go'][0]}"
    assert outlined(files, "read_many_files", paths=["shop"]) == (
        f"--- shop/orders.py ---\n{PYTHON_OUTLINE}\n--- shop/lines.go ---\n{BRACES['a.go'][1]}"
    )
    page = f"# How to\n\nLike so:\n\n```python\n{PYTHON}```\n\nAnd in short words.\n\n```\n{PYTHON}```\n"
    assert outlined(page, "WebFetch", url="https://example.org") == page.replace(PYTHON, PYTHON_OUTLINE, 1)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (PYTHON, {"path": "orders.txt"}),
        (PYTHON, {}),
        ("def total(:\n" * 30, {"path": "orders.py"}),
        ("x = 1\n" * 30, {"path": "orders.py"}),
        ("", {"path": "orders.py"}),
    ],
)
def test_what_is_not_known_or_has_no_bodies_stays(text: str, arguments: dict[str, str]) -> None:
    assert outlined(text, **arguments) is None


@pytest.mark.parametrize("context", [Context("view", {"path": "a.py"}), Context("view", {"path": "a.py"}, "", False)])
def test_nothing_is_left_out_where_the_profile_does_not_say_so(context: Context) -> None:
    assert outline.compress(PYTHON, context) is None


@given(st.lists(st.sampled_from([*PYTHON.split("\n"), "```", "--- a.py ---", "    }", "\tx := {", "def f(): pass"])))
def test_what_stands_there_are_lines_of_the_text_and_all_others_are_counted(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = outlined(text, path="a.py")
    if found is None:
        return
    gone = [(int(a), int(b)) for a, b in re.findall(r"^\[lines (\d+)-(\d+) left out\]$", found, re.M)]
    kept = [line for line in found.split("\n") if not line.startswith("[lines ")]
    assert len(kept) + sum(b - a + 1 for a, b in gone) == len(lines)
    rest = iter(lines)
    assert all(line in rest for line in kept)


def test_a_file_goes_through_the_pipeline_as_an_outline() -> None:
    context = Context("view", {"path": "orders.py"}, lossless=False, outline=True)
    text = PYTHON + "".join(
        f"\n\ndef step_{n}(order):\n    check_{n}(order)\n    store_{n}(order)\n    tell_{n}(order)\n    return {n}\n"
        for n in range(9)
    )
    found = shorten(text, count(text), LineIndex(), "orders.py", context)
    assert found is not None and not found.lossless
    assert found.left_out == 7 + 9 * 4 and "outline" in found.saved
