"""A phrase that a text says again and again: written once, at the top, and a short sign in its place.

For output that no edit will quote: lock files, listings of packages, log lines. A phrase begins and ends where words,
paths and numbers do, so that none of them is ever cut.
"""

import heapq
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from headroom.transforms.base import Compressed, Context

SIGNS = "§¶†¤‡¦"
"""What stands for a phrase: characters of one token that the text does not have."""
LEGEND = "In this output"
LEAST_GAIN = 30
"""Tokens that a phrase must save."""
LEAST_TEXT, MOST_TEXT = 1_000, 400_000
"""Characters of the texts that are looked at."""
SAMPLE, STRETCHES = 24_000, 12
"""Characters in which phrases are looked for, and of how many stretches of a longer text they are: what comes often
enough to pay comes there too."""
LEAST_SHARE = 0.1
"""The part of a text's tokens that must be saved, for it is harder to read then."""
REPETITIVE = 0.5
"""Texts that zlib does not bring below this part of their length don't repeat themselves enough."""
GRAM = 4
"""Words and marks in a row by which repetitions are found."""
LEAST_TIMES, LEAST_SAMPLED = 6, 3
"""How often a phrase must come, and a gram in a sample, where that is less."""
LEAST_PHRASE, MOST_PHRASE = 12, 200
ALIKE = 0.8
"""A phrase is made longer as long as this part of its places go on alike."""
MOST_PLACES = 500
"""Of more places some are looked at."""
CANDIDATES = 24

_unit = re.compile(r"[\w./-]+|[^\w./-]")
_unit_end = re.compile(r"[\w./-]")


class Phrase(NamedTuple):
    """A phrase and the sign that stands for it."""

    sign: str
    text: str


def compress(text: str, context: Context) -> Compressed | None:
    """The text with up to six phrases written once; None where too little would be saved."""
    if not LEAST_TEXT <= len(text) <= MOST_TEXT:
        return None
    raw = text.encode("utf-8", "replace")
    if len(zlib.compress(raw, 1)) > REPETITIVE * len(raw):
        return None
    signs = [sign for sign in SIGNS if sign not in text]
    phrases: list[Phrase] = []
    rest = text
    for phrase in _repeated(text):
        if len(phrases) == len(signs):
            break
        if phrase not in rest:
            continue
        sign = signs[len(phrases)]
        shorter, times = _whole(phrase).subn(sign, rest)
        if times >= LEAST_TIMES and (times - 1) * (context.count(phrase) - 1) > LEAST_GAIN:
            phrases.append(Phrase(sign, phrase))
            rest = shorter
    if not phrases:
        return None
    out = f"[{LEGEND} {', '.join(f'{sign} stands for `{said}`' for sign, said in phrases)}]\n{rest}"
    before = context.count(text)
    return Compressed(out, "phrases") if before - context.count(out) >= LEAST_SHARE * before else None


def _whole(phrase: str) -> re.Pattern[str]:
    """Finds a phrase where it is not part of a longer word, path or number.

    What stands before it is looked at when it was found: a pattern that begins with letters is searched for quickly.
    """
    said = re.escape(phrase)
    before = rf"(?<![\w./-]{said})" if _unit_end.match(phrase[0]) else ""
    after = r"(?![\w./-])" if _unit_end.match(phrase[-1]) else ""
    return re.compile(said + before + after)


def _sample(text: str) -> str:
    """Stretches of a long text, from all over it; of a short one all."""
    if len(text) <= SAMPLE:
        return text
    starts = [
        text.find("\n", at, at + SAMPLE // STRETCHES) + 1 or at for at in range(0, len(text), len(text) // STRETCHES)
    ]
    return "\n".join(text[start : start + SAMPLE // STRETCHES] for start in starts[:STRETCHES])


def _repeated(text: str) -> Iterator[str]:
    """Phrases of one line that the text repeats, those that take most of it first."""
    sample = _sample(text)
    least = max(LEAST_SAMPLED, LEAST_TIMES * len(sample) // len(text))
    units = ["\n", *_unit.findall(sample), "\n"]
    grams: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, gram in enumerate(zip(*(units[i:] for i in range(GRAM)), strict=False)):
        grams[gram].append(i)
    often = [(gram, places) for gram, places in grams.items() if len(places) >= least]
    found: dict[str, int] = {}
    for gram, places in heapq.nsmallest(CANDIDATES * 8, often, key=lambda item: -len(item[1])):
        start = "".join(gram)
        if len(found) == CANDIDATES:
            break
        if "\n" in gram or not start.strip() or any(start in phrase for phrase in found):
            continue
        phrase = _extended(units, gram, places)
        if len(phrase) >= LEAST_PHRASE:
            found[phrase] = len(phrase) * text.count(phrase)
    yield from sorted(found, key=lambda phrase: (-found[phrase], phrase))


def _extended(units: list[str], gram: tuple[str, ...], places: list[int]) -> str:
    """A gram made longer on both sides, as far as nearly all of its places go on alike on their line."""
    places = places[:: 1 + len(places) // MOST_PLACES]
    least, phrase, first, last = ALIKE * len(places), list(gram), 0, GRAM
    for side in (1, -1):
        while sum(map(len, phrase)) < MOST_PHRASE:
            offset = last if side > 0 else first - 1
            near = [units[i + offset] for i in places]
            unit = near[0]
            times = near.count(unit)
            if times < least:
                unit, times = Counter(near).most_common(1)[0]
            if unit == "\n" or times < least:
                break
            if times < len(places):
                places = [i for i, said in zip(places, near, strict=True) if said == unit]
            if side > 0:
                phrase.append(unit)
                last += 1
            else:
                phrase.insert(0, unit)
                first -= 1
    return "".join(phrase)
