"""Many streaming requests at once through one proxy: does one fail, and what is added to each?"""

import argparse
import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.proxy import BASELINE, OURS, PLAIN, connect, outcomes
from benchmarks.support.provider import SECONDS, Provider
from benchmarks.support.report import Figure, show, verdict, wide
from benchmarks.support.sessions import Session, made_up
from tests.support.proxy import Mitmdump

CLIENTS = 200
TURNS = 4
"""Requests of each client, one after another."""
ANSWER_SECONDS = 10.0
"""How long an answer streams, as a model's does: so long each client has a request under way."""
ALONE_REQUESTS = 60
MOST = 2.0
"""How many times as much may be added as with one client."""


@dataclass(slots=True)
class Run:
    """Seconds until the first byte of each answer, and what went wrong."""

    first: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    most: int = 0
    """Requests that were under way at once."""

    @property
    def median(self) -> float:
        return 1000 * statistics.median(self.first)


def play(proxy: Mitmdump, sessions: Sequence[Session], seconds: float) -> Run:
    """Every session is a client of its own. They begin one after another within the time of an answer, so that they
    come evenly, and each has a request under way nearly all of the time."""
    run, under_way, lock = Run(), 0, threading.Lock()

    def client(number: int, session: Session) -> None:
        nonlocal under_way
        time.sleep(number * seconds / len(sessions))
        try:
            with contextlib.closing(connect(proxy)) as connection:
                for body in session.bodies():
                    with lock:
                        under_way += 1
                        run.most = max(run.most, under_way)
                    try:
                        run.first.append(connection.post(body, {**session.headers, SECONDS: str(seconds)}).first)
                    finally:
                        with lock:
                            under_way -= 1
        except Exception as error:
            run.failed.append(f"{type(error).__name__}: {error}"[:200])

    threads = [threading.Thread(target=client, args=one) for one in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return run


def measure(folder: Path, clients: int, seconds: float) -> tuple[list[Figure], str]:
    """One client, then many, through either proxy; the figures, and what the ledger says of ours."""
    alone = [made_up(10_000 + number, TURNS) for number in range(ALONE_REQUESTS // TURNS)]
    many = [made_up(number, TURNS) for number in range(clients)]
    runs: dict[str, tuple[Run, Run]] = {}
    said = ""
    with Provider(folder) as provider:
        for name, scripts in (("plain", PLAIN), ("ours", OURS)):
            place = folder / name
            place.mkdir()
            with Mitmdump(place, provider.port, provider.certificate, scripts) as proxy:
                play(proxy, [made_up(99_999, 10)], 0.05)  # what is loaded on first use is loaded now
                one = Run()
                for session in alone:
                    one.first += play(proxy, [session], 0.05).first
                runs[name] = one, play(proxy, many, seconds)
            if name == "ours":
                said = outcomes(proxy)
    plain, ours = runs["plain"], runs["ours"]
    added = [mine.median - theirs.median for mine, theirs in zip(ours, plain, strict=True)]
    bar = MOST * added[0]
    figures = [
        Figure("first byte, one client: median", ours[0].median, plain[0].median, added[0]),
        Figure(f"first byte, {clients} at once: median", ours[1].median, plain[1].median, added[1], limit=bar),
        Figure("requests under way at once, at most", ours[1].most, plain[1].most, unit=""),
        Figure("requests answered", len(ours[1].first), len(plain[1].first), unit=""),
        Figure("requests that failed", len(ours[1].failed), len(plain[1].failed), unit="", limit=0),
    ]
    return figures, "\n".join([said, *ours[1].failed[:5]])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="answers of four seconds")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    options, _ = parser.parse_known_args(arguments)
    console = wide()
    with tempfile.TemporaryDirectory() as folder:
        figures, said = measure(Path(folder), options.clients, 4.0 if options.quick else ANSWER_SECONDS)
    missed = show(console, f"{options.clients} streaming requests at once", figures, BASELINE)
    console.print(said)
    return verdict(console, missed)
