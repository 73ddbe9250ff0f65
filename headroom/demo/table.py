"""What the demo shows: a row for each request, the sum, and one original beside what went out in its place."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from statistics import median

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headroom.demo.play import Turn, prefixes_kept
from headroom.tokenizers import count

BILLED = ((113, ("read", "written", "input", "output")), (98, ("read", "written")), (0, ()))
"""Columns that a terminal needs for the whole table, and what of the usage is shown in narrower ones."""
SHOWN_LINES = 3
"""Lines shown at either end of a stretch of text that is longer."""
_without_number = re.compile(r"^\d+\t").sub


def turns_table(turns: Sequence[Turn], width: int, done: bool) -> Table:
    """The requests so far, at the end with their sum. Tokens, usage and costs are the ledger's."""
    billed: tuple[str, ...] = next(names for least, names in BILLED if width >= least)
    figures = [_figures(turn) for turn in turns]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=done,
        footer_style="bold",
    )

    def number(header: str, name: str, least: int, form: str = ",", style: str = "") -> None:
        total = format(sum(row[name] for row in figures), form)
        table.add_column(header, total, justify="right", no_wrap=True, min_width=least, style=style)

    table.add_column("", justify="right", style="dim", min_width=2)
    table.add_column("new in\nthis request", "all requests", no_wrap=True, width=23)
    number("tokens\nbefore", "before", 7)
    number("\nafter", "after", 7)
    table.add_column("tokens saved\nin what is new", _strategies(_saved(turns)), style="green", min_width=16)
    for name, least in zip(billed, (7, 7, 5, 6), strict=False):
        number(f"{'billed' if name == 'read' else ''}\n{name}", name, least)
    number("cost\nUSD", "cost", 6, ".4f", "bold")
    number("\nwithout", "without", 7, ".4f")
    for i, (turn, row) in enumerate(zip(turns, figures, strict=True), 1):
        saved = _strategies(_saved(turns[:i]) - _saved(turns[: i - 1]))
        tokens = (f"{row[name]:,}" for name in ("before", "after", *billed))
        costs = (f"{row[name]:.4f}" for name in ("cost", "without"))
        before, after, *usage = tokens
        table.add_row(str(i), turn.new, before, after, saved or Text("-", "dim"), *usage, *costs)
    return table


def summary(turns: Sequence[Turn]) -> Table:
    """What it all came to, in words."""
    cost = sum(_figures(turn)["cost"] for turn in turns)
    without = sum(_figures(turn)["without"] for turn in turns)
    last = turns[-1].row
    share = 100 * (without - cost) / without
    gain = last.tokens_before - last.tokens_after
    rows = {
        "bill": f"${cost:.4f} instead of ${without:.4f}: {share:.1f} % less, net of caching",
        "size": f"the last request is {gain:,} of {last.tokens_before:,} tokens shorter "
        f"({100 * gain / last.tokens_before:.1f} %)",
        "cache": f"{prefixes_kept(turns)} of {len(turns) - 1} requests read all that the one before had cached",
        "time": f"{median(turn.row.rewrite_ms for turn in turns):.1f} ms a request in headroom (median)",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=6)
    for name, text in rows.items():
        table.add_row(Text(name, "bold"), text)
    return table


def comparison(turns: Sequence[Turn]) -> RenderableType:
    """The tool output that was shortened most: as the client sent it, and as the provider received it."""
    sent, received = (_results(body) for body in (turns[-1].sent, turns[-1].received.body))
    call = max(sent, key=lambda key: len(sent[key]) - len(received[key]))
    before, after = sent[call], received[call]
    news = [turn.new for turn in turns if call in _results(turn.sent)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(f"{news[0]}: the client sent {count(before):,} tokens", ratio=1, no_wrap=True)
    table.add_column(f"the provider received {count(after):,}", ratio=1)
    for left, right in _side_by_side(before.splitlines(), after.splitlines()):
        table.add_row(Text(left.replace("\t", "  "), "dim"), Text(right.replace("\t", "  ")))
    return Group(Text("One original and what went out in its place\n", "bold"), table)


def _figures(turn: Turn) -> dict[str, float]:
    row = turn.row
    assert row.usage is not None and row.cost_usd is not None and row.cost_without_usd is not None  # play looks
    usage = row.usage
    return {
        "before": row.tokens_before,
        "after": row.tokens_after,
        "read": usage.cache_read_tokens,
        "written": usage.cache_write_tokens,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cost": row.cost_usd,
        "without": row.cost_without_usd,
    }


def _saved(turns: Sequence[Turn]) -> Counter[str]:
    """Tokens saved by strategy in the texts of these requests, each text counted once."""
    return Counter(turns[-1].row.saved_by_strategy) if turns else Counter()


def _strategies(saved: Counter[str]) -> str:
    return "\n".join(f"{name.replace('_', ' ')} {tokens:,}" for name, tokens in saved.most_common())


def _results(body: bytes) -> dict[str, str]:
    """The tool outputs in a request, by call."""
    return {
        block["tool_use_id"]: block["content"]
        for message in json.loads(body)["messages"]
        for block in message["content"]
        if block["type"] == "tool_result"
    }


def _side_by_side(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """Stretches of text beside what stands for them; of long ones the ends."""
    bare, bare_after = ([_without_number("", line) for line in lines] for lines in (before, after))
    for kind, i, i_end, j, j_end in SequenceMatcher(None, bare, bare_after, autojunk=False).get_opcodes():
        yield _ends(before[i:i_end]), _ends(after[j:j_end]) if kind == "equal" else "\n".join(after[j:j_end])


def _ends(lines: list[str]) -> str:
    if len(lines) > 2 * SHOWN_LINES + 1:
        lines = [*lines[:SHOWN_LINES], f"... {len(lines) - 2 * SHOWN_LINES} lines ...", *lines[-SHOWN_LINES:]]
    return "\n".join(lines)
