"""A tool output without the lines that will hardly be needed, where the agent can have them back."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from headroom.ccr.lossy import MARKER
from headroom.ccr.markers import NUMBERED, Native, Way, mark, native_gaps
from headroom.transforms import envelope, keep
from headroom.transforms.base import Compressed, Context, Outlook
from headroom.transforms.commands import ECHO, command_of, kinds
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import LEAST_GAIN, Shortened, shorten
from headroom.transforms.router import FILE_TOOLS, PATH_TOOLS, SEARCH_TOOLS, SHELL_TOOLS, kind

REPEATABLE = frozenset({"file", "names", "rows", "tree", "paths", "search", "diff", ECHO})
"""Kinds that commands print which change nothing: running them again does no harm and prints the same."""

READ_TOOLS = frozenset({"read", "read_file", "view", "open_file", "view_file"})
"""Tools that read a part of a file again when they are told its lines."""
DATA = re.compile(r"\.(?:jsonl|ndjson|csv|tsv|log|lock|snap|map|out|output)$|\.min\.\w+$|/tool-results/[^/]*$")
"""Files that are read to look something up, and which nobody edits by hand."""
TASK_TOOLS = frozenset({"taskoutput"})
"""Tools that print all that a background task has printed so far; once it has ended, only a file has it."""
SECOND_SIGHT = "second_sight"


def judged(
    text: str,
    lossless: int,
    index: LineIndex,
    subject: str,
    context: Context,
    outlook: Outlook | None,
    way: Way | None,
    hash: str,
) -> Shortened | None:
    """The text with lines left out and markers; None where nothing is, or where that gains too little.

    ``lossless`` are the tokens of the form in which nothing is left out. The original must be kept before this is sent.
    """
    if outlook is None:
        return None
    tool = context.tool.lower()
    native = native_of(context, text)
    if tool in READ_TOOLS and (outlook.reads or any(map(DATA.search, keep.strings(context.arguments)))):
        native = "file"
    elif tool in TASK_TOOLS and outlook.written:
        native = "task"
    if native is None and (way is None or tool in FILE_TOOLS):
        return None
    gap = _gaps(text, native, context, path=outlook.written)
    if gap is None:
        return None
    found = kind(text, context)
    outlook = replace(outlook, kind=found.name if found else "", file=native == "file", ranged=native is not None)
    if native in (None, "task", "file"):  # lines that another program or file has too are not asked for by that
        outlook = replace(outlook, missing=frozenset())
    context = replace(context, outlook=outlook, gap=gap)
    kept = envelope.inside(keep.compress)(text, context)
    if kept is None:
        return None
    return _form(kept, text, lossless, index, subject, context, native, way, hash)


def hindsight(
    text: str,
    runs: Sequence[tuple[int, int]],
    lossless: int,
    index: LineIndex,
    subject: str,
    context: Context,
    way: Way | None,
    hash: str,
) -> Shortened | None:
    """As ``judged``, without the lines ``runs`` (first, end) that nothing referred to."""
    native: Native | None = "file" if context.tool.lower() in READ_TOOLS else native_of(context, text)
    if native is None and way is None:
        return None
    shift = 0
    if native not in (None, "file") and (own := envelope.lines_of(text)) is not None:
        shift, runs = -own[0], [(max(i, own[0]), min(j, own[1])) for i, j in runs if i < own[1] and own[0] < j]
    gap = _gaps(text, native, context, shift)
    if gap is None:
        return None
    out = keep.without(text.split("\n"), runs, lambda i, j: gap(i + 1, j - i))
    kept = Compressed("\n".join(out), SECOND_SIGHT, lossless=False, left_out=sum(j - i for i, j in runs))
    return _form(kept, text, lossless, index, subject, context, native, way, hash)


def _form(
    kept: Compressed,
    text: str,
    lossless: int,
    index: LineIndex,
    subject: str,
    context: Context,
    native: Native | None,
    way: Way | None,
    hash: str,
) -> Shortened | None:
    """What is left of a text in its shortest form, with its marker; None where that gains too little."""
    tokens = context.count(kept.text)
    plain = replace(context, outlook=None)
    form = shorten(kept.text, tokens, index, subject, plain) or Shortened(kept.text, tokens)
    marked = form.text
    if native is None and way is not None:
        marked = mark(form.text, text, kept.left_out, way, hash)
    added = context.count(marked) - context.count(form.text)
    gain = lossless - form.tokens - added
    if gain < LEAST_GAIN + lossless // 100 or len(marked.encode()) > len(text.encode()):
        return None
    saved = {**form.saved, kept.strategy: gain + added}
    if added:
        saved[MARKER] = -added
    return replace(form, text=marked, tokens=form.tokens + added, saved=saved, lossless=False, left_out=kept.left_out)


def _gaps(
    text: str, native: Native | None, context: Context, shift: int = 0, path: str = ""
) -> Callable[[int, int], str] | None:
    """What stands for lines of a text; None where nobody knows which lines of a file they are. ``shift`` is added to
    the numbers of lines that are not a file's; ``path`` has what a background task printed."""
    if native is None:
        return context.gap
    if native != "file":
        return native_gaps(native, shift, path)
    number = NUMBERED.match(text)
    return native_gaps(native, int(number[1]) - 1) if number else None


def native_of(context: Context, text: str) -> Native | None:
    """How the agent's own tools print a text again; None where they don't, or may do more than print."""
    tool = context.tool.lower()
    if tool in SEARCH_TOOLS or tool in PATH_TOOLS:
        return "search"
    if tool in SHELL_TOOLS:
        printed = kinds(command_of(context.arguments))
        repeats = printed and REPEATABLE.issuperset(printed) and envelope.lines_of(text) is not None
        return "shell" if repeats else None
    return None
