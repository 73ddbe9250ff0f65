"""What breakpoints save: made-up conversations, or recorded ones, billed with and without the optimizer.

    python -m benchmarks caching                          # tables on stdout; takes seconds
    python -m benchmarks caching --sessions FILE.jsonl    # recorded conversations instead (also .gz)
    python -m benchmarks caching --svg docs/images/caching-bill.svg      # the picture of a bill with and without

A session file holds one JSON object a line: ``messages`` in Anthropic's style, and ``requests``: for each model call
``n``, how many of the messages were sent, and ``t``, when (seconds or ISO time; 20 s apart where it is missing).
``system`` and ``tools`` are taken where they are there; without a system prompt there is one of ``prefix_tokens``
tokens, or 2,000. ``kind`` is what sessions are summed up by. Nothing is sent anywhere: the provider's cache is
simulated on the exact bytes, with its documented rules (4 breakpoints, 20 blocks of look-back, 5 minutes or 1 hour,
least length).
"""

import argparse
import gzip
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from headroom.cache import CacheSettings, RequestFacts, leave, optimize, settle
from headroom.cache.accounting import RelativePrices, cost
from headroom.session.prefix import Prefixes
from headroom.wire.layout import Layout
from headroom.wire.shapes import read
from headroom.wire.spans import splice
from headroom.wire.usage import Usage

Json = dict[str, Any]
Timed = tuple[float, Json]
LENGTHS = (1, 2, 3, 5, 10)
GAPS = (("1 s", 1.0), ("4 min", 240.0), ("10 min", 600.0))
RECORDED_LENGTHS = (5, 14, 20, 24, 27, 31, 35, 39, 44, 50, 66, 84)
"""Requests of recorded agent sessions (374 of them): every tenth part has one value here, and the two ends."""
BYTES_PER_TOKEN = 4
LEAST = 1024
APART = 7200.0
"""Seconds between two conversations: nothing is left in the cache."""
PRICES = RelativePrices()
MARK = {"type": "ephemeral"}
SENTENCE = "You work on what you are asked. "
COLOURS = ("#e5b8b0", "#2f6f8f")


@dataclass
class Provider:
    """A prefix cache by Anthropic's documented rules."""

    entries: dict[bytes, tuple[float, float]] = field(default_factory=dict)

    def bill(self, body: Json, now: float) -> Usage:
        """What a request costs; from now on what it marks is cached."""
        chain = _prefixes(body)
        marks = {
            number: 3600.0 if mark.get("ttl") == "1h" else 300.0
            for number, (_, mark) in enumerate(_blocks(body))
            if mark is not None
        }
        total = chain[-1][1]
        found, last = 0, -1
        for number in marks:
            if chain[number][1] < LEAST:
                continue
            last = number
            for back in range(number, max(-1, number - 20), -1):
                key, tokens = chain[back]
                if key in self.entries and self.entries[key][0] >= now:
                    self.entries[key] = (now + self.entries[key][1], self.entries[key][1])
                    found = max(found, tokens)
                    break
        for number, life in marks.items():  # nothing that a request writes is there to be read by itself
            if chain[number][1] >= LEAST:
                self.entries[chain[number][0]] = (now + life, life)
        written = max(0, chain[last][1] - found) if last >= 0 else 0
        hour = written if last >= 0 and marks[last] > 300 else 0
        return Usage(total - found - written, written - hour, hour, found, 0)


def _blocks(body: Json) -> Iterator[tuple[bytes, Json | None]]:
    listed: list[tuple[str, Any]] = [("tool", tool) for tool in body.get("tools") or []]
    system = body.get("system") or []
    listed += [("system", block) for block in ([system] if isinstance(system, str) else system)]
    for message in body["messages"]:
        content = message["content"]
        listed += [(message["role"], block) for block in ([content] if isinstance(content, str) else content)]
    for number, (role, block) in enumerate(listed):
        block = {"type": "text", "text": block} if isinstance(block, str) else block
        mark = block.get("cache_control") or (body.get("cache_control") if number == len(listed) - 1 else None)
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        yield f"{role}{json.dumps(bare, sort_keys=True)}".encode(), mark


