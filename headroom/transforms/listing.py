"""Directory listings: names of one directory side by side, and what all rows share said once.

Four forms for four shapes: names (``ls``, ``ls -R``), rows (``ls -l``), paths (``find``, Glob, ``git ls-files``)
and drawings (``tree``). Nothing but padding, line ends and drawn lines is left out.
"""

import re
from collections import Counter
from collections.abc import Callable
from itertools import groupby

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


_MAX_DEPTH = 40


def _names(lines: Lines) -> Lines | None:
    body = "\n".join(lines)
    if " " in body or "\t" in body or "\n\n\n" in body:
        return None
    blocks = [_block(block) for block in body.split("\n\n")]
    if any(":\n" in entries or entries.endswith(":") for _, entries in blocks):
        return None
    out: Lines = []
    above: Lines = []  # the directories around the next one, outermost first
    joined = False  # whether the next one is all that the directory before it has
    for i, (path, entries) in enumerate(blocks):
        if path is None:
            out += ["", entries.replace("\n", " ")] if i else [entries.replace("\n", " ")]
            above, joined = [], False
            continue
        follows = blocks[i + 1][0] if i + 1 < len(blocks) else None
        while not joined and above and not _right_below(path, above[-1]):
            above.pop()
        if above and len(above) < _MAX_DEPTH and follows == f"{path}/{entries}":
            joined = True
            continue
        label = path[len(above[-1]) + 1 :] if above else path
        side_by_side = entries.replace("\n", " ")
        out.append(f"{' ' * len(above)}{label}: {side_by_side}" if entries else f"{' ' * len(above)}{label}:")
        above.append(path)
        joined = False
    return out


def _right_below(path: str, parent: str) -> bool:
    return path.startswith(parent + "/") and "/" not in path[len(parent) + 1 :]


def _block(text: str) -> tuple[str | None, str]:
    """The path of a directory, None where ``ls`` wrote none, and its entries, one a line."""
    head, _, rest = text.partition("\n")
    return (head[:-1], rest) if head.endswith(":") and len(head) > 1 else (None, text)


ROW = re.compile(
    r"(?P<mode>[-dlcbps][-rwxsStT]{9}[.+@]?) +(?P<links>\d+) (?P<owner>[^\s\d]\S*) +(?P<group>[^\s\d]\S*) +"
    r"(?P<size>\d[\d.,]*[KMGTP]?) (?P<date>[A-Z][a-z]{2} [ \d]\d (?: \d{4}|\d\d:\d\d)|\d{4}-\d\d-\d\d \d\d:\d\d) "
    r"(?P<name>.+)"
)
_DATED = re.compile(r"[A-Z][a-z]{2} [ \d]\d |\d{4}-\d\d-\d\d ")


def _rows(lines: Lines) -> Lines | None:
    matches = list(map(ROW.fullmatch, lines))
    out: Lines = []
    found = False
    i = 0
    while i < len(lines):
        end = i + 1
        while end < len(lines) and (matches[end] is None) == (matches[i] is None):
            end += 1
        table = [match.groups() for match in matches[i:end] if match]
        if len(table) >= MIN_ROWS and not any(_DATED.match(row[-1]) for row in table):
            out += _table(table)
            found = True
        else:
            out += lines[i:end]
        i = end
    return out if found else None


def _table(table: list[tuple[str, ...]]) -> Lines:
    """The rows without what most of them share, below a line that says it."""
    kinds = Counter((mode, links) for mode, links, *_ in table)
    directories = Counter(row[0] for row in table if row[0][0] == "d")
    kind = kinds.most_common(1)[0][0]
    owners = Counter((row[2], row[3]) for row in table).most_common(1)[0][0]
    date = Counter(row[5] for row in table).most_common(1)[0][0]
    directory = max(directories, key=directories.__getitem__, default="")
    short = f"; d is {directory}" if directory else ""
    out = [f"[ls -l; where a line does not say: {' '.join(kind)} {' '.join(owners)}, {date}{short}]"]
    for mode, links, owner, group, size, day, name in table:
        said = "" if (mode, links) == kind else f"{'d' if mode == directory else mode} {links} "
        if (owner, group) != owners:
            said += f"{owner} {group} "
        out.append(f"{said}{size} {name}" if day == date else f"{said}{size} {day} {name}")
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
    if " " in line or "\t" in line:
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
