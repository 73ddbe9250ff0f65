"""Run the demo: see ``python -m headroom.demo --help``."""

import argparse
import io
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from headroom.demo.play import Turn, prefixes_kept, stage
from headroom.demo.session import ANSWERS, MODEL
from headroom.demo.table import comparison, summary, turns_table
from headroom.errors import HeadroomError

WIDTH = 113
"""Columns where there is no terminal that has a width of its own."""
NEXT = "mitmdump -s headroom_addon.py, then HTTPS_PROXY=http://127.0.0.1:8080 claude (see certs/README.md)"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev demo",
        description="Play a coding session through mitmdump with the addon, against a stand-in provider on loopback, "
        "and show what it saved. Needs no key and no network.",
    )
    parser.add_argument("--keep", action="store_true", help="keep the workspace with the ledger, and mitmdump's log")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also write what is shown to an SVG file")
    wishes = parser.parse_args()
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _end)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an old terminal shows a question mark and no traceback
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    try:
        with tempfile.TemporaryDirectory(prefix="headroom-demo-", delete=not wishes.keep) as folder:
            return _run(Path(folder), console, wishes.keep, wishes.svg)
    except HeadroomError as error:
        print(f"demo: {error.message} (--keep keeps mitmdump's log)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130


def _run(folder: Path, console: Console, keep: bool, svg: Path | None) -> int:
    turns: list[Turn] = []
    waiting = Spinner("line", "starting mitmdump with headroom_addon.py")
    with Live(waiting, console=console, transient=True) as live, stage(folder) as running:
        for turn in running.play():
            turns.append(turn)
            waiting.update(text=f"{len(turns)} of {len(ANSWERS)} requests answered")
            live.update(Group(_head(), turns_table(turns, console.width, done=False), waiting))
    _show(console, turns, running.ledger_path, keep)
    if svg is not None:
        recorder = Console(record=True, file=io.StringIO(), width=WIDTH, highlight=False, force_terminal=True)
        _show(recorder, turns, running.ledger_path, keep)
        # without xml:space some viewers drop the spaces that align the figures
        picture = recorder.export_svg(title="./dev demo").replace("<svg ", '<svg xml:space="preserve" ', 1)
        svg.write_text(picture, encoding="utf-8")
    if prefixes_kept(turns) < len(turns) - 1:
        raise HeadroomError("a request did not read what the one before it had cached: a prefix broke")
    return 0


def _head() -> RenderableType:
    return Text.assemble(
        ("A coding session", "bold"),
        f" of {len(ANSWERS)} requests, {MODEL}, through mitmdump -s headroom_addon.py to a stand-in provider\n",
    )


def _show(console: Console, turns: list[Turn], ledger: Path, kept: bool) -> None:
    console.print(_head(), turns_table(turns, console.width, done=True), "", summary(turns), sep="\n")
    rows = f"{len(turns)} rows" + ("" if kept else "; gone when the demo ends, --keep keeps it")
    console.print(Text.assemble(("ledger", "bold"), f"  {ledger} ({rows})"), soft_wrap=True)
    console.print(Text.assemble(("next", "bold"), f"    {NEXT}\n"), soft_wrap=True)
    console.print(comparison(turns))


def _end(signal_number: int, _: FrameType | None) -> None:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    sys.exit(main())
