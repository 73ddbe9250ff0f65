"""One conversation with tools, in each provider's shape."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

Json = dict[str, Any]


class Step(NamedTuple):
    """The model calls a tool and gets its output."""

    tool: str
    arguments: Json
    output: str


def messages(shape: str, steps: Sequence[Step], prompt: str = "What is wrong with the shop?") -> list[Json]:
    """The conversation up to the last tool's output."""
    return _SHAPES[shape](steps, prompt)


def _anthropic(steps: Sequence[Step], prompt: str) -> list[Json]:
    found: list[Json] = [{"role": "user", "content": prompt}]
    for number, (tool, arguments, output) in enumerate(steps):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": arguments}
        found.append({"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, use]})
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": output}
        found.append({"role": "user", "content": [result]})
    return found


def _chat(steps: Sequence[Step], prompt: str) -> list[Json]:
    found: list[Json] = [{"role": "system", "content": "You keep a shop."}, {"role": "user", "content": prompt}]
    for number, (tool, arguments, output) in enumerate(steps):
        function = {"name": tool, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        found.append({"role": "assistant", "content": None, "tool_calls": [call]})
        found.append({"role": "tool", "tool_call_id": f"call_{number}", "content": output})
    return found


def _responses(steps: Sequence[Step], prompt: str) -> list[Json]:
    found: list[Json] = [{"role": "user", "content": prompt}]
    for number, (tool, arguments, output) in enumerate(steps):
        call = f"call_{number}"
        found.append({"type": "function_call", "call_id": call, "name": tool, "arguments": json.dumps(arguments)})
        found.append({"type": "function_call_output", "call_id": call, "output": output})
    return found


def _gemini(steps: Sequence[Step], prompt: str) -> list[Json]:
    found: list[Json] = [{"role": "user", "parts": [{"text": prompt}]}]
    for tool, arguments, output in steps:
        found.append({"role": "model", "parts": [{"functionCall": {"name": tool, "args": arguments}}]})
        response = {"name": tool, "response": {"output": output}}
        found.append({"role": "user", "parts": [{"functionResponse": response}]})
    return found


_SHAPES = {"anthropic": _anthropic, "openai-chat": _chat, "openai-responses": _responses, "gemini": _gemini}
SHAPES = tuple(_SHAPES)
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "openai-chat": "gpt-4o",
    "openai-responses": "gpt-5",
    "gemini": "gemini-2.5-pro",
}


def rows(count: int, name: str = "user") -> str:
    """A table as JSON."""
    return json.dumps(
        [
            {"id": n, "name": f"{name} {n}", "mail": f"{name}{n}@example.com", "state": "active", "credit": 10 * n}
            for n in range(count)
        ]
    )


def log(count: int, word: str = "request") -> str:
    """Lines of a log that say nearly the same."""
    return "\n".join(
        f"2026-01-02 10:00:{n % 60:02d} INFO [worker-{n % 4}] {word} {n} done in 1{n} ms" for n in range(count)
    )


def code(lines: int, name: str = "price") -> str:
    """A file."""
    return "\n".join(f"    {name}_{n} = compute({n}, {name!r})" for n in range(lines))


_OUTPUTS = st.one_of(
    st.builds(rows, st.integers(3, 40), st.sampled_from(["user", "order"])),
    st.builds(log, st.integers(3, 60), st.sampled_from(["request", "job"])),
    st.builds(code, st.integers(3, 60), st.sampled_from(["price", "tax"])),
    st.text(max_size=200),
    st.sampled_from(["", "ok", 'é\u2028"\\\x7f\t' * 40, "\ud83d", "line\r\n" * 50]),
)
_CALLS: st.SearchStrategy[tuple[str, Json]] = st.sampled_from(
    [
        ("Read", {"file_path": "/shop/price.py"}),
        ("Bash", {"command": "pytest -q"}),
        ("Bash", {"command": "cat /shop/price.py"}),
        ("Grep", {"pattern": "price"}),
        ("mcp__shop__orders", {"limit": 50}),
        ("WebFetch", {"url": "https://shop.example/"}),
    ]
)
STEPS = st.lists(
    st.builds(lambda call, output: Step(call[0], call[1], output), _CALLS, _OUTPUTS), min_size=1, max_size=7
)
