"""What a program may say for one request: ``headroom_mode=...`` and its siblings, or headers ``x-headroom-...``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headroom.config import HeadroomMode, at_least, tool_profiles, wrong_setting
from headroom.errors import ConfigurationError

PREFIX = "headroom_"
HEADER = "x-headroom-options"
"""Carries the keywords through the SDK to where its request is ready; like all x-headroom-* it never leaves."""
KEYWORDS = (
    "headroom_mode",
    "headroom_cache_prefix_tokens",
    "headroom_output_buffer_tokens",
    "headroom_keep_turns",
    "headroom_tool_profiles",
)


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """``mode`` None: the client's. ``cache_prefix_tokens``: so many tokens at the request's beginning stay as they are.
    ``keep_turns``: so many last turns stay as they are. ``output_buffer_tokens`` None: as configured. ``session``,
    ``project``: names for the ledger."""

    mode: HeadroomMode | None = None
    cache_prefix_tokens: int = 0
    output_buffer_tokens: int | None = None
    keep_turns: int = 0
    tool_profiles: Mapping[str, str] = field(default_factory=dict)
    bypass: bool = False
    project: str | None = None


def split(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keywords that are the SDK's, and those that are ours. Raises ConfigurationError for one that looks like ours
    and is none."""
    ours = {name: value for name, value in keywords.items() if name.startswith(PREFIX)}
    for name in ours:
        if name not in KEYWORDS:
            raise unknown(name)
    return {name: value for name, value in keywords.items() if name not in ours}, ours


def header_of(ours: Mapping[str, Any]) -> str:
    """The keywords as a header's value. Raises ConfigurationError for a wrong one."""
    options_of(ours)
    return json.dumps(ours)


def options_of(ours: Mapping[str, Any]) -> RequestOptions:
    """Raises ConfigurationError that names the keyword."""
    options = RequestOptions()
    for name, value in ours.items():
        field_name = name.removeprefix(PREFIX)
        if value is None:
            continue
        if name == "headroom_mode":
            options = replace(options, mode=_mode(name, value))
        elif name == "headroom_tool_profiles":
            options = replace(options, tool_profiles=tool_profiles(name, value))
        else:
            at_least(name, value, 0)
            options = replace(options, **{field_name: value})
    return options


def from_headers(headers: Mapping[str, str]) -> RequestOptions:
    """What the headers of a request (lower-case names) ask for. Raises ConfigurationError."""
    options = options_of(json.loads(headers[HEADER])) if HEADER in headers else RequestOptions()
    if options.mode is None and "x-headroom-mode" in headers:
        options = replace(options, mode=_mode("x-headroom-mode", headers["x-headroom-mode"]))
    if headers.get("x-headroom-bypass", "").lower() == "true":
        options = replace(options, bypass=True)
    return replace(options, project=headers.get("x-headroom-project"))


def unknown(name: str) -> ConfigurationError:
    """What is wrong with a keyword that does not exist."""
    from difflib import get_close_matches

    close = get_close_matches(name, KEYWORDS, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return ConfigurationError(
        f"{name} is no keyword of headroom{meant} (there are {', '.join(KEYWORDS)})",
        {"setting": name, "expected": list(KEYWORDS), "meant": close[0] if close else None},
    )


def _mode(name: str, value: object) -> HeadroomMode:
    try:
        return HeadroomMode(str(value).lower())
    except ValueError:
        raise wrong_setting(name, value, ", ".join(HeadroomMode)) from None
