"""The content view: what a provider request was before, what it is now, and why."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mitmproxy import http
from mitmproxy.contentviews import Contentview, Metadata

from headroom.ccr.deferred import RETRIEVED
from headroom.ccr.markers import standing
from headroom.session.standing import BlockReport

METADATA = "headroom"
"""Key in a flow's metadata: what was done, as plain data, so that it is saved with the flow."""
ORIGINAL = "headroom_original"
"""Key in a flow's metadata: the request body as it arrived, decoded."""
SHOWN_LINES = 40
BESIDE = 8
"""Lines that are shown beside a marker of what it stands for."""
MARKERS = 12
"""Markers of a block that are shown with what they stand for."""
SHOWN_CHARACTERS = 400
"""Characters of such a line."""


class HeadroomContentview(Contentview):
    """Shows the request of a flow block by block: before, after, tokens, strategy, original, or why it was left."""

    @property
    def name(self) -> str:
        return "headroom"

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        report = _report(metadata)
        if report is None:
            raise ValueError("not a request that headroom has seen")
        assert metadata.flow is not None
        return "\n".join(render(report, metadata.flow.metadata.get(ORIGINAL, b"")))

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        report = _report(metadata)
        return -1 if report is None else 2 if report["saved"] else 0.5


def _report(metadata: Metadata) -> Mapping[str, Any] | None:
    if metadata.flow is None or not isinstance(metadata.http_message, http.Request):
        return None
    report: Mapping[str, Any] | None = metadata.flow.metadata.get(METADATA)
    return report


def _by_gain(saved: tuple[str, int]) -> tuple[int, str]:
    """The order of strategies: a file of flows does not keep any."""
    return -saved[1], saved[0]


def render(report: Mapping[str, Any], original: bytes) -> Iterator[str]:
    """The lines of the view. ``report`` is what ``exchange.describe`` made of a rewrite."""
    before, after = report["tokens_before"], report["tokens_after"]
    share = f" ({100 * (before - after) / before:.1f} %)" if before else ""
    yield f"session {report['session']}   client {report['client']}   model {report['model']}"
    yield f"tokens  {before:,} -> {after:,}, saved {before - after:,}{share}   (estimates; bills are in the ledger)"
    if report["reason"]:
        yield f"reason  {report['reason']}"
    for line in report["cache"]:
        yield f"cache   {line}"
    for row in report["blocks"]:
        block = BlockReport(*row)
        yield ""
        what = f"{block.tool} {block.subject}".strip() or "tool output"
        head = f"[{block.turn}] {what}: "
        if block.replacement is None:
            yield head + f"{block.before:,} tokens, left as it was: {block.reason}"
            continue
        done = ", ".join(f"{name} {saved:,}" for name, saved in sorted(block.saved.items(), key=_by_gain))
        yield head + f"{block.before:,} -> {block.after:,} tokens ({done}){'' if block.new else ', as before'}"
        start, end = block.span
        came = _text(original[start:end])
        if block.hash:
            yield from _beside(block.hash, block.replacement, came, RETRIEVED in block.saved)
        yield "  before"
        yield from _excerpt(came.split("\n"), SHOWN_LINES)
        yield "  after"
        yield from _excerpt(block.replacement.split("\n"), SHOWN_LINES)


def _beside(hash: str, replacement: str, original: str, given_back: bool) -> Iterator[str]:
    """Where the original is, and beside each marker what it stands for."""
    if given_back:
        yield f"  original {hash}, given back here: headroom retrieve {hash}"
        return
    lines = original.count("\n") + (not original.endswith("\n"))
    size = f"{lines:,} line{'' if lines == 1 else 's'}"
    yield f"  original {hash}, {size}, {len(original):,} characters, as it came: headroom retrieve {hash}"
    markers = standing(replacement, original)
    for marker, stands_for in markers[:MARKERS]:
        yield f"  marker   {marker}"
        shown = [
            line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]} ... {len(line):,} characters"
            for line in stands_for.split("\n")
        ]
        yield from _excerpt(shown, BESIDE)
    if len(markers) > MARKERS:
        yield f"  ... {len(markers) - MARKERS} more markers"


def _text(raw: bytes) -> str:
    """A JSON string as text; what is none as it stands, but in lines."""
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    if isinstance(value, str):
        return value
    return raw.decode("utf-8", "replace").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')


def _excerpt(lines: Sequence[str], most: int) -> Iterator[str]:
    for line in lines[:most]:
        yield f"    | {line}"
    if len(lines) > most:
        yield f"    | ... {len(lines) - most} more lines"
