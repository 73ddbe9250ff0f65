"""What a provider's answer says of its user's plan. Nothing is asked for: these answers come anyway.

- Anthropic tells plan users (Pro, Max) with every answer: ``anthropic-ratelimit-unified-5h-utilization`` (0 to 1),
  ``-reset`` (unix seconds) and ``-status``, the same for ``7d`` and for windows of single models.
- ChatGPT's sign-in tells Codex: ``x-codex-primary-used-percent``, ``-window-minutes``, ``-reset-at`` (older servers:
  ``-reset-after-seconds``), the same for ``secondary``; over its WebSocket as an event ``codex.rate_limits``.
- Clients ask for their usage themselves at times; those answers have the same windows.
"""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

ANTHROPIC, OPENAI = "anthropic", "openai"
USAGE_PATHS = {
    ("api.anthropic.com", "/api/oauth/usage"): ANTHROPIC,
    ("chatgpt.com", "/backend-api/wham/usage"): OPENAI,
    ("chatgpt.com", "/backend-api/codex/usage"): OPENAI,
}
"""Where Claude Code and Codex ask for their usage, and whose it is."""
EVENT = "codex.rate_limits"
MOST_WINDOWS = 12
_unified = re.compile(r"anthropic-ratelimit-unified-((\d{1,3})([hd])(?:[_-][a-z0-9_-]{1,30})?)-utilization").fullmatch
_codex = re.compile(r"x-codex-((?:[a-z0-9][a-z0-9_-]{0,30}-)?(?:primary|secondary))-used-percent").fullmatch
_dated = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.{0,30}").fullmatch
_plain = re.compile(r"[a-z0-9_ -]{1,40}").fullmatch
_MINUTES = {"h": 60, "d": 1440}
_KNOWN = {"five": 5, "seven": 7}


@dataclass(frozen=True, slots=True)
class Window:
    """How full a window is: ``used`` from 0 to 1 (above it is overused), ``resets_at`` in unix seconds, ``minutes`` its
    length; the latter two None where they are not told."""

    name: str
    used: float
    resets_at: float | None = None
    minutes: int | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer said. ``account`` tells accounts apart and nothing more: a hash, "" where none was named."""

    provider: str
    windows: tuple[Window, ...]
    plan: str = ""
    account: str = ""


def from_headers(headers: Mapping[str, str], now: float | None = None) -> Reading | None:
    """What the headers of an answer (lower-case names) say; None where they say nothing of a plan."""
    now = time.time() if now is None else now
    windows: list[Window] = []
    for name in headers:
        window = None
        if unified := _unified(name):
            window = _unified_window(headers, unified)
        elif codex := _codex(name):
            window = _codex_window(headers, codex, now)
        if window is not None:
            windows.append(window)
    windows = windows[:MOST_WINDOWS]
    if not windows:
        return None
    of_anthropic = any(name.startswith("anthropic-") for name in headers)
    account = headers.get("anthropic-organization-id", "") if of_anthropic else ""
    plan = "" if of_anthropic else headers.get("x-codex-plan-type", "")
    return Reading(ANTHROPIC if of_anthropic else OPENAI, tuple(windows), _name(plan), _hashed(account))


def from_event(message: bytes) -> Reading | None:
    """What an event of Codex's WebSocket says; None where it is another event."""
    data = _json(message)
    if data.get("type") != EVENT:
        return None
    limits = _object(data.get("rate_limits"))
    found = [_listed(which, _object(limits.get(which)), "window_minutes", 1) for which in ("primary", "secondary")]
    return _reading(OPENAI, found, data.get("plan_type"))


def from_usage(provider: str, body: bytes) -> Reading | None:
    """What the answer to a client's own question for its usage says; None where it can't be read."""
    data = _json(body)
    if provider == OPENAI:
        limits = _object(data.get("rate_limit"))
        both = ("primary", "secondary")
        found = [_listed(which, _object(limits.get(f"{which}_window")), "limit_window_seconds", 60) for which in both]
        return _reading(OPENAI, found, data.get("plan_type"))
    return _reading(ANTHROPIC, [_usage_window(name, _object(value)) for name, value in data.items()], "")


