"""Diffs and git's history: headers that other lines say already, and changes that nobody reads."""

import re
from collections import Counter

from headroom.transforms.base import Compressed, Context

UNREAD = re.compile(
    r"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock|Cargo\.lock|poetry\.lock|"
    r"uv\.lock|pdm\.lock|Pipfile\.lock|composer\.lock|Gemfile\.lock|go\.sum|flake\.lock|packages\.lock\.json)\Z"
    r"|\.min\.(?:js|css|mjs)\Z|\.(?:js|css)\.map\Z"
)
"""Files that tools write: lock files, minified code and its maps."""

LEFT_OUT = "[{} added and {} removed lines left out]"
"""Stands for the changes of such a file."""

AUTHOR = "[Author, where a commit does not say: {}]"

MIN_COMMITS = 3

_FILE = re.compile(
    r"^diff --git a/(?P<path>.{1,400}) b/(?P=path)\n"
    r"(?P<modes>(?:(?:old|new|new file|deleted file) mode \d+\n)*)"
    r"(?P<index>index [0-9a-f]+\.\.[0-9a-f]+(?: \d+)?\n)"
    r"(?P<names>--- (?:a/(?P=path)|/dev/null)\t?\n\+\+\+ (?:b/(?P=path)|/dev/null)\t?\n)",
    re.M,
)
_HUNKS = re.compile(r"(?:[@ +\-\\].*\n?)*")
_COMMIT = re.compile(r"^(commit [0-9a-f]{7,64}\b.*\n(?:Merge: .*\n)?)Author: (.+)\n", re.M)


def compress(text: str, context: Context) -> Compressed | None:
    """Leave out ``diff --git`` lines that ``---`` and ``+++`` repeat, and the author that most commits share.

    With ``lossless`` off also ``index`` lines, and what changed in files that tools write.
    """
    out, left_out = text, 0
    if "diff --git " in out:
        if not context.lossless:
            out, left_out = _without_unread(out)
        out = _FILE.sub(r"\g<modes>\g<index>\g<names>" if context.lossless else r"\g<modes>\g<names>", out)
    out = _one_author(out)
    if len(out) >= len(text):
        return None
    return Compressed(out, "diff", context.lossless, left_out)


def _without_unread(text: str) -> tuple[str, int]:
    """The text without the hunks of files that tools write, and how many lines those had."""
    parts = re.split(r"^(?=diff --git )", text, flags=re.M)
    left_out = 0
    for i, part in enumerate(parts):
        header = _FILE.match(part)
        if not header or not UNREAD.search(header["path"]):
            continue
        hunks = part[header.end() :]
        body = _HUNKS.match(hunks)
        changed = body[0] if body else ""
        added, removed = len(re.findall(r"^\+", changed, re.M)), len(re.findall(r"^-", changed, re.M))
        left_out += changed.count("\n")
        parts[i] = header[0] + LEFT_OUT.format(added, removed) + "\n" + hunks[len(changed) :]
    return "".join(parts), left_out


def _one_author(text: str) -> str:
    authors = Counter(match[2] for match in _COMMIT.finditer(text))
    author, times = authors.most_common(1)[0] if authors else ("", 0)
    if times < MIN_COMMITS or AUTHOR[:9] in text:
        return text
    first = _COMMIT.search(text)
    start = first.start() if first else 0
    rest = _COMMIT.sub(lambda match: match[1] if match[2] == author else match[0], text[start:])
    return f"{text[:start]}{AUTHOR.format(author)}\n{rest}"
