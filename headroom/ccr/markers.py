"""What stands in a text for what was left out of it: one fixed set of phrases.

| phrase | when |
|---|---|
| ``[340 lines compressed to 120. Retrieve more: hash=0123456789abcdef01234567]`` | our tool is in the request |
| ``[... . Retrieve more with mcp__headroom__headroom_retrieve: hash=...]`` | the client has a tool of that name |
| ``[... . Retrieve more: headroom retrieve 0123456789abcdef01234567]`` | the agent has a shell |
| ``[lines 120-340 left out; run it again through sed -n '120,340p' to see them]`` | what a shell can print again |
| ``[lines 120-340 left out; a narrower search shows them]`` | hits of a search, paths of a listing |
| ``[lines 120-340 left out; read them with offset 120, limit 221]`` | a file; its own numbers |
| ``[lines 120-340 left out; read /tmp/tasks/b1.output to see them]`` | what a background task printed, into that file |
| ``[lines 120-340 left out; ...; new names in them: 131:serve_forever poll_interval]`` | what only stands there |
| ``[lines 120-340 left out]`` | where more is missing of such a text, and where bodies of code are in an outline |
| ``[221 lines left out]`` | where lines are missing, beside one of the first three |

A marker says how much there was, how much is left, and how the rest is had. It stands at the end of the text, on a line
of its own; of an array that was cut down it is the array's own line.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

GAP = "[{} lines left out]"
HASH = re.compile(r"\b[0-9a-f]{24}\b")
"""How an original is called: 24 hex digits of the SHA-256 over its text."""

Kind = Literal["native", "tool", "mcp", "command"]


class Way(NamedTuple):
    """A way back; ``tool`` is the name of the tool that the model calls, where the client has it itself."""

    kind: Kind
    tool: str = ""


Native = Literal["shell", "search", "file", "task"]
"""With which of its own tools the agent can have a text again."""
SAID = 3
"""Gaps of one text that say how their lines are had."""
_NATIVE = {
    "shell": "; run it again through sed -n '{first},{last}p' to see them",
    "search": "; a narrower search shows them",
    "file": "; read them with offset {first}, limit {count}",
    "task": "; read {path} to see them",
}
_GAP = re.compile(r"\[lines (\d{1,9})-(\d{1,9}) left out\b")
_OF_FILE = re.compile(r"^\[lines \d+-\d+ left out; read them with offset ", re.M)
read_instead = re.compile(r"^\[lines \d+-\d+ left out; read (\S+) to see them", re.M).findall
"""The files that markers in a text name."""
NUMBERED = re.compile(r" *(\d{1,9})(?:→|\t)")
"""The beginning of a line of a file, as tools show it that read a part of one."""
_ITEMS = re.compile(r"^\[\d+ items compressed to \d+(?=\]$)", re.M)


def gap(first: int, count: int) -> str:
    """Stands where ``count`` lines are missing, of which the text's line ``first`` is the first."""
    return GAP.format(count)


def native_gaps(native: Native, shift: int = 0, path: str = "") -> Callable[[int, int], str]:
    """As ``gap``, for a text that the agent's own tools print again: the first ones say how. ``shift`` is added to the
    numbers of lines, for a part of a file; ``path`` is the file with what a background task printed."""
    said, most = 0, 1 if path else SAID

    def stands(first: int, count: int) -> str:
        nonlocal said
        first, said = first + shift, said + 1
        last = first + count - 1
        how = _NATIVE[native].format(first=first, last=last, count=count, path=path) if said <= most else ""
        return f"[lines {first}-{last} left out{how}]"

    return stands


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


def standing(text: str, original: str) -> list[tuple[str, str]]:
    """The markers of ``text``, in order, each with what of ``original`` it stands for: the lines that it names, else
    all."""
    lines = original.split("\n")
    number = NUMBERED.match(lines[0]) if _OF_FILE.search(text) else None
    shift = int(number[1]) - 1 if number else 0
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        if not (line.startswith("[") and line.endswith("]")):
            continue
        if gap := _GAP.match(line):
            found.append((line, "\n".join(lines[int(gap[1]) - 1 - shift : int(gap[2]) - shift])))
        elif "Retrieve more" in line and HASH.search(line):
            found.append((line, original))
    return found


def dropped(count: int, by: str, way: Way | None, hash: str) -> str:
    """What stands for ``count`` earlier messages. Their originals are had by ``hash``, where there is a way."""
    said = f"[Earlier context compressed: {count} message(s) dropped by {by}."
    if way is None:
        return f"{said}]"
    if way.kind == "command":
        return f"{said}\nFull content available via the command: headroom retrieve {hash}]"
    tool = way.tool if way.kind == "mcp" else "ccr_retrieve"
    return f"{said}\nFull content available via {tool} tool with reference '{hash}'.]"
