"""What a store of originals costs: embedded, in Redis and in PostgreSQL, nearly empty and with a million entries."""

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from benchmarks.support.report import verdict, wide
from headroom.ccr.originals import Original, StoredOriginals, original_of
from headroom.stores.entries import Entry, Limits
from headroom.stores.opening import open_entries
from tests.support.servers import postgres_programs, postgres_server, redis_program, redis_server

ROUNDS = 300
TEXT = 12_000
"""Characters of a tool's output of the common size."""
LARGE = 1_000_000
BATCH = 2_000
LIMITS = Limits(ttl=86400.0, entries=10_000_000, bytes=1 << 40)
WRITE_MS, READ_MS = 1.0, 10.0
"""Milliseconds that a write of the embedded store and any store's reading of a megabyte may take, in the median."""
WORDS = ("order", "invoice", "parser", "value", "index", "error", "warning", "retry", "socket", "user", "table")


def text(seed: int, size: int) -> str:
    """Lines as tools print them, another text for each seed."""
    rng = random.Random(seed)
    lines, length = list[str](), 0
    while length < size:
        lines.append(f"{rng.randrange(10**6)} {' '.join(rng.choices(WORDS, k=8))} {rng.random():.6f}")
        length += len(lines[-1]) + 1
    return "\n".join(lines)[:size]


class Bench:
    """One store: ``median`` milliseconds of a call, and its 99th percentile."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.name = name
        self._entries = open_entries(url, folder / "originals.db", LIMITS)
        self._originals = StoredOriginals(self._entries)
        self._next = 0

    def measure(self) -> dict[str, tuple[float, float]]:
        """Writing a text of common size, reading one, reading a megabyte; each kept just before by this session."""
        common, large = self._texts(ROUNDS, TEXT), self._texts(12, LARGE)
        wrote = [_timed(lambda one=one: self._originals.keep([one])) for one in common]  # type: ignore[misc]
        self._originals.keep(large)
        read = [_timed(lambda one=one: self._get(one)) for one in common]  # type: ignore[misc]
        whole = [_timed(lambda one=one: self._get(one)) for one in large * 5]  # type: ignore[misc]
        missing = [_timed(lambda: self._originals.missing([one.hash for one in common[:50]])) for _ in range(50)]
        return {
            f"write {TEXT // 1000} KB": _figures(wrote),
            f"read {TEXT // 1000} KB": _figures(read),
            "read 1 MB": _figures(whole),
            "look 50 up": _figures(missing),
        }

    def fill(self, count: int) -> None:
        """Bring it to ``count`` entries, a hundred in a session."""
        rng, now = random.Random(count), time.time()
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            self._entries.put(
                [Entry(f"{n:024x}", f"filler{n // 100}", "Bash", "ls", now, 200, rng.randbytes(100)) for n in numbers]
            )

    def close(self) -> None:
        self._entries.close()

    def _texts(self, count: int, size: int) -> list[Original]:
        start, self._next = self._next, self._next + count
        return [
            original_of(text(seed, size), f"session{seed % 7}", "Bash", "make") for seed in range(start, self._next)
        ]

    def _get(self, one: Original) -> None:
        found = self._originals.get(one.hash)
        assert found is not None and found.text == one.text


@contextlib.contextmanager
def stores(folder: Path) -> Iterator[list[Bench]]:
    """Each store that there is a server for; the servers are started for it."""
    with contextlib.ExitStack() as stack:
        found = [Bench("SQLite", "", folder)]
        if redis_program() is not None:
            found.append(Bench("Redis", stack.enter_context(redis_server()).url, folder))
        if postgres_programs() is not None:
            found.append(Bench("PostgreSQL", stack.enter_context(postgres_server()).url, folder))
        for bench in found:
            stack.callback(bench.close)
        yield found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks stores", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="with 20,000 entries in place of a million")
    parser.add_argument("--entries", type=int, default=1_000_000)
    options, _ = parser.parse_known_args(arguments)
    console, missed = wide(), list[str]()
    count = 20_000 if options.quick else options.entries
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as benches:
        empty = {bench.name: bench.measure() for bench in benches}
        for bench in benches:
            began = time.perf_counter()
            bench.fill(count)
            console.print(f"{bench.name}: {count:,} entries in {time.perf_counter() - began:.0f} s")
        full = {bench.name: bench.measure() for bench in benches}
    for title, found in (("Nearly empty", empty), (f"With {count:,} entries", full)):
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("median ms (99th percentile)")
        for name in found:
            table.add_column(name, justify="right")
        for what in found["SQLite"]:
            base = found["SQLite"][what][0]
            cells = [
                f"{median:.2f} ({most:.2f})" + (f"  x {median / base:.1f}" if name != "SQLite" else "")
                for name, (median, most) in ((name, figures[what]) for name, figures in found.items())
            ]
            table.add_row(what, *cells)
        console.print(table)
        for name, figures in found.items():
            for what, (median, _) in figures.items():
                limit = WRITE_MS if what.startswith("write") else READ_MS
                if median > limit and (name == "SQLite" or what.startswith("read")):
                    missed.append(f"{title}, {name}: {what} takes {median:.2f} ms, not {limit:g}")
    return verdict(console, missed)


def _timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _figures(taken: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(taken)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
