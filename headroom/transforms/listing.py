"""Directory listings: names of one directory side by side, and what all rows share said once.

Four forms for four shapes: names (``ls``, ``ls -R``), rows (``ls -l``), paths (``find``, Glob, ``git ls-files``)
and drawings (``tree``). Nothing but padding, line ends and drawn lines is left out.
"""

import re
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from headroom.transforms.base import Compressed, Context
from headroom.transforms.frames import bodies

Lines = list[str]

MIN_ROWS = 3
"""Rows below which saying once what they share would not be shorter."""


def names(text: str, context: Context) -> Compressed | None:
    """``ls`` and ``ls -R``: a directory's names on one line, after its path and a colon where ``ls`` wrote one.

    A directory right below one above is indented by one more space and stands without that one's path; one whose
    only entry is the directory that follows is joined with it: ``locale/LC_MESSAGES: django.po``.
    """
    return _rewrite(text, _names)


def rows(text: str, context: Context) -> Compressed | None:
    """``ls -l``: the most common mode, links, owner, group and date once, and then only where they differ."""
    return _rewrite(text, _rows)


def paths(text: str, context: Context) -> Compressed | None:
    """One path a line: neighbours in one directory as ``directory/: name name``.

    Not with ``lossless``: a path that an agent goes on with would no longer stand there in full.
    """
    return None if context.lossless else _rewrite(text, _paths)


def drawing(text: str, context: Context) -> Compressed | None:
    """``tree``: depth as indentation instead of drawn lines."""
    return _rewrite(text, _drawing)


def _rewrite(text: str, form: Callable[[Lines], Lines | None]) -> Compressed | None:
    """Put ``form`` on each part that the command wrote; what the agent wrote around it stays."""
    lines = text.split("\n")
    out: Lines = []
    done = 0
    for start, end in bodies(lines):
        shorter = form(lines[start:end])
        if shorter is not None:
            out += lines[done:start]
            out += shorter
            done = end
    out += lines[done:]
    result = "\n".join(out)
    return Compressed(result, "listing") if result != text and len(result) <= len(text) else None


class _Block(NamedTuple):
    """A directory of ``ls``: its path, None where ``ls`` wrote none, and its entries."""

    path: str | None
    entries: Lines


_SPACED = re.compile(r"[ \t]")
_MAX_DEPTH = 40


def _is_empty(line: str) -> bool:
    return not line


def _names(lines: Lines) -> Lines | None:
    blocks = _blocks(lines)
    if blocks is None:
        return None
    out: Lines = []
    above: Lines = []  # the directories around the next one, outermost first
    joined = ""  # path of a directory whose only entry is the next one
    for i, (path, entries) in enumerate(blocks):
        if path is None:
            out += ["", " ".join(entries)] if i else [" ".join(entries)]
            above, joined = [], ""
            continue
        follows = blocks[i + 1].path if i + 1 < len(blocks) else None
        while not joined and above and not _right_below(path, above[-1]):
            above.pop()
        only = len(entries) == 1 and above and follows == f"{path}/{entries[0]}"
        if only and len(above) < _MAX_DEPTH:
            joined = path
            continue
        label = path[len(above[-1]) + 1 :] if above else path
        out.append(f"{' ' * len(above)}{label}: {' '.join(entries)}".rstrip(" "))
        above.append(path)
        joined = ""
    return out


def _right_below(path: str, parent: str) -> bool:
    return path.startswith(parent + "/") and "/" not in path[len(parent) + 1 :]


def _blocks(lines: Lines) -> list[_Block] | None:
    """The directories in the output of ``ls``; None when some line is no plain name."""
    if any(map(_SPACED.search, lines)):
        return None
    blocks: list[_Block] = []
    for empty, run in groupby(lines, key=_is_empty):
        entries = list(run)
        if empty:
            if len(entries) > 1:
                return None
            continue
        path = entries.pop(0)[:-1] if entries[0].endswith(":") and len(entries[0]) > 1 else None
        if any(entry.endswith(":") for entry in entries):
            return None
        blocks.append(_Block(path, entries))
    return blocks


ROW = re.compile(
    r"(?P<mode>[-dlcbps][-rwxsStT]{9}[.+@]?) +(?P<links>\d+) (?P<owner>[^\s\d]\S*) +(?P<group>[^\s\d]\S*) +"
    r"(?P<size>\d[\d.,]*[KMGTP]?) (?P<date>[A-Z][a-z]{2} [ \d]\d (?: \d{4}|\d\d:\d\d)|\d{4}-\d\d-\d\d \d\d:\d\d) "
    r"(?P<name>.+)"
)
_DATED = re.compile(r"[A-Z][a-z]{2} [ \d]\d |\d{4}-\d\d-\d\d ")


def _rows(lines: Lines) -> Lines | None:
    out: Lines = []
    found = False
    for is_row, run in groupby(((line, ROW.fullmatch(line)) for line in lines), key=lambda pair: pair[1] is not None):
        pairs = list(run)
        if is_row and len(pairs) >= MIN_ROWS and not any(match and _DATED.match(match["name"]) for _, match in pairs):
            out += _table([match for _, match in pairs if match])
            found = True
        else:
            out += [line for line, _ in pairs]
    return out if found else None


def _table(matches: list[re.Match[str]]) -> Lines:
    """The rows without what most of them share, below a line that says it."""

    def common(*columns: str) -> str:
        return Counter(" ".join(match[column] for column in columns) for match in matches).most_common(1)[0][0]

    kind, owners, date = common("mode", "links"), common("owner", "group"), common("date")
    directories = Counter(match["mode"] for match in matches if match["mode"][0] == "d")
    directory = max(directories, key=directories.__getitem__, default="")
    short = f"; d is {directory}" if directory else ""
    out = [f"[ls -l; where a line does not say: {kind} {owners}, {date}{short}]"]
    for match in matches:
        parts = []
        if f"{match['mode']} {match['links']}" != kind:
            parts += ["d" if match["mode"] == directory else match["mode"], match["links"]]
        if f"{match['owner']} {match['group']}" != owners:
            parts += [match["owner"], match["group"]]
        parts.append(match["size"])
        if match["date"] != date:
            parts.append(match["date"])
        out.append(" ".join([*parts, match["name"]]))
    return out


def _paths(lines: Lines) -> Lines | None:
    out: Lines = []
    for folder, run in groupby(lines, key=_folder):
        members = list(run)
        if folder and len(members) > 1:
            out.append(f"{folder}: {' '.join(member[len(folder) :] for member in members)}")
        else:
            out += members
    return out


def _folder(line: str) -> str:
    """The directory of a path, with its slash; "" for what is no path, or stands at the top."""
    if _SPACED.search(line):
        return ""
    return line[: line.rfind("/", 0, -1) + 1]


_DRAWN = re.compile(r"(?P<stems>(?:[│|][ \xa0]{3}|[ \xa0]{4})*)(?P<branch>[├└|`][─-]{2}[ \xa0])(?P<name>\S.*)")


def _drawing(lines: Lines) -> Lines | None:
    out: Lines = []
    found = False
    for line in lines:
        match = _DRAWN.fullmatch(line)
        if match:
            found = True
            out.append(" " * (len(match["stems"]) // 4 + 1) + match["name"])
        elif line.startswith(" "):
            return None  # would be taken for an entry
        else:
            out.append(line)
    return out if found else None
