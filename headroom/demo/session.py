"""A coding session as Claude Code would have it: what the model says, and the requests that follow from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headroom.demo.project import ROOT

Json = dict[str, Any]
MODEL = "claude-sonnet-4-5"
OWN_TOKENS = 6_000
"""About how long the filler is that stands for the agent's own tools and system prompt, which nobody may shorten.
Claude Code sends three times as much, over sessions three times as long: their part of the bill is about the same."""

TASK = (
    "Since yesterday three tests in tests/test_allocation.py fail. Please find out why and fix the code, not the "
    "tests. Add a test for what you find, if one is missing."
)
_ALLOCATION = f"{ROOT}/stockroom/allocation.py"
_TESTS = f"{ROOT}/tests/test_allocation.py"
_PYTEST = {"command": "pytest tests -v", "description": "Run the tests"}


@dataclass(frozen=True, slots=True)
class Say:
    """One answer of the model: a sentence, and the tool call that follows it, if any."""

    words: str
    tool: str = ""
    arguments: Mapping[str, str] | None = None


ANSWERS = (
    Say("I'll run the tests first to see how they fail.", "Bash", _PYTEST),
    Say(
        "Three failures, all about which lots are chosen. Let me read the allocator.",
        "Read",
        {"file_path": _ALLOCATION},
    ),
    Say(
        "`_candidates` sorts by `best_before` and takes `date.min` for lots without one. Who else uses it?",
        "Grep",
        {"pattern": "best_before|max_lots|is_sellable", "output_mode": "content", "-n": "true"},
    ),
    Say("Now the lots themselves.", "Read", {"file_path": f"{ROOT}/stockroom/stock.py"}),
    Say("And what the tests expect.", "Read", {"file_path": _TESTS}),
    Say(
        "A lot without a date keeps, so it has to come last: `date.max`.",
        "Edit",
        {
            "file_path": _ALLOCATION,
            "old_string": "(lot.best_before or date.min, lot.received, lot.lot_id)",
            "new_string": "(lot.best_before or date.max, lot.received, lot.lot_id)",
        },
    ),
    Say("", "Bash", _PYTEST),
    Say("One is left: a line is served from three bins where two are allowed.", "Read", {"file_path": _ALLOCATION}),
    Say(
        "The check comes before the pick is added, so `>` lets one lot too many through.",
        "Edit",
        {
            "file_path": _ALLOCATION,
            "old_string": "            if len(allocation.picks) > self.max_lots:\n                break",
            "new_string": "            if len(allocation.picks) >= self.max_lots:\n                break",
        },
    ),
    Say(
        "No test says in which order lots without a date are used among themselves. I'll add one.",
        "Edit",
        {
            "file_path": _TESTS,
            "old_string": "def test_two_lines_do_not_share_units(allocator):\n",
            "new_string": (
                "def test_lots_without_a_date_are_used_as_they_arrived(allocator, warehouse):\n"
                "    warehouse.receive(lot(7, RICE, 10))\n"
                '    assert picked(allocator, OrderLine("RICE-5K", 75)) == [\n'
                '        ("L006", 5), ("L005", 25), ("L004", 40), ("L007", 5)\n'
                "    ]\n\n\n"
                "def test_two_lines_do_not_share_units(allocator):\n"
            ),
        },
    ),
    Say("", "Bash", _PYTEST),
    Say("All 13 pass. A last look at the changes.", "Bash", {"command": "git diff", "description": "Show all changes"}),
    Say(
        "Two mistakes in `stockroom/allocation.py`, both fixed:\n\n"
        "1. `_candidates` put lots without a best-before date first (`date.min`); they keep, so they now come last.\n"
        "2. `_plan_line` stopped one lot too late (`>` for `>=`), so a picker walked to one bin more than allowed.\n\n"
        "I added a test for the order of lots without a date. All 13 tests pass."
    ),
)


class Session:
    """The client's side: what it sends next."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": TASK}]}]

    def body(self) -> bytes:
        """The next request. Its last block is marked to be cached, and only that one, as Claude Code does."""
        *before, newest = self._messages
        *blocks, last = newest["content"]
        marked = {**newest, "content": [*blocks, {**last, "cache_control": {"type": "ephemeral"}}]}
        request = {
            "model": MODEL,
            "messages": [*before, marked],
            "system": _SYSTEM,
            "tools": _TOOLS,
            "metadata": {"user_id": json.dumps({"device_id": "0" * 64, "account_uuid": "", "session_id": self._name})},
            "max_tokens": 32000,
            "stream": True,
        }
        return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()

    def answered(self, content: list[Json]) -> None:
        """The model's answer."""
        self._messages.append({"role": "assistant", "content": content})

    def used(self, call: str, result: str) -> None:
        """What a tool gave."""
        block = {"tool_use_id": call, "type": "tool_result", "content": result}
        self._messages.append({"role": "user", "content": [block]})


def _filler(tokens: int, sentence: str) -> str:
    """So many tokens, near enough: a sentence over and over, numbered."""
    return "\n".join(f"{number}. {sentence}" for number in range(1, tokens // 15))


_TOOLS: list[Json] = [
    {
        "name": name,
        "description": f"{name}: a tool of the agent.\n"
        + _filler(OWN_TOKENS * 7 // 10 // 12, "Say what is to be done, and read what comes back."),
        "input_schema": {"type": "object", "properties": {"argument": {"type": "string"}}, "required": ["argument"]},
    }
    for name in (
        *("Bash", "Read", "Edit", "Write", "Grep", "Glob"),
        *("Task", "TodoWrite", "WebFetch", "WebSearch", "NotebookEdit", "Skill"),
    )
]
_SYSTEM: list[Json] = [
    {
        "type": "text",
        "text": "You are a coding agent. You work in a repository through tools, one step at a time.\n"
        + _filler(OWN_TOKENS * 3 // 10, "Keep to the conventions of the project you work in."),
        "cache_control": {"type": "ephemeral"},
    }
]