def length_name(minutes: int) -> str:
    """A window's length in words: 5 hours, 7 days."""
    if minutes % 1440 == 0:
        return f"{minutes // 1440} day{'s' if minutes != 1440 else ''}"
    if minutes % 60 == 0:
        return f"{minutes // 60} hour{'s' if minutes != 60 else ''}"
    return f"{minutes} minutes"


def _unified_window(headers: Mapping[str, str], found: re.Match[str]) -> Window | None:
    name, number, unit = found[1], int(found[2]), found[3]
    used = _number(headers[found[0]])
    if used is None:
        return None
    minutes = number * _MINUTES[unit]
    start = f"anthropic-ratelimit-unified-{name}"
    rest = name[len(found[2]) + 1 :].strip("_-")
    words = length_name(minutes) + (f" ({rest})" if rest else "")
    return Window(
        words, used, _moment(headers.get(f"{start}-reset")), minutes, _name(headers.get(f"{start}-status", ""))
    )


def _codex_window(headers: Mapping[str, str], found: re.Match[str], now: float) -> Window | None:
    start = f"x-codex-{found[1]}"
    used = _number(headers[found[0]])
    if used is None:
        return None
    minutes = _number(headers.get(f"{start}-window-minutes"))
    resets, after = _moment(headers.get(f"{start}-reset-at")), _number(headers.get(f"{start}-reset-after-seconds"))
    if resets is None and after is not None:
        resets = now + after
    return Window(_window_name(found[1], minutes), used / 100, resets, int(minutes) if minutes else None)


def _listed(which: str, data: Mapping[str, object], length: str, per_minute: int) -> Window | None:
    used, spoken = _number(data.get("used_percent")), _number(data.get(length))
    if used is None:
        return None
    minutes = spoken / per_minute if spoken else None
    resets = _moment(data.get("reset_at"))
    return Window(_window_name(which, minutes), used / 100, resets, int(minutes) if minutes else None)


def _usage_window(name: str, data: Mapping[str, object]) -> Window | None:
    """five_hour, seven_day, seven_day_opus: {utilization: percent, resets_at: a time}."""
    number, _, rest = name.partition("_")
    unit, _, rest = rest.partition("_")
    used = _number(data.get("utilization"))
    if used is None or number not in _KNOWN or unit not in ("hour", "day"):
        return None
    minutes = _KNOWN[number] * _MINUTES[unit[0]]
    rest = _name(rest)
    return Window(
        length_name(minutes) + (f" ({rest})" if rest else ""), used / 100, _moment(data.get("resets_at")), minutes
    )


def _window_name(which: str, minutes: float | None) -> str:
    limit = which.removesuffix("primary").removesuffix("secondary").strip("-")
    length = length_name(int(minutes)) if minutes and minutes >= 1 else which.rpartition("-")[2]
    return f"{length} ({limit})" if limit else length


def _reading(provider: str, found: list[Window | None], plan: object) -> Reading | None:
    windows = tuple(window for window in found if window is not None)[:MOST_WINDOWS]
    return Reading(provider, windows, _name(plan)) if windows else None


def _json(data: bytes) -> Mapping[str, object]:
    try:
        return _object(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    """A number that is not below 0, also from its text; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number < 1e12 else None


def _moment(value: object) -> float | None:
    """Unix seconds, from a number or from a time in ISO 8601."""
    number = _number(value)
    if number is not None or not isinstance(value, str) or not _dated(value):
        return number
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _name(value: object) -> str:
    return value.lower() if isinstance(value, str) and _plain(value.lower()) else ""


def _hashed(account: str) -> str:
    return sha256(account.encode("utf-8", "replace")).hexdigest()[:8] if account else ""
