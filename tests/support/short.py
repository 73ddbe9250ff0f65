"""For tests of transforms."""

from headroom.transforms.base import Compressed, Context, Transform


def short(transform: Transform, text: str, context: Context) -> Compressed:
    """What a transform makes of a text, where it has to make something of it."""
    found = transform(text, context)
    assert found is not None
    return found
