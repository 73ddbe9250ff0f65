"""Figures against a baseline and a bar, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table. ``added`` is what headroom adds where that is measured pair by pair.

    ``limit`` is the bar: for ``added`` where there is one, else for ``ours``.
    """

    what: str
    ours: float
    plain: float | None = None
    added: float | None = None
    unit: str = "ms"
    limit: float | None = None

    @property
    def missed(self) -> bool:
        judged = self.ours if self.added is None else self.added
        return self.limit is not None and judged > self.limit


def wide() -> Console:
    """A console on which a table has room, also where the output goes into a file."""
    console = Console()
    return console if console.is_terminal else Console(width=110)


def show(console: Console, title: str, figures: Sequence[Figure], baseline: str) -> list[str]:
    """Print a table; return the bars that were missed."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for name in (baseline, "headroom", "ratio", "added", "bar"):
        table.add_column(name, justify="right")
    for figure in figures:
        ratio = f"{figure.ours / figure.plain:.2f}" if figure.plain else ""
        bar = "" if figure.limit is None else f"<= {figure.limit:g} {'[red]missed' if figure.missed else '[green]met'}"
        table.add_row(
            f"{figure.what}, {figure.unit}",
            _number(figure.plain),
            _number(figure.ours),
            ratio,
            _number(figure.added, "+"),
            bar,
        )
    console.print(table)
    return [f"{title}: {figure.what}" for figure in figures if figure.missed]


def verdict(console: Console, missed: Sequence[str]) -> int:
    """Say which bars were missed; the exit code."""
    for what in missed:
        console.print(f"[red]missed[/red] {what}")
    return 1 if missed else 0


def _number(value: float | None, sign: str = "") -> str:
    if value is None:
        return ""
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.{2 if abs(value) < 100 else 1}f}"