def _prefixes(body: Json) -> list[tuple[bytes, int]]:
    """Each block with all that stands before it: its name, and how many tokens it has."""
    digest, size, chain = blake2b(digest_size=16), 0, []
    for text, _ in _blocks(body):
        digest.update(text)
        size += len(text)
        chain.append((digest.digest(), size // BYTES_PER_TOKEN))
    return chain


def least(requests: Iterator[Timed]) -> float:
    """What a conversation costs at the least with entries that live 5 minutes, in uncached input tokens.

    Every block is read, written or paid in full in each request as is best for it, by somebody who knows all requests
    to come and may set as many breakpoints as he likes: no rule can be cheaper.
    """
    seen: dict[bytes, tuple[int, list[float]]] = {}
    for now, body in requests:
        before = 0
        for name, size in _prefixes(body):
            seen.setdefault(name, (size - before, []))[1].append(now)
            before = size
    return sum(size * _least(times) for size, times in seen.values())


def _least(times: list[float]) -> float:
    """The least that a token costs that is sent at these times."""
    costs: dict[float, float] = {-math.inf: 0.0}  # by when its entry was last used
    for now in times:
        after = {now: min(costs.values()) + PRICES.cache_write}
        for used, cost_so_far in costs.items():
            if now - used <= 300:
                after[now] = min(after[now], cost_so_far + PRICES.cache_read)
            after[used] = min(after.get(used, math.inf), cost_so_far + PRICES.input)
        costs = after
    return min(costs.values())


WORDS = ["order", "parcel", "customer", "refund", "delay", "warehouse", "invoice", "2026-03-01", "13.50", "shipped"]


def made_up(requests: int, gap: float, seed: int) -> Iterator[Timed]:
    """An agent that looks things up: the same tools and system prompt, results of some hundred to thousand tokens."""
    dice = random.Random(seed)
    tools = [
        {"name": f"tool_{i}", "description": " ".join(WORDS * 6), "input_schema": {"type": "object"}} for i in range(8)
    ]
    messages: list[Json] = [{"role": "user", "content": f"Question {seed}: {' '.join(dice.choices(WORDS, k=60))}?"}]
    for number in range(requests):
        yield number * gap, {
            "model": "claude-sonnet-4-5", "max_tokens": 1000, "system": "You run a shop. " * 400, "tools": tools,
            "messages": list(messages),
        }  # fmt: skip
        call = {"type": "tool_use", "id": f"c{number}", "name": "tool_1", "input": {"query": dice.choice(WORDS)}}
        said = " ".join(dice.choices(WORDS, k=dice.randint(60, 900)))
        messages.append({"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, call]})
        result = {"type": "tool_result", "tool_use_id": f"c{number}", "content": said}
        messages.append({"role": "user", "content": [result]})


def recorded(session: Json) -> Iterator[Timed]:
    """The requests of a recorded session, without any breakpoint."""
    start: float | None = None
    for number, request in enumerate(session["requests"]):
        messages = session["messages"][: request["n"]]
        when = request.get("t")
        if isinstance(when, str):
            when = datetime.fromisoformat(when).timestamp()
        start = when if start is None else start
        body: Json = {"model": "claude-sonnet-4-5", "max_tokens": 1000}
        body["system"] = SENTENCE * (session.get("prefix_tokens", 2000) * BYTES_PER_TOKEN // len(SENTENCE))
        body |= {key: session[key] for key in ("system", "tools") if session.get(key)} | {"messages": messages}
        body["system"] = (
            [{"type": "text", "text": body["system"]}] if isinstance(body["system"], str) else body["system"]
        )
        yield (number * 20.0 if when is None or start is None else when - start), body


def marked_at_system(requests: Iterator[Timed]) -> Iterator[Timed]:
    """The same from a client that marks its system prompt only."""
    for now, body in requests:
        system = body.get("system") or "You are a helpful assistant."
        blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
        yield now, {**body, "system": [*blocks[:-1], {**blocks[-1], "cache_control": MARK}]}


def marked_at_end(requests: Iterator[Timed]) -> Iterator[Timed]:
    """The same from a client that marks its newest block."""
    for now, body in requests:
        last = body["messages"][-1]
        content = last["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        marked = {**last, "content": [*blocks[:-1], {**blocks[-1], "cache_control": MARK}]}
        yield now, {**body, "messages": [*body["messages"][:-1], marked]}


CLIENTS: tuple[tuple[str, Callable[[Iterator[Timed]], Iterator[Timed]]], ...] = (
    ("no breakpoint", lambda requests: requests),
    ("on the system prompt only", marked_at_system),
    ("at the end", marked_at_end),
)


class Program:
    """One program behind one proxy: what is learned from a conversation holds for the next."""

    def __init__(self, ttl: str = "", apart: float = APART) -> None:
        self.prefixes = Prefixes()
        self.settings = CacheSettings(ttl=ttl)  # type: ignore[arg-type]
        self.clock, self.apart = 0.0, apart
        self.plain, self.ours = Provider(), Provider()

    def talk(self, requests: Iterator[Timed], session: str) -> tuple[list[float], list[float]]:
        """What each request costs without and with the optimizer, in uncached input tokens."""
        before: Layout | None = None
        without, having = [], []
        began = self.clock
        for now, body in requests:
            raw = json.dumps(body).encode()
            layout = before = read("anthropic", raw, lambda _, known=before: known)  # type: ignore[misc]
            self.clock = began + now
            history = self.prefixes.open(session, layout, self.clock)
            facts = RequestFacts("api.anthropic.com", "benchmark", session, self.clock)
            plan = optimize(layout, facts, history, self.settings)
            sent = history.sent(self.clock)
            leave(plan, history, sent)
            usage = self.ours.bill(json.loads(splice(raw, plan.patches)), self.clock)
            settle(plan, history, sent, usage, self.clock)
            without.append(1e6 * cost(self.plain.bill(body, self.clock), PRICES))
            having.append(1e6 * cost(usage, PRICES))
        self.clock += self.apart
        return without, having


def ratio(without: list[float], having: list[float]) -> float:
    return sum(having) / sum(without)


def lengths_and_gaps(ttl: str) -> None:
    """The table of conversations by length and gap."""
    print(f"cost with the optimizer, 1.00 = without{f' (ttl {ttl})' if ttl else ''}\n")
    print("| requests | " + " | ".join(f"gap {name}" for name, _ in GAPS) + " |")
    print("|---|" + "---|" * len(GAPS))
    for length in LENGTHS:
        cells = [ratio(*Program(ttl).talk(made_up(length, gap, 1), "s")) for _, gap in GAPS]
        print(f"| {length} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    for name, known in (("recorded lengths", False), ("the same, a known program", True)):
        cells = []
        for _, gap in GAPS:
            sums, program = [0.0, 0.0], Program(ttl)
            for seed, length in enumerate(RECORDED_LENGTHS):
                program = program if known else Program(ttl)
                without, having = program.talk(made_up(length, gap, seed), f"s{seed}")
                sums = [sums[0] + sum(without), sums[1] + sum(having)]
            cells.append(sums[1] / sums[0])
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    print()


def sessions(path: Path, ttl: str, apart: float) -> None:
    """Recorded sessions of clients that set breakpoints nowhere, on the system prompt only, and at the end."""
    raw = path.read_bytes()
    known = [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()]
    sums: dict[str, dict[str, list[float]]] = {}
    for title, wrap in CLIENTS:
        program = Program(ttl, apart)
        for number, session in enumerate(known):
            costs = [sum(side) for side in program.talk(wrap(recorded(session)), f"s{number}")]
            for kind in (str(session.get("kind", "recorded")), "all"):
                cell = sums.setdefault(kind, {}).setdefault(title, [0.0, 0.0])
                cell[:] = [have + cost for have, cost in zip(cell, costs, strict=True)]
    bounds: dict[str, float] = {}
    for session in known:
        bound = least(recorded(session))
        for kind in (str(session.get("kind", "recorded")), "all"):
            bounds[kind] = bounds.get(kind, 0.0) + bound
    bracket = " (in brackets the least that is possible with hindsight)" if apart >= APART else ""
    print(f"cost of {len(known)} sessions with the optimizer{bracket},")
    print("1.00 = without; where the client sets breakpoints:\n")
    print("| kind | " + " | ".join(title for title, _ in CLIENTS) + " |")
    print("|---|" + "---|" * len(CLIENTS))
    for kind, cells in sums.items():
        row = [
            f"{having / without:.3f}" + (f" ({bounds[kind] / without:.3f})" if bracket else "")
            for without, having in cells.values()
        ]
        print(f"| {kind} | " + " | ".join(row) + " |")


def picture() -> str:
    """An SVG of what each request of a made-up conversation costs, with and without."""
    without, having = Program().talk(made_up(20, 15, 3), "s")
    width, height, left, top = 640, 300, 56, 34
    scale, step = (height - top - 40) / max(without), (width - left - 16) / len(without)
    bars = []
    for n, costs in enumerate(zip(without, having, strict=True)):
        x, base = left + n * step, height - 40
        for tokens, colour in zip(costs, COLOURS, strict=True):
            tall = tokens * scale
            place = f'x="{x + 2:.1f}" y="{base - tall:.1f}" width="{step - 4:.1f}" height="{tall:.1f}"'
            bars.append(f'<rect {place} fill="{colour}"/>')
        if n % 5 == 4 or n == 0:
            bars.append(f'<text x="{x + step / 2:.1f}" y="{base + 16}" text-anchor="middle">{n + 1}</text>')
    for level in (0, 5000, 10_000, 15_000):
        if level <= max(without):
            y = height - 40 - level * scale
            bars.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{level // 1000}k</text>')
            bars.append(f'<line x1="{left}" x2="{width - 16}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
    key = "".join(
        f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/>'
        f'<text x="{x + 18}" y="20">{title}: {sum(costs) / 1000:,.0f}k</text>'
        for x, title, costs, colour in (
            (left, "without", without, COLOURS[0]),
            (left + 150, "with breakpoints", having, COLOURS[1]),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="#888">\n<title>What each request of a conversation costs</title>\n{key}\n'
        + "\n".join(bars)
        + f'\n<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">request (cost in uncached input '
        "tokens)</text>\n</svg>\n"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks caching", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=Path, help="recorded conversations, .jsonl or .jsonl.gz")
    parser.add_argument("--ttl", choices=["", "auto", "5m", "1h"], default="", help="life of the entries")
    parser.add_argument(
        "--apart", type=float, default=APART, help="seconds between two recorded conversations (default: %(default)g)"
    )
    parser.add_argument("--svg", type=Path, help="write the picture of a bill here")
    asked = parser.parse_args(arguments)
    if asked.svg:
        asked.svg.write_text(picture(), encoding="utf8")
    elif asked.sessions:
        sessions(asked.sessions, asked.ttl, asked.apart)
    else:
        for ttl in dict.fromkeys([asked.ttl, "auto"]):
            lengths_and_gaps(ttl)
    return 0
