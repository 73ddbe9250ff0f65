"""When the provider has nothing in its cache, old outputs lose the lines that nothing referred to."""

import json
from pathlib import Path
from typing import Any

from headroom.ccr.originals import hash_of
from headroom.ccr.ways import CcrSettings, Level
from headroom.engine import Engine, RawRequest, Rewrite
from headroom.session.hindsight import AGE
from headroom.session.memory import Memory, RamMemory, SqliteMemory
from headroom.wire.usage import Usage
from tests.support.originals import RamOriginals

type Json = dict[str, Any]

FILE = "\n".join(
    f"{i}\tdef handler_{i:03}(request, gateway_{i:03}): return mapping_{i * 7919 % 997}" for i in range(1, 161)
)
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "Read")]
LIFE = 300
"""Seconds that the provider keeps what a breakpoint wrote."""


class Stage:
    """An engine and a clock that stands until it is moved."""

    def __init__(self, level: Level = "balanced", memory: Memory | None = None) -> None:
        self.now = 1_800_000_000.0
        self.originals = RamOriginals()
        self.memory = memory or RamMemory()
        self.level: Level = level
        self.start()

    def start(self) -> None:
        """A new process with the same memory."""
        ccr = CcrSettings(level=self.level)
        self.engine = Engine(self.memory, originals=self.originals, ccr=ccr, clock=lambda: self.now)

    def send(self, messages: list[Json], after: float = 10) -> Rewrite:
        """A request that comes ``after`` seconds; its answer says that all of it is in the cache."""
        self.now += after
        marked = json.loads(json.dumps(messages))
        marked[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        body = json.dumps({"model": "claude-sonnet-4-5", "tools": TOOLS, "messages": marked}).encode()
        headers = {"user-agent": "claude-cli/2.1.197 (external, cli)"}
        rewrite = self.engine.rewrite(RawRequest("anthropic", "anthropic", "/v1/messages", headers, body))
        self.engine.settle(rewrite, Usage(0, rewrite.tokens_after, 0, 0, 5))
        return rewrite

    def run(self, turns: int, after: float = 10) -> Rewrite:
        """The session up to one of its turns, request by request; the last comes ``after`` seconds."""
        for turn in range(turns):
            self.send(session(turn))
        return self.send(session(turns), after)


def session(turns: int, said: str = "go on") -> list[Json]:
    """A file is read; then other things are done, of which the first names line 80."""
    messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": "Make it faster."}]}]
    for turn in range(turns):
        tool, given = ("Read", {"file_path": "/app/big.py"}) if not turn else ("Bash", {"command": f"step {turn}"})
        text = "gateway_080 is slow" if turn == 1 else said
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": tool, "input": given}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{turn}", "content": "fine" if turn else FILE}
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": text}, call]},
            {"role": "user", "content": [result]},
        ]
    return messages


def file_in(rewrite: Rewrite) -> str:
    """What the provider gets for the file."""
    text: str = json.loads(rewrite.body)["messages"][2]["content"][0]["content"]
    return text


def test_lines_that_nothing_referred_to_go_when_all_is_written_anew_anyway() -> None:
    stage = Stage()
    text = file_in(stage.run(AGE + 2, after=2 * LIFE))
    assert "[lines 2-75 left out; read them with offset 2, limit 74]" in text
    assert "[lines 85-159 left out; read them with offset 85, limit 75]" in text
    assert "gateway_080" in text and "handler_001" in text and "handler_160" in text
    assert stage.originals.kept[hash_of(FILE)].text == FILE


def test_what_was_decided_then_stays_also_after_a_restart(tmp_path: Path) -> None:
    stage = Stage(memory=SqliteMemory(tmp_path / "state.db"))
    cold = stage.run(AGE + 2, after=2 * LIFE)
    assert "left out" in file_in(cold)
    assert file_in(stage.send(session(AGE + 3))) == file_in(cold)
    stage.start()
    assert file_in(stage.send(session(AGE + 4))) == file_in(cold)
    assert file_in(stage.send(session(AGE + 5), after=3 * LIFE)) == file_in(cold)
    stage.memory.close()


def test_a_conversation_that_began_otherwise_keeps_its_file() -> None:
    stage = Stage()
    assert "left out" in file_in(stage.run(AGE + 2, after=2 * LIFE))
    other = session(AGE + 2)
    other[0]["content"][0]["text"] = "Make it smaller."
    assert "left out" not in file_in(stage.send(other))


def test_nothing_goes_while_the_cache_is_warm_or_in_safe() -> None:
    assert "left out" not in file_in(Stage().run(AGE + 2))
    assert "left out" not in file_in(Stage("safe").run(AGE + 2, after=2 * LIFE))


def test_what_came_lately_stays_and_so_does_a_file_that_was_named_lately() -> None:
    assert "left out" not in file_in(Stage().run(AGE - 1, after=2 * LIFE))
    stage = Stage()
    for turn in range(AGE + 2):
        stage.send(session(turn, "now /app/big.py"))
    assert "left out" not in file_in(stage.send(session(AGE + 2, "now /app/big.py"), after=2 * LIFE))


def test_an_output_whose_original_cannot_be_kept_stays() -> None:
    stage = Stage()
    stage.originals.broken = True
    assert "left out" not in file_in(stage.run(AGE + 2, after=2 * LIFE))
