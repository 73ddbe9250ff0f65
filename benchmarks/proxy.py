"""What the addon adds over a mitmdump with a script that does nothing: time, blocked event loop, memory.

Both proxies run at once; each request goes through one and then the other, in turns, so that what else the machine
does hits both alike. Times added are differences within such pairs.
"""

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.clients import Connection, Took
from benchmarks.support.provider import Provider
from benchmarks.support.report import Figure, show, verdict, wide
from benchmarks.support.sessions import Session, made_up, recorded
from headroom.ledger import Ledger
from tests.support.proxy import ADDON, Mitmdump

HERE = Path(__file__).parent / "support"
PLAIN = (HERE / "probe.py", HERE / "plain.py")
OURS = (HERE / "probe.py", ADDON)
BASELINE = "empty script"
PARTS = ("sessions", "large", "huge", "at-once", "memory")
STEP = 10
"""Milliseconds that one step of the event loop may compute."""
PAUSE = 0.02
"""Seconds between two requests of a session: a model and its tools take far longer."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything is measured."""

    sessions: int
    turns: int
    large: int
    huge: int
    at_once: int
    rounds: int
    long_turns: int
    many: int


FULL = Size(sessions=6, turns=50, large=14, huge=4, at_once=100, rounds=5, long_turns=500, many=10_000)
QUICK = Size(sessions=2, turns=40, large=8, huge=3, at_once=100, rounds=2, long_turns=100, many=1_000)


class Pair:
    """The two proxies before one provider."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.plain = Mitmdump(_made(folder / "plain"), provider.port, provider.certificate, PLAIN)
        self.ours = Mitmdump(_made(folder / "ours"), provider.port, provider.certificate, OURS)
        self._turn = itertools.cycle((True, False))

    def __enter__(self) -> "Pair":
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(self.plain)
        self._stack.enter_context(self.ours)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, session: Session, pause: float = PAUSE) -> "Times":
        """All requests of a session through both."""
        plain, ours = connect(self.plain), connect(self.ours)
        times = Times()
        for body in session.bodies():
            order = ((plain, times.plain), (ours, times.ours))
            for connection, took in order if next(self._turn) else reversed(order):
                time.sleep(pause)
                took.append(connection.post(body, session.headers))
        plain.close()
        ours.close()
        return times

    def loops(self, requests: int, limit: float | None = None) -> list[Figure]:
        """What the probes saw in these ``requests`` since they were last asked; ``limit`` on what is added."""
        plain, ours = _probe(self.plain), _probe(self.ours)

        def figure(what: str, name: str, limit: float | None = None, share: int = 1) -> Figure:
            a, b = plain[name] / share, ours[name] / share
            return Figure(what, b, a, b - a, limit=limit)

        step, of_plain = ours["step longest"], plain["step longest"]
        more = step - of_plain if of_plain > STEP else None  # bodies of 20 MB take mitmproxy itself that long
        return [
            Figure("event loop, longest step", step, of_plain, more, limit=STEP),
            figure("event loop blocked, longest", "blocked longest", limit),
            figure("event loop blocked, p99.9", "blocked often"),
            figure("event loop late, longest", "late longest"),
            figure("CPU time of a request", "computed", share=requests),
        ]


def _probe(proxy: Mitmdump) -> dict[str, float]:
    """The probe's figures, in milliseconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy.url}))
    with opener.open("http://probe.test/", timeout=30) as answer:
        return {name: 1000 * value for name, value in json.load(answer).items()}


