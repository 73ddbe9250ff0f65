"""Which items of a long array are kept when not all can be.

Whatever the budget: items that speak of errors, numbers far from the mean, steps in a series, the first and the last,
matches to what the agent is after. Of the rest those that show most of what the others are like, as long as each
shows something new.
"""

import heapq
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from headroom.transforms.config import SmartCrusherConfig
from headroom.transforms.json_values import Plain
from headroom.transforms.notation import Crushed

Relevance = Callable[[str, Sequence[str]], Sequence[float]]
"""(query, texts of the items) -> a score for each, 0 for no match."""

_ERROR_WORDS = (
    *("error", "exception", "traceback", "failed", "failure", "failing", "fatal", "critical", "panic", "denied"),
    *("refused", "reject", "abort", "crash", "corrupt", "timeout", "timed out", "timed-out", "unauthorized"),
    *("unauthorised", "forbidden", "invalid", "unavailable", "exceeded", "killed", "out of memory"),
)
_ERROR_NAMES = ("error", "exception", "fail", "fatal", "fault")
_STATUS_NAME = re.compile(r"(?:^|[._])(?:http_?)?(?:status|code)(?:_?code)?$", re.I)
_NOTHING = frozenset({"", "0", "0.0", "none", "false", "null", "no", "ok"})
_WORD = re.compile(r"[^\W_]{2,}")
_WINDOW = 5  # items on each side of a step
_MOST_CATEGORIES = 10  # of a field whose changes are looked at, and of one whose numbers are codes
_SAMPLE = 300  # of the rest, evenly spaced, beside an example of each category
_CATEGORY = 3  # what a category is worth against a word or a range of numbers that several items share
_MOST_CHOSEN = 100  # far enough along the curve to see its knee
_MOST_FIGURES = 8
_COMMON = 0.1  # share of the items: a word in more of them finds none of them
LEAST_NUMBERS = 5
"""Of fewer none is an outlier."""
_FEW = 32  # words that are looked for in a text at once
_NONE: Counter[str] = Counter()
_HUGE = 1e150  # squares of larger numbers are infinite
_encode = json.JSONEncoder(ensure_ascii=False).encode

Pairs = list[tuple[str, Any]]


def crush(value: Any, config: SmartCrusherConfig, query: str, relevance: Relevance) -> tuple[Any, int]:
    """The value with its long arrays cut down, and how many items that left out. Objects and short arrays are walked;
    an item that is kept is kept whole."""
    if type(value) is dict:
        parts = {key: crush(part, config, query, relevance) for key, part in value.items()}
        return {key: part for key, (part, _) in parts.items()}, sum(out for _, out in parts.values())
    if type(value) is not list:
        return value, 0
    if len(value) < config.min_items_to_analyze or len(value) <= config.max_items_after_crush:
        crushed = [crush(part, config, query, relevance) for part in value]
        return [part for part, _ in crushed], sum(out for _, out in crushed)
    series = _Series(value)
    kept = _choose(series, config, query, relevance)
    if len(kept) == len(value):
        return value, 0
    return Crushed([value[i] for i in sorted(kept)], len(value), _figures(series, kept)), len(value) - len(kept)


class _Field:
    """All values that items have at one path, and the first number of each item there."""

    __slots__ = ("at", "numbers", "values")

    def __init__(self) -> None:
        self.at: list[int] = []
        self.values: list[Any] = []
        self.numbers: dict[int, float] = {}

    def find_numbers(self) -> None:
        for i, value in zip(self.at, self.values, strict=True):
            if type(value) is Plain and i not in self.numbers:
                number = _number(value)
                if number is not None:
                    self.numbers[i] = number


