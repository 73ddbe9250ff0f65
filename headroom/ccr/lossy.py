"""A tool output with something left out, where that is worth a marker."""

from dataclasses import replace

from headroom.ccr.markers import Way, mark
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import Shortened, shorten

LEAST_GAIN = 50
"""Tokens that leaving out must save beyond what is saved without, marker included, and beside them"""
LEAST_SHARE = 0.1
"""of the tokens that would remain: what is asked for again costs a request, so little is not worth the risk."""
MARKER = "marker"
"""The name under which the ledger has what markers cost, below zero."""


def leave_out(
    text: str, tokens: int, lossless: int, index: LineIndex, subject: str, context: Context, way: Way, hash: str
) -> Shortened | None:
    """The text with something left out and a marker, None where that gains too little.

    ``tokens`` is its size as it came, ``lossless`` that of the form in which nothing is left out. The original must be
    kept before this is sent. A form that turns out to have everything has no marker.
    """
    form = shorten(text, tokens, index, subject, replace(context, lossless=False))
    if form is None or lossless - form.tokens < LEAST_GAIN + LEAST_SHARE * lossless:
        return None
    if form.lossless:
        return form
    marked = mark(form.text, text, form.left_out, way, hash)
    added = context.count(marked) - context.count(form.text)
    if lossless - form.tokens - added < LEAST_GAIN + LEAST_SHARE * lossless or len(marked.encode()) > len(
        text.encode()
    ):
        return None
    return replace(form, text=marked, tokens=form.tokens + added, saved={**form.saved, MARKER: -added})
