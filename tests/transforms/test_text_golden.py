"""The short form of real tool output, byte for byte: the same on every machine."""

from pathlib import Path

import pytest

from headroom.transforms import (
    diff,
    frames,
    html,
    ids,
    line_numbers,
    listing,
    log_templates,
    logs,
    phrases,
    routine,
    search,
    terminal,
    tracebacks,
)
from headroom.transforms.base import Context, Transform

GOLDEN = Path(__file__).parent / "golden"
LOSSLESS, NORMAL = Context(), Context(lossless=False, query="which order failed")
FORMS: dict[str, tuple[Transform, Context]] = {
    "diff": (diff.compress, LOSSLESS),
    "frames": (frames.compress, LOSSLESS),
    "html": (html.compress, NORMAL),
    "ids": (ids.compress, LOSSLESS),
    "line-numbers": (line_numbers.unalign, LOSSLESS),
    "listing-names": (listing.names, LOSSLESS),
    "listing-paths": (listing.paths, NORMAL),
    "listing-rows": (listing.rows, LOSSLESS),
    "listing-tree": (listing.drawing, LOSSLESS),
    "log-templates": (log_templates.compress, NORMAL),
    "logs": (logs.compress, LOSSLESS),
    "phrases": (phrases.compress, LOSSLESS),
    "routine": (routine.compress, NORMAL),
    "search": (search.compress, LOSSLESS),
    "terminal": (terminal.compress, LOSSLESS),
    "tracebacks": (tracebacks.compress, LOSSLESS),
}
CASES = [(form, path) for form in FORMS for path in sorted((GOLDEN / form).glob("*.in"))]


@pytest.mark.parametrize(("form", "path"), CASES, ids=[f"{form}-{path.stem}" for form, path in CASES])
def test_real_output_has_just_this_form(form: str, path: Path) -> None:
    transform, context = FORMS[form]
    text = path.read_bytes().decode()
    found = transform(text, context)
    assert found is not None and found.text.encode() == path.with_suffix(".out").read_bytes()
    assert found.lossless == context.lossless or found.left_out == 0


def test_every_form_has_samples() -> None:
    assert {form for form, _ in CASES} == set(FORMS)
