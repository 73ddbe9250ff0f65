"""Every setting of the library, as frozen values.

    HeadroomConfig()                # the defaults
    load_config()                   # defaults < ${CONFIG}/config.toml < environment
    load_config(default_mode="optimize", smart_crusher={"max_items_after_crush": 30})   # < what a program says

How the layers are read stands in ``headroom.settings``. Numbers of tokens, seconds and shares say so in their names or
docstrings; a value that is not allowed is a ConfigurationError that names the setting, the value and what is allowed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from headroom.errors import ConfigurationError
from headroom.transforms.config import CacheAlignerConfig, SmartCrusherConfig
from headroom.transforms.context_config import IntelligentContextConfig, RollingWindowConfig, ScoringWeights
from headroom.transforms.profiles import Profile, checked_profile

__all__ = [
    "CCRConfig",
    "CacheAlignerConfig",
    "CacheOptimizerConfig",
    "HeadroomConfig",
    "HeadroomMode",
    "IntelligentContextConfig",
    "RollingWindowConfig",
    "ScoringWeights",
    "SemanticCacheConfig",
    "SmartCrusherConfig",
    "at_least",
    "crusher_of",
    "tool_profiles",
    "wrong_setting",
]

PROFILES = ("safe", "balanced", "max")
LIVES = ("", "auto", "5m", "1h")


class HeadroomMode(StrEnum):
    """What is done to a request."""

    AUDIT = "audit"
    """It leaves as it came; what would have been saved is written down."""
    OPTIMIZE = "optimize"
    """It leaves shorter."""
    SIMULATE = "simulate"
    """It does not leave at all: the caller gets the plan."""


@dataclass(frozen=True, slots=True)
class CCRConfig:
    """Keeping what was left out, so that the model can ask for it."""

    enabled: bool = True
    store_max_entries: int = 1000
    store_ttl_seconds: float = 1800.0
    """Seconds after its last use that an original is kept."""
    inject_tool: bool = True
    """Whether requests are given the tool with which the model asks, where ``profile`` lets anything be left out.
    Without, only a tool of that name that the program offers itself is asked for."""
    min_items_to_cache: int = 20
    """Arrays of fewer items are not worth it: they stay whole."""

    def __post_init__(self) -> None:
        for name in ("store_max_entries", "min_items_to_cache"):
            at_least(f"ccr.{name}", getattr(self, name), 1)
        seconds = self.store_ttl_seconds
        if isinstance(seconds, bool) or not 0 < seconds < math.inf:
            raise wrong_setting("ccr.store_ttl_seconds", seconds, "seconds, above 0")


@dataclass(frozen=True, slots=True)
class CacheOptimizerConfig:
    """Using the provider's prompt cache for programs that leave it unused."""

    enabled: bool = True
    ttl: Literal["", "auto", "5m", "1h"] = ""
    """How long what is cached lives; empty: as the caller's own breakpoints say."""

    def __post_init__(self) -> None:
        if self.ttl not in LIVES:
            raise wrong_setting("cache_optimizer.ttl", self.ttl, "auto, 5m or 1h, or an empty text")


@dataclass(frozen=True, slots=True)
class SemanticCacheConfig:
    """Answering a question from the answer to the same or a very similar one. Off unless it is asked for."""

    enabled: bool = False
    similarity: float = 0.95
    """Cosine above which two questions count as the same."""
    max_entries: int = 1000
    ttl_seconds: int = 300
    any_temperature: bool = False
    """Whether requests count whose temperature is not stated to be 0: they ask for an answer that varies."""
    with_tools: bool = False
    """Whether requests with tools count: their answers may be calls, which then are made once more."""

    def __post_init__(self) -> None:
        if isinstance(self.similarity, bool) or not 0 < self.similarity <= 1:
            raise wrong_setting("semantic_cache.similarity", self.similarity, "a number above 0, at most 1")
        at_least("semantic_cache.max_entries", self.max_entries, 1)
        at_least("semantic_cache.ttl_seconds", self.ttl_seconds, 1)


