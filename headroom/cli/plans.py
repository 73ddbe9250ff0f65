"""The windows of plans, for `headroom stats`."""

import time
from collections.abc import Sequence

from headroom import paths
from headroom.cli.output import new_table, print_table
from headroom.subscription import Plan, Subscriptions

BAR = 20
"""Characters of the bar that says how full a window is."""


def plans() -> list[Plan]:
    """What the provider's own answers said of its users' plans, the latest first."""
    return Subscriptions(paths.subscription_state_path()).plans()


def print_plans(known: Sequence[Plan]) -> None:
    table = new_table("plan", "window", "used", "", "new in", numbers=("gained by compression",))
    for plan in known:
        for window in plan.windows:
            full = max(0, min(BAR, round(BAR * window.used)))
            reset = span(window.resets_at - time.time()) if window.resets_at is not None else "-"
            gained = span(60 * window.gained_minutes) if window.gained_minutes >= 1 else "-"
            name = f"{plan.name} ({plan.plan})" if plan.plan else plan.name
            bar = "█" * full + "░" * (BAR - full)
            table.add_row(name, window.name, f"{100 * window.used:.0f} %", bar, reset, gained)
    print_table(table)


def span(seconds: float) -> str:
    """A length of time in minutes, hours or days."""
    minutes = max(0, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes < 2880 else f"{round(minutes / 1440)} days"
