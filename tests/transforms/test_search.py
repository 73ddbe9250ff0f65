"""Hits under their file can be put back on lines of their own."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.search import MAX_HITS, compress
from tests.support.short import short

CONTEXT = Context()
HEADING = re.compile(r"(\S+):")
NUMBER = re.compile(r"\d+([:-])")


def on_their_own(text: str) -> str:
    """A path with a colon alone on a line begins hits; an empty line ends them."""
    body = text.rstrip("\n")
    out: list[str] = []
    path = ""
    signed = False
    lines = body.split("\n")
    for i, line in enumerate(lines):
        if path and line == "":
            path = ""
        elif path:
            number = NUMBER.match(line)
            sign = "" if line == "--" or signed else number[1] if number else ":"
            out.append(line if line == "--" else path + sign + line)
        elif HEADING.fullmatch(line) and i + 1 < len(lines) and lines[i + 1]:
            path = line[:-1]
            group = lines[i + 1 : lines.index("", i) if "" in lines[i:] else len(lines)]
            signed = all(rest[0] in ":-" for rest in group)
        else:
            out.append(line)
    return "\n".join(out) + text[len(body) :]


PATH = st.sampled_from(["shop/a.py", "shop/core/b-2.py", "./c.txt", "Makefile", "C:\\shop\\d.py"])
TEXT = st.sampled_from(
    ["def f():", "    return 1", "x: int", "", "- item", "-", "--", ": y", "3:4", "a/b.py:7:x", "12-x"]
)
NUMBERED = st.builds(
    "{}{sign}{}{sign}{}".format, PATH, st.integers(1, 999), TEXT, sign=st.sampled_from([":", ":", "-"])
)
PLAIN = st.builds("{}{sign}{}".format, PATH, TEXT, sign=st.sampled_from([":", ":", "-"]))
OTHER = st.sampled_from(["--", "", "grep: x.bin: binary file matches", "</output>", "two words"])


@given(st.lists(st.one_of(NUMBERED, NUMBERED, OTHER), max_size=20).map("\n".join))
def test_numbered_hits_can_be_put_back(text: str) -> None:
    found = compress(text, CONTEXT)
    if found:
        assert on_their_own(found.text) == text


@given(st.lists(st.one_of(PLAIN, PLAIN, OTHER), max_size=20).map("\n".join))
def test_plain_hits_can_be_put_back(text: str) -> None:
    found = compress(text, CONTEXT)
    if found:
        assert on_their_own(found.text) == text


def test_the_path_stands_once_and_in_full() -> None:
    hits = "shop/core/orders.py:6:import total\nshop/core/orders.py:18:    def total(self):\nREADME.md:3:total\n"
    assert short(compress, hits, CONTEXT).text == (
        "shop/core/orders.py:\n6:import total\n18:    def total(self):\n\nREADME.md:3:total\n"
    )


def test_lines_of_context_go_with_their_hit() -> None:
    hits = "a/x-1.py-7-\na/x-1.py:8:def f():\na/x-1.py-9-    pass\n--\na/x-1.py:20:f()\n"
    assert short(compress, hits, CONTEXT).text == "a/x-1.py:\n7-\n8:def f():\n9-    pass\n--\n20:f()\n"


def test_addresses_and_times_are_no_paths() -> None:
    assert compress("http://example.com/a\nhttp://example.com/b\n", CONTEXT) is None
    assert compress("12:30:01 started\n12:30:02 stopped\n", CONTEXT) is None


def test_of_many_hits_the_best_stay_and_the_others_are_counted() -> None:
    hits = "".join(f"shop/big.py:{n}:line {n}{' of the tax rate' if n == 150 else ''}\n" for n in range(1, 201))
    found = short(compress, hits, Context(query="where is the tax rate", lossless=False))
    assert not found.lossless and found.left_out == 200 - MAX_HITS
    assert "150:line 150 of the tax rate" in found.text
    assert "[100 more hits, in lines 100, 101, " in found.text


def test_long_lines_without_end_take_linear_time() -> None:
    for char in ("x", "/", "-", "1-", ":", "a:1"):
        compress((char * 2_000_000 + "\n") * 2, CONTEXT)
