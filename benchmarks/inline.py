"""What an answer within the exchange takes: one request of a program that doesn't loop, the retrieval answered by us.

Beside it the same two calls of the model as a program makes them that does loop: through a mitmdump with a script that
does nothing, where it answers the call itself, and through headroom, which answers it in the second request. All three
proxies run at once, and each conversation goes through all of them, in turns; times are compared within such a three.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.proxy import PLAIN
from benchmarks.support.clients import Connection, Took
from benchmarks.support.report import Figure, show, verdict, wide
from headroom.ccr.originals import hash_of
from headroom.ccr.ways import TOOL
from tests.support.answers import Answer, ToolCall
from tests.support.proxy import ADDON, Mitmdump
from tests.support.standin import StandIn

OPTIONS = (
    *("headroom_profile=balanced", "headroom_retrieval=tool", "headroom_tool_profiles=catalogue=normal"),
    "headroom_time_budget=5000",
)
CONVERSATIONS = 60
WARMING = 5
"""Conversations before those that are timed."""
BASELINE = "loop, empty script"
ITEMS = json.dumps([{"id": 1000 + i, "name": f"item number {i}", "price": i * 3, "stock": "yes"} for i in range(200)])
EARLIER = 20_000
"""Characters of what was said before in each conversation."""
WORDS = "What was said before is long, as it is in most conversations, and no part of it is a tool's output. "
DONE = "Done."
ANSWER_SECONDS = 0.2
"""How long an answer streams where that is measured: so much later a program gets the first byte that is held back."""
EVENTS = 10
"""Events of the stand-in's stream for one text."""
KINDS = {
    "the answer whole": (False, 0.0),
    "as a stream": (True, 0.0),
    f"as a stream that takes {1000 * ANSWER_SECONDS:g} ms": (True, ANSWER_SECONDS),
}


@dataclass(slots=True)
class Times:
    """Milliseconds of each conversation: until the first byte of the last answer, and until its end."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def add(self, took: Took) -> None:
        self.first.append(1000 * took.first)
        self.whole.append(1000 * took.whole)


class Program:
    """One connection through one proxy. ``loops``: whether it answers calls; ``own``: with a tool of its own."""

    def __init__(self, proxy: Mitmdump, loops: bool, own: bool) -> None:
        self._loops, self._own = loops, own
        self.connection = Connection(proxy.port, proxy.certificate, ends=b"")

    def ask(self, number: str, stream: bool) -> Took:
        """A conversation: its opening, and what is timed: from the results of a tool to the last answer."""
        names = ["catalogue", *([TOOL] if self._own else ())]
        fields = {
            **{"model": "claude-sonnet-4-5", "max_tokens": 500, "system": "You work.", "stream": stream},
            "tools": [{"name": name, "input_schema": {"type": "object"}} for name in names],
        }
        said = WORDS * (EARLIER // len(WORDS))
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"{number}: {said}Which cost more than 500?"}]
        self._post({**fields, "messages": messages}, number)
        messages += _turns("catalogue", {}, f"toolu_1_{number}", ITEMS, False)
        began = time.perf_counter()
        took = self._post({**fields, "messages": messages}, number)
        if self._loops:
            text = ITEMS if self._own else f"<tool_use_error>Error: No such tool available: {TOOL}</tool_use_error>"
            messages += _turns(TOOL, {"hash": hash_of(ITEMS)}, f"toolu_2_{number}", text, not self._own)
            between = time.perf_counter() - began
            took = self._post({**fields, "messages": messages}, number)
            took = Took(between + took.first, between + took.whole)
        return took

    def _post(self, body: Mapping[str, Any], session: str) -> Took:
        headers = {"content-type": "application/json", "x-api-key": "sk-ant-bench", "x-headroom-session-id": session}
        return self.connection.post(json.dumps(body).encode(), headers)


def _turns(tool: str, arguments: Mapping[str, str], call: str, text: str, error: bool) -> list[dict[str, Any]]:
    use = {"type": "tool_use", "id": call, "name": tool, "input": arguments}
    result = {"type": "tool_result", "tool_use_id": call, "content": text, "is_error": error}
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


def model(seconds: float) -> Any:
    """Looks into the catalogue, asks for the whole of it, and says what it found, within ``seconds`` of its own."""
    steps = (
        Answer(calls=(ToolCall("catalogue", {}),)),
        Answer(calls=(ToolCall(TOOL, {"hash": hash_of(ITEMS)}),)),
        Answer(DONE, delay=seconds / EVENTS),
    )

    def answer(shape: str, body: dict[str, Any]) -> Answer:
        blocks = [block for message in body["messages"][1:] for block in message["content"]]
        results = [block["content"] for block in blocks if block["type"] == "tool_result"]
        assert len(results) < 2 or results[1] == ITEMS, "the original did not reach the model"
        return steps[len(results)]

    return answer


def measure(folder: Path, conversations: int) -> list[tuple[str, list[Figure]]]:
    """For each kind of answer the figures of the three ways."""
    found: list[tuple[str, list[Figure]]] = []
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(StandIn(folder, model(0.0)))

        def program(name: str, scripts: Sequence[Path], options: Sequence[str], loops: bool, own: bool) -> Program:
            proxy = Mitmdump(folder / name, provider.port, provider.certificate, scripts, options=options)
            stack.enter_context(proxy)
            made = Program(proxy, loops, own)
            stack.callback(made.connection.close)
            return made

        programs = (
            program("plain", PLAIN[1:], (), True, True),
            program("loop", (ADDON,), OPTIONS, True, False),
            program("inline", (ADDON,), (*OPTIONS, "headroom_ccr_inline=true"), False, False),
        )
        for title, (stream, seconds) in KINDS.items():
            provider.script = model(seconds)
            times = [Times() for _ in programs]
            for number in range(-WARMING, conversations):
                turn = number % len(programs)
                for which in (*range(turn, len(programs)), *range(turn)):
                    took = programs[which].ask(f"{title} {number}", stream)
                    said = programs[which].connection.answer
                    assert b'"end_turn"' in said and TOOL.encode() not in said, said[-500:]
                    if number >= 0:
                        times[which].add(took)
            found.append((title, _figures(*times)))
        assert provider.failures == []
    return found


def _figures(plain: Times, loop: Times, inline: Times) -> list[Figure]:
    figures = []
    for what in ("first", "whole"):
        base, looping, ours = (getattr(times, what) for times in (plain, loop, inline))
        name = "first byte" if what == "first" else "until its end"
        for how, mine in (("answered within the exchange", ours), ("answered in the next request", looping)):
            added = statistics.median(a - b for a, b in zip(mine, base, strict=True))
            figures.append(Figure(f"{name}, {how}", statistics.median(mine), statistics.median(base), added))
    return figures


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks inline", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the conversations")
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    options, _ = parser.parse_known_args(arguments)
    console = wide()
    conversations = options.conversations // 3 if options.quick else options.conversations
    with tempfile.TemporaryDirectory() as folder:
        for title, figures in measure(Path(folder), conversations):
            show(console, f"A retrieval and {title}", figures, BASELINE)
    return verdict(console, [])
