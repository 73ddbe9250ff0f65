"""Programs that talk to a provider: bodies of growing conversations, and one way to send them past the optimizer."""

import json
from collections.abc import Sequence
from typing import Any

from headroom.cache import CacheSettings, Plan, RequestFacts, leave, optimize, settle
from headroom.session.prefix import Prefixes
from headroom.wire.layout import Layout
from headroom.wire.shapes import read
from headroom.wire.spans import splice
from headroom.wire.usage import Usage

Json = dict[str, Any]
MARK = {"type": "ephemeral"}
TOOLS = [
    {"name": f"tool_{i}", "description": "Reads what is asked for. " * 20, "input_schema": {"type": "object"}}
    for i in range(10)
]
SYSTEM = "You keep an online shop running. You look things up, one step at a time, and never guess. " * 80


def text(said: str, **more: object) -> Json:
    return {"type": "text", "text": said, **more}


def result(number: int, said: str = "", **more: object) -> Json:
    content = said or f"row {number}: shipped, 3 items, paid by card\n" * 40
    return {"type": "tool_result", "tool_use_id": f"call_{number}", "content": content, **more}


def call(number: int) -> Json:
    return {"type": "tool_use", "id": f"call_{number}", "name": "tool_1", "input": {"row": number}}


def agent(requests: int, question: str = "Which orders are late?", **more: object) -> Json:
    """The body of the ``requests``-th request of an agent: each answer calls a tool."""
    messages: list[Json] = [{"role": "user", "content": [text(question)]}]
    for number in range(requests - 1):
        messages.append({"role": "assistant", "content": [text("Let me see."), call(number)]})
        messages.append({"role": "user", "content": [result(number)]})
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1000,
        "system": SYSTEM,
        "tools": TOOLS,
        **more,
        "messages": messages,
    }


def chat(requests: int, **more: object) -> Json:
    """The body of the ``requests``-th request of a chat without tools, contents as bare strings."""
    messages: list[Json] = [{"role": "user", "content": "Tell me about the sea. " * 30}]
    for number in range(requests - 1):
        messages.append({"role": "assistant", "content": f"Chapter {number}. " + "It is deep. " * 60})
        messages.append({"role": "user", "content": f"And what comes after chapter {number}?"})
    return {"model": "claude-sonnet-4-5", "max_tokens": 1000, "system": SYSTEM, **more, "messages": messages}


def dumps(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def layout_of(body: Json, shape: str = "anthropic") -> Layout:
    return read(shape, dumps(body))


READ = Usage(1, 0, 0, 5000, 1)
"""What most answers say: nearly all of it was in the cache."""


class Proxy:
    """Sends bodies past the optimizer, on a clock of its own."""

    def __init__(self, ttl: str = "", host: str = "api.anthropic.com", client: str = "anthropic-python") -> None:
        self.prefixes = Prefixes()
        self.settings = CacheSettings(ttl=ttl)  # type: ignore[arg-type]
        self.host, self.client = host, client
        self.now = 1_000_000.0

    def send(self, body: Json, usage: Usage | None = READ, session: str = "s") -> tuple[Plan, Json]:
        """What is planned for a body, and the body that goes out. ``usage`` None: the answer never came."""
        layout = layout_of(body)
        history = self.prefixes.open(session, layout, self.now)
        plan = optimize(layout, RequestFacts(self.host, self.client, session, self.now), history, self.settings)
        sent = history.sent(self.now)
        leave(plan, history, sent)
        if usage is not None:
            settle(plan, history, sent, usage, self.now)
        out: Json = json.loads(splice(layout.body, plan.patches))
        assert without_marks(out) == without_marks(body), "not a word may change"
        return plan, out

    def talk(self, bodies: Sequence[Json], gap: float = 5.0, **how: Any) -> list[Plan]:
        plans = []
        for body in bodies:
            plans.append(self.send(body, **how)[0])
            self.now += gap
        return plans


def without_marks(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_marks(item) for key, item in value.items() if key != "cache_control"}
    return [without_marks(item) for item in value] if isinstance(value, list) else value


def marks(body: Json) -> list[str]:
    """Where breakpoints are: "request", "tools 9", "system 0", "messages 2 0"."""
    found = ["request"] if "cache_control" in body else []
    for part in ("tools", "system"):
        for i, block in enumerate(body.get(part) or []):
            if isinstance(block, dict) and "cache_control" in block:
                found.append(f"{part} {i}")
    for i, message in enumerate(body["messages"]):
        for j, block in enumerate(message["content"]):
            if isinstance(block, dict) and "cache_control" in block:
                found.append(f"messages {i} {j}")
    return found
