"""What of a conversation the provider holds, or may take away."""

from headroom.wire.layout import Layout
from headroom.wire.spans import read_value


def provider_has_history(layout: Layout) -> bool:
    """Whether the request goes on with what the provider has stored."""
    spans = [layout.fields.get(name) for name in ("previous_response_id", "conversation")]
    return any(span is not None and layout.body[span.start : span.end] != b"null" for span in spans)


def history_may_vanish(layout: Layout) -> bool:
    """Whether the provider may take away what a reference points at: it was asked to clear tool results, to compact or
    to drop what does not fit, or it holds the history itself."""
    if provider_has_history(layout):
        return True
    if layout.string("truncation") == "auto":
        return True
    span = layout.fields.get("context_management")
    value = read_value(layout.body, span) if span is not None else None
    edits = value.get("edits") if isinstance(value, dict) else value
    if not isinstance(edits, list):
        return edits is not None
    return any(not (isinstance(e, dict) and str(e.get("type", "")).startswith("clear_thinking")) for e in edits)
