"""Prose, word by word: the published model leaves out the words that a reader does not miss."""

import re

from headroom.transforms.base import Compressed, Context

STRATEGY = "kompress"
LEAST_WORDS = 80
"""Texts of fewer words stay whole."""
MOST_WORDS = 20_000
"""Longer texts would keep a request waiting for minutes."""
SAMPLE_WORDS = 2_000
PLAIN = 0.8
"""Share of words of letters alone, with marks around them, from which a text counts as prose."""
_word = re.compile(r"\S+")
_plain = re.compile(r"[(\[\"'\u201c\u2018*_]*[^\W\d_]+(?:['\u2019-][^\W\d_]+)*[.,;:!?)\]\"'\u201d\u2019*_\u2026]*\Z")
_sentence_end = re.compile(r"[.!?][)\"'\u201d\u2019*_]*(?:\s|\Z)")


def is_prose(text: str) -> bool:
    """Whether a text is sentences: words of letters, some twenty to a full stop, rarely more than a hundred."""
    words = _word.findall(text[: SAMPLE_WORDS * 12])[:SAMPLE_WORDS]
    if len(words) < LEAST_WORDS:
        return False
    plain = sum(_plain.match(word) is not None for word in words)
    ends = sum(_sentence_end.search(word) is not None for word in words)
    return plain >= PLAIN * len(words) and ends >= len(words) / 100


def compress(text: str, context: Context) -> Compressed | None:
    """The text without the words that the model does not keep; None where nothing may be left out, where the text is
    no prose, and where the model is not on this machine (`headroom models download kompress` fetches it)."""
    if context.lossless or not is_prose(text) or len(text) > MOST_WORDS * 12:
        return None
    from headroom.kompress.words import words_model

    model = words_model()
    if model is None:
        return None
    shorter, left_out = model.shorter(text)
    return Compressed(shorter, STRATEGY, lossless=False, left_out=left_out) if left_out else None
