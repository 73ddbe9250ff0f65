"""What the units of a conversation are worth: six factors, each from 0 to 1, and their weighted sum."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headroom.context.units import Unit, by_message, texts
from headroom.telemetry.signature import ToolSignature, field_hash, is_error, items_of, says_something
from headroom.transforms.context_config import IntelligentContextConfig
from headroom.wire.layout import Block, Layout

RECENT_UNITS = 4
"""Units at the end that are the recent context."""
RECENT_CHARACTERS = 8_000
MOST_ITEMS = 200
"""Items of a JSON output that are searched for errors."""
SOME_ERROR = 0.5
"""What words of an error in plain text count for: they may stand in code."""
_word = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
_token = re.compile(r"[A-Za-z_][A-Za-z0-9_]{4,}|[A-Za-z0-9_]+(?:[./-][A-Za-z0-9_]+)+|\d{3,}")
_name = re.compile(r"[_./\d-]|[a-z][A-Z]")
_failure = re.compile(
    r"^.{0,200}?(?:\bTraceback \(|\b\w*(?:Error|Exception): |\bFAILED\b|\bpanic: |\bfatal: |\berror(?:\[\w+\])?: |"
    r"\bSegmentation fault\b|\bcommand not found\b)",
    re.M,
)

Similarity = Callable[[Sequence[str], str], Sequence[float]]
"""For each of some texts how similar it is to one other text, from 0 to 1."""


class Learned(Protocol):
    """What scoring asks of TOIN."""

    def importance(self, tool_signature: ToolSignature) -> float:
        """How often what was left out of such outputs was asked for, from 0 to 1."""
        ...

    def error_fields(self) -> frozenset[str]:
        """Hashed names of the fields that speak of errors."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """Of one unit: the weighted sum, and each factor by the name of its weight."""

    total: float
    factors: Mapping[str, float] = field(default_factory=dict)


def score(
    layout: Layout,
    units: Sequence[Unit],
    config: IntelligentContextConfig,
    learned: Learned | None = None,
    similarity: Similarity | None = None,
) -> list[Score]:
    """The scores of all units. Without importance scoring a unit is worth its place: the oldest least."""
    if not config.use_importance_scoring:
        return [Score(float(number)) for number in range(len(units))]
    weights = config.scoring_weights.normalized().as_dict()
    blocks = by_message(layout)
    of_unit = [[block for message in unit.messages for block in blocks[message]] for unit in units]
    said = ["\n".join(texts(layout, some)) for some in of_unit]
    learned = learned if config.toin_integration else None
    fields = learned.error_fields() if learned else frozenset()
    factors: dict[str, Sequence[float]] = {
        "recency": [math.exp(-config.recency_decay_rate * (len(units) - 1 - n)) for n in range(len(units))],
        "semantic_similarity": _similar(said, similarity or word_overlap) if weights["semantic_similarity"] else (),
        "toin_importance": [_learned(layout, some, learned) for some in of_unit] if learned else (),
        "error_indicator": [_errors(layout, some, fields) for some in of_unit] if weights["error_indicator"] else (),
        "forward_reference": _references(layout, of_unit) if weights["forward_reference"] else (),
        "token_density": [_density(text) for text in said] if weights["token_density"] else (),
    }
    found = []
    for number in range(len(units)):
        own = {name: values[number] if values else 0.0 for name, values in factors.items()}
        found.append(Score(math.fsum(weights[name] * value for name, value in own.items()), own))
    return found


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return [word.lower() for word in _word.findall(text)]


def word_overlap(some: Sequence[str], recent: str, read: Callable[[str], list[str]] = words_of) -> list[float]:
    """BM25 of each text for the words of the recent context, as shares of the highest. ``read`` tells the words."""
    query = sorted(set(read(recent)))
    words = [read(text) for text in some]
    if not query or not any(words):
        return [0.0] * len(some)
    import bm25s  # where numpy is loaded anyway

    index = bm25s.BM25()
    index.index([each or [""] for each in words], show_progress=False)
    found = [max(0.0, float(value)) for value in index.get_scores(query)]
    most = max(found)
    return [value / most for value in found] if most > 0 else found


def _similar(said: Sequence[str], similarity: Similarity) -> Sequence[float]:
    recent = "\n".join(text[-RECENT_CHARACTERS:] for text in said[-RECENT_UNITS:])[-RECENT_CHARACTERS:]
    return similarity(said, recent)


def _learned(layout: Layout, blocks: Sequence[Block], learned: Learned) -> float:
    """The most that was learned of one of the outputs."""
    worth = 0.0
    for block in blocks:
        text = layout.text(block) if block.kind == "result" else None
        if text:
            worth = max(worth, learned.importance(ToolSignature.of(text, layout.tool(block))))
    return worth


def _errors(layout: Layout, blocks: Sequence[Block], fields: frozenset[str]) -> float:
    """Whether an output is flagged as an error, or has a field that speaks of one."""
    worth = 0.0
    for block in blocks:
        text = layout.text(block) if block.kind == "result" else None
        if block.error:
            return 1.0
        if not text:
            continue
        for item in items_of(text)[:MOST_ITEMS]:
            if isinstance(item, Mapping) and any(
                says_something(value) and (field_hash(str(name)) in fields or is_error(str(name), value))
                for name, value in item.items()
            ):
                return 1.0
        if _failure.search(text):
            worth = SOME_ERROR
    return worth


def _references(layout: Layout, of_unit: Sequence[Sequence[Block]]) -> list[float]:
    """How many later units speak of something that first stood in this one: a path, a name, a number. A call is a
    part of its unit, so an answer that follows up on an output names what only that output had."""
    first: dict[str, int] = {}
    counts: Counter[int] = Counter()
    for number, blocks in enumerate(of_unit):
        spoken = {t for text in texts(layout, [b for b in blocks if b.kind != "result"]) for t in _token.findall(text)}
        counts.update({first[token] for token in spoken if token in first and _name.search(token)})
        for text in texts(layout, blocks):
            for token in _token.findall(text):
                first.setdefault(token, number)
    return [1 - math.exp(-counts[number] / 3) for number in range(len(of_unit))]


def _density(text: str) -> float:
    words = words_of(text)
    return len(set(words)) / len(words) if words else 0.0
