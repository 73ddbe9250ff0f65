"""TOIN: what is learned of tool outputs from what was left out and asked for again. It stays on this machine."""

from headroom.telemetry.patterns import Pattern, PatternKey, Recommendation
from headroom.telemetry.signature import ToolSignature
from headroom.telemetry.toin import Toin, close_toin, get_toin

__all__ = ["Pattern", "PatternKey", "Recommendation", "Toin", "ToolSignature", "close_toin", "get_toin"]
