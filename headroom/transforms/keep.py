"""Lines that will hardly be needed are left out, where that is worth the risk: logs, searches, listings, files.

A line that is left out saves its tokens once at the price of a cache write and in every request after that at the
price of a cache read. If it turns out to be needed, another request reads the whole prefix, and a piece of the output
comes back. Most of what an agent takes over from an output are single names, and a gap can name those that stood
nowhere before: then they are not lost. Both sides add up over lines, so the best choice of runs is found in one pass.
The rule and where its figures come from: docs/kompress.md. All of it is done in whole numbers.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headroom.ccr.markers import NUMBERED
from headroom.kompress.vocabulary import LEAST_LINE, NAME, content_key, line_key
from headroom.transforms.base import Compressed, Context, Outlook

if TYPE_CHECKING:
    from headroom.kompress.judge import Hazards

STRATEGY = "keep"
STRUCTURED = frozenset({"json", "xml", "html", "csv", "table", "yaml", "prose"})
"""Kinds of text in which a line means nothing alone."""
LEAST_LINES, LEAST_TOKENS = 8, 80
"""Smaller texts stay whole."""
LEAST_RUN = 3
"""Lines that are left out together, at least."""
PIECE, RUN = 2000, 400
"""Tokens that come back when something is asked for, and where a gap says how just its lines are had."""
CALL = 300
"""What asking costs beside reading the prefix: about 60 tokens of an answer, at five times the price of input."""
ANSWER = 3000
"""Tokens by which the prefix has grown when something is missed."""
MARKER, GAP = 36, 4
"""Tokens of the marker at the end, and of the line that stands for a run."""
STOOD_BEFORE = 10
"""What already stands in the conversation becomes a reference anyway: leaving it out saves a tenth."""
OF = 84
ASKS, PIECES, NAMES = 12, 21, 28
"""Needed lines lie together: for each line that is needed there are so many turns and pieces, in 84ths, in which lines
come back; for each name that nothing told of as many turns as pieces."""
LONG = 20_000
"""Characters of a line in a text that nobody judges."""
DOUBLED, MOST = 12, 75
"""Who has a file of code printed wants to see it: where more than so many hundredths of its tokens would be left out,
it is taken to be twice as likely that a line is needed, and so on."""
DARING = 2
"""What is bold counts the need of lines by half."""
LISTED = frozenset({"names", "paths", "tree", "rows"})
"""Kinds whose words are names, however short they are; of rows the last one."""
UNITS = OF * (1 << 20)
"""Hazards are in units of 2^20 (``kompress.judge.UNIT``)."""
NEVER = -(1 << 80)
_WORD = re.compile(r"\w")
TOLD_AT_MOST = 75
"""Of a line's tokens, in hundredths: a list of names is not told by its names."""
TOLD = "; new names in them: "
"""In a gap before its names; the first of a line that defines something comes after the line's number."""


def compress(text: str, context: Context) -> Compressed | None:
    """The text without the lines that are not worth their tokens; None where nothing is left out."""
    outlook = context.outlook
    if outlook is None or (not outlook.file and (outlook.kind == "" or outlook.kind in STRUCTURED)):
        return None
    lines = text.split("\n")
    if len(lines) < LEAST_LINES or len(text) < 3 * LEAST_TOKENS or max(map(len, lines)) > LONG:
        return None
    from headroom.kompress.features import Situation  # numpy and the runtime only where they are needed
    from headroom.kompress.judge import judge

    model = judge()
    if model is None:
        return None
    tokens = [context.count(line) + 1 for line in lines]
    total = sum(tokens)
    if total < LEAST_TOKENS:
        return None
    call = "\n".join(strings(context.arguments))
    ranged = "offset" in context.arguments or "limit" in context.arguments
    situation = Situation(context.tool, outlook.kind, call, outlook.said, outlook.subject, ranged)
    hazards = model.hazards(text, situation, outlook.vocabulary)
    rated = _rated(lines, tokens, hazards, context, outlook, prices(outlook, total))
    runs: list[tuple[int, int]] = []
    for doubled in range(DOUBLED):
        runs = _choice(rated, outlook.caution << doubled, GAP * UNITS * _token(outlook))
        if outlook.bold or outlook.kind != "file" or (outlook.file and not outlook.reads):
            break
        if 100 * sum(sum(tokens[i:j]) for i, j in runs) <= MOST * total:
            break
    if not runs:
        return None
    return Compressed(
        _written(lines, rated, runs, context), STRATEGY, lossless=False, left_out=sum(j - i for i, j in runs)
    )


