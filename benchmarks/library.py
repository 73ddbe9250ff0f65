"""``compress()`` against that of the published package ``headroom-ai``: tokens, time, import, memory, in one run.

    python -m benchmarks library --install     # installs the package into .cache/peers first

Each runs in a process and an environment of its own on the same conversations: a question, a call and its output for
each output of the corpus, and a coding session, whole and as it grows. Time is processor time of the whole process.
Tokens are those of o200k. The peer counts with tiktoken, which downloads that vocabulary at its first use: it gets the
copy that LiteLLM's package brings, as it lies on its users' machines.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.caching import PRICES, Provider, marked_at_end
from benchmarks.corpus import Output, fidelity, load
from benchmarks.peers import PEERS, columns_read, install
from benchmarks.support import compressing, peer
from benchmarks.support.sessions import made_up
from headroom.cache import accounting
from headroom.tokenizers import count

TURNS = 60
ROUNDS = 3
OURS, THEIRS = "headroom", "headroom-ai 0.42.0"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What one of them did: tokens that are left, the share of facts that is kept, what the session costs in uncached
    input tokens, seconds, MB."""

    single: int
    facts: float
    session: int
    cost: float
    imported: float
    cold: float
    first: float
    again: float
    growing: float
    memory: float


def conversations(outputs: Sequence[Output]) -> tuple[list[list[Json]], list[list[Json]]]:
    """The inputs: one for each output, and a session at each of its requests."""
    single = [
        peer.conversation({"tool": o.tool, "arguments": o.arguments, "query": o.query, "text": o.text}) for o in outputs
    ]
    session = made_up(1, TURNS)
    return single, [session.messages[:cut] for cut in session.cuts]


def vocabularies() -> str:
    """A folder with tiktoken's vocabularies under the names by which it keeps them."""
    package = find_spec("litellm")
    assert package is not None and package.origin is not None, "litellm is not installed: ./dev setup"
    return str(Path(package.origin).parent / "litellm_core_utils" / "tokenizers")


def run(python: str, single: Sequence[list[Json]], growing: Sequence[list[Json]], home: Path, path: str = "") -> Json:
    """The figures of the ``headroom`` of an interpreter; ``path`` is where it is found when it is not installed."""
    asked = {"conversations": single, "growing": growing, "model": peer.MODEL, "rounds": ROUNDS}
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"}
    environment["TIKTOKEN_CACHE_DIR"] = vocabularies()
    done = subprocess.run(
        [python, "-P", compressing.__file__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        cwd=home,
        env=environment | ({"PYTHONPATH": path} if path else {}),
    )
    found: Json = json.loads(done.stdout.splitlines()[-1])
    return found


def summed(figures: Json, outputs: Sequence[Output]) -> Found:
    """The figures as they are shown."""
    calls = figures["calls"]
    written = ["".join(texts(call["messages"][2])) for call in calls]
    kept = [fidelity(o.facts, columns_read(text).replace("\0", "")) for o, text in zip(outputs, written, strict=True)]
    return Found(
        sum(map(count, written)),
        sum(kept) / len(kept),
        sum(count(text) for message in figures["sent"][-1] for text in texts(message)),
        cost(figures["sent"]),
        figures["import"],
        figures["cold"],
        sum(call["first"] for call in calls[1:]),
        sum(call["again"] for call in calls[1:]),
        figures["growing"],
        figures["memory"],
    )


def cost(requests: Sequence[list[Json]]) -> float:
    """What a provider with a prefix cache bills for requests that mark their newest block, 20 s apart."""
    bodies = ((20.0 * number, {"system": "", "messages": messages}) for number, messages in enumerate(requests))
    provider = Provider()
    return sum(1e6 * accounting.cost(provider.bill(body, now), PRICES) for now, body in marked_at_end(bodies))


def texts(message: Json) -> Iterator[str]:
    """What a message says."""
    content = message["content"]
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "tool_result":
            yield from [part["content"]] if isinstance(part["content"], str) else texts(part)
        elif part["type"] == "text":
            yield part["text"]
        elif part["type"] == "tool_use":
            yield json.dumps(part["input"])


def show(console: Console, before: tuple[int, int, float], found: dict[str, Found]) -> int:
    """Print the table; return on how many rows ours is behind."""
    ours, theirs = found[OURS], found[THEIRS]
    rows = [
        ("corpus: tokens left", f"of {before[0]:,}", ours.single, theirs.single, ","),
        ("corpus: facts lost", "", 1 - ours.facts, 1 - theirs.facts, ".1%"),
        ("session: tokens left", f"of {before[1]:,}", ours.session, theirs.session, ","),
        ("session: cost of its input", f"of {before[2]:,.0f}", ours.cost, theirs.cost, ",.0f"),
        ("import headroom", "ms", 1000 * ours.imported, 1000 * theirs.imported, ".0f"),
        ("import and first call", "ms", 1000 * ours.cold, 1000 * theirs.cold, ".0f"),
        ("30 outputs, new", "ms", 1000 * ours.first, 1000 * theirs.first, ".0f"),
        ("30 outputs again", "ms", 1000 * ours.again, 1000 * theirs.again, ".0f"),
        (f"session, {TURNS} calls", "ms", 1000 * ours.growing, 1000 * theirs.growing, ".0f"),
        ("memory", "MB", ours.memory, theirs.memory, ".0f"),
    ]
    table = Table()
    for name in ("", "", OURS, THEIRS, ""):
        table.add_column(name, justify="right" if name else "left")
    for title, unit, mine, other, form in rows:
        table.add_row(title, unit, format(mine, form), format(other, form), "behind" if mine > other else "")
    console.print(table)
    return sum(mine > other for _, _, mine, other, _ in rows)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks library", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install headroom-ai into .cache/peers first")
    options, _ = parser.parse_known_args(arguments)
    console = Console()
    if options.install:
        install(["headroom-ai"])
    python = PEERS / "headroom-ai" / "bin" / "python"
    if not python.exists():
        console.print("headroom-ai is not installed; python -m benchmarks library --install does it")
        return 0
    outputs = load()
    single, growing = conversations(outputs)
    root = str(Path(__file__).parent.parent)
    with tempfile.TemporaryDirectory() as name:
        found = {
            OURS: summed(run(sys.executable, single, growing, Path(name), root), outputs),
            THEIRS: summed(run(str(python), single, growing, Path(name)), outputs),
        }
    session = sum(count(text) for message in growing[-1] for text in texts(message))
    behind = show(console, (sum(count(output.text) for output in outputs), session, cost(growing)), found)
    console.print(f"behind on {behind} rows")
    return 0
