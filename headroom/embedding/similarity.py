"""How similar texts are to one text."""

from collections.abc import Sequence

from headroom.embedding.choice import Embedder

MOST_CHARACTERS = 2_000
"""Of each text, from its beginning: more than the model reads."""


def cosine(embedder: Embedder, texts: Sequence[str], other: str) -> list[float]:
    """The cosine of the angle between each text and the other, 0 where it is below."""
    if not texts:
        return []
    vectors = embedder.embed([*(text[:MOST_CHARACTERS] for text in texts), other[-MOST_CHARACTERS:]])
    return [max(0.0, min(1.0, float(value))) for value in vectors[:-1] @ vectors[-1]]
