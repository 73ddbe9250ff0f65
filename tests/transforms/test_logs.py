"""What is said once in a log can be said again where it stood."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.logs import compress
from tests.support.short import short

CONTEXT = Context()
NAMED = re.compile(r'\[again: the (?:(\d+) lines above from|line above,) "(.*)"(?: on)?, block (\d+)\]')
NAMED_AGAIN = re.compile(r"\[again: block (\d+)\]")
AGAIN = re.compile(r"\[the line above (\d+) more times\]")
SHARED = re.compile(r'\[the (\d+) lines below begin with "(.*?)"(?: and, after one word, go on with "(.*)")?\]')


def is_quoted(line: str, quote: str) -> bool:
    return line.startswith(quote[:-1]) if quote.endswith("…") else line == quote


def said_again(text: str) -> str:
    """Read from top to bottom: prefixes put back, then blocks where they are named."""
    lines: list[str] = []
    left, prefix, after = 0, "", None
    for line in text.split("\n"):
        shared = None if left else SHARED.fullmatch(line)
        if shared:
            left, prefix, after = int(shared[1]), shared[2], shared[3]
        elif left:
            lines.append(prefix + (line.replace(" ", after, 1) if after else line))
            left -= 1
        else:
            lines.append(line)
    out: list[str] = []
    blocks: dict[str, list[str]] = {}
    last: list[str] = []
    for line in lines:
        named, again, times = NAMED.fullmatch(line), NAMED_AGAIN.fullmatch(line), AGAIN.fullmatch(line)
        if named:
            start = next(i for i, above in enumerate(lines) if is_quoted(above.strip(), named[2]))
            blocks[named[3]] = lines[start : start + int(named[1] or 1)]
        if named:
            last = blocks[named[3]]
        elif again:
            last = blocks[again[1]]
        else:
            last = last * int(times[1]) if times else [line]
        out += last
    return "\n".join(out)


LINE = st.sampled_from(
    [
        "warning: single-quoted strings are deprecated and will be removed in the next version",
        "     You may run the formatter to change all of them at once and fix this warning",
        "     |",
        "",
        "2026-11-24T01:02:03.120Z INFO [main] stored order 1001",
        "2026-11-24T01:02:03.129Z INFO [main] stored order 1002",
        "2026-11-24T01:02:04.001Z INFO [main] stored order 1003",
        "2026-11-24T01:03:04.001Z WARN [pool-1] late",
        "Compiling 3 files",
        "x",
        "Compiling 3 files again and again until it works",
        "Compiling 3 files again and again until it works or not",
        '  File "/srv/shop/core/orders.py", line 20, in total',
        "    return total(discount(amount, percent), self.country)",
    ]
)


@settings(deadline=None)  # the first example loads the tokenizer
@given(st.lists(LINE, max_size=50).map("\n".join))
def test_every_line_can_be_said_again(text: str) -> None:
    found = compress(text, CONTEXT)
    if found:
        assert said_again(found.text) == text


@settings(deadline=None)  # the first example loads the tokenizer
@given(
    st.lists(st.lists(LINE, min_size=1, max_size=6), min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=15)
)
def test_blocks_that_come_again_can_be_said_again(blocks: list[list[str]], order: list[int]) -> None:
    text = "\n".join(line for i in order for line in blocks[i % len(blocks)])
    found = compress(text, CONTEXT)
    if found:
        assert said_again(found.text) == text


TRACE = """Traceback (most recent call last):
  File "/srv/shop/core/orders.py", line 20, in total
    return total(discount(amount, percent), self.country)
KeyError: 'ES'
"""


def test_a_stack_trace_is_shown_whole_once_and_then_named() -> None:
    text = "".join(f"order {n}\n{TRACE}" for n in range(1, 5))
    assert short(compress, text, CONTEXT).text == (
        f"order 1\n{TRACE}"
        'order 2\n[again: the 4 lines above from "Traceback (most recent call last):" on, block 1]\n'
        "order 3\n[again: block 1]\norder 4\n[again: block 1]\n"
    )


def test_forty_equal_traces_are_counted() -> None:
    found = short(compress, TRACE * 40, CONTEXT)
    assert found.text.count("\n") < 10
    assert said_again(found.text) == TRACE * 40


def test_a_beginning_that_lines_share_is_said_once() -> None:
    text = "".join(f"2026-11-24T01:02:{n:02d}.123Z INFO [main] stored order {1000 + n}\n" for n in range(20))
    found = short(compress, text, CONTEXT).text
    assert found.startswith(
        '[the 20 lines below begin with "2026-11-24T01:02:" and, '
        'after one word, go on with " INFO [main] stored order "]\n'
        "00.123Z 1000\n01.123Z 1001\n"
    )
    assert said_again(found) == text


def test_paths_are_never_cut() -> None:
    text = "".join(f"FAILED tests/test_orders.py::test_{name} - assert 1 == 2\n" for name in "abcdefgh")
    assert compress(text, CONTEXT) is None


def test_a_phrase_of_ours_in_the_text_keeps_it_as_it_is() -> None:
    assert compress("[again: block 1]\n" + TRACE * 9, CONTEXT) is None
