"""Bars that stand alone beside source code go; all that says something stays."""

from headroom.transforms.base import Context
from headroom.transforms.excerpts import compress

RUSTC = """\
error[E0308]: mismatched types
  --> src/invoice.rs:12:27
   |
12 |         let amount: u32 = reading.wh as u64;
   |                     ---   ^^^^^^^^^^^^^^^^^ expected `u32`, found `u64`
   |                     |
   |                     expected due to this
   |
   = help: a note
help: you can convert a `u64` to a `u32`
   |
12 |         let amount: u32 = (reading.wh as u64).try_into().unwrap();
   |                           +                 +++++++++++++++++++++

error: aborting
"""


def test_only_bars_that_stand_alone_are_left_out() -> None:
    found = compress(RUSTC, Context())
    assert found is not None
    assert (found.strategy, found.lossless, found.left_out) == ("excerpts", True, 0)
    assert found.text.split("\n") == [line for line in RUSTC.split("\n") if line != "   |"]


def test_text_without_code_beside_a_bar_is_left_alone() -> None:
    for text in (
        "",
        "   |\n   |\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "12 lines of prose\n   |\n",
        "12 | code\n   |   x\n",
    ):
        assert compress(text, Context()) is None
