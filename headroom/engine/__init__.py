"""The one pipeline: the bytes of a provider request come in, the bytes that go out come back."""

from headroom.engine.request import Mode, RawRequest, Rewrite
from headroom.engine.rewriting import Abandoned, Engine
from headroom.engine.terms import AWAY

__all__ = ["AWAY", "Abandoned", "Engine", "Mode", "RawRequest", "Rewrite"]
