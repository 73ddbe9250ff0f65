"""What stands for each block in the body that the provider gets, and the report on it."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headroom.session.memory import Decision
from headroom.sizes import ends
from headroom.transforms.references import Source
from headroom.wire.layout import Block, Layout


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands for a block in the body that the provider gets: the decision about it, or None and the reason.

    ``identity`` tells the block in just this form; ``tokens`` is the original's size, an estimate where nobody
    needed it exactly.
    """

    identity: bytes
    tokens: int
    decision: Decision | None = None
    reason: str = ""

    @property
    def after(self) -> int:
        """Tokens of what the provider gets."""
        return self.decision.after if self.decision else self.tokens


class BlockReport(NamedTuple):
    """What was done to one tool output: its place in the body, its call, its size before and after, and why."""

    span: tuple[int, int]
    turn: int
    tool: str
    subject: str
    before: int
    after: int
    saved: Mapping[str, int]
    reason: str
    new: bool
    replacement: str | None = None
    ends_at: int = 0
    """Tokens of the rewritten request up to the end of this block."""
    hash: str = ""
    """The original of what was left out, or what was given back here."""


@dataclass(slots=True)
class Reports:
    """The reports on a conversation's tool outputs: those on blocks that did not move since the request before are
    kept, so that a turn costs what is new in it."""

    blocks: list[Block] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    reports: list[BlockReport] = field(default_factory=list)
    head: int = 0
    settled: int = 0
    """Blocks that the provider had seen before the last request."""

    def update(
        self, layout: Layout, standings: Sequence[Standing], sources: Sequence[Source], head: int
    ) -> tuple[list[BlockReport], int]:
        """The reports for a request and its tokens, of which ``head`` stand before the messages."""
        kept = min(self.settled, layout.reused)
        # a block that is the same object was taken over, with all that are before it
        if not kept or self.head != head or self.blocks[kept - 1] is not layout.blocks[kept - 1]:
            kept = 0
        old = self.blocks[kept].span.start if kept < len(self.blocks) else len(layout.body)
        reports = self.reports[: bisect_left(self.reports, old, key=lambda report: report.span[0])] if kept else []
        self.ends, tokens = ends(layout, [standing.after for standing in standings[kept:]], head, self.ends[:kept])
        new_from = layout.first_new_turn
        for number in range(kept, len(layout.blocks)):
            block, standing = layout.blocks[number], standings[number]
            if block.kind == "result" or standing.decision is not None:
                decision = standing.decision
                reports.append(
                    BlockReport(
                        (block.span.start, block.span.end),
                        block.turn,
                        layout.tool(block) if block.kind == "result" else "message",
                        sources[number].subject,
                        standing.tokens,
                        standing.after,
                        decision.saved if decision else {},
                        standing.reason,
                        block.turn >= new_from,
                        decision.replacement if decision else None,
                        self.ends[number],
                        decision.hash if decision else "",
                    )
                )
        self.blocks, self.reports, self.head = layout.blocks, reports, head
        self.settled = layout.turns[new_from].first_block if new_from < len(layout.turns) else len(layout.blocks)
        return reports, tokens
