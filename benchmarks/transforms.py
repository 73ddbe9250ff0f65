"""What the transforms make of single outputs (tokens, planted facts), and how fast they are, on strange texts too.

Each output of ``benchmarks/corpus`` goes through the pipeline as the first of its conversation, so that nothing can be
said by reference to what stood before: sessions save more.
"""

import argparse
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import OUTPUTS, Output, fidelity, load
from benchmarks.support.report import verdict
from headroom.tokenizers import count
from headroom.transforms import (
    diff,
    excerpts,
    frames,
    html,
    ids,
    line_numbers,
    listing,
    log_templates,
    logs,
    near,
    phrases,
    pipeline,
    repeats,
    router,
    routine,
    search,
    smart_crusher,
    terminal,
    times,
    tracebacks,
)
from headroom.transforms.base import Context, Transform
from headroom.transforms.line_index import LineIndex
from headroom.transforms.pipeline import shorten
from headroom.transforms.references import Source

LOSSLESS_BAR, JSON_BAR = 20.0, 10.0
"""MB/s, at least."""
ROUTER_BAR = 1.0
"""Milliseconds for 100 KB, at most."""
TOKENS_BAR = 60.0
"""Milliseconds for 100,000 tokens of JSON, at most."""
GROWTH_BAR = 3.0
"""How many times as long a byte may take in a text ten times as long, where that takes more than"""
NOTICED = 0.1
"""seconds."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an output: its text, its tokens, and what each strategy saved."""

    text: str
    tokens: int
    saved: dict[str, int]


def shortened(output: Output, lossless: bool) -> Result:
    """The output through the pipeline, with nothing before it in the conversation."""
    tokens = count(output.text)
    context = Context(output.tool, output.arguments, output.query, lossless)
    found = shorten(output.text, tokens, LineIndex(), "", context)
    return Result(found.text, found.tokens, found.saved) if found else Result(output.text, tokens, {})


def tokens_and_facts(console: Console, outputs: Sequence[Output]) -> list[str]:
    """Print what becomes of each output; return those that lost facts losslessly, or became longer."""
    table = Table(
        title="Single outputs: tokens (o200k), share left, share of the planted facts kept", title_justify="left"
    )
    for name in ("output", "kind", "by"):
        table.add_column(name)
    for name in ("tokens", "lossless", "left", "facts", "may leave out", "left", "facts"):
        table.add_column(name, justify="right")
    wrong: list[str] = []
    before, after = 0, Counter[bool]()
    for output in outputs:
        tokens = count(output.text)
        kind = router.kind(output.text, Context(output.tool, output.arguments))
        row = [output.name, kind.name if kind else "-"]
        cells: list[str] = []
        saved: dict[str, int] = {}
        for lossless in (True, False):
            result = shortened(output, lossless)
            kept = fidelity(output.facts, result.text)
            saved = saved or result.saved
            cells += [f"{result.tokens:,}", f"{result.tokens / tokens:.3f}", f"{kept:.0%}"]
            after[lossless] += result.tokens
            if result.tokens > tokens or (lossless and kept < 1):
                wrong.append(f"{output.name}: {result.tokens:,} of {tokens:,} tokens, {kept:.0%} of the facts")
        before += tokens
        table.add_row(*row, ", ".join(sorted(saved, key=lambda name: -saved[name])), f"{tokens:,}", *cells)
    total = [cell for part in (True, False) for cell in (f"{after[part]:,}", f"{after[part] / before:.3f}", "")]
    table.add_section()
    table.add_row("all", "", "", f"{before:,}", *total)
    console.print(table)
    return wrong


@dataclass(frozen=True, slots=True)
class Timed:
    """A transform as the router uses it, the outputs that it is for, and its bar in MB/s."""

    name: str
    run: Callable[[str], object]
    outputs: tuple[str, ...]
    bar: float = LOSSLESS_BAR
    most: int = 300_000
    """Characters of real text."""


def _on(transform: Transform, lossless: bool = True, tool: str = "Bash") -> Callable[[str], object]:
    context = Context(tool, {}, "why does it fail", lossless)
    return lambda text: transform(text, context)


