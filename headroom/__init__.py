"""Headroom: fewer tokens to a model provider, with nothing that matters lost.

Public names are loaded when they are first used, so that `import headroom` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headroom.client import HeadroomClient
    from headroom.compression import CompressResult, compress
    from headroom.config import HeadroomConfig, HeadroomMode
    from headroom.context.managers import IntelligentContextManager, RollingWindow
    from headroom.errors import (
        CacheError,
        CompressionError,
        ConfigurationError,
        HeadroomError,
        ProviderError,
        StorageError,
        TokenizationError,
        TransformError,
        ValidationError,
    )
    from headroom.providers import AnthropicProvider, GoogleProvider, OpenAIProvider
    from headroom.sdk.results import RequestMetrics, SimulationResult
    from headroom.transforms.config import CacheAlignerConfig, SmartCrusherConfig
    from headroom.transforms.context_config import IntelligentContextConfig, RollingWindowConfig, ScoringWeights

    __version__: str

# A new public name is a line here, in the imports above (for type checkers) and in __all__.
_HOME = {
    "AnthropicProvider": "headroom.providers",
    "CacheAlignerConfig": "headroom.transforms.config",
    "CacheError": "headroom.errors",
    "CompressResult": "headroom.compression",
    "CompressionError": "headroom.errors",
    "ConfigurationError": "headroom.errors",
    "GoogleProvider": "headroom.providers",
    "HeadroomClient": "headroom.client",
    "HeadroomConfig": "headroom.config",
    "HeadroomError": "headroom.errors",
    "HeadroomMode": "headroom.config",
    "IntelligentContextConfig": "headroom.transforms.context_config",
    "IntelligentContextManager": "headroom.context.managers",
    "OpenAIProvider": "headroom.providers",
    "ProviderError": "headroom.errors",
    "RequestMetrics": "headroom.sdk.results",
    "RollingWindow": "headroom.context.managers",
    "RollingWindowConfig": "headroom.transforms.context_config",
    "ScoringWeights": "headroom.transforms.context_config",
    "SimulationResult": "headroom.sdk.results",
    "SmartCrusherConfig": "headroom.transforms.config",
    "StorageError": "headroom.errors",
    "TokenizationError": "headroom.errors",
    "TransformError": "headroom.errors",
    "ValidationError": "headroom.errors",
    "compress": "headroom.compression",
}

__all__ = [
    "AnthropicProvider",
    "CacheAlignerConfig",
    "CacheError",
    "CompressResult",
    "CompressionError",
    "ConfigurationError",
    "GoogleProvider",
    "HeadroomClient",
    "HeadroomConfig",
    "HeadroomError",
    "HeadroomMode",
    "IntelligentContextConfig",
    "IntelligentContextManager",
    "OpenAIProvider",
    "ProviderError",
    "RequestMetrics",
    "RollingWindow",
    "RollingWindowConfig",
    "ScoringWeights",
    "SimulationResult",
    "SmartCrusherConfig",
    "StorageError",
    "TokenizationError",
    "TransformError",
    "ValidationError",
    "__version__",
    "compress",
]


if not TYPE_CHECKING:  # else a wrong name would pass for a right one

    def __getattr__(name: str) -> object:
        if name == "__version__":
            value: object = _version()
        elif name in _HOME:
            value = getattr(import_module(_HOME[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("headroom-ai")
    except PackageNotFoundError:  # mitmdump -s runs the script straight from a checkout
        return "0+unknown"
