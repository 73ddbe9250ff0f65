"""Lines that will hardly be needed are left out, where that is worth the risk: logs, searches, listings, files.

A line that is left out saves its tokens once at the price of a cache write and in every request after that at the
price of a cache read. If it turns out to be needed, one more request reads the whole prefix, and a piece of the output
comes back. Both sides add up over lines, so the best choice of runs is found in one pass. The rule and where its
figures come from: docs/kompress.md. All of it is done in whole numbers.
"""

from collections.abc import Sequence
from itertools import pairwise

from headroom.kompress.vocabulary import LEAST_LINE, content_key, line_key
from headroom.transforms.base import Compressed, Context, Outlook

STRATEGY = "keep"
STRUCTURED = frozenset({"json", "xml", "html", "csv", "table", "yaml", "prose"})
"""Kinds of text in which a line means nothing alone."""
LEAST_LINES, LEAST_TOKENS = 8, 80
"""Smaller texts stay whole."""
LEAST_RUN = 2
"""Lines that are left out together, at least."""
PIECE = 2000
"""Tokens that come back when something is asked for."""
CALL = 300
"""What asking costs beside reading the prefix: about 60 tokens of an answer, at five times the price of input."""
ANSWER = 3000
"""Tokens by which the prefix has grown when something is missed."""
MARKER, GAP = 36, 4
"""Tokens of the marker at the end, and of the line that stands for a run."""
STOOD_BEFORE = 10
"""What already stands in the conversation becomes a reference anyway: leaving it out saves a tenth."""
MISSES, PER = 1, 2
"""Needed lines lie together, and one piece brings several back: so many misses to a needed line."""
LONG = 4000
"""Characters of a line that nobody judges: it stays."""


def compress(text: str, context: Context) -> Compressed | None:
    """The text without the lines that are not worth their tokens; None where nothing is left out."""
    outlook = context.outlook
    if outlook is None or outlook.kind in STRUCTURED or (outlook.kind in ("", "file") and not outlook.files):
        return None
    lines = text.split("\n")
    if len(lines) < LEAST_LINES or len(text) < 3 * LEAST_TOKENS or max(map(len, lines)) > LONG:
        return None
    from headroom.kompress.features import ERROR, Situation  # numpy and the runtime only where they are needed
    from headroom.kompress.judge import UNIT, judge

    model = judge()
    if model is None:
        return None
    call = "\n".join(strings(context.arguments))
    ranged = "offset" in context.arguments or "limit" in context.arguments
    situation = Situation(context.tool, outlook.kind, call, outlook.said, outlook.subject, ranged)
    hazards = model.hazards(text, situation, outlook.vocabulary).tolist()
    tokens = [context.count(line) + 1 for line in lines]
    total = sum(tokens)
    if total < LEAST_TOKENS:
        return None
    known = outlook.vocabulary.lines
    stood = [len(key) >= LEAST_LINE and key in known for key in map(line_key, lines)]
    per_token, miss = prices(outlook, total)
    scale = UNIT * PER
    values = [
        (size * scale // (STOOD_BEFORE if before else 1)) * per_token - hazard * outlook.caution * MISSES * miss
        for size, before, hazard in zip(tokens, stood, hazards, strict=True)
    ]
    for i, line in enumerate(lines):
        if ERROR.search(line) or (outlook.missing and content_key(line) in outlook.missing):
            values[i] = -(1 << 80)
    values[0] = values[-1] = -(1 << 80)
    gap = GAP * per_token * scale
    runs = [run for run in best_runs(values, gap) if run[1] - run[0] >= LEAST_RUN]
    if sum(sum(values[i:j]) - gap for i, j in runs) <= MARKER * per_token * scale:
        return None
    ends = [0, *(at for run in runs for at in run), len(lines)]
    out: list[str] = []
    for number, (i, j) in enumerate(pairwise(ends)):
        out += [context.gap(i + 1, j - i)] if number % 2 else lines[i:j]
    return Compressed("\n".join(out), STRATEGY, lossless=False, left_out=sum(j - i for i, j in runs))


def prices(outlook: Outlook, total: int) -> tuple[int, int]:
    """(what a token costs that stays for the rest of the session, what a miss costs), both in twentieths of the price
    of a token that is not cached: a write is 25, a read 2."""
    per_token = 25 + 2 * outlook.remaining
    return per_token, 2 * (outlook.prefix + ANSWER) + 20 * CALL + per_token * min(PIECE, total)


def best_runs(values: Sequence[int], gap: int) -> list[tuple[int, int]]:
    """The runs (first, end) whose values, less ``gap`` for each run, add up to the most."""
    outside, inside = 0, -(1 << 100)
    opened: list[bool] = []
    closed: list[bool] = []
    for value in values:
        opened.append(outside - gap > inside)
        inside = max(outside - gap, inside) + value
        closed.append(inside > outside)
        outside = max(inside, outside)
    runs: list[tuple[int, int]] = []
    i = len(values) - 1
    while i >= 0:
        if closed[i]:
            end = i + 1
            while not opened[i]:
                i -= 1
            runs.append((i, end))
        i -= 1
    return runs[::-1]


def strings(value: object) -> list[str]:
    """All texts in the arguments of a call."""
    if isinstance(value, str):
        return [value]
    if hasattr(value, "values"):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [str(value)]
