"""Whole sessions in the shapes of Codex and Gemini CLI: what is read or run again is said by reference."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.corpus import read
from headroom.engine import Engine, RawRequest, Rewrite
from headroom.session.memory import RamMemory, SqliteMemory

type Json = dict[str, Any]

OLD, NEW = "    return amount * 42\n", "    return amount * 42 + 1\n"
PRICES = "\n".join(
    f'def price_{number}(amount: int) -> int:\n    """Price of "{number}"."""\n    return amount * {number}\n'
    for number in range(60)
)
EDITED = PRICES.replace(OLD, NEW)


def checks(wrong: tuple[int, ...]) -> str:
    """What the checks print, in which some prices are wrong."""
    lines: list[str] = []
    for number in range(60):
        lines.append(f"checks.py::price_{number} ... {'FAILED' if number in wrong else 'ok'}")
        if number in wrong:
            lines += [f"    step {step} of '{number}': rounding=half-even" for step in range(20)]
    return "\n".join(lines) + "\n"


STEPS = [
    ("cat prices.py", PRICES),
    ("python3 checks.py", checks((17, 42))),
    ("", ""),
    ("cat prices.py", EDITED),
    ("python3 checks.py", checks((17,))),
    ("python3 checks.py", checks((17,))),
]
"""Read, run, edit, read again, run again twice. An edit is a step without a command."""
PATCH = f"*** Begin Patch\n*** Update File: prices.py\n@@\n-{OLD}+{NEW}*** End Patch"


def codex_text(number: int, command: str, output: str) -> list[Json]:
    """A command that Codex runs with a plain call, and its output as text."""
    if not command:
        return [
            {"type": "custom_tool_call", "call_id": f"c{number}", "name": "apply_patch", "input": PATCH},
            {"type": "custom_tool_call_output", "call_id": f"c{number}", "output": "Exit code: 0\nOutput:\nDone!"},
        ]
    head = f"Chunk ID: 9a67{number:02}\nWall time: 0.0{number} seconds\nProcess exited with code 0\n"
    text = f"{head}Original token count: {len(output) // 4}\nOutput:\n{output}"
    given = json.dumps({"cmd": command})
    return [
        {"type": "function_call", "call_id": f"c{number}", "name": "exec_command", "arguments": given},
        {"type": "function_call_output", "call_id": f"c{number}", "output": text},
    ]


def codex_script(printed: str) -> Callable[[int, str, str], list[Json]]:
    """A command that Codex runs with JavaScript, which prints the output alone or all of the result as JSON."""

    def items(number: int, command: str, output: str) -> list[Json]:
        script = f"const r = await tools.exec_command({{cmd: {json.dumps(command)}}});\n{printed};\n"
        result = {"chunk_id": f"d443{number:02}", "wall_time_seconds": number / 7, "exit_code": 0, "output": output}
        text = output if printed == "text(r.output)" else json.dumps(result, separators=(",", ":"), ensure_ascii=False)
        if not command:
            script, text = f"text(await tools.apply_patch({json.dumps(PATCH)}));\n", "{}"
        parts = [f"Script completed\nWall time 0.{number} seconds\nOutput:\n", text]
        outputs = [{"type": "input_text", "text": part} for part in parts]
        return [
            {"type": "custom_tool_call", "call_id": f"c{number}", "name": "exec", "input": script},
            {"type": "custom_tool_call_output", "call_id": f"c{number}", "output": outputs},
        ]

    return items


def gemini(number: int, command: str, output: str) -> list[Json]:
    """A step of Gemini CLI: files are read with a tool of their own, commands run in a shell."""
    name, given = "run_shell_command", {"command": command}
    text = f"<untrusted_context>\nOutput: {output}Process Group PGID: {24_700 + number}\n</untrusted_context>"
    if command.startswith("cat "):
        name, given, text = "read_file", {"file_path": command.removeprefix("cat ")}, output
    elif not command:
        name, given, text = "replace", {"file_path": "prices.py", "old_string": OLD, "new_string": NEW}, "Replaced."
    call = {"name": name, "args": given, "id": f"c{number}"}
    return [
        {"role": "model", "parts": [{"functionCall": call}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": f"c{number}", "name": name, "response": {"output": text}}}],
        },
    ]


CLIENTS = {
    "codex, plain calls": codex_text,
    "codex, printed text": codex_script("text(r.output)"),
    "codex, printed JSON": codex_script("text(r)"),
    "gemini": gemini,
}


def request(client: str, steps: int) -> RawRequest:
    """The request that a client sends after so many steps."""
    made = [item for number, step in enumerate(STEPS[:steps]) for item in CLIENTS[client](number, *step)]
    task = "Correct the price of 42."
    if client == "gemini":
        body: Json = {"contents": [{"role": "user", "parts": [{"text": task}]}, *made]}
        return RawRequest("google", "gemini", "/v1beta/models/g:generateContent", {}, json.dumps(body).encode())
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": task}]}
    body = {"model": "gpt-6.1-sol", "prompt_cache_key": "s1", "store": False, "input": [said, *made]}
    return RawRequest("openai", "openai-responses", "/v1/responses", {}, json.dumps(body).encode())


def outputs(rewrite: Rewrite) -> list[str]:
    """The text that the provider gets for each step, without the line that Codex writes before it."""
    body = json.loads(rewrite.body)
    if "contents" in body:
        parts = [part for turn in body["contents"] for part in turn["parts"] if "functionResponse" in part]
        return [part["functionResponse"]["response"]["output"] for part in parts]
    found = [item["output"] for item in body["input"] if "output" in item]
    return [output if isinstance(output, str) else output[-1]["text"] for output in found]


def play(engine: Engine, client: str) -> list[Rewrite]:
    return [engine.rewrite(request(client, steps)) for steps in range(len(STEPS) + 1)]


every_client = pytest.mark.parametrize("client", CLIENTS)


@every_client
def test_what_is_read_or_run_again_becomes_references(client: str) -> None:
    first, ran, _, again, ran_again, once_more = outputs(play(Engine(RamMemory()), client)[-1])

    assert "    return amount * 42\n" in first and "def price_59(amount: int) -> int:\n" in first
    assert "step 19 of '42'" in read(ran)
    for text in (again, ran_again, once_more):
        assert " as in " in text
        assert len(text) < 900, text
    assert "return amount * 42 + 1" in again
    assert "def price_7(" not in again
    assert "checks.py::price_42 ... ok" in ran_again


@every_client
def test_the_prefix_is_the_same_in_every_request_and_after_a_restart(client: str, tmp_path: Path) -> None:
    memory = SqliteMemory(tmp_path / "state.db")
    bodies = [rewrite.body for rewrite in play(Engine(memory), client)]
    for before, after in pairwise(bodies):
        assert after.startswith(before.removesuffix(b"]}"))
    memory.close()
    restarted = Engine(SqliteMemory(tmp_path / "state.db"))
    assert restarted.rewrite(request(client, len(STEPS))).body == bodies[-1]


@every_client
def test_only_outputs_are_rewritten(client: str) -> None:
    sent = request(client, len(STEPS))
    rewrite = Engine(RamMemory()).rewrite(sent)
    before, after = json.loads(sent.body), json.loads(rewrite.body)
    name = "contents" if "contents" in before else "input"
    for old, new in zip(before[name], after[name], strict=True):
        if old != new:
            assert old.keys() == new.keys() and ("output" in old or "functionResponse" in old["parts"][0])


def test_an_output_in_json_gets_its_lines_back() -> None:
    first, *_ = outputs(play(Engine(RamMemory()), "codex, printed JSON")[-1])
    head, rest = first.split("\n", 1)
    assert head == '{"chunk_id":"d44300","wall_time_seconds":0.0,"exit_code":0,"output":\'\'\''
    assert rest == PRICES + "'''}"