@dataclass(slots=True)
class _Line:
    """What leaving a line out saves and what that risks, and the names that a gap tells of it."""

    saves: int
    risks: int
    names: list[str]
    stays: bool


def _rated(
    lines: Sequence[str],
    tokens: Sequence[int],
    hazards: "Hazards",
    context: Context,
    outlook: Outlook,
    costs: tuple[int, int],
) -> list[_Line]:
    from headroom.kompress.features import ERROR

    code = outlook.file or outlook.kind == "file"
    price, seen, rated = _token(outlook), set[str](), []
    known = zip(lines, tokens, hazards.lines.tolist(), hazards.names.tolist(), strict=True)
    for number, (line, size, needed, named) in enumerate(known):
        key = line_key(line)
        stood = len(key) >= LEAST_LINE and key in outlook.vocabulary.lines
        asked = bool(outlook.missing) and content_key(line) in outlook.missing
        stays = asked or number in (0, len(lines) - 1) or (not code and ERROR.search(line) is not None)
        saves = size * UNITS // (STOOD_BEFORE if stood else 1) * price
        names = _new_names(line, outlook, seen)
        loses = named * outlook.caution * costs[1]
        told = context.count(f" {' '.join(names)}") if names else 0
        if told > size * TOLD_AT_MOST // 100 or told * UNITS * price > loses:
            names = []
        else:
            loses = told * UNITS * price
        rated.append(_Line(saves - loses, needed * costs[0], names, stays))
    return rated


def _new_names(line: str, outlook: Outlook, seen: set[str]) -> list[str]:
    """The names, paths and numbers of a line that stand nowhere before it; ``seen`` has those of the text so far."""
    if outlook.kind in LISTED:
        names = dict.fromkeys(
            word for word in line.split()[-1 if outlook.kind == "rows" else 0 :] if _WORD.search(word)
        )
    else:
        number = NUMBERED.match(line) if outlook.file else None
        names = dict.fromkeys(NAME.findall(line, number.end() if number else 0))
    new = [name for name in names if name not in seen and name not in outlook.vocabulary.seen]
    seen.update(names)
    return new


def _choice(rated: Sequence[_Line], caution: int, gap: int) -> list[tuple[int, int]]:
    """The runs of lines that are worth leaving out; none where they are not worth a marker."""
    values = [NEVER if line.stays else line.saves - line.risks * caution for line in rated]
    runs = [run for run in best_runs(values, gap) if run[1] - run[0] >= LEAST_RUN]
    worth = sum(sum(values[i:j]) - gap for i, j in runs)
    return runs if worth > MARKER * gap // GAP else []


def _written(lines: Sequence[str], rated: Sequence[_Line], runs: Sequence[tuple[int, int]], context: Context) -> str:
    """The text with gaps, each with the names of its lines that stand nowhere else in it."""
    from headroom.kompress.features import HEADER

    kept = {name for line in without(lines, runs, lambda i, j: "") for name in NAME.findall(line)}

    def gap(i: int, j: int) -> str:
        told: list[str] = []
        for at in range(i, j):
            names = [name for name in rated[at].names if name not in kept]
            if names and HEADER.match(lines[at]):
                number = NUMBERED.match(lines[at])
                names[0] = f"{number[1] if number else at + 1}:{names[0]}"  # where it is defined
            told += names
        stands = context.gap(i + 1, j - i)
        return f"{stands[:-1]}{TOLD}{' '.join(told)}]" if told else stands

    return "\n".join(without(lines, runs, gap))


def without(lines: Sequence[str], runs: Sequence[tuple[int, int]], gap: Callable[[int, int], str]) -> list[str]:
    """Lines without the runs (first, end), for each of which ``gap`` stands."""
    out: list[str] = []
    done = 0
    for i, j in runs:
        out += [*lines[done:i], gap(i, j)]
        done = j
    return [*out, *lines[done:]]


def _token(outlook: Outlook) -> int:
    """What a token costs that stays for the rest of the session, in twentieths of the price of one that is not cached:
    a write is 25, a read 2."""
    return 25 + 2 * outlook.remaining


def prices(outlook: Outlook, total: int) -> tuple[int, int]:
    """What it costs, as ``_token`` and in 84ths, that a line is needed which was left out, and a name that nothing
    tells of."""
    turn = 2 * (outlook.prefix + ANSWER)
    line = turn * ASKS + (20 * CALL + _token(outlook) * min(RUN if outlook.ranged else PIECE, total)) * PIECES
    name = (turn + 20 * CALL + _token(outlook) * min(PIECE, total)) * NAMES
    return line // (DARING if outlook.bold else 1), name


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
