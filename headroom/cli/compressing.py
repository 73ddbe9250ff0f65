"""`headroom compress`: a file or what comes down a pipe, in fewer tokens."""

import json
import sys
from pathlib import Path
from typing import Any

from headroom.cli.output import print_json, share
from headroom.compression import DEFAULT_MODEL, PROVIDERS, CompressResult, compress, rewrite_alone
from headroom.messages import LIST, shape_of
from headroom.settings import load_config
from headroom.tokenizers import tokenizer_for

SHELL = "Bash"
ANY_SIZE = 1 << 40


def compress_file(
    file: Path | None, tool: str, command: str, model: str, as_text: bool, as_json: bool, tell: bool
) -> None:
    """Print ``file``, or standard input, in fewer tokens: a request or messages as such, all else as a tool's output.

    What is no text in UTF-8 is printed as it is. Raises HeadroomError.
    """
    raw = file.read_bytes() if file is not None else sys.stdin.buffer.read()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        print("headroom: no text in UTF-8: printed as it is", file=sys.stderr)
        _write(raw)
        return
    value = None if as_text else _json(text)
    shape, messages = _conversation(value, model)
    if shape and isinstance(value, dict):
        model = str(value.get("model") or model or DEFAULT_MODEL)
        out, before, after, names = _request(shape, raw, model)
    elif shape:
        found = compress(messages, model or DEFAULT_MODEL, model_limit=ANY_SIZE)
        out = (json.dumps(found.messages, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        before, after, names = found.tokens_before, found.tokens_after, found.transforms_applied
    else:
        found = _output(text, tool, command, model or "gpt-4o")
        out = found.messages[2]["content"].encode()
        before, after, names = found.tokens_before, found.tokens_after, found.transforms_applied
    if as_json:
        kind = shape or "text"
        told = {"kind": kind, "tokens_before": before, "tokens_after": after, "tokens_saved": before - after}
        print_json({**told, "transforms": list(names), "text": out.decode("utf-8", "replace")})
        return
    _write(out)
    if tell:
        print(f"headroom: {before:,} -> {after:,} tokens ({share(before - after, before)} saved)", file=sys.stderr)


def _output(text: str, tool: str, command: str, model: str) -> CompressResult:
    """A tool's output, as if an agent had just called the tool."""
    arguments = json.dumps({"command": command} if command else {})
    call = {"id": "call_1", "type": "function", "function": {"name": tool or SHELL, "arguments": arguments}}
    messages: list[Any] = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": text},
    ]
    return compress(messages, model, model_limit=ANY_SIZE)


def _request(shape: str, body: bytes, model: str) -> tuple[bytes, int, int, tuple[str, ...]]:
    """A whole request: nothing but the texts that are said shorter differs from it."""
    config = load_config()
    rewrite = rewrite_alone(shape, body, model, config)
    count = tokenizer_for(PROVIDERS[shape], model).count
    before, after = count(body.decode()), count(rewrite.body.decode())
    return rewrite.body, before, after, tuple(sorted(rewrite.saved, key=lambda name: -rewrite.saved[name]))


def _conversation(value: Any, model: str) -> tuple[str, list[Any]]:
    """The shape of a request or of a list of messages, and these; "" for what is neither."""
    if isinstance(value, dict):
        names = [name for name in dict.fromkeys(LIST.values()) if isinstance(value.get(name), list)]
        if len(names) != 1 or not _are_messages(value[names[0]]):
            return "", []
        messages = value[names[0]]
        only = [shape for shape, name in LIST.items() if name == names[0]]
        return (only[0] if len(only) == 1 else shape_of(messages, str(value.get("model") or model))), messages
    if isinstance(value, list) and _are_messages(value):
        return shape_of(value, model), value
    return "", []


def _are_messages(found: list[Any]) -> bool:
    """Whether these are turns of a conversation, and not rows of data."""
    roles = sum(isinstance(one, dict) and isinstance(one.get("role"), str) for one in found)
    said = all(isinstance(one, dict) and {"content", "parts", "type", "tool_calls"} & one.keys() for one in found)
    return bool(found) and roles > 0 and said


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _write(out: bytes) -> None:
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
