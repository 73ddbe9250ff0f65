"""What a check of `headroom doctor` says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; it is bad when there is a remedy."""

    check: str
    found: str
    remedy: str = ""
