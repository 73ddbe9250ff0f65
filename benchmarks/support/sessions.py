"""Sessions as Claude Code sends them: made up by code, or recorded ones from a file."""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
HEAD_TOKENS = 18_000
"""About how long the agent's own tools and system prompt are: a filler of that length stands for them."""
TOOLS = ("Bash", "Read", "Edit", "Write", "Grep", "Glob", "Task", "TodoWrite", "WebFetch", "WebSearch", "Skill")
_MARK = {"cache_control": {"type": "ephemeral"}}


@dataclass(frozen=True, slots=True)
class Session:
    """``messages`` is the whole history; for each of ``cuts`` there is a request with so many of them."""

    id: str
    messages: list[Json]
    cuts: list[int]
    head_tokens: int = HEAD_TOKENS

    def bodies(self) -> Iterator[bytes]:
        """The requests of the session: a breakpoint on the last block, all else as it was in the one before."""
        written = [_dumps(message) for message in self.messages]
        own = [
            b'"system":' + _dumps([{"type": "text", "text": _filler(self.head_tokens * 3 // 10), **_MARK}]),
            b'"tools":' + _dumps(_tools(self.head_tokens * 7 // 10)),
            b'"metadata":' + _dumps({"user_id": json.dumps({"session_id": self.id})}),
            b'"max_tokens":32000,"stream":true}',
        ]
        for cut in self.cuts:
            last = self.messages[cut - 1]
            *blocks, block = last["content"]
            marked = _dumps({**last, "content": [*blocks, {**block, **_MARK}]})
            history = b",".join([*written[: cut - 1], marked])
            yield b'{"model":"claude-sonnet-4-5","messages":[' + history + b"]," + b",".join(own)

    @property
    def headers(self) -> dict[str, str]:
        """What Claude Code sends beside the body."""
        return {
            "content-type": "application/json",
            "user-agent": "claude-cli/2.1.197 (external, cli)",
            "x-claude-code-session-id": self.id,
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        }


def made_up(
    number: int,
    turns: int,
    characters: int = 1500,
    *,
    start: int = 0,
    steady: bool = False,
    images: int = 0,
    head_tokens: int = HEAD_TOKENS,
) -> Session:
    """A coding session: files are read, searched, edited and read again, commands are run.

    ``characters`` is how much a turn brings on average; when ``steady``, each turn reads a new file of that length.
    ``start`` is how much history the first request already has, ``images`` how many of a megabyte come with the task.
    The same ``number`` gives the same session.
    """
    agent = _Agent(number, characters)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K" * 131_072}}
    agent.messages[0]["content"] += [image] * images
    while agent.size < start:
        agent.turn()
    first = len(agent.messages)
    for _ in range(turns - 1):
        agent.turn(steady)
    cuts = list(range(first, len(agent.messages) + 1, 2))
    return Session(f"{number:08x}-0000-4000-8000-000000000000", agent.messages, cuts, head_tokens)


def recorded(path: Path) -> Iterator[Session]:
    """The Claude Code sessions of a file with one JSON object a line, gzip or not: ``id``, ``kind``, ``messages`` as in
    the Messages API, ``requests`` with the number ``n`` of messages each had, ``prefix_tokens``."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            found = json.loads(line)
            if found["kind"] == "claude-code":
                messages = found["messages"]
                cuts = [r["n"] for r in found["requests"]]
                usable = [n for n in cuts if n and messages[n - 1]["role"] == "user" and messages[n - 1]["content"]]
                yield Session(found["id"], messages, usable, found.get("prefix_tokens", HEAD_TOKENS))


_WORDS = (
    "account", "address", "balance", "batch", "branch", "buffer", "cache", "channel", "client", "cluster",
    "column", "config", "cursor", "customer", "delta", "entry", "event", "filter", "frame", "header", "image",
    "index", "invoice", "item", "journal", "key", "label", "ledger", "limit", "line", "lock", "margin", "match",
    "message", "method", "mode", "module", "node", "offset", "order", "owner", "packet", "page", "parent", "part",
    "patch", "path", "payment", "point", "pool", "port", "price", "queue", "range", "rate", "record", "region",
    "report", "request", "result", "role", "route", "row", "rule", "sample", "scope", "score", "session", "shard",
    "shape", "signal", "size", "slot", "source", "stage", "state", "step", "stock", "stream", "table", "target",
    "task", "tenant", "token", "total", "trace", "unit", "user", "value", "vector", "version", "view", "volume",
    "weight", "window", "worker", "zone",
)  # fmt: skip
_SHAPES = (
    "    {a} = self._{b}.{c}({d}, {n})",
    "    if {a}.{b} is None or {c} > {n}:",
    '        raise {A}Error(f"{b} of {c} is {{{d}!r}}, expected at most {n}")',
    "    return [{a} for {a} in {b}.{c}() if {a}.{d} != {n}]",
    "def {a}_{b}({c}: {C}, {d}: int = {n}) -> {A}:",
    '    """The {a} of a {b}, by {c} and {d}."""',
    "    {a}.{b}[{c}] = {d} or {n}",
    "    for {a}, {b} in zip({c}, self.{d}, strict=True):",
    "        {a}.{b}({c}={d}, {a}_{n}=True)",
    "",
)


class _Agent:
    def __init__(self, number: int, characters: int) -> None:
        self._random = random.Random(number)
        self._characters = characters
        self._files: dict[str, list[str]] = {}
        self._calls = 0
        ticket = f"Ticket {number}: the {self._word()} of each {self._word()} is wrong since the last release. Fix it."
        self.messages: list[Json] = [{"role": "user", "content": [{"type": "text", "text": ticket}]}]
        self.size = 0

    def turn(self, steady: bool = False) -> None:
        """The model says a few words and calls a tool, the tool answers."""
        acts = (self._read, self._again, self._edit, self._run, self._search)
        act = self._random.choices(acts, (4, 3, 4, 5, 2))[0]
        tool, arguments, output = self._read(self._characters // 60) if steady else act()
        self._calls += 1
        call = f"toolu_{self._calls:06d}"
        words = f"Next the {self._word()} in the {self._word()}: {self._line().strip()}"
        use = {"type": "tool_use", "id": call, "name": tool, "input": arguments}
        result = {"tool_use_id": call, "type": "tool_result", "content": output}
        self.messages.append({"role": "assistant", "content": [{"type": "text", "text": words}, use]})
        self.messages.append({"role": "user", "content": [result]})
        self.size += len(output) + 500

    def _read(self, lines: int = 0) -> tuple[str, Json, str]:
        path = f"/home/dev/shop/{self._word()}/{self._word()}_{self._calls}.py"
        self._files[path] = [self._line() for _ in range(lines or self._length(2.0, 45))]
        return self._shown(path)

    def _again(self) -> tuple[str, Json, str]:
        return self._shown(self._random.choice([*self._files])) if self._files else self._read()

    def _shown(self, path: str) -> tuple[str, Json, str]:
        return "Read", {"file_path": path}, "\n".join(f"{n}\t{line}" for n, line in enumerate(self._files[path], 1))

    def _edit(self) -> tuple[str, Json, str]:
        if not self._files:
            return self._read()
        path = self._random.choice([*self._files])
        lines = self._files[path]
        at = self._random.randrange(len(lines))
        old, new = lines[at : at + 4], [self._line() for _ in range(5)]
        lines[at : at + 4] = new
        arguments = {"file_path": path, "old_string": "\n".join(old), "new_string": "\n".join(new)}
        return "Edit", arguments, f"The file {path} has been updated successfully."

    def _run(self) -> tuple[str, Json, str]:
        tests = [
            f"tests/test_{self._word()}.py::test_{self._word()}_{self._word()}" for _ in range(self._length(0.7, 60))
        ]
        lines = [f"{test} {'FAILED' if self._random.random() < 0.1 else 'PASSED'}" for test in tests]
        seconds = self._random.random() * 20
        said = ["=" * 20 + " test session starts " + "=" * 20, *lines, f"{len(tests)} run in {seconds:.2f}s"]
        return "Bash", {"command": f"python -m pytest -v -k {self._word()}"}, "\n".join(said)

    def _search(self) -> tuple[str, Json, str]:
        word = self._word()
        hits = [
            f"{path}:{number}:{line}"
            for path, lines in self._files.items()
            for number, line in enumerate(lines, 1)
            if word in line
        ]
        return "Grep", {"pattern": word}, "\n".join(hits[: self._length(1.0, 80)]) or "No matches found"

    def _length(self, share: float, each: int) -> int:
        """How many lines of ``each`` characters an output has."""
        return 1 + int(self._random.expovariate(each / (1.6 * share * self._characters)))

    def _line(self) -> str:
        a, b, c, d = (self._word() for _ in range(4))
        shape = self._random.choice(_SHAPES)
        return shape.format(a=a, b=b, c=c, d=d, A=a.title(), C=c.title(), n=self._random.randrange(1000))

    def _word(self) -> str:
        return self._random.choice(_WORDS)


def _filler(tokens: int) -> str:
    return "You are a coding agent.\n" + "\n".join(
        f"{n}. Keep to the conventions of the project you work in." for n in range(tokens // 12)
    )


def _tools(tokens: int) -> list[Json]:
    schema = {"type": "object", "properties": {"argument": {"type": "string"}}, "required": ["argument"]}
    text = _filler(tokens // len(TOOLS))
    return [{"name": name, "description": f"{name}: {text}", "input_schema": schema} for name in TOOLS]


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
