"""The router tells kinds of text from the call and the content."""

import json
from pathlib import Path

from headroom.transforms import router
from headroom.transforms.base import Context

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.txt"))


def sample(path: Path) -> tuple[str, Context, str]:
    """(kind, context, text) of a labelled sample."""
    head, _, text = path.read_text(encoding="utf8").partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.split("\n"))
    return fields["kind"], Context(fields["tool"], json.loads(fields["arguments"])), text


def told(text: str, context: Context) -> str:
    found = router.kind(text, context)
    return found.name if found else "none"


def test_at_least_97_in_100_samples_are_told_right() -> None:
    assert len(SAMPLES) >= 60
    wrong = {}
    for path in SAMPLES:
        kind, context, text = sample(path)
        if told(text, context) != kind:
            wrong[path.stem] = (kind, told(text, context))
    assert len(wrong) <= 0.03 * len(SAMPLES), wrong
