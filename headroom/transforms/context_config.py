"""Settings of what is done when a conversation no longer fits into its model's context."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from headroom.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RollingWindowConfig:
    """How a conversation is cut to fit: oldest turns first. Raises ConfigurationError for a value out of its range."""

    enabled: bool = True
    min_keep_turns: int = 3
    """Last turns that always stay. A turn is a user's message with everything up to the user's next one."""
    output_buffer_tokens: int = 4000
    """Tokens of the context that are kept free for the answer."""
    prefer_drop_tool_outputs: bool = True
    """Whether old tool calls go, with their results, before anything that was said."""
    keep_system: bool = True

    def __post_init__(self) -> None:
        _whole("min_keep_turns", self.min_keep_turns)
        _whole("output_buffer_tokens", self.output_buffer_tokens)


@dataclass(frozen=True, slots=True)
class ScoringWeights:
    """How much each factor counts when messages are scored. Any amounts of 0 or more: ``normalized`` scales them.

    ScoringWeights() has the documented defaults. Once one weight is named, those that are not named are 0, so that
    ``ScoringWeights(recency=1.0, toin_importance=1.0).normalized()`` is a half of each.
    """

    recency: float = math.nan
    """Exponential decay from the end of the conversation."""
    semantic_similarity: float = math.nan
    """Similarity of embeddings (cosine) to the recent context."""
    toin_importance: float = math.nan
    """How often what looks like this was asked for again."""
    error_indicator: float = math.nan
    """Whether fields that were learned to mean errors are in it."""
    forward_reference: float = math.nan
    """How many later messages refer to it."""
    token_density: float = math.nan
    """Different tokens / all tokens."""

    def __post_init__(self) -> None:
        given = any(not _is_unset(getattr(self, each.name)) for each in fields(self))
        for name, default in DEFAULT_WEIGHTS.items():
            value = getattr(self, name)
            if _is_unset(value):
                value = 0.0 if given else default
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise _wrong(f"scoring_weights.{name}", value, "a number of 0 or more")
            object.__setattr__(self, name, float(value))
        if not sum(self.as_dict().values()) > 0:
            raise _wrong("scoring_weights", self.as_dict(), "at least one weight above 0")

    def as_dict(self) -> dict[str, float]:
        """The weights by name, in the documented order."""
        return {name: getattr(self, name) for name in DEFAULT_WEIGHTS}

    def normalized(self) -> "ScoringWeights":
        """The same proportions, summing to 1.0."""
        total = math.fsum(self.as_dict().values())
        return ScoringWeights(**{name: weight / total for name, weight in self.as_dict().items()})


DEFAULT_WEIGHTS: Mapping[str, float] = {
    "recency": 0.20,
    "semantic_similarity": 0.20,
    "toin_importance": 0.25,
    "error_indicator": 0.15,
    "forward_reference": 0.15,
    "token_density": 0.05,
}


@dataclass(frozen=True, slots=True)
class IntelligentContextConfig:
    """How a conversation is cut to fit by what its messages are worth. Raises ConfigurationError."""

    enabled: bool = True
    keep_system: bool = True
    """System messages are never dropped."""
    keep_last_turns: int = 2
    """Last turns of the user that are never dropped."""
    output_buffer_tokens: int = 4000
    """Tokens of the context that are kept free for the answer."""
    use_importance_scoring: bool = True
    """Whether messages are scored; otherwise the oldest go first."""
    scoring_weights: ScoringWeights = field(default_factory=ScoringWeights)
    toin_integration: bool = True
    """Whether what was learned of earlier retrievals counts, where there is any."""
    recency_decay_rate: float = 0.1
    """Lambda of the exponential decay, for each unit (what the user says, or a call with its result) from the end."""
    compress_threshold: float = 0.1
    """Up to this share over the budget, shortening is tried before anything is dropped."""

    def __post_init__(self) -> None:
        _whole("keep_last_turns", self.keep_last_turns)
        _whole("output_buffer_tokens", self.output_buffer_tokens)
        if not isinstance(self.scoring_weights, ScoringWeights):
            raise _wrong("scoring_weights", self.scoring_weights, "ScoringWeights(...)")
        if not 0 <= self.recency_decay_rate < math.inf:
            raise _wrong("recency_decay_rate", self.recency_decay_rate, "a number of 0 or more")
        if not 0 <= self.compress_threshold <= 1:
            raise _wrong("compress_threshold", self.compress_threshold, "a share from 0 to 1")


def _is_unset(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(name, value, "a whole number of 0 or more")


def _wrong(name: str, found: object, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is {found!r}; expected {expected}", {"setting": name, "found": found, "expected": expected}
    )