def _repeats(text: str) -> object:
    return repeats.compress(text, LineIndex(), "", True, count, len(text) // 4)


def _near(text: str) -> object:
    """The text where the same one stands above, with other times in it."""
    index = LineIndex()
    index.add(Source("Bash", "command", "./run", 0), text.replace("0", "1"))
    return near.compress(text, index, "", count, len(text) // 4)


def _aligned(text: str) -> object:
    """The text as ``cat -n`` numbers it."""
    lines = "\n".join(f"{number:6d}\t{line}" for number, line in enumerate(text.split("\n"), 1))
    return line_numbers.unalign(lines, Context("Bash"))


_fresh = itertools.count()


def _counting(text: str) -> int:
    """The tokens of a text that was not counted before."""
    return count(f"{text} {next(_fresh)}")


TIMED = (
    Timed("router", lambda text: router.kind(text, Context("mcp__x__y")), ("pytest.txt", "ruff.txt", "page.html")),
    Timed("frames", _on(frames.compress), ("pytest.txt", "make.txt")),
    Timed("terminal", _on(terminal.compress), ("docker-build.txt", "jest.txt", "java.txt")),
    Timed("logs", _on(logs.compress), ("java.txt", "pytest.txt", "docker-build.txt", "ruff.txt")),
    Timed("times", _on(times.compress), ("python-worker.txt", "access-log.txt")),
    Timed("tracebacks", _on(tracebacks.compress), ("python-worker.txt", "pytest.txt")),
    Timed("ids", _on(ids.compress), ("events.jsonl", "kubectl-pods.txt")),
    Timed("line numbers", _aligned, ("read.txt",)),
    Timed("log templates", _on(log_templates.compress, False), ("java.txt", "access-log.txt", "python-worker.txt")),
    Timed("excerpts", _on(excerpts.compress), ("ruff.txt", "cargo-build.txt")),
    Timed("routine", _on(routine.compress, False), ("pytest.txt", "go-test.txt", "docker-build.txt")),
    Timed("search", _on(search.compress), ("grep.txt", "tsc.txt")),
    Timed("listing, names", _on(listing.names), ("find.txt",)),
    Timed("listing, rows", _on(listing.rows), ("ls.txt",)),
    Timed("listing, paths", _on(listing.paths, False), ("find.txt",)),
    Timed("listing, drawing", _on(listing.drawing), ("tree.txt",)),
    Timed("diff", _on(diff.compress), ("git-diff.txt", "git-log.txt")),
    Timed("html", _on(html.compress, False), ("page.html",)),
    Timed("phrases", _on(phrases.compress), ("access-log.txt", "ls.txt"), most=phrases.MOST_TEXT),
    Timed("repeats", _repeats, ("read.txt", "pytest.txt")),
    Timed("near repeats", _near, ("python-worker.txt", "docker-build.txt")),
    Timed("JSON", _on(smart_crusher.compress), ("kubectl-pods.json", "openapi.json", "github-issues.json"), JSON_BAR),
    Timed("JSON, choosing", _on(smart_crusher.compress, False), ("sqlite-json.json",), JSON_BAR),
    Timed("YAML", _on(smart_crusher.compress), ("openapi.yaml",), JSON_BAR),
    Timed("CSV", _on(smart_crusher.compress), ("metrics.csv",), JSON_BAR),
    Timed("tables", _on(smart_crusher.compress), ("sqlite-table.txt",), JSON_BAR),
    Timed("counting tokens", _counting, ("pytest.txt", "read.txt", "kubectl-pods.json"), 0),
)


def seconds(run: Callable[[str], object], text: str) -> float:
    """Of this thread's processor time, so that what else the machine does counts less; the best of three, of one where
    that took long."""
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        run(text)
        best = min(best, time.thread_time() - start)
        if best > 0.3:
            break
    return best


def _strange(size: int) -> dict[str, str]:
    """Texts of about ``size`` characters that are made to be slow."""
    return {
        "one line": "x" * size,
        "one line of words": "ab 12 " * (size // 6),
        "lines alike": "the same line again\n" * (size // 20),
        "lines different": "".join(f"line {number} is unlike\n" for number in range(size // 22)),
        "nesting": ("[" * 10_000 + '{"a":1}' + "]" * 10_000 + "\n") * (1 + size // 20_008),
        "objects alike": "[" + ",\n".join(f'{{"id":{number},"b":"x"}}' for number in range(size // 22)) + "]",
        "brackets": '{"' * (size // 2),
        "dashes": "a-1-" * (size // 4) + "\na:1:x\na:2:x",
        "escapes": "\x1b[" * (size // 2),
        "quotes": "01:02:03 " + "\"'" * (size // 2) + "\n01:02:03 x" * 60,
        "spaces": "a:" + " " * size + "\n",
        "tags": "<p><b>" * (size // 6),
    }


def speeds(console: Console, size: int) -> list[str]:
    """Print MB/s of each transform on real and on strange texts of ``size`` characters; return the bars missed."""
    table = Table(title=f"Speed, MB/s; strange texts of {size:,} characters", title_justify="left")
    for name, justify in (
        ("transform", "left"),
        ("real text", "right"),
        ("bar", "right"),
        ("strange: median", "right"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left")
    table.add_column("slowest, on", justify="right")
    table.add_column("ten times the text takes", justify="right")
    missed: list[str] = []
    small, large = _strange(size // 10), _strange(size)
    for timed in TIMED:
        real = _real(timed.outputs, timed.most)
        speed = len(real) / seconds(timed.run, real) / 1e6
        strange = {name: seconds(timed.run, text) for name, text in large.items()}
        growth = {
            name: took / max(seconds(timed.run, small[name]), 0.001) * len(small[name]) / len(large[name])
            for name, took in strange.items()
            if took > NOTICED
        }
        rates = {name: len(large[name]) / max(took, 1e-9) / 1e6 for name, took in strange.items()}
        slowest = min(rates, key=rates.__getitem__)
        steepest = max(growth, key=growth.__getitem__, default="")
        low, steep = speed < timed.bar, growth.get(steepest, 0) > GROWTH_BAR
        if low:
            missed.append(f"{timed.name}: {speed:.1f} MB/s on real text; at least {timed.bar:g}")
        if steep:
            missed.append(f"{timed.name}: {10 * growth[steepest]:.0f} times as long for ten times {steepest!r}")
        bar = f">= {timed.bar:g} {'[red]missed' if low else '[green]met'}" if timed.bar else ""
        table.add_row(
            timed.name,
            _rate(speed),
            bar,
            _rate(sorted(rates.values())[len(rates) // 2]),
            f"{_rate(rates[slowest])}, {slowest}",
            f"{10 * growth[steepest]:.0f}x, {steepest}{' [red]missed' if steep else ''}" if growth else "",
        )
    console.print(table)
    return missed


def _rate(speed: float) -> str:
    return f"{speed:,.1f}" if speed < 100 else f"{speed:,.0f}" if speed < 10_000 else ">10,000"


def _real(names: Sequence[str], size: int) -> str:
    """Outputs one after the other until they have about ``size`` characters; JSON stays one value."""
    texts = [(OUTPUTS / name).read_text().rstrip("\n") for name in names]
    times = max(1, size // sum(map(len, texts)))
    if all(text[0] in "[{" for text in texts):
        return "[" + ",\n".join(texts * times) + "]"
    if names[0].endswith((".csv", ".html", ".yaml")) or len(names) == 1:
        return texts[0]
    return "\n".join(texts * times)


def fixed(console: Console, outputs: Sequence[Output]) -> list[str]:
    """Print the figures that have bars of their own, and where the time of shortening the corpus goes."""
    text = _real(("pytest.txt", "ruff.txt", "make.txt"), 100_000)[:100_000]
    contexts = [Context("mcp__x__y"), Context("Bash", {"command": "cd x && ./run.sh | tee log"})]
    routing = 1000 * max(seconds(partial(router.kind, context=context), text) for context in contexts)
    data = _real(("kubectl-pods.json", "github-issues.json", "npm-ls.json"), 300_000)
    crushing = 1000 * seconds(_on(smart_crusher.compress), data) * 100_000 / count(data)
    table = Table(title="Milliseconds", title_justify="left")
    for name in ("", "ms", "bar"):
        table.add_column(name, justify="right" if name else "left")
    missed: list[str] = []
    for what, took, bar in (
        ("router, 100 KB", routing, ROUTER_BAR),
        ("JSON, 100,000 tokens", crushing, TOKENS_BAR),
    ):
        if took > bar:
            missed.append(f"{what}: {took:.1f} ms; at most {bar:g}")
        table.add_row(what, f"{took:.2f}", f"<= {bar:g} {'[red]missed' if took > bar else '[green]met'}")
    console.print(table)
    spent = _spent(outputs)
    whole = sum(spent.values())
    shares = ", ".join(f"{name} {took / whole:.0%}" for name, took in sorted(spent.items(), key=lambda item: -item[1]))
    console.print(
        f"Shortening the corpus ({sum(len(output.text) for output in outputs):,} characters) takes"
        f" {1000 * whole:.0f} ms: {shares}."
    )
    return missed


def _spent(outputs: Sequence[Output]) -> dict[str, float]:
    """Seconds that each step of the pipeline takes for all outputs; counting tokens, wherever it is done, by itself."""
    spent: defaultdict[str, float] = defaultdict(float)
    counting = 0.0

    def counted(text: str) -> int:
        nonlocal counting
        start = time.thread_time()
        tokens = count(text)
        counting += time.thread_time() - start
        return tokens

    def timed[T](name: str, run: Callable[[], T]) -> T:
        start, before = time.thread_time(), counting
        result = run()
        spent[name] += time.thread_time() - start - (counting - before)
        return result

    for output in outputs:
        context = Context(output.tool, output.arguments, output.query, count=counted)
        text = output.text
        kind = timed("router", partial(router.kind, text, context))
        for transform in (*(kind.transforms if kind else ()), phrases.compress):
            form = timed(transform.__module__.rpartition(".")[2], partial(transform, text, context))
            text = form.text if form else text
            counted(text)
        numbers = output.tool in pipeline.NUMBERED_READS
        for form_text in {output.text, text}:
            timed("repeats", partial(repeats.compress, form_text, LineIndex(), "", numbers, counted, count(form_text)))
    return {**spent, "counting tokens": counting}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks transforms", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only tokens and facts")
    parser.add_argument(
        "--size", type=int, default=2_000_000, help="characters of strange texts (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    console = Console()
    outputs = load()
    wrong = tokens_and_facts(console, outputs)
    if not options.quick:
        wrong += fixed(console, outputs)
        wrong += speeds(console, options.size)
    return verdict(console, wrong)
