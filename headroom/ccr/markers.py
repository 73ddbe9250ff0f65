"""What stands in a text for what was left out of it: one fixed set of phrases.

| phrase | when |
|---|---|
| ``[340 lines compressed to 120. Retrieve more: hash=0123456789abcdef01234567]`` | our tool is in the request |
| ``[... . Retrieve more with mcp__headroom__headroom_retrieve: hash=...]`` | the client has a tool of that name |
| ``[... . Retrieve more: headroom retrieve 0123456789abcdef01234567]`` | the agent has a shell |
| ``[lines 120-340 left out; read them with offset 120, limit 221]`` | a file that the agent can read again |
| ``[lines 120-340 left out]`` | where bodies of code are missing in an outline, beside one of the first three |
| ``[221 lines left out]`` | where lines are missing, beside one of the first three |

A marker says how much there was, how much is left, and how the rest is had. It stands at the end of the text, on a line
of its own; of an array that was cut down it is the array's own line.
"""

import re
from typing import Literal, NamedTuple

GAP = "[{} lines left out]"
HASH = re.compile(r"\b[0-9a-f]{24}\b")
"""How an original is called: 24 hex digits of the SHA-256 over its text."""

Kind = Literal["native", "tool", "mcp", "command"]


class Way(NamedTuple):
    """A way back; ``tool`` is the name of the tool that the model calls, where the client has it itself."""

    kind: Kind
    tool: str = ""


_ITEMS = re.compile(r"^\[\d+ items compressed to \d+(?=\]$)", re.M)


def gap(first: int, count: int) -> str:
    """Stands where ``count`` lines are missing, of which the text's line ``first`` is the first."""
    return GAP.format(count)


def retrieve(way: Way, hash: str) -> str:
    """How the original is had."""
    if way.kind == "command":
        return f"Retrieve more: headroom retrieve {hash}"
    if way.kind == "mcp":
        return f"Retrieve more with {way.tool}: hash={hash}"
    return f"Retrieve more: hash={hash}"


def mark(text: str, before: str, left_out: int, way: Way, hash: str) -> str:
    """``text``, which stands for ``before`` less ``left_out`` lines or items, with its marker."""
    how = retrieve(way, hash)
    items = _ITEMS.search(text)
    if items:
        return f"{text[: items.end()]}. {how}{text[items.end() :]}"
    lines = before.count("\n") + (not before.endswith("\n"))
    if 0 < left_out <= lines:
        said = f"{lines:,} lines compressed to {lines - left_out:,}"
    else:
        said = f"{len(before):,} characters compressed to {len(text):,}"
    return f"{text}{'' if text.endswith('\n') else '\n'}[{said}. {how}]"


def dropped(count: int, by: str, way: Way | None, hash: str) -> str:
    """What stands for ``count`` earlier messages. Their originals are had by ``hash``, where there is a way."""
    said = f"[Earlier context compressed: {count} message(s) dropped by {by}."
    if way is None:
        return f"{said}]"
    if way.kind == "command":
        return f"{said}\nFull content available via the command: headroom retrieve {hash}]"
    tool = way.tool if way.kind == "mcp" else "ccr_retrieve"
    return f"{said}\nFull content available via {tool} tool with reference '{hash}'.]"
