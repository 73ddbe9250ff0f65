"""Conversations that are too long, in each provider's shape."""

import json
from collections.abc import Sequence
from typing import Any

from headroom.messages import dumps
from headroom.wire.layout import Layout
from headroom.wire.shapes import read

Json = dict[str, Any]
LIST = {"anthropic": "messages", "openai-chat": "messages", "openai-responses": "input", "gemini": "contents"}


def layout_of(shape: str, messages: Sequence[Any]) -> Layout:
    return read(shape, dumps({LIST[shape]: list(messages)}))


def text(number: int, words: int = 60) -> str:
    """Some words that stand in no other message."""
    return " ".join(f"word{number}x{each}" for each in range(words))


def task(steps: int, words: int = 60) -> list[Json]:
    """One turn of Claude Code: a task, then calls with thinking before each."""
    found: list[Json] = [{"role": "user", "content": [{"type": "text", "text": "Mend the shop, please."}]}]
    for n in range(steps):
        found.append(
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": f"step {n}", "signature": f"sig{n}=="},
                    {"type": "tool_use", "id": f"toolu_{n}", "name": "Bash", "input": {"command": f"step {n}"}},
                ],
            }
        )
        result = {"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": text(n, words)}
        found.append({"role": "user", "content": [result]})
    return found


def chat(shape: str, turns: int, words: int = 60) -> list[Json]:
    """Questions, each with a call, its result and an answer."""
    found: list[Json] = []
    for n in range(turns):
        question, answer, arguments = f"question {n}?", f"answer {n}", {"number": n}
        if shape == "anthropic":
            use = {"type": "tool_use", "id": f"toolu_{n}", "name": "look_up", "input": arguments}
            result = {"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": text(n, words)}
            found += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result]},
                {"role": "assistant", "content": answer},
            ]
        elif shape == "openai-chat":
            function = {"name": "look_up", "arguments": json.dumps(arguments)}
            call = {"id": f"call_{n}", "type": "function", "function": function}
            found += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"call_{n}", "content": text(n, words)},
                {"role": "assistant", "content": answer},
            ]
        elif shape == "openai-responses":
            spec = {"call_id": f"call_{n}", "name": "look_up", "arguments": json.dumps(arguments)}
            found += [
                {"role": "user", "content": question},
                {"type": "reasoning", "id": f"rs_{n}", "encrypted_content": "gAAA", "summary": []},
                {"type": "function_call", **spec},
                {"type": "function_call_output", "call_id": f"call_{n}", "output": text(n, words)},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]},
            ]
        else:
            response = {"name": "look_up", "response": {"output": text(n, words)}}
            found += [
                {"role": "user", "parts": [{"text": question}]},
                {"role": "model", "parts": [{"functionCall": {"name": "look_up", "args": arguments}}]},
                {"role": "user", "parts": [{"functionResponse": response}]},
                {"role": "model", "parts": [{"text": answer}]},
            ]
    return [*found, {"role": "user", "parts": [{"text": "and now?"}]}] if shape == "gemini" else [
        *found, {"role": "user", "content": "and now?"}
    ]  # fmt: skip
