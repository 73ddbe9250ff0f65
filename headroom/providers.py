"""Whose API a client speaks, and what of the provider's caching is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from headroom.config import at_least
from headroom.models.overrides import StatedPrice, stated_prices


@dataclass(frozen=True, slots=True)
class Provider:
    """``context_limits``: tokens that fit into models, ``pricing``: what they cost in USD per million tokens, as
    models.json has it; both by name, and above all that is known otherwise.

    Raises ConfigurationError for a limit that is no whole number above 0, or a price that is none.
    """

    name: ClassVar[str] = ""
    context_limits: Mapping[str, int] = field(default_factory=dict)
    pricing: Mapping[str, Mapping[str, float] | Sequence[float]] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for model, limit in self.context_limits.items():
            at_least(f"context_limits.{model}", limit, 1)
        self.prices()

    def prices(self) -> Mapping[str, StatedPrice]:
        """``pricing`` as it was read."""
        return stated_prices(self.pricing, type(self).__name__)

    @property
    def caches(self) -> bool:
        """Whether the provider's cache is put to use for requests that leave it unused."""
        return True


@dataclass(frozen=True, slots=True)
class OpenAIProvider(Provider):
    """OpenAI, and whoever speaks its API. ``enable_prefix_caching``: requests of one conversation are sent with a
    ``prompt_cache_key`` of their own, by which they find the machine that has their prefix."""

    name: ClassVar[str] = "openai"
    enable_prefix_caching: bool = True

    @property
    def caches(self) -> bool:
        return self.enable_prefix_caching


@dataclass(frozen=True, slots=True)
class AnthropicProvider(Provider):
    """Anthropic, on its own API, Bedrock or Vertex AI. ``enable_cache_control``: breakpoints are set where they pay and
    where the caller set none; a caller's own are never moved."""

    name: ClassVar[str] = "anthropic"
    enable_cache_control: bool = True

    @property
    def caches(self) -> bool:
        return self.enable_cache_control


@dataclass(frozen=True, slots=True)
class GoogleProvider(Provider):
    """Gemini, on Google AI or Vertex AI, which caches what requests begin with by itself. ``enable_context_caching``:
    system prompts and tools that come again are put into explicit caches, which are paid for by the hour, where that
    pays; they are deleted when the client is closed. See ``headroom.cache.explicit``."""

    name: ClassVar[str] = "google"
    enable_context_caching: bool = False

    @property
    def caches(self) -> bool:
        return self.enable_context_caching
