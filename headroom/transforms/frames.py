"""The tags that an agent puts around a command's output: opened, and not closed again where the end is plain.

``<returncode>0</returncode>`` at the beginning ends where its line ends, ``<output>`` where the text ends.
"""

import re

from headroom.transforms.base import Compressed, Context

FRAMES = frozenset({
    "elided_chars", "exit_code", "output", "output_head", "output_tail", "result", "retrieval_status", "returncode",
    "status", "stderr", "stdout", "task_id", "task_type", "warning",
})  # fmt: skip
"""Tags of mini-swe-agent's observations and of Claude Code's TaskOutput and BashOutput."""

_CALLS = frozenset({"returncode", "exit_code", "retrieval_status"})
"""One of these stands at the beginning: a file that happens to begin with one of the others stays as it is."""

_ELEMENT = re.compile(r"<([a-z_]+)>([^<>\n]*)</\1>(\n+)")
_UNCLOSED = re.compile(r"<([a-z_]+)>[^<>\n]+\n")
_END = re.compile(r"</([a-z_]+)>\Z")


def compress(text: str, context: Context) -> Compressed | None:
    """Leave out the end tags of the one-line elements that the text begins with, and the one that it ends with."""
    if not text.startswith("<"):
        return None
    head: list[str] = []
    at = 0
    is_call = False
    while (element := _ELEMENT.match(text, at)) and element[1] in FRAMES and element[2]:
        head.append(f"<{element[1]}>{element[2]}{element[3]}")
        at = element.end()
        is_call = is_call or element[1] in _CALLS
    unclosed = _UNCLOSED.match(text, at)
    if not is_call or (unclosed and unclosed[1] in FRAMES):
        return None
    rest = text[at:]
    end = _END.search(rest, max(0, len(rest) - 40))
    if end and end[1] in FRAMES and _still_open(rest[: end.start()], end[1]):
        rest = rest[: end.start()]
    out = "".join(head) + rest
    return Compressed(out, "frame") if len(out) < len(text) else None


def _still_open(text: str, tag: str) -> bool:
    """Whether the last of this tag's own lines in ``text`` opens it."""
    opened = max(text.rfind(f"\n<{tag}>\n"), 0 if text.startswith(f"<{tag}>\n") else -1)
    return opened >= 0 and text.find(f"</{tag}>", opened) < 0


_OPENS = re.compile(r"(?:</warning>)?<(?:output|output_head|output_tail|stdout|stderr)>\Z")
_CLOSES = ("</output", "</stdout>", "</stderr>")
_HEADING = re.compile(r"Exit code:? -?\d+\Z|Output:")
_FOOT = ("<system-reminder>", "Error: (none)", "Exit Code: ", "Background PIDs: ", "Process Group PGID: ")
_HEADING_LINES = 8


def bodies(lines: list[str]) -> list[tuple[int, int]]:
    """Where a command's own output stands: (first line, line after the last) of each part, without empty lines around.

    Knows the tags above, Claude Code's ``Exit code 1`` and reminders, and what Codex and Gemini CLI write around it.
    """
    parts: list[tuple[int, int]] = []
    if lines[0].startswith("<"):
        start = -1
        for i, line in enumerate(lines):
            if start < 0 and _OPENS.match(line):
                start = i + 1
            elif start >= 0 and line.startswith(_CLOSES):
                parts.append((start, i))
                start = -1
    else:
        heads = [i for i, line in enumerate(lines[:_HEADING_LINES]) if _HEADING.match(line)]
        start = heads[-1] + 1 if heads else 0
        end = next((i for i in range(start, len(lines)) if lines[i].startswith(_FOOT)), len(lines))
        parts.append((start, end))
    return [part for part in (_trimmed(lines, *part) for part in parts) if part[0] < part[1]]


def _trimmed(lines: list[str], start: int, end: int) -> tuple[int, int]:
    while start < end and not lines[start]:
        start += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return start, end
