"""Headroom: fewer tokens to a model provider, with nothing that matters lost.

Public names are loaded when they are first used, so that `import headroom` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from headroom.transforms.config import CacheAlignerConfig, SmartCrusherConfig
    from headroom.transforms.context_config import IntelligentContextConfig, RollingWindowConfig, ScoringWeights

    __version__: str

# A new public name is a line here, in the imports above (for type checkers) and in __all__.
_HOME = {
    "CacheAlignerConfig": "headroom.transforms.config",
    "CacheError": "headroom.errors",
    "CompressResult": "headroom.compression",
    "CompressionError": "headroom.errors",
    "ConfigurationError": "headroom.errors",
    "HeadroomConfig": "headroom.config",
    "HeadroomError": "headroom.errors",
    "HeadroomMode": "headroom.config",
    "IntelligentContextConfig": "headroom.transforms.context_config",
    "IntelligentContextManager": "headroom.context.managers",
    "ProviderError": "headroom.errors",
    "RollingWindow": "headroom.context.managers",
    "RollingWindowConfig": "headroom.transforms.context_config",
    "ScoringWeights": "headroom.transforms.context_config",
    "SmartCrusherConfig": "headroom.transforms.config",
    "StorageError": "headroom.errors",
    "TokenizationError": "headroom.errors",
    "TransformError": "headroom.errors",
    "ValidationError": "headroom.errors",
    "compress": "headroom.compression",
}

__all__ = [
    "CacheAlignerConfig",
    "CacheError",
    "CompressResult",
    "CompressionError",
    "ConfigurationError",
    "HeadroomConfig",
    "HeadroomError",
    "HeadroomMode",
    "IntelligentContextConfig",
    "IntelligentContextManager",
    "ProviderError",
    "RollingWindow",
    "RollingWindowConfig",
    "ScoringWeights",
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
