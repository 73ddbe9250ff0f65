"""The request shapes by name. A new one is one file and one line here."""

from headroom.wire import anthropic, gemini, openai_chat, openai_responses
from headroom.wire.layout import Find, Layout, Shape, scan
from headroom.wire.spans import Patch, Span

SHAPES: dict[str, Shape] = {
    "anthropic": anthropic,
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "gemini": gemini,
}


def read(shape: str, body: bytes, find: Find = lambda _: None) -> Layout:
    """Scan a body of the named shape; ``find`` as in ``layout.scan``. Raises ScanError."""
    return scan(shape, SHAPES[shape], body, find)


def no_error(layout: Layout, span: Span) -> Patch | None:
    """What takes off a tool result, whose text stands at ``span``, that it is an error; None where it does not say."""
    match layout.shape:
        case "anthropic":
            return anthropic.no_error(layout, span)
        case "gemini":
            return gemini.no_error(layout, span)
    return None
