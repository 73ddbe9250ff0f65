"""For users of a plan: how full the provider's windows are, as its own answers tell it, and what compression gained."""

from headroom.subscription.reading import EVENT, USAGE_PATHS, Reading, Window, from_event, from_headers, from_usage
from headroom.subscription.state import Plan, PlanWindow, Subscriptions

__all__ = [
    "EVENT",
    "USAGE_PATHS",
    "Plan",
    "PlanWindow",
    "Reading",
    "Subscriptions",
    "Window",
    "from_event",
    "from_headers",
    "from_usage",
]