class Times:
    """What the same requests took through each proxy."""

    def __init__(self) -> None:
        self.plain: list[Took] = []
        self.ours: list[Took] = []

    def __iadd__(self, other: "Times") -> "Times":
        self.plain += other.plain
        self.ours += other.ours
        return self

    def median(self, limit: float | None = None) -> Figure:
        """Of the whole request."""
        return _figure("request, median", *self._wholes(), 0.5, limit)

    def p99(self, limit: float | None = None) -> Figure:
        """Of the whole request."""
        return _figure("request, p99", *self._wholes(), 0.99, limit)

    def first_byte(self) -> Figure:
        """Until the first byte of the answer's body, median."""
        return _figure("time to first byte, median", [t.first for t in self.plain], [t.first for t in self.ours], 0.5)

    def largest(self) -> Figure:
        """Of the whole request."""
        return _figure("request, slowest", *self._wholes(), 1.0)

    def _wholes(self) -> tuple[list[float], list[float]]:
        return [t.whole for t in self.plain], [t.whole for t in self.ours]


def connect(proxy: Mitmdump) -> Connection:
    return Connection(proxy.port, proxy.certificate)


def measure_sessions(pair: Pair, sessions: Iterable[Session]) -> list[Figure]:
    """Sessions of a coding agent, one request after the other."""
    times = Times()
    for session in sessions:
        times += pair.send(session)
    return [times.median(limit=5), times.p99(limit=40), times.first_byte(), *pair.loops(len(times.ours), limit=10)]


def measure_large(pair: Pair, turns: int) -> list[Figure]:
    """2 MB bodies of which 20 KB are new."""
    session = made_up(1000, turns, 20_000, start=1_800_000, steady=True)
    times = pair.send(session)
    loops = pair.loops(turns, limit=10)
    times.plain, times.ours = times.plain[2:], times.ours[2:]  # the first ones are all new
    return [times.median(limit=15), times.largest(), *loops]


def measure_huge(pair: Pair, turns: int) -> list[Figure]:
    """20 MB bodies: of text nobody takes that much, of images they do."""
    times = pair.send(made_up(2000, turns, images=20))
    return [times.median(), times.largest(), *pair.loops(turns)]


def measure_at_once(pair: Pair, clients: int, turns: int) -> list[Figure]:
    """Many sessions at the same time, each over a connection of its own."""
    sessions = [made_up(3000 + number, turns) for number in range(clients)]
    plain, plain_seconds = _all_at_once(pair.plain, sessions)
    ours, ours_seconds = _all_at_once(pair.ours, sessions)
    return [
        Figure("request, median", 1000 * statistics.median(ours), 1000 * statistics.median(plain)),
        Figure("request, p99", 1000 * _quantile(ours, 0.99), 1000 * _quantile(plain, 0.99)),
        Figure("all of them", 1000 * ours_seconds, 1000 * plain_seconds),
        Figure("requests that failed", clients * turns - len(ours), clients * turns - len(plain), unit="n", limit=0),
        *pair.loops(clients * turns),
    ]


def measure_memory(pair: Pair, long_turns: int, many: int) -> list[Figure]:
    """What a long session leaves in memory, and whether many short ones leave more and more."""
    pair.send(made_up(4999, 20))
    sizes = [(_resident(pair.plain), _resident(pair.ours))]
    for number in range(4):
        pair.send(made_up(4000 + number, long_turns, 400), pause=0)
        sizes.append((_resident(pair.plain), _resident(pair.ours)))
    (plain, ours), (plain_first, ours_first), *_, (plain_last, ours_last) = sizes
    grown, plain_grown = ours_first - ours, plain_first - plain
    first = Figure(f"the first session of {long_turns} turns, with room to work", grown, plain_grown, unit="MB")
    grown, plain_grown = (ours_last - ours_first) / 3, (plain_last - plain_first) / 3
    each = Figure("each further one leaves", grown, plain_grown, grown - plain_grown, unit="MB", limit=10)
    # in fewer requests the memory of sessions is not yet full
    limit = 5 if many >= FULL.many else None
    return [
        first,
        each,
        Figure(f"growth from request {many // 2:,} to {many:,}", _growth(pair.ours, many), None, None, "MB", limit),
    ]


