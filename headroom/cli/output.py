"""How figures are said, to people and to programs."""

import json
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headroom.ledger.totals import Totals

if TYPE_CHECKING:
    from rich.table import Table


_SURROGATE = re.compile("[\\ud800-\\udfff]")


def print_json(value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(json.dumps(value, indent=2) if _SURROGATE.search(text) else text)


def print_table(table: "Table") -> None:
    """With colours only in a terminal, and not with NO_COLOR; a pipe gets lines as long as they are."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)  # names come from clients
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


def new_table(*columns: str, numbers: Sequence[str] = ()) -> "Table":
    """A table without a frame; the columns ``numbers`` come last and are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def usd(amount: float) -> str:
    return f"-${-amount:,.4f}" if amount < 0 else f"${amount:,.4f}"


def moment(seconds: float) -> str:
    """Unix seconds as local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def sparkline(numbers: Sequence[float]) -> str:
    """Bars for numbers, from the least (or 0) to the greatest."""
    bars = "▁▂▃▄▅▆▇█"
    least, most = min(0.0, *numbers), max(0.0, *numbers)
    step = (most - least) / (len(bars) - 1)
    return "".join(bars[round((number - least) / step)] if step else bars[0] for number in numbers)


def in_one_line(sums: Totals) -> str:
    """What requests came to."""
    if not sums.requests:
        return "no model request came through the proxy"
    parts = [f"{sums.requests:,} request{'s' if sums.requests > 1 else ''}"]
    before, less = sums.tokens_before, sums.saved_usd
    parts.append(f"{sums.tokens_saved:,} of {before:,} tokens saved ({share(sums.tokens_saved, before)})")
    if sums.tokens_savable:
        parts.append(f"an audit found {sums.tokens_savable:,} that could be")
    if sums.cost_usd:
        parts.append(f"billed {usd(sums.cost_usd)}, {usd(abs(less))} {'more' if less < 0 else 'less'} than without")
    if sums.errors:
        parts.append(f"{sums.errors:,} failed")
    return ", ".join(parts)