class _Series:
    """The items of an array: as text, and their scalars by item and by path."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.texts = list(map(_encode, items))
        self.pairs: list[Pairs] = []
        self.fields: dict[str, _Field] = {}
        self._paths: dict[str, dict[str, str]] = {}
        adders: dict[str, tuple[Callable[[int], None], Callable[[Any], None]]] = {}
        for i, item in enumerate(items):
            pairs: Pairs = []
            self._walk("", item, pairs)
            for path, value in pairs:
                if path not in adders:
                    field = self.fields[path] = _Field()
                    adders[path] = field.at.append, field.values.append
                add_place, add_value = adders[path]
                add_place(i)
                add_value(value)
            self.pairs.append(pairs)
        for field in self.fields.values():
            field.find_numbers()

    def _walk(self, path: str, value: Any, pairs: Pairs) -> None:
        if type(value) is dict:
            paths = self._paths.get(path)
            if paths is None:
                paths = self._paths[path] = {}
            for key, part in value.items():
                under = paths.get(key)
                if under is None:
                    under = paths[key] = f"{path}.{key}" if path else key
                if type(part) is dict or type(part) is list:
                    self._walk(under, part, pairs)
                else:
                    pairs.append((under, part))
        elif type(value) is list:
            for part in value:
                self._walk(path, part, pairs)
        else:
            pairs.append((path, value))


def _choose(series: _Series, config: SmartCrusherConfig, query: str, relevance: Relevance) -> set[int]:
    count = len(series.texts)
    first = math.ceil(config.first_fraction * config.max_items_after_crush)
    last = int(config.last_fraction * config.max_items_after_crush)
    must = {*_errors(series, config), *_outliers(series, config)}
    if config.preserve_change_points:
        must.update(_changes(series, config))
    if query:
        must.update(_matches(relevance(query, series.texts), config))
    distinct = set(range(count))
    if config.dedup_identical_items:
        distinct = set({series.texts[i]: i for i in reversed(range(count))}.values())
    kept = (must & distinct) | set(range(first)) | set(range(count - last, count))
    if len(kept) < config.max_items_after_crush:
        kept.update(_showing_most(series, kept, distinct - kept, config))
    return kept


def _errors(series: _Series, config: SmartCrusherConfig) -> Iterator[int]:
    wanted = {name.lower() for name in config.preserve_fields}
    for path, field in series.fields.items():
        names = path.lower()
        preserved = not wanted.isdisjoint(names.split("."))
        if preserved or any(word in names for word in _ERROR_NAMES):
            found = [i for i, v in zip(field.at, field.values, strict=True) if str(v).lower() not in _NOTHING]
            # A rate of errors that every item has tells no item from another; outliers do.
            if preserved or len(found) <= len(series.texts) / 2:
                yield from found
        elif _STATUS_NAME.search(path):
            yield from (
                i
                for i, v in zip(field.at, field.values, strict=True)
                if type(v) is Plain and len(v) == 3 and "400" <= v <= "599"
            )
        said = {v for v in field.values if type(v) is str}
        together = "\n".join(said).lower()
        words = [word for word in _ERROR_WORDS if word in together]
        found_in = {v for v in said if _speaks(v.lower(), words, wanted)} if words or wanted else set()
        if found_in:
            yield from (i for i, v in zip(field.at, field.values, strict=True) if type(v) is str and v in found_in)


def _speaks(text: str, words: Sequence[str], wanted: set[str]) -> bool:
    """Whether a value has one of the words in it, or is one that is wanted."""
    return text.strip() in wanted or any(word in text for word in words)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < _HUGE else None


def _spread(numbers: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(numbers) / len(numbers)
    return mean, math.sqrt(math.fsum((x - mean) * (x - mean) for x in numbers) / len(numbers))


def _outliers(series: _Series, config: SmartCrusherConfig) -> Iterator[int]:
    for field in series.fields.values():
        if len(field.numbers) < LEAST_NUMBERS:
            continue
        mean, deviation = _spread(list(field.numbers.values()))
        if deviation > 0:
            limit = config.variance_threshold * deviation
            yield from (i for i, x in field.numbers.items() if abs(x - mean) > limit)


def _changes(series: _Series, config: SmartCrusherConfig) -> Iterator[int]:
    """Where a number's level steps, or a category that seldom changes does: the item before and the one after."""
    count = len(series.texts)
    for field in series.fields.values():
        steps: Iterable[int] = ()
        if len(field.numbers) == count >= 2 * _WINDOW:
            steps = _steps(list(field.numbers.values()), config)
        elif len(field.at) == count == len(set(field.at)) and len(set(map(str, field.values))) <= _MOST_CATEGORIES:
            turns = [i for i, (a, b) in enumerate(pairwise(field.values), 1) if a != b]
            steps = turns if len(turns) <= config.max_items_after_crush // 2 else ()
        for i in steps:
            yield from (i - 1, i)


def _steps(series: list[float], config: SmartCrusherConfig) -> list[int]:
    """Where the mean of the next few differs most from the mean of the last few, against the usual noise (the median
    difference of neighbours) and against the whole series' spread, so that a slope is no step."""
    _, deviation = _spread(series)
    differences = sorted(abs(b - a) for a, b in pairwise(series))
    noise = differences[len(differences) // 2]
    limit = max(deviation, (config.variance_threshold + 1) * noise * math.sqrt(2 / _WINDOW))
    sums = list(map(sum, zip(*(series[i:] for i in range(_WINDOW)), strict=False)))
    changes = enumerate(zip(sums, sums[_WINDOW:], strict=False), _WINDOW)
    jumps = {i: jump for i, (a, b) in changes if (jump := abs(b - a) / _WINDOW) > limit}
    return [
        i
        for i, jump in jumps.items()
        if all(jumps.get(j, 0.0) < jump for j in range(i - _WINDOW, i))
        and all(jumps.get(j, 0.0) <= jump for j in range(i + 1, i + _WINDOW + 1))
    ]


def bm25(query: str, texts: Sequence[str]) -> list[float]:
    """Okapi BM25 (k1 = 1.2, b = 0.75) of each text for the words of the query that few of the texts contain."""
    lowered = [text.lower() for text in texts]
    together = "\n".join(lowered)
    wanted = {word for word in _WORD.findall(query.lower()) if word in together}
    if not wanted:
        return [0.0] * len(texts)
    has = _whole_words(wanted)
    found = [Counter(filter(wanted.__contains__, _WORD.findall(text))) if has(text) else _NONE for text in lowered]
    frequency = Counter(word for counts in found for word in counts)
    weight = {
        word: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
        for word, n in frequency.items()
        if n <= max(1, _COMMON * len(texts))
    }
    mean = max(1.0, sum(map(len, texts)) / len(texts))
    scores = []
    for counts, text in zip(found, texts, strict=True):
        if not counts:
            scores.append(0.0)
            continue
        base = 1.2 * (0.25 + 0.75 * len(text) / mean)
        scores.append(math.fsum(weight[word] * n * 2.2 / (n + base) for word, n in counts.items() if word in weight))
    return scores


def _whole_words(words: set[str]) -> Callable[[str], object]:
    """Tells texts that have one of a few words; of many words, it says so of every text."""
    if len(words) > _FEW:
        return bool
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, sorted(words)))})(?![^\W_])").search


