"""Texts of several kinds: each part is written as its own kind is, what stands between stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms import parts, router
from headroom.transforms.base import Compressed, Context
from headroom.transforms.json_values import parse
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten
from headroom.transforms.times import LEGEND
from tests.support.notation import read, same

ROWS = [{"id": i, "name": f"item {i}", "state": "ok", "price": i * 3} for i in range(12)]
DATA = json.dumps(ROWS, indent=2)
LOG = "".join(
    f"2026-11-24T01:02:{i:02d}.{i:03d}Z INFO [main] com.example.shop.OrderService - order {1000 + i} stored in {i} ms\n"
    for i in range(14)
)
DIFF = (
    "diff --git a/shop/orders.py b/shop/orders.py\nindex 123456..abcdef 100644\n--- a/shop/orders.py\n"
    "+++ b/shop/orders.py\n@@ -1,3 +1,3 @@\n def a():\n-    return 1\n+    return 2\n\n"
)
SHELL = Context("Bash", {"command": "./deploy.sh staging"})
SERVICE = Context("mcp__cloud__logs")
REPORT = Context("Task", {"prompt": "Look at the service."})


def written(text: str, context: Context) -> str:
    found = shorten(text, count(text), LineIndex(), "", context)
    assert found is not None and found.lossless
    return found.text


@pytest.mark.parametrize("context", [SHELL, SERVICE], ids=["shell", "service"])
def test_a_log_with_json_in_it_is_a_log_and_json(context: Context) -> None:
    text = written(f"{LOG}POST /orders answered\n{DATA}\nall stored\n{LOG.replace('order 1', 'order 2')}", context)

    before, _, rest = text.partition("POST /orders answered\n")
    data, _, after = rest.partition("\nall stored\n")
    assert before.startswith(
        f"{LEGEND}\n2026-11-24T01:02:00.000Z INFO [main] com.example.shop.OrderService - order 1000 "
    )
    assert same(read(data), parse(DATA))
    assert "order 2000 stored in 0 ms" in after and after.endswith("\n2013 stored in 13 ms\n")


def test_a_diff_between_sentences_loses_the_header_that_its_names_repeat() -> None:
    around = "I made this change, which should do:\n\n{}It can be undone, as all that it touches is one line.\n"
    short = DIFF.replace("diff --git a/shop/orders.py b/shop/orders.py\n", "")
    assert written(around.format(DIFF), REPORT) == around.format(short)


def test_a_log_in_a_fence_is_written_as_a_log_and_json_in_a_fence_stays() -> None:
    text = f"The service says:\n\n```\n{LOG}```\n\nIts items:\n\n```json\n{DATA}\n```\n\nIs that right?\n"
    short = written(text, REPORT)
    assert short.startswith(f"The service says:\n\n```\n{LEGEND}\n2026-11-24T01:02:00.000Z INFO ")
    assert short.endswith(f"\n```\n\nIts items:\n\n```json\n{DATA}\n```\n\nIs that right?\n")


def test_json_between_sentences_is_written_as_rows() -> None:
    short = written(f"Found these:\n\n{DATA}\n\nThat is all.\n", SERVICE)
    assert short.startswith("Found these:\n\n[{id,name,state:ok,price}\n0,item 0,0\n")
    assert short.endswith("\n11,item 11,33]\n\nThat is all.\n")


def test_source_code_between_sentences_stays() -> None:
    code = "```python\ndef total(lines):\n" + "    amount = amount + 1  # and on\n" * 20 + "```\n"
    text = f"# How to\n\n{code}\nAnd so on.\n\n{{\n"
    assert router.kind(text, REPORT) is not None
    assert all(transform(text, REPORT) is None for transform in router.route(text, REPORT))


def test_small_json_in_a_shells_output_stays() -> None:
    assert all(form('ok\n{"a": 1,\n "b": 2}\nok\n', SHELL) is None for form in router.route("ok", SHELL))


def test_a_fence_that_is_not_closed_is_none() -> None:
    assert list(parts.fences("```\n" + LOG)) == []
    assert list(parts.fences("text\n~~~\n" + LOG + "```\n")) == []


@given(st.lists(st.sampled_from(["```\n", "```sh\n", "~~~\n", LOG, "text\n", "a ``` b\n", "\n"]), max_size=12))
def test_what_stands_outside_of_fences_stays(pieces: list[str]) -> None:
    text = "".join(pieces)
    spans = list(parts.fences(text))
    form = parts.fenced(text, lambda body: Compressed("short", "test"))
    assert (form is None) == (not spans)
    expected, done = "", 0
    for start, end in spans:
        assert start >= done and end - start >= parts.LEAST
        expected, done = expected + text[done:start] + "short", end
    assert form is None or form.text == expected + text[done:]
