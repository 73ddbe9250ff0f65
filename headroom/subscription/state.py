"""``subscription_state.json``: the windows of each plan as they were told last, and what was used in them.

What compression gained in a window: requests that were N times as dear without us had filled it N times as far, so of
the time in which the plan was used (requests at most PAUSE apart) N - 1 parts more can be used.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.errors import HeadroomError
from headroom.ledger.files import write_whole
from headroom.paths import private_dir
from headroom.stores.files import file_lock
from headroom.subscription.reading import Reading, Window

log = logging.getLogger(__name__)
SCHEMA_VERSION = 1
PAUSE = 300.0
"""Seconds between two requests that still count as use."""
ANOTHER = 600.0
"""Seconds by which the end of a window may move while it stays the same window."""
LOCK_SECONDS = 2.0
PLANS = 20
NAMES = {"anthropic": "Claude plan", "openai": "ChatGPT plan"}

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanWindow:
    """A window that is under way; ``gained_minutes`` of use are what compression added to it."""

    name: str
    used: float
    resets_at: float | None
    minutes: int | None
    status: str
    gained_minutes: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A user's plan; ``updated`` in unix seconds."""

    provider: str
    name: str
    plan: str
    updated: float
    windows: tuple[PlanWindow, ...]


class Subscriptions:
    """The file, shared by several proxies. Any thread may use it; nothing here raises for the sake of the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._failing = False

    def record(
        self,
        reading: Reading,
        cost_usd: float | None = None,
        without_usd: float | None = None,
        now: float | None = None,
    ) -> None:
        """Keep what an answer said, and what its request cost with us and would have cost without (USD)."""
        now = time.time() if now is None else now
        try:
            private_dir(self._path.parent)
            with self._lock, file_lock(self._path.with_name(self._path.name + ".lock"), LOCK_SECONDS):
                plans = self._read()
                _note(plans, reading, (cost_usd or 0.0, without_usd or 0.0) if cost_usd else (0.0, 0.0), now)
                content = {"schema_version": SCHEMA_VERSION, "plans": plans}
                write_whole(self._path, json.dumps(content, indent=1).encode())
        except (OSError, HeadroomError) as error:
            if not self._failing:
                log.warning("%s can't be written: %s", self._path, error)
            self._failing = True
        else:
            self._failing = False

    def plans(self, now: float | None = None) -> list[Plan]:
        """The plans that were told of, the latest first, with the windows that are not over yet."""
        now = time.time() if now is None else now
        found: list[Plan] = []
        for key, data in self._read().items():
            provider = key.partition(":")[0]
            windows = [
                _window(name, kept)
                for name, kept in data.get("windows", {}).items()
                if kept.get("resets_at") is None or kept["resets_at"] > now
            ]
            if windows:
                name = NAMES.get(provider, provider)
                found.append(Plan(provider, name, str(data.get("plan", "")), data["updated"], tuple(windows)))
        return sorted(found, key=lambda plan: -plan.updated)

    def _read(self) -> dict[str, Json]:
        """The plans in the file; none where there is no file, or one that is not ours."""
        with suppress(OSError, ValueError, RecursionError):
            data = json.loads(self._path.read_bytes())
            if isinstance(data, dict) and data.get("schema_version") == SCHEMA_VERSION:
                plans = data.get("plans")
                if isinstance(plans, dict):
                    return {key: plan for key, plan in plans.items() if _is_plan(plan)}
        return {}


def _note(plans: dict[str, Json], reading: Reading, cost: tuple[float, float], now: float) -> None:
    key = f"{reading.provider}:{reading.account}" if reading.account else reading.provider
    plan = plans.pop(key, {"windows": {}, "updated": now, "plan": ""})
    idle = now - plan["updated"]
    used = idle if 0 <= idle <= PAUSE else 0.0
    windows: dict[str, Json] = {name: kept for name, kept in plan["windows"].items() if not _is_over(kept, now)}
    told = {window.name: window for window in reading.windows}
    for name, window in told.items():
        kept = windows.get(name)
        if kept is None or _is_another(kept, window):
            kept = {"use_seconds": 0.0, "cost_usd": 0.0, "cost_without_usd": 0.0}
        windows[name] = kept | {
            "used": window.used,
            "resets_at": window.resets_at,
            "minutes": window.minutes,
            "status": window.status,
        }
    for kept in windows.values():
        kept["use_seconds"] += used
        kept["cost_usd"] += cost[0]
        kept["cost_without_usd"] += cost[1]
    plans[key] = {"plan": reading.plan or plan["plan"], "updated": now, "windows": windows}
    while len(plans) > PLANS:
        del plans[min(plans, key=lambda name: plans[name]["updated"])]


def _is_over(kept: Mapping[str, Any], now: float) -> bool:
    return bool(kept["resets_at"] is not None and kept["resets_at"] <= now)


def _is_another(kept: Mapping[str, Any], window: Window) -> bool:
    """Whether a window that has the name of one that was kept has begun after it."""
    if kept["resets_at"] is None or window.resets_at is None:
        return bool(window.used < kept["used"] / 2)
    return bool(window.resets_at - kept["resets_at"] > ANOTHER)


def _window(name: str, kept: Mapping[str, Any]) -> PlanWindow:
    cost, without = kept["cost_usd"], kept["cost_without_usd"]
    gained = kept["use_seconds"] / 60 * max(0.0, without / cost - 1) if cost > 0 else 0.0
    return PlanWindow(name, kept["used"], kept["resets_at"], kept["minutes"], kept["status"], gained)


def _is_plan(plan: object) -> bool:
    """Whether what a file has is what is written here."""
    if not isinstance(plan, dict) or not isinstance(plan.get("windows"), dict):
        return False
    numbers = ("used", "use_seconds", "cost_usd", "cost_without_usd")
    return (
        isinstance(plan.get("updated"), int | float)
        and isinstance(plan.get("plan"), str)
        and all(
            isinstance(window, dict)
            and all(isinstance(window.get(name), int | float) for name in numbers)
            and isinstance(window.get("status"), str)
            and all(isinstance(window.get(name, ""), int | float | None) for name in ("resets_at", "minutes"))
            for window in plan["windows"].values()
        )
    )
