"""Which words of a text the published model keeps."""

import logging
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headroom.errors import CompressionError, HeadroomError
from headroom.kompress.backends import Scorer, open_scorer
from headroom.kompress.published import TOKENIZER, find

log = logging.getLogger(__name__)
CHUNK_WORDS = 350
MOST_TOKENS = 512
"""Words, and tokens with the special ones, that the model sees at once: what it was trained with."""
KEEP = 0.5
"""A token is kept above this score, and a word when one of its tokens is."""
_ALWAYS = re.compile(
    r"\d"  # numbers, and names with digits
    r"|[\w-]+[_.:/\\@#$=]+\w"  # snake_case, dotted.names, paths, addresses, assignments
    r"|^[(\[{\"'`]*[~./\\-]+\w"  # /paths, ./paths, --flags
    r"|[a-z][A-Z]|[A-Z]{2}"  # camelCase, CONSTANTS
    r"|`|::|->|=>"
    r"|(?i:\b(?:not?|nor|never|none|nothing|neither|nobody|nowhere|without|unless|except|cannot|only|avoid)\b|n['\u2019]t\b)"
    r"|(?i:error|exception|fail|fatal|panic|traceback|critical|warning|crash|abort|denied|refused|invalid|timeout|"
    r"timed|corrupt|missing|forbidden|unauthori[sz]ed|undefined|unavailable|deprecated|must|broken)"
)
_word = re.compile(r"\S+")


class Words:
    """The model with its tokenizer. May be called from several threads."""

    def __init__(self, folder: Path, scorer: Scorer) -> None:
        from tokenizers import Tokenizer

        self.scorer = scorer
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)

    def kept(self, words: Sequence[str]) -> list[bool]:
        """For each word whether it is kept. What can't be put again in other words (numbers, identifiers, paths, URLs,
        negations, words of error) always is, and so is a word too long for the model to see whole."""
        found: list[bool] = []
        while len(found) < len(words):
            chunk = words[len(found) : len(found) + CHUNK_WORDS]
            encoding = self._tokenizer.encode(list(chunk), is_pretokenized=True)
            scores = self._scores(encoding)
            seen: dict[int, float] = {}
            for word, score in zip(encoding.word_ids, scores, strict=True):
                if word is not None:
                    seen[word] = max(score, seen.get(word, 0.0))
            whole = len(chunk)
            if encoding.overflowing:  # the last word that was seen may be cut: it is the next chunk's first
                whole = max(seen, default=0)
            if not whole:
                found.append(True)
                continue
            # a word without a token of its own (of characters that the tokenizer drops) can't be judged
            found += [seen.get(i, 1.0) > KEEP or _ALWAYS.search(chunk[i]) is not None for i in range(whole)]
        return found

    def _scores(self, encoding: Any) -> list[float]:
        import numpy as np

        ids = np.array([encoding.ids], dtype=np.int64)
        mask = np.array([encoding.attention_mask], dtype=np.int64)
        scores: list[float] = self.scorer.scores(ids, mask)[0].tolist()
        return scores

    def shorter(self, text: str) -> tuple[str, int]:
        """The text without the words that are not kept, and how many these are. Lines and paragraphs stay apart."""
        matches = list(_word.finditer(text))
        kept = self.kept([match[0] for match in matches])
        parts: list[str] = []
        end = breaks = 0
        whole = True  # nothing was left out since the last word that was kept
        for match, keep in zip(matches, kept, strict=True):
            breaks = max(breaks, text.count("\n", end, match.start()))
            if keep:
                gap = text[end : match.start()] if whole else "\n" * breaks or " " * bool(parts)
                parts += (gap, match[0])
                breaks = 0
            whole = keep
            end = match.end()
        return "".join(parts), kept.count(False)


def words_model() -> Words | None:
    """The published model, opened once a process; None where it is not on this machine or can't be run, which the log
    says once."""
    return _opened()


class _Once:
    def __init__(self, make: Callable[[], Words | None]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made = False
        self._value: Words | None = None

    def __call__(self) -> Words | None:
        if not self._made:
            with self._lock:
                if not self._made:
                    try:
                        self._value = self._make()
                    except HeadroomError as error:
                        log.warning("kompress is not used: %s", error.message)
                    self._made = True
        return self._value

    def forget(self) -> None:
        """Look again when asked next."""
        with self._lock:
            self._made, self._value = False, None


def open_words(folder: Path) -> Words:
    """The model in a folder. Raises CompressionError when it can't be run."""
    try:
        return Words(folder, open_scorer(folder))
    except HeadroomError:
        raise
    except Exception as error:
        raise CompressionError(f"The tokenizer in {folder} can't be read: {error}", {"folder": str(folder)}) from error


def _find_and_open() -> Words | None:
    folder = find()
    return open_words(folder) if folder is not None else None


_opened = _Once(_find_and_open)
forget = _opened.forget
