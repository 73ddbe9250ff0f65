"""What a reference to lines above says, and how to read it again."""

import re
from dataclasses import dataclass

from headroom.transforms.lines import Line

QUOTED = 20
"""Characters of the first and of the last line that a reference quotes."""
SUBJECT = 32
"""Characters of a subject that a reference says."""

_WHAT = r"\[(?:lines? (?P<first>\d+)(?:-(?P<last>\d+))?|(?P<count>\d+) lines?(?:, each after \"[ +-]\",)?) as "
_LINES = re.compile(_WHAT + r"(?:there|above here|in [^\n]* above): [^\n]*\]")
_STRETCH = re.compile(r"\[…(?P<count>\d+) characters as (?:there|above here|in [^\n]*? above): [^\n]*?…\]")


@dataclass(frozen=True, slots=True)
class Source:
    """A block whose lines can be referred to. ``name`` says which in plain words ("Read", "the input of Write"),
    ``label`` and ``subject`` what it is about ("path", "src/a.py"), ``block`` is its index in the conversation."""

    name: str
    label: str
    subject: str
    block: int


def called(source: Source) -> str:
    """What a reference calls a source: its name, and the subject or enough of it to know it by: where a path ends, how
    a command begins and ends."""
    said = source.subject
    if len(said) > SUBJECT:
        if source.label != "path":
            said = f"{said[: SUBJECT // 2].rstrip()}…{said[-SUBJECT // 2 :].lstrip()}"
        elif "/" in said[-SUBJECT:]:
            said = "…" + said[said.find("/", len(said) - SUBJECT) :]
    return f"{source.name} {said}".rstrip()


OWN = Source("this output", "", "", -1)


def lines_as(run: list[Line], where: str, length: int) -> str:
    """The words that stand for whole lines; ``length`` characters of the first and the last are quoted."""
    whole = [line for line in run if not line.inside]
    first, last, count = whole[0], whole[-1], len(whole)
    if first.number >= 0:
        what = f"lines {first.number}-{last.number}" if count > 1 else f"line {first.number}"
    else:
        what = f"{count} line{'s' if count > 1 else ''}"
        if first.prefix:
            what += f', each after "{first.prefix}",'
    said = first.text.strip()[:length].rstrip()
    if count > 1:
        said += f" … {last.text.strip()[:length].rstrip()}"
    return f"[{what} as {where}: {said}]"


def stretch_as(run: list[Line], where: str) -> str:
    """The words that stand for pieces of one line."""
    count = sum(len(piece.text) for piece in run)
    return f"[…{count} characters as {where}: {run[0].text[:QUOTED]} … {run[-1].text[-QUOTED:]}…]"


def place_of(source: Source, subject: str, before: Source | None) -> str:
    """Where lines stand, for an output about ``subject``; ``before`` was named last."""
    if source is OWN:
        return "above here"
    if before is not None and called(source) == called(before):
        return "there"
    if subject and source.subject == subject:
        return f"in {source.name} for this {source.label} above"
    return f"in {called(source)} above"


def shown_in(replacement: str, lines: list[Line]) -> list[bool] | None:
    """For each line of a text whether ``replacement`` still shows it; None when that is not a form of ours."""
    shown: list[bool] = []
    for row in replacement.split("\n"):
        match = _LINES.fullmatch(row) if row.startswith("[") else None
        if match is None:
            if not _shown_in_row(row, lines, shown):
                return None
        else:
            first, last, count = match["first"], match["last"], match["count"]
            for _ in range(int(count) if count else int(last or first) - int(first) + 1):
                shown.append(False)
                while len(shown) < len(lines) and lines[len(shown)].inside:
                    shown.append(False)
    return shown if len(shown) == len(lines) else None


def _shown_in_row(row: str, lines: list[Line], shown: list[bool]) -> bool:
    """Add for the next line whether ``row`` shows it, or each of its pieces; False when that is another line."""
    start = i = len(shown)
    if i >= len(lines):
        return False
    if i + 1 == len(lines) or not lines[i + 1].inside:
        shown.append(True)
        return row.endswith(lines[i].text)
    at = len(lines[i].prefix) if row.startswith(lines[i].prefix) else 0
    while i < len(lines) and (i == start or lines[i].inside):
        if row.startswith(lines[i].text, at):
            at += len(lines[i].text)
            shown.append(True)
            i += 1
            continue
        match = _STRETCH.match(row, at)
        if match is None:
            return False
        left, at = int(match["count"]), match.end()
        while left > 0 and i < len(lines) and (i == start or lines[i].inside):
            left -= len(lines[i].text)
            shown.append(False)
            i += 1
        if left:
            return False
    return at == len(row)
