"""The order in which a tool's output is made shorter, and the guards that every result passes."""

from collections import Counter
from dataclasses import dataclass, field, replace

from headroom import plugins
from headroom.transforms import ids, near, phrases, repeats
from headroom.transforms.base import Context, Transform
from headroom.transforms.line_index import LineIndex
from headroom.transforms.router import Kind, kind

LEAST_TOKENS = 24
"""Texts of fewer tokens stay as they are."""
LEAST_GAIN = 4
"""Tokens that a replacement must save, and beside them one in a hundred: other tokenizers count differently."""
NUMBERED_READS = frozenset({"Read"})
"""Tools whose numbered lines are files, and whose clients' edits address text and not numbers: Claude Code's Read."""

QUOTED = frozenset({"file", "parts"})
"""Kinds of texts that an edit may quote."""

DATA_FILES = (".jsonl", ".ndjson", ".log", ".csv", ".tsv", ".lock", ".sum", ".har", ".trace")
"""Endings of files that programs write and nobody edits by hand."""
EDITED_LINE = 600
"""Characters of a file's line up to which an edit may quote it: it stands whole, or goes whole."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A replacement of ``tokens`` tokens, what each strategy saved, and the blocks that it refers to.

    Not ``lossless``: ``left_out`` lines or items are gone, which may be 0 where a transform can't tell how many.
    """

    text: str
    tokens: int
    saved: dict[str, int] = field(default_factory=dict)
    sources: frozenset[int] = frozenset()
    lossless: bool = True
    left_out: int = 0


def shorten(text: str, tokens: int, index: LineIndex, subject: str, context: Context) -> Shortened | None:
    """Write a tool's output shorter; None: it stays as it is. ``tokens`` is its size.

    The text as it is and the form that its kind has are both looked for in the conversation; the shorter result is
    taken. The same text, index and context give the same result on every machine.
    """
    whole, found = Shortened(text, tokens), kind(text, context)
    quoted = found is None or (found.name in QUOTED and not _is_data(context))  # by the next edit, perhaps
    candidates = [_refer(whole, index, subject, context, quoted)]
    form = _form(whole, found, context, quoted) if found is not None else whole
    if form is not whole:
        candidates.append(_refer(form, index, subject, context, quoted))
    for plugin in () if found is not None and found.name in QUOTED else plugins.transforms():
        candidates.append(_refer(_plugged(whole, plugin, context), index, subject, context, quoted))
    for one in () if quoted else [whole, form][: 1 + (form is not whole)]:
        almost = near.compress(one.text, index, subject, context.count, one.tokens)
        if almost is not None:
            candidates.append(_refer(_with(one, almost), index, subject, context, quoted))
    best = min(candidates, key=lambda candidate: candidate.tokens)
    if tokens - best.tokens < LEAST_GAIN + tokens // 100 or len(best.text.encode()) > len(text.encode()):
        return None
    return best


def _form(whole: Shortened, found: Kind, context: Context, quoted: bool) -> Shortened:
    """The text as its kind is best written."""
    more = () if quoted else (ids.compress, phrases.compress)
    opened = found.opens(whole.text, context) if found.opens else None
    if opened is not None:
        tokens = min(whole.tokens, context.count(opened.text))  # more is made up for by what follows, or all is dropped
        saved = whole.tokens - tokens
        whole = Shortened(opened.text, tokens, {opened.strategy: saved} if saved else {})
    for transform in (*found.transforms, *more):
        form = transform(whole.text, context)
        if form is None or (context.lossless and not form.lossless):
            continue
        tokens = context.count(form.text)
        if tokens < whole.tokens:
            whole = Shortened(
                form.text,
                tokens,
                whole.saved | {form.strategy: whole.tokens - tokens},
                lossless=whole.lossless and form.lossless,
                left_out=whole.left_out + form.left_out,
            )
    return whole


def _plugged(whole: Shortened, plugin: Transform, context: Context) -> Shortened:
    """The text as a plugin writes it, if that is shorter and the request allows it."""
    form = plugin(whole.text, context)
    if form is None or (context.lossless and not form.lossless):
        return whole
    tokens = context.count(form.text)
    if tokens >= whole.tokens:
        return whole
    saved = {form.strategy: whole.tokens - tokens}
    return Shortened(form.text, tokens, saved, lossless=form.lossless, left_out=form.left_out)


def _is_data(context: Context) -> bool:
    """Whether a file that was read holds data that programs write, and nobody edits by hand."""
    path = context.arguments.get("file_path") or context.arguments.get("path") or ""
    return isinstance(path, str) and path.lower().endswith(DATA_FILES)


def _refer(form: Shortened, index: LineIndex, subject: str, context: Context, quoted: bool) -> Shortened:
    """The text with what already stands in the conversation said by reference, line numbers thinned."""
    numbers = context.tool in NUMBERED_READS
    least_line = EDITED_LINE if quoted else 0
    found = repeats.compress(form.text, index, subject, numbers, context.count, form.tokens, least_line)
    if found is None:
        return form
    return _with(form, found)


def _with(form: Shortened, found: repeats.Repeats) -> Shortened:
    saved = Counter(form.saved)
    saved.update(found.saved)
    tokens = form.tokens - sum(found.saved.values())
    return replace(form, text=found.text, tokens=tokens, saved=dict(saved), sources=form.sources | found.sources)
