"""Second sight: what nothing referred to since it came, of outputs that are written anew into the cache anyway.

When the cache is cold, changing an old output costs nothing, and by then the conversation has said which of its lines
it needed: those with a name that first stood there and was said later, and those that a later call quotes.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from headroom.kompress.vocabulary import LEAST_LINE, NAME, line_key
from headroom.session.conversation import subject_of
from headroom.session.inputs import texts_of
from headroom.session.standing import Standing
from headroom.wire.layout import Block, Layout

AGE = 10
"""Answers after which an output has had its chance; one whose file or command was named in the last so many stays."""
LEAST_CHARACTERS = 1200
"""Smaller outputs stay."""
LEAST_RUN = 12
"""Lines that are left out together, at least: each gap may have to be read again."""
AROUND = 4
"""Lines before and after one that was needed, which stay with it."""


@dataclass(slots=True)
class _Output:
    number: int
    answers: int
    """The model's answers before it."""
    lines: list[str]
    own: set[str]
    """Names that stood nowhere before it."""
    used: set[str]


def unused(layout: Layout, standings: Sequence[Standing], skip: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """Of each old output, by its number among the blocks, the runs (first, end) of lines that nothing referred to.

    Outputs that others refer to stay whole, so do flagged errors and the blocks in ``skip``.
    """
    needed = {need for standing in standings if standing.decision for need in standing.decision.needs}
    outputs: list[_Output] = []
    owner: dict[str, _Output] = {}
    seen: set[str] = set()
    quoted: set[str] = set()
    answers, answering = 0, False
    recent: list[str] = []
    for number, block in enumerate(layout.blocks[: len(standings)]):
        answer = block.kind in ("assistant", "call")
        if answer and not answering:
            answers += 1
            recent.append("")
        answering = answer
        for text in _texts(layout, block):
            names = NAME.findall(text)
            if block.kind == "result":
                output = _Output(number, answers, text.split("\n"), set(names) - seen, set())
                owner.update(dict.fromkeys(output.own, output))
                standing = standings[number]
                whole = block.error or not block.free or number in skip or standing.identity in needed
                if len(text) >= LEAST_CHARACTERS and not whole and not (standing.decision and standing.decision.hash):
                    outputs.append(output)
            else:
                for name in names:
                    if name in owner:
                        owner[name].used.add(name)
                if answer:
                    recent[-1] += "\n" + text
                    quoted.update(key for line in text.split("\n") if len(key := line.strip()) >= LEAST_LINE)
            seen.update(names)
    last = "\n".join(recent[-AGE:])
    found = {}
    for output in outputs:
        subject = subject_of(layout.arguments(layout.blocks[output.number]))[1]
        if answers - output.answers < AGE or (subject and subject in last):
            continue
        runs = list(_runs(output, quoted))
        if runs:
            found[output.number] = runs
    return found


def _texts(layout: Layout, block: Block) -> list[str]:
    if block.kind == "call":
        return texts_of(layout, block)
    text = layout.text(block)
    return [] if text is None else [text]


def _runs(output: _Output, quoted: set[str]) -> Iterator[tuple[int, int]]:
    """The runs of lines far enough from each that was needed; the first and the last line stay."""
    lines = output.lines
    start = 1
    for i, line in enumerate(lines):
        kept = i == len(lines) - 1
        if kept or line_key(line) in quoted or (output.used and not output.used.isdisjoint(NAME.findall(line))):
            end = i if kept else i - AROUND
            if end - start >= LEAST_RUN:
                yield start, end
            start = i + 1 + AROUND