def _matches(scores: Sequence[float], config: SmartCrusherConfig) -> list[int]:
    best = heapq.nsmallest(config.max_items_after_crush, range(len(scores)), key=lambda i: (-scores[i], i))
    return [i for i in best if scores[i] > 0]


def _showing_most(series: _Series, kept: set[int], rest: set[int], config: SmartCrusherConfig) -> list[int]:
    """Items of the rest, the one that shows most first, up to the knee of the curve of what is shown."""
    examples: dict[str, dict[str, int]] = {}
    spread: dict[str, tuple[float, float]] = {}
    for path, field in series.fields.items():
        values = dict(zip(map(str, reversed(field.values)), reversed(field.at), strict=True))
        most = _MOST_CATEGORIES if field.numbers else config.uniqueness_threshold * len(series.texts)
        if len(values) <= max(2, most):
            examples[path] = values
        elif field.numbers:
            spread[path] = _spread(list(field.numbers.values()))
    spaced = sorted(rest)[:: 1 + len(rest) // _SAMPLE]
    candidates = sorted(rest.intersection(spaced).union(*(rest.intersection(v.values()) for v in examples.values())))
    features = {i: _features(series.pairs[i], examples, spread) for i in candidates}
    shared = Counter(feature for found in features.values() for feature in found)
    shown = set().union(*(_features(series.pairs[i], examples, spread) for i in kept))

    def gain(i: int) -> int:
        return sum(_CATEGORY if f[1][:1] == "=" else shared[f] > 1 for f in features[i] - shown)

    heap = [(-gain(i), i) for i in candidates]
    heapq.heapify(heap)
    chosen: list[int] = []
    curve = [0]
    while heap and len(chosen) < _MOST_CHOSEN:
        before, i = heapq.heappop(heap)
        new = gain(i)
        if new < -before:
            heapq.heappush(heap, (-new, i))
        elif new > (1 - config.similarity_threshold) * len(features[i]):
            shown |= features[i]
            chosen.append(i)
            curve.append(curve[-1] + new)
    return chosen[: min(_knee(curve), config.max_items_after_crush - len(kept))]


def _features(
    pairs: Pairs, examples: dict[str, dict[str, int]], spread: dict[str, tuple[float, float]]
) -> set[tuple[str, str]]:
    """What an item shows: its fields, their categories, where its numbers lie, the words of its texts."""
    shown = set()
    for path, value in pairs:
        shown.add((path, ""))
        if path in examples:
            shown.add((path, f"={value}"))
        elif type(value) is Plain and path in spread:
            mean, deviation = spread[path]
            number = _number(value)
            if number is not None and deviation > 0:
                shown.add((path, f"~{round((number - mean) / deviation)}"))
        elif type(value) is str:
            shown.update([(path, word) for word in _WORD.findall(value.lower())[:20] if not word.isdigit()])
    return shown


def _knee(curve: list[int]) -> int:
    """Where a rising curve that flattens is farthest above the line between its ends (Satopaa et al. 2011, Kneedle);
    its end where it never flattens."""
    last = len(curve) - 1
    above = [curve[k] * last - curve[-1] * k for k in range(last + 1)]
    highest = max(above)
    return above.index(highest) if highest > 0 else last


def _figures(series: _Series, kept: set[int]) -> str:
    """Least, greatest and mean of the numbers in what was left out."""
    figures: list[str] = []
    for path, field in series.fields.items():
        left = {i: x for i, x in field.numbers.items() if i not in kept}
        if len(left) > 1 and len(figures) < _MOST_FIGURES:
            spelled = dict(zip(reversed(field.at), reversed(field.values), strict=True))
            least, greatest = min(left, key=left.__getitem__), max(left, key=left.__getitem__)
            name = f"{path} " if path else ""
            mean = math.fsum(left.values()) / len(left)
            figures.append(f"{name}min {spelled[least]} max {spelled[greatest]} mean {mean:.6g}")
    return "left out: " + ", ".join(figures) if figures else ""
