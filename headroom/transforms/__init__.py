"""Text in, shorter text out: one file for each kind of text. Public names are loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headroom.context.managers import IntelligentContextManager, RollingWindow
    from headroom.transforms.config import CacheAlignerConfig, SmartCrusherConfig
    from headroom.transforms.context_config import IntelligentContextConfig, RollingWindowConfig, ScoringWeights
    from headroom.transforms.smart_crusher import SmartCrusher

# A new public name is a line here, in the imports above (for type checkers) and in __all__.
_HOME = {
    "CacheAlignerConfig": "headroom.transforms.config",
    "IntelligentContextConfig": "headroom.transforms.context_config",
    "IntelligentContextManager": "headroom.context.managers",
    "RollingWindow": "headroom.context.managers",
    "RollingWindowConfig": "headroom.transforms.context_config",
    "ScoringWeights": "headroom.transforms.context_config",
    "SmartCrusher": "headroom.transforms.smart_crusher",
    "SmartCrusherConfig": "headroom.transforms.config",
}

__all__ = [
    "CacheAlignerConfig",
    "IntelligentContextConfig",
    "IntelligentContextManager",
    "RollingWindow",
    "RollingWindowConfig",
    "ScoringWeights",
    "SmartCrusher",
    "SmartCrusherConfig",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
