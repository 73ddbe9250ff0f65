"""What the model gave to its tools, as lines that a later output may repeat."""

from collections.abc import Iterable, Mapping
from itertools import chain

from headroom.transforms import javascript
from headroom.wire.layout import Block, Layout

_PATCH, _PATCH_END = "*** Begin Patch", "*** End Patch"


def texts_of(layout: Layout, block: Block) -> list[str]:
    """The texts in the input of a call. Where lines stand escaped within a string, those that read otherwise there
    are left out."""
    given = layout.arguments(block)
    if layout.body[block.span.start : block.span.start + 1] != b'"':
        return _strings(given)
    text = layout.text(block)
    if text is not None and given == {"input": text}:  # not JSON: what Codex calls its own tools with
        return [_unpatched(text), *(verbatim(_unpatched(said)) for said in javascript.texts(text))]
    return [verbatim(said) for said in _strings(given)]


def _unpatched(text: str) -> str:
    """The text without the marks before the lines of a patch of Codex: its hunks say no numbers."""
    if _PATCH not in text:
        return text
    out: list[str] = []
    in_patch = False
    for line in text.split("\n"):
        out.append(line[1:] if in_patch and line[:1] in ("+", "-", " ") else line)
        in_patch = (in_patch or _PATCH in line) and _PATCH_END not in line
    return "\n".join(out)


def verbatim(text: str) -> str:
    """A text that stands escaped within a string: lines that are written otherwise there can't be referred to."""
    return "\n".join(
        line if line.isprintable() and '"' not in line and "\\" not in line else "\0" for line in text.split("\n")
    )


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items: Iterable[object] = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return list(chain.from_iterable(map(_strings, items)))
