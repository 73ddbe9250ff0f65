"""The content view: what a provider request was before, what it is now, and why."""

from collections.abc import Iterator, Mapping
from typing import Any

from mitmproxy import http
from mitmproxy.contentviews import Contentview, Metadata

from headroom.session.standing import BlockReport

METADATA = "headroom"
"""Key in a flow's metadata: what was done, as plain data, so that it is saved with the flow."""
ORIGINAL = "headroom_original"
"""Key in a flow's metadata: the request body as it arrived, decoded."""
SHOWN_LINES = 40


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
        if block.hash:
            yield f"  original {block.hash}, as it came: headroom retrieve {block.hash}"
        yield "  before"
        yield from _excerpt(original[start:end].decode("utf-8", "replace"))
        yield "  after"
        yield from _excerpt(block.replacement)


def _excerpt(text: str) -> Iterator[str]:
    lines = text.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').split("\n")
    for line in lines[:SHOWN_LINES]:
        yield f"    | {line}"
    if len(lines) > SHOWN_LINES:
        yield f"    | ... {len(lines) - SHOWN_LINES} more lines"
