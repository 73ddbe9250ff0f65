"""How far the output of each tool may be rewritten.

| profile | what may be done |
|---|---|
| skip | nothing: each byte stays |
| lossless | another form of the same text; references to what stands in the conversation |
| normal | beside that, leaving out what is unlikely to be needed, where it can be had back |
| outline | beside that, of code only what it declares: for tools whose files are looked through and not edited |

Defaults, and why:

| tools | profile | reason |
|---|---|---|
| file reads and edits, notebooks, patches (Claude Code, Codex, Gemini CLI) | lossless | the next edit quotes lines |
| shells and their background tasks | lossless | agents read files with them too; most outputs are used or short |
| searches and listings | lossless | what is looked for is not known here; paths are what the agent goes on with |
| sub-agents (Task, Agent) | lossless | a report that is already a summary |
| web pages and web searches | normal | long, mostly not what was asked for, never edited, and can be fetched again |
| to-do lists, questions, skills, memory, tool search | skip | short, and instructions: their wording matters |
| images | skip | no text |
| headroom_retrieve, ccr_retrieve, and `headroom retrieve` in a shell | skip | the agent asked for just this, in full |
| mcp__*, and tools that nobody knows | lossless | nobody knows what their output is used for |
"""

from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.util import find_spec

from headroom.errors import ConfigurationError


class Profile(StrEnum):
    """How far a tool's output may be rewritten."""

    SKIP = "skip"
    LOSSLESS = "lossless"
    NORMAL = "normal"
    OUTLINE = "outline"


DEFAULT = Profile.LOSSLESS
"""For tools that nobody named."""

_NAMED = {
    Profile.SKIP: (
        # Claude Code
        "todowrite todoread taskcreate taskupdate tasklist enterplanmode askuserquestion skill toolsearch "
        "slashcommand killshell taskstop sendusermessage "
        # Codex
        "update_plan view_image request_user_input "
        # Gemini CLI
        "save_memory write_todos ask_user activate_skill enter_plan_mode exit_plan_mode update_topic "
        # ours
        "headroom_retrieve ccr_retrieve *__headroom_retrieve"
    ),
    Profile.NORMAL: "webfetch websearch web_search web_fetch google_web_search *__fetch",
}
DEFAULTS: Mapping[str, Profile] = {name: profile for profile, names in _NAMED.items() for name in names.split()}
"""Tools (in lower case, * for anything) that are not DEFAULT."""


def profile(tool: str, overrides: Mapping[str, str]) -> Profile:
    """The profile of a tool. ``overrides`` maps names, or patterns with ``*``, to profiles; case does not count.

    The most exact name wins: one without ``*`` before patterns, a longer pattern before a shorter, and overrides before
    defaults. Raises ConfigurationError for a value that is no profile.
    """
    asked = {name.lower(): checked_profile(name, value) for name, value in overrides.items()}
    name = tool.lower()
    for table in (asked, DEFAULTS):
        if name in table:
            return table[name]
        patterns = [pattern for pattern in table if "*" in pattern and fnmatchcase(name, pattern)]
        if patterns:
            return table[max(patterns, key=lambda pattern: (len(pattern), pattern))]
    return DEFAULT


def may_leave_out(tool: str, overrides: Mapping[str, str], level: str) -> bool:
    """Whether what a tool prints may have something left out, where it can be had back.

    ``level`` is safe (never), balanced (tools of profile ``normal`` or ``outline``) or max (also tools of which nobody
    said ``lossless`` or ``skip``).
    """
    if level == "safe":
        return False
    found = profile(tool, overrides)
    if found is Profile.LOSSLESS and level == "max":
        return profile(tool, {"*": "normal", **overrides}) is Profile.NORMAL
    return found in (Profile.NORMAL, Profile.OUTLINE)


def checked_profile(name: str, value: object) -> Profile:
    """The profile that ``value`` names, for the tool ``name``. Raises ConfigurationError."""
    try:
        found = Profile(str(value).lower())
    except ValueError:
        expected = ", ".join(Profile)
        raise ConfigurationError(
            f"the profile of tool {name!r} is {value!r}; expected one of {expected}",
            {"setting": f"tool_profiles.{name}", "found": value, "expected": expected},
        ) from None
    if found is Profile.OUTLINE and not _can_outline():
        raise ConfigurationError(
            f"the profile of tool {name!r} is 'outline', which needs tree-sitter: pip install 'headroom-ai[code]'",
            {"setting": f"tool_profiles.{name}", "found": value, "expected": "tree-sitter, or another profile"},
        )
    return found


@cache
def _can_outline() -> bool:
    return find_spec("tree_sitter") is not None