def _growth(proxy: Mitmdump, requests: int) -> float:
    """MB by which memory grows in the second half of so many requests of short sessions."""
    turns, clients = 10, 8

    def client(numbers: range) -> None:
        connection = connect(proxy)
        for number in numbers:
            session = made_up(number, turns, 800, head_tokens=500)
            for body in session.bodies():
                connection.post(body, session.headers)
        connection.close()

    sizes: list[float] = []
    half = requests // turns // 2
    for start in (10_000, 10_000 + half):
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(client, [range(start + first, start + half, clients) for first in range(clients)]))
        sizes.append(_resident(proxy))
    return sizes[1] - sizes[0]


def _all_at_once(proxy: Mitmdump, sessions: Sequence[Session]) -> tuple[list[float], float]:
    """Seconds of each request that was answered, and of all of them together."""
    took: list[float] = []
    start = threading.Barrier(len(sessions) + 1)

    def client(session: Session) -> None:
        bodies = list(session.bodies())
        connection = connect(proxy)
        start.wait()
        for body in bodies:
            with contextlib.suppress(AssertionError, OSError):
                took.append(connection.post(body, session.headers).whole)
        connection.close()

    threads = [threading.Thread(target=client, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return took, time.perf_counter() - began


def _resident(proxy: Mitmdump) -> float:
    """MB of memory that the process has."""
    assert proxy.process is not None
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(proxy.process.pid)], capture_output=True, check=True)
    return int(found.stdout) / 1024


def _figure(
    what: str, plain: Sequence[float], ours: Sequence[float], share: float, limit: float | None = None
) -> Figure:
    """A quantile of either, and of what was added pair by pair; given in seconds, shown in milliseconds."""
    added = [b - a for a, b in zip(plain, ours, strict=True)]
    a, b, more = (1000 * _quantile(values, share) for values in (plain, ours, added))
    return Figure(what, b, a, more, limit=limit)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def outcomes(proxy: Mitmdump) -> str:
    """What the ledger says became of the requests."""
    ledger = Ledger(proxy.workspace / "ledger.db")
    rows = ledger.recent(1_000_000)
    ledger.close()
    counted = Counter(row.outcome if row.outcome == "rewritten" else f"{row.outcome}: {row.reason}" for row in rows)
    milliseconds = [row.rewrite_ms for row in rows]
    found = ", ".join(f"{number:,} {what}" for what, number in counted.most_common())
    return f"ledger: {len(rows):,} requests: {found}; rewriting took {statistics.median(milliseconds):.1f} ms (median)"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks proxy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: under 40 s")
    parser.add_argument("--sessions", type=Path, help="recorded sessions (JSON lines) in place of made-up ones")
    parser.add_argument("--only", choices=PARTS, action="append", help="just this part; may be given several times")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    console, missed = wide(), list[str]()
    made = (made_up(number, size.turns) for number in range(size.sessions))
    sessions = recorded(options.sessions) if options.sessions else made
    measures: list[tuple[str, Callable[[Pair], list[Figure]]]] = [
        ("Sessions of a coding agent, bodies around 200 KB", lambda pair: measure_sessions(pair, sessions)),
        ("Bodies of 2 MB, 20 KB of them new", lambda pair: measure_large(pair, size.large)),
        ("Bodies of 20 MB", lambda pair: measure_huge(pair, size.huge)),
        (f"{size.at_once} sessions at once", lambda pair: measure_at_once(pair, size.at_once, size.rounds)),
        ("Memory", lambda pair: measure_memory(pair, size.long_turns, size.many)),
    ]
    wanted = [measure for part, measure in zip(PARTS, measures, strict=True) if part in (options.only or PARTS)]
    with tempfile.TemporaryDirectory() as folder, Provider(Path(folder)) as provider:
        for number, (title, measure) in enumerate(wanted):
            with Pair(Path(folder) / str(number), provider) as pair:
                pair.send(made_up(999, 10))  # what is loaded on first use is loaded now
                pair.loops(1)
                missed += show(console, title, measure(pair), BASELINE)
            console.print(outcomes(pair.ours))
    return verdict(console, missed)
