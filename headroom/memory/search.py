"""Which notes answer a question best: by meaning where there are vectors, and by words."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headroom.context.scoring import word_overlap
from headroom.memory.notes import Found, Note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_COSINE = 0.2
"""Below it two texts have nothing to do with each other: for MiniLM unrelated sentences are around 0."""
WORDS_SHARE = 0.3
"""What words count where there are vectors: names and numbers, whose meaning no vector has."""

_word = re.compile(r"\w{2,}")
_is_common = re.compile(
    r"(?:the|and|for|are|was|were|with|this|that|these|those|what|which|who|whom|whose|when|where|why|how|does|did|has|"
    r"have|had|can|could|will|would|should|must|may|might|from|into|onto|about|our|your|their|its|his|her|not|but|is|it|of|to|in|on|"
    r"at|by|an|as|or|if|do|be|we|he|me|my|no|so|up|us|am)"
).fullmatch
"""Words that say nothing of what a question is about."""


def rank(
    notes: Sequence[Note], query: str, vectors: Mapping[str, bytes], mine: "NDArray[np.float32] | None"
) -> list[Found]:
    """The notes with something of the query, the best first; of equals the newest. ``vectors`` by the notes' ids."""
    if not notes:
        return []
    words = word_overlap([f"{note.text}\n{' '.join(note.tags)}" for note in notes], query, _words)
    meanings = _cosines(notes, vectors, mine) if mine is not None else [0.0] * len(notes)
    found = []
    for note, word, meaning in zip(notes, words, meanings, strict=True):
        if mine is None:
            score = word
        else:
            score = (1 - WORDS_SHARE) * (meaning if meaning >= LEAST_COSINE else 0.0) + WORDS_SHARE * word
        if score > 0:
            found.append(Found(note, round(min(1.0, score), 4)))
    return sorted(found, key=lambda each: (-each.score, -each.note.changed, each.note.id))


def _words(text: str) -> list[str]:
    """The words, names and numbers of a text but the common ones."""
    return [word for word in _word.findall(text.lower()) if not _is_common(word)]


def _cosines(notes: Sequence[Note], vectors: Mapping[str, bytes], mine: "NDArray[np.float32]") -> list[float]:
    import numpy as np

    size = len(mine)
    none = np.zeros(size, dtype=np.float32).tobytes()
    raw = b"".join(
        vectors.get(note.id, none) if len(vectors.get(note.id, none)) == 4 * size else none for note in notes
    )
    rows = np.frombuffer(raw, dtype=np.float32).reshape(len(notes), size)
    return [float(value) for value in rows @ mine]
