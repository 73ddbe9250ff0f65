"""What the engine costs in process: a turn over the length of a conversation, its parts, and where the time goes."""

import argparse
import cProfile
import json
import pstats
import statistics
import time
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.support.report import Figure, show, verdict, wide
from benchmarks.support.sessions import Session, made_up
from headroom.engine import Engine, RawRequest
from headroom.session.memory import RamMemory
from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten
from headroom.transforms.references import Source
from headroom.wire.shapes import read

HISTORIES = (100_000, 400_000, 1_000_000, 2_000_000)
"""Characters of tool output before the first measured request."""
NEW = (2_000, 20_000)
"""Characters that a turn brings."""
LIMITS = {(100_000, 2_000): 5.0, (2_000_000, 20_000): 15.0}
"""Milliseconds that a turn may take in the whole proxy, so here too: bodies of 200 KB, and of 2 MB of which 20 KB are
new."""
STEPS = {
    "read": "scan the body",
    "open": "find the conversation's prefix",
    "optimize": "plan breakpoints",
    "advance": "take in new blocks",
    "shorten": "  of it: transforms",
    "stands": "  of it: index of lines",
    "head": "size of tools and system prompt",
    "update": "report on each block",
    "splice": "splice",
}
"""The functions whose share of ``Engine.rewrite`` is shown."""


def request(session: Session, body: bytes) -> RawRequest:
    return RawRequest("anthropic", "anthropic", "/v1/messages", session.headers, body, host="api.anthropic.com")


def turns(history: int, new: int, turns: int) -> Figure:
    """A turn of a conversation, against reading its body as JSON and writing it again."""
    session = made_up(history + new, turns + 2, new, start=history, steady=True)
    engine = Engine(RamMemory())
    ours: list[float] = []
    parsed: list[float] = []
    size = 0
    for body in session.bodies():
        ours.append(timed(lambda body=body: engine.rewrite(request(session, body))))  # type: ignore[misc]
        parsed.append(timed(lambda body=body: json.dumps(json.loads(body))))  # type: ignore[misc]
        size = len(body)
    what = f"turn, body of {size / 1e6:.1f} MB, {new // 1000} KB new"
    limit = LIMITS.get((history, new))
    return Figure(what, statistics.median(ours[2:]), statistics.median(parsed[2:]), limit=limit)


def parts() -> list[tuple[str, float]]:
    """MB/s of the parts that see all of a text."""
    session = made_up(1, 2, start=1_000_000)
    *_, body = session.bodies()
    blocks = [message["content"][0] for message in session.messages if message["role"] == "user"]
    texts = [block["content"] for block in blocks if block["type"] == "tool_result"]
    whole = sum(len(text) for text in texts)
    context = Context("Read", {"file_path": "/home/dev/shop/a.py"})

    def index() -> LineIndex:
        lines = LineIndex()
        for number, text in enumerate(texts):
            lines.add(Source("the output of Read", "path", "a.py", number), text)
        return lines

    known, sizes = index(), [count(text) for text in texts]

    def transform() -> None:
        for text, tokens in zip(texts, sizes, strict=True):
            shorten(text, tokens, known, "a.py", context)

    work: list[tuple[str, int, Callable[[], object]]] = [
        ("scanner, all of a body new", len(body), lambda: read("anthropic", body)),
        ("the same with json.loads", len(body), lambda: json.loads(body)),
        ("index of lines", whole, index),
        ("transforms, all repeated", whole, transform),
        ("token counts", whole, lambda: [count(text) for text in texts]),
    ]
    return [(what, size / 1e3 / min(timed(job) for _ in range(5))) for what, size, job in work]


def shares(sessions: int) -> list[tuple[str, float]]:
    """What each step takes of the whole, under the profiler."""
    profiler, engine = cProfile.Profile(), Engine(RamMemory())
    for number in range(sessions):
        session = made_up(number, 50)
        for body in session.bodies():
            raw = request(session, body)
            profiler.enable()
            engine.rewrite(raw)
            profiler.disable()
    spent: dict[str, float] = {}
    for (file, _, name), (_, _, _, cumulated, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if "headroom" in file:
            spent[name] = max(cumulated, spent.get(name, 0.0))
    return [(what, 100 * spent.get(name, 0.0) / spent["rewrite"]) for name, what in STEPS.items()]


def timed(job: Callable[[], object]) -> float:
    """Milliseconds that this thread computed: what other programs do meanwhile does not count."""
    began = time.thread_time()
    job()
    return 1000 * (time.thread_time() - began)


def listed(console: Console, title: str, unit: str, rows: Sequence[tuple[str, float]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column(unit, justify="right")
    for what, value in rows:
        table.add_row(what, f"{value:,.1f}")
    console.print(table)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    options = parser.parse_args(arguments)
    console = wide()
    count("what is loaded on first use is loaded now")
    number = 8 if options.quick else 20
    figures = [turns(history, new, number) for new in NEW for history in HISTORIES]
    missed = show(console, "One turn, median", figures, "json twice")
    listed(console, "Parts", "MB/s", parts())
    listed(console, "Where the time of a session's turns goes", "%", shares(1 if options.quick else 4))
    return verdict(console, missed)
