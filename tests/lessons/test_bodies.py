"""What has gone wrong elsewhere with the bodies of requests."""

import json
import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from headroom.tokenizers import count
from tests.support.coding import REFERENCE, Coding, results, source
from tests.support.stage import Stage


def quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def test_json_parsed_and_written_again_changed_signed_thinking(on: Stage) -> None:
    """headroomlabs-ai/headroom #2251: 400 "blocks cannot be modified", with nothing saved."""
    file = source("handler")
    raw = (
        b'{ "model":"claude-sonnet-4-5",\t"temperature" : 1.50, "top_p":1E0,"max_tokens":1000 ,\r\n'
        b'"metadata":{"user_id":"a\\u00e9\\/b","twice":1,"twice":2,"n":0.10000000000000000555,"big":123456789012345678901234567890},\n'
        b' "messages":[{"role":"user","content":"Fix \\u2028 it \xf0\x9f\x8c\x8d \\ud83c\\udf0d"},'
        b'{"content":[{"type":"thinking","thinking":"Let me \\u0041 read.","signature":"EqQB+/\\/=="},'
        b'{"type":"redacted_thinking","data":"ZGF0YQ=="},'
        b'{"type":"tool_use","id":"toolu_1_z","name":"Read","input":{"file_path":"\\/app/a.py","limit":1e2}}],"role":"assistant"},'
        b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1_z","content":' + quoted(file) + b"}]},"
        b'{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"x="},'
        b'{"type":"tool_use","id":"toolu_2_z","name":"Read","input":{"file_path":"/app/a.py"}}]},'
        b'{"role":"user","content":[{"tool_use_id":"toolu_2_z" , "type":"tool_result","content": '
        + quoted(file)
        + b" ,"
        b'"cache_control":{"type":"ephemeral"}}]}],"stream":false }\n'
    )
    sent = on.send(raw, {"x-claude-code-session-id": "json-parsed-and-written-again"})
    assert sent.response.status_code == 200
    replacement = results(on.received.body)["toolu_2"]
    assert REFERENCE in replacement
    head, _, tail = raw.rpartition(quoted(file))
    assert on.received.body == head + quoted(replacement) + tail


def test_json_without_anything_to_replace_is_the_same_bytes(on: Stage) -> None:
    """The same, where nothing is saved: nothing may change at all."""
    raw = b'\xef\xbb\xbf{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}],"temperature":1.0e0}'
    for body in (raw, raw[3:]):
        on.send(body, {"x-claude-code-session-id": "the-same-bytes"})
        assert on.received.body == body


def test_every_block_near_a_breakpoint_was_frozen_and_no_compressor_ever_ran(on: Stage) -> None:
    """#3561: Claude Code marks its newest block in each request. A block is compressed when it first appears."""
    session, turns = Coding(), []
    for _ in range(5):
        body = session.read().body
        assert body.count(b"cache_control") == 1 and json.loads(body)["messages"][-1]["content"][-1]["cache_control"]
        sent = on.send(session)
        assert on.row(sent).outcome == "rewritten"
        turns.append(results(on.received.body))
    assert REFERENCE in turns[1]["toolu_2"] and REFERENCE in turns[4]["toolu_5"]
    for earlier, later in pairwise(turns):
        assert earlier.items() <= later.items(), "and it is the same bytes ever after"


def written(line: str) -> tuple[int, str]:
    """How many lines of the original a line of a replacement stands for, and its text if it is one itself."""
    reference = re.match(r"\[lines? (\d+)(?:-(\d+))? as (?:in |there)", line)
    if reference:
        return int(reference[2] or reference[1]) - int(reference[1]) + 1, ""
    return 1, re.sub(r"^\d+\t", "", line)


def replaced(on: Stage, *files: str) -> list[str]:
    """What the provider gets for reads of the same file, whose content changes from one to the next."""
    session = Coding()
    for file in files:
        numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(file.split("\n"), 1))
        on.send(session.read(content=numbered))
    return list(results(on.received.body).values())


EDITED = [
    "\n".join(f"    total += prices[{n}] * amounts[{n}]  # line {n} of the sum" for n in range(40)),
    "\n".join(f"    total += prices[{n}] * amounts[{n}]  # line {n} of the sum" for n in range(40) if n != 17),
    "\n".join(
        f"    total += prices[{n}] * amounts[{n}]  # line {n} of the sum"
        if n != 30
        else "    if total < 0:\n        a()"
        for n in range(40)
    ),
]


def test_lines_were_silently_gone_from_outputs(on: Stage) -> None:
    """#2586, #2694: each line is there, or a reference says which lines are not and where they stand."""
    for original, replacement in zip(EDITED, replaced(on, *EDITED), strict=True):
        lines = [written(line) for line in replacement.split("\n")]
        assert sum(number for number, _ in lines) == len(original.split("\n"))
    assert any(number > 5 for number, _ in lines), "the last one has references"


def test_compressed_code_had_invalid_syntax(on: Stage) -> None:
    """#71: a line of code stands as it is or not at all; nothing is rewritten inside one."""
    for original, replacement in zip(EDITED, replaced(on, *EDITED), strict=True):
        rest = iter(original.split("\n"))
        for number, text in (written(line) for line in replacement.split("\n")):
            taken = [next(rest) for _ in range(number)]
            assert text in ("", *taken)


def nested(chance: random.Random, depth: int) -> Any:
    match chance.randrange(6 if depth else 3):
        case 0:
            return chance.random()
        case 1:
            return "".join(chance.choices('abcdefgh "\\\n\téß', k=chance.randrange(30)))
        case 2:
            return chance.choice([None, True, False, 0, -1, 10**20])
        case 3:
            return [nested(chance, depth - 1) for _ in range(chance.randrange(6))]
        case _:
            return {f"key_{chance.randrange(50)}": nested(chance, depth - 1) for _ in range(chance.randrange(8))}


def records(chance: random.Random, _: int) -> Any:
    return {"id": chance.randrange(10**6), "name": f"user {chance.randrange(100)}", "active": True, "score": 1.5}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("item", [nested, records])
def test_a_json_file_of_220_kb_came_out_longer(
    on: Stage, item: Callable[[random.Random, int], Any], indent: int | None
) -> None:
    """#3026: 400 prompt_too_long. Never more bytes, and fewer tokens with a margin for other tokenizers."""
    chance, items, size = random.Random(3026), list[Any](), 0
    while size < 220_000:
        items.append(item(chance, 4))
        size += len(json.dumps(items[-1], indent=indent))
    session = Coding(f"{item.__name__}-{indent}").read(content="short")
    session.use("Bash", {"command": "curl -s https://api.test/items"}, json.dumps(items, indent=indent))
    sent = on.send(session)
    before, after = results(session.body)["toolu_2"], results(on.received.body)["toolu_2"]
    assert on.row(sent).outcome == ("unchanged" if after == before else "rewritten")
    assert len(on.received.body) <= len(session.body) and sent.response.status_code == 200
    if after != before:
        assert count(after) < 0.99 * count(before) and len(quoted(after)) < len(quoted(before))
    assert item is nested or after != before
