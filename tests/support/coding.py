"""A small coding session as Claude Code sends it: an agent that reads the same files again and again."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
MODEL = "claude-sonnet-4-5"
REFERENCE = " as in Read for this "
"""Words in every line that stands for lines of a file read above."""
COMMAND_REFERENCE = " as in exec_command for this "
"""Words in every line that stands for what the same command of Codex printed above."""


def source(name: str, lines: int = 60) -> str:
    """A file as Claude Code's Read shows it."""
    return "\n".join(
        f"{n}\tdef {name}_{n}(request): return respond({n}, request.user, '{name}')" for n in range(1, lines + 1)
    )


class Coding:
    """A session with an id of its own. ``messages`` grows with ``read``; ``body`` is the request as it is now."""

    def __init__(self, session: str | None = None, **fields: object) -> None:
        self.session = session or str(uuid.uuid4())
        self.fields: Json = {"model": MODEL, "max_tokens": 1000, "system": "You write code.", **fields}
        self.messages: list[Json] = [
            {"role": "user", "content": [{"type": "text", "text": f"Fix the bug. Ticket {self.session}."}]}
        ]
        self._calls = 0

    def read(self, name: str = "handler", content: Any = None) -> "Coding":
        """The agent reads a file; its content is the last thing in the request."""
        return self.use("Read", {"file_path": f"/app/{name}.py"}, source(name) if content is None else content)

    def use(self, tool: str, arguments: Json, content: Any) -> "Coding":
        """The agent uses a tool, whose output is the last thing in the request."""
        self._calls += 1
        call = f"toolu_{self._calls}_{self.session}"  # no two calls have the same id, whatever their sessions
        use = {"type": "tool_use", "id": call, "name": tool, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": call, "content": content}
        self.messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        return self

    @property
    def body(self) -> bytes:
        """The newest block has a breakpoint, as Claude Code sets it."""
        *old, newest = self.messages
        *blocks, last = newest["content"]
        marked = {**newest, "content": [*blocks, {**last, "cache_control": {"type": "ephemeral"}}]}
        return json.dumps({**self.fields, "messages": [*old, marked]}).encode()

    @property
    def headers(self) -> dict[str, str]:
        """What tells the session, and a key as clients send it."""
        return {"x-claude-code-session-id": self.session, "anthropic-version": "2023-06-01", **KEY}


KEY: Mapping[str, str] = {"x-api-key": "sk-ant-api03-tests-only-SECRET"}


def results(body: bytes) -> dict[str, Any]:
    """What the provider has for each tool call of a session: toolu_1, toolu_2 and so on."""
    return {
        "_".join(block["tool_use_id"].split("_")[:2]): block["content"]
        for message in json.loads(body)["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    }