@dataclass(frozen=True, slots=True)
class HeadroomConfig:
    """All settings of a client or of one call of ``compress``."""

    default_mode: HeadroomMode = HeadroomMode.AUDIT
    store_url: str = ""
    """Where exchanges are written down: ``sqlite:////absolute/path.db``. Empty: a folder of the user's in the system's
    folder for temporary files."""
    model_context_limits: Mapping[str, int] = field(default_factory=dict)
    """Tokens that fit into models, by name; above all that is known otherwise."""
    tool_profiles: Mapping[str, str] = field(default_factory=dict)
    """How far the output of tools may be rewritten, by name (``*`` for anything): skip, lossless, normal or outline.
    ``{"skip_compression": true}`` is another way to say skip."""
    profile: Literal["safe", "balanced", "max"] = "safe"
    """How much a client may leave out, where the model can have it back: safe nothing, balanced of tools whose profile
    is normal, max of all tools of which nobody said otherwise. With the latter two the model may call
    ``headroom_retrieve``: a program answers as it does to any tool that it does not have, and the next request has
    what was asked for in that answer's place."""
    smart_crusher: SmartCrusherConfig = field(default_factory=SmartCrusherConfig)
    cache_aligner: CacheAlignerConfig = field(default_factory=CacheAlignerConfig)
    rolling_window: RollingWindowConfig = field(default_factory=RollingWindowConfig)
    intelligent_context: IntelligentContextConfig = field(default_factory=IntelligentContextConfig)
    ccr: CCRConfig = field(default_factory=CCRConfig)
    cache_optimizer: CacheOptimizerConfig = field(default_factory=CacheOptimizerConfig)
    semantic_cache: SemanticCacheConfig = field(default_factory=SemanticCacheConfig)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "default_mode", HeadroomMode(str(self.default_mode).lower()))
        except ValueError:
            raise wrong_setting("default_mode", self.default_mode, ", ".join(HeadroomMode)) from None
        for model, limit in _mapping("model_context_limits", self.model_context_limits).items():
            at_least(f"model_context_limits.{model}", limit, 1)
        object.__setattr__(self, "tool_profiles", tool_profiles("tool_profiles", self.tool_profiles))
        if self.profile not in PROFILES:
            raise wrong_setting("profile", self.profile, ", ".join(PROFILES))


def crusher_of(config: HeadroomConfig) -> SmartCrusherConfig:
    """SmartCrusher's settings where what it leaves out is kept: arrays too short for that stay whole."""
    crusher = config.smart_crusher
    least = max(crusher.min_items_to_analyze, config.ccr.min_items_to_cache if config.ccr.enabled else 0)
    return crusher if least == crusher.min_items_to_analyze else replace(crusher, min_items_to_analyze=least)


def tool_profiles(setting: str, given: object) -> dict[str, str]:
    """Profiles by tool from ``{"Bash": "skip"}`` or ``{"Bash": {"skip_compression": True}}``.

    Raises ConfigurationError that names ``setting`` and the tool.
    """
    found: dict[str, str] = {}
    for tool, value in _mapping(setting, given).items():
        if isinstance(value, Mapping):
            value = _profile_of(f"{setting}.{tool}", value)
        found[str(tool)] = checked_profile(str(tool), value)
    return found


def _profile_of(place: str, value: Mapping[object, object]) -> str:
    allowed = '{"skip_compression": true or false} or {"profile": skip, lossless, normal or outline}'
    match dict(value):
        case {"skip_compression": bool(skips), **rest} if not rest:
            return Profile.SKIP if skips else Profile.NORMAL
        case {"profile": str(name), **rest} if not rest:
            return name
    raise wrong_setting(place, dict(value), allowed)


def _mapping(setting: str, given: object) -> Mapping[str, object]:
    if not isinstance(given, Mapping):
        raise wrong_setting(setting, given, "names and values")
    return given


def at_least(name: str, value: object, least: int) -> None:
    """Raises ConfigurationError for what is no whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise wrong_setting(name, value, f"a whole number of at least {least}")


def wrong_setting(name: str, found: object, expected: str) -> ConfigurationError:
    """What is wrong with a setting, in one sentence."""
    return ConfigurationError(
        f"{name} is {found!r}; expected {expected}", {"setting": name, "found": found, "expected": expected}
    )
