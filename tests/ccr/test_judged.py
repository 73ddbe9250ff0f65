"""Lines of an output that will hardly be needed are left out where the agent's own tools print them again."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pytest

from headroom.ccr.originals import hash_of
from headroom.ccr.ways import CcrSettings, Level
from headroom.engine import Engine, RawRequest, Rewrite
from headroom.kompress.judge import Hazards
from headroom.session.memory import RamMemory
from headroom.session.watch import Watch
from headroom.wire.shapes import read
from tests.support.originals import RamOriginals

type Json = dict[str, Any]

FOUND = "\n".join(f"./packages/part{i // 20}/src/generated/file{i:03}.ts" for i in range(300))
FIND = "find . -name '*.ts'"
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "Read")]


def engine(level: Level = "balanced", originals: RamOriginals | None = None) -> Engine:
    return Engine(RamMemory(), originals=originals or RamOriginals(), ccr=CcrSettings(level=level))


def said(*calls: tuple[str, str, bool]) -> list[Json]:
    """A conversation of a shell agent: (command, output, failed)."""
    found: list[Json] = [{"role": "user", "content": "Where are labels translated?"}]
    for number, (command, output, failed) in enumerate(calls):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": command}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": output, "is_error": failed}
        found += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return found


def send(
    to: Engine, messages: list[Json], profiles: Mapping[str, str] = MappingProxyType({}), **fields: Any
) -> Rewrite:
    body = json.dumps({"model": "claude-sonnet-4-5", "tools": TOOLS, **fields, "messages": messages}).encode()
    return to.rewrite(RawRequest("anthropic", "anthropic", "/v1/messages", {}, body, tool_profiles=profiles))


def results(rewrite: Rewrite) -> list[str]:
    messages = json.loads(rewrite.body)["messages"]
    return [
        m["content"][0]["content"] for m in messages if isinstance(m["content"], list) and "content" in m["content"][0]
    ]


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that takes no line to be needed: all are left out but the first and the last."""

    class Careless:
        def hazards(self, text: str, situation: object, vocabulary: object) -> Hazards:
            none = np.zeros(text.count("\n") + 1, np.int64)
            return Hazards(none, none)

    monkeypatch.setattr("headroom.kompress.judge.judge", Careless)


SEARCH = (FIND, FOUND, False)


def test_a_shell_is_told_how_to_print_them_and_the_original_is_kept() -> None:
    originals = RamOriginals()
    to = engine(originals=originals)
    first = send(to, said(SEARCH))
    (text,) = results(first)
    gaps = [line for line in text.split("\n") if "left out" in line]
    assert gaps and "; run it again through sed -n '" in gaps[0]
    assert originals.kept[hash_of(FOUND)].text == FOUND
    assert first.saved["keep"] > 500
    again = send(to, said(SEARCH, ("true", "ok", False)))
    assert results(again)[0] == text  # the same ever after


FUNCTIONS = "\n".join(
    f'def price_{n}(amount: int) -> int:\n    """Price of number {n}."""\n    return amount * {n}\n' for n in range(80)
)


@pytest.mark.parametrize(
    ("head", "foot"),
    [
        ("", ""),
        ("<untrusted_context>\nOutput: ", "\nProcess Group PGID: 24795\n</untrusted_context>"),
        (
            "Chunk ID: 9a671f\nWall time: 0.0512 seconds\nProcess exited with code 0\n"
            "Original token count: 1271\nOutput:\n",
            "",
        ),
    ],
    ids=["as printed", "as Gemini CLI has it", "as Codex has it"],
)
def test_the_lines_that_are_named_are_those_of_the_output_itself(head: str, foot: str) -> None:
    """The agent prints them by their numbers, without what its client writes around them."""
    (text,) = results(send(engine("max"), said(("cat prices.py", f"{head}{FUNCTIONS}{foot}", False))))
    assert text.startswith(head) and text.endswith(foot)
    printed, number = FUNCTIONS.split("\n"), 0
    for line in text.removeprefix(head).removesuffix(foot).split("\n"):
        left_out = re.match(r"\[lines (\d+)-(\d+) left out", line)
        if left_out:
            assert int(left_out[1]) == number + 1
            number = int(left_out[2])
        else:
            assert line == printed[number]
            number += 1
    assert number == len(printed) and "; run it again through sed -n '" in text


@pytest.mark.parametrize(
    "head",
    [
        "Wall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n"
        "Warning: truncated output (original token count: 20000)\nTotal output lines: 900\n\n",
        "<persisted-output>\nOutput too large (34.2KB). Full output saved to: /tmp/b1.txt\n\nPreview (first 2KB):\n",
    ],
    ids=["by Codex", "by Claude Code"],
)
def test_nothing_is_left_out_of_what_the_client_cut_already(head: str) -> None:
    """Its lines are no longer those that the command prints."""
    for said_before, cuts in (("", True), (head, False)):
        (text,) = results(send(engine("max"), said(("cat prices.py", f"{said_before}{FUNCTIONS}", False))))
        assert ("left out" in text) is cuts


def test_nothing_is_left_out_by_default_nor_where_it_could_not_be_had_back() -> None:
    assert "left out" not in results(send(engine("safe"), said(SEARCH)))[0]
    writes = (f"{FIND} && make install", FOUND, False)  # running it again does more than print
    assert "left out" not in results(send(engine(), said(writes)))[0]
    assert "left out" not in results(send(engine(), said(SEARCH), tool_choice={"type": "any"}))[0]
    failed = (FIND, FOUND, True)
    assert "left out" not in results(send(engine(), said(failed)))[0]


def test_where_the_original_can_not_be_kept_everything_goes_out() -> None:
    originals = RamOriginals()
    originals.broken = True
    assert "left out" not in results(send(engine(originals=originals), said(SEARCH)))[0]


def test_what_is_asked_for_again_comes_whole() -> None:
    to = engine()
    send(to, said(SEARCH))
    assert "left out" not in results(send(to, said(SEARCH, (FIND, f"{FOUND}\n", False))))[1]


def reading(path: str, text: str, first: int = 1) -> list[Json]:
    """A conversation in which Claude Code's own tool reads a file."""
    lines = "\n".join(f"{i}\t{line}" for i, line in enumerate(text.split("\n"), first))
    messages = said(("x", lines, False))
    messages[1]["content"][0] |= {"name": "Read", "input": {"file_path": path, "offset": first}}
    return messages


@pytest.mark.usefixtures("careless")
def test_what_a_tool_for_files_read_stays_whole_unless_the_user_says_otherwise() -> None:
    """An edit may quote it."""
    messages = reading("/app/labels.ts", FOUND, 31)
    assert "left out" not in results(send(engine("max"), messages))[0]
    text = results(send(engine("max"), messages, {"Read": "normal"}))[0]
    assert "[lines 32-329 left out; read them with offset 32, limit 298]" in text


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("name", ["calls.jsonl", "build.log", "yarn.lock", "data.csv", "app.min.js", "app.js.map"])
def test_data_that_nobody_edits_is_not_read_whole(name: str) -> None:
    path = f"/app/{'deep/' * 40}{name}"
    text = results(send(engine(), reading(path, FOUND)))[0]
    assert "[lines 2-299 left out; read them with offset 2, limit 298]" in text


def calling(number: int, name: str, arguments: Json, output: str) -> list[Json]:
    call = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}
    result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": output}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


@pytest.mark.usefixtures("careless")
def test_a_file_has_what_a_background_task_printed() -> None:
    """Claude Code says of a task that has ended and was asked for that there is none."""
    path = "/tmp/claude-0/-app/tasks/b1x.output"
    started = f"Command running in background with ID: b1x. Output is being written to: {path}. You will be notified."
    begun = [*said(), *calling(0, "Bash", {"command": "make", "run_in_background": True}, started)]
    asked = [*begun, *calling(1, "TaskOutput", {"task_id": "b1x", "block": True, "timeout": 120000}, FOUND)]
    to = engine()
    send(to, begun)
    text = results(send(to, asked))[1]
    assert f"[lines 2-299 left out; read {path} to see them]" in text
    later = [*asked, *calling(2, "TaskOutput", {"task_id": "b1x", "timeout": 30000}, f"{FOUND}\nmore.ts")]
    second = results(send(to, later))[2]
    assert "[lines 2-300 left out" in second  # a look at how far it is does not ask for it
    numbered = "\n".join(f"{i}\t{line}" for i, line in enumerate(FOUND.split("\n"), 1))
    read = [*later, *calling(3, "Read", {"file_path": path}, numbered)]
    assert [text, second] == results(send(to, read))[1:3] and "left out" not in results(send(to, read))[3]
    unknown = [*said(), *calling(0, "TaskOutput", {"task_id": "b2", "block": True}, FOUND)]
    assert "left out" not in results(send(engine(), unknown))[0]


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize(
    ("name", "fields", "output"),
    [
        ("Glob", {"pattern": "**/*.ts"}, FOUND),
        (
            "Grep",
            {"pattern": "file", "output_mode": "content"},
            "\n".join(f"{p}:7:import x" for p in FOUND.split("\n")),
        ),
    ],
)
def test_a_search_says_that_a_narrower_one_shows_them(name: str, fields: Json, output: str) -> None:
    """Claude Code's own tools for searching, which no shell prints again."""
    originals = RamOriginals()
    to = engine(originals=originals)
    messages = said(("x", output, False))
    messages[1]["content"][0] |= {"name": name, "input": fields}
    (text,) = results(send(to, messages))
    gaps = [line for line in text.split("\n") if "left out" in line]
    assert gaps and gaps[0].endswith(" left out; a narrower search shows them]")
    assert originals.kept[hash_of(output)].text == output
    narrower = said(("x", output, False), ("x", "\n".join(output.split("\n")[100:200]), False))
    for place in (1, 3):
        narrower[place]["content"][0] |= {"name": name, "input": fields | ({"path": "part5"} if place == 3 else {})}
    first, second = results(send(to, narrower))
    assert first == text and "left out" not in second, "what was left out is asked for"


HITS = "\n".join(f"./src/generated/file{i:03}.ts:{7 + i}:{uuid5(NAMESPACE_OID, str(i))}" for i in range(300))


def part(text: str, first: int, last: int) -> str:
    return "\n".join(text.split("\n")[first - 1 : last])


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("restarted", [False, True])
def test_lines_that_were_left_out_stay_where_another_search_finds_them(restarted: bool) -> None:
    memory = RamMemory()
    to = Engine(memory, originals=RamOriginals(), ccr=CcrSettings(level="balanced"))
    narrower = ("find packages -name 'file0*'", part(FOUND, 50, 149), False)
    assert "[lines 2-99 left out" in results(send(engine(), said(narrower)))[0]  # by itself it would not come whole
    (text,) = results(send(to, said(SEARCH)))
    assert "[lines 2-299 left out" in text
    if restarted:
        to = Engine(memory, originals=RamOriginals(), ccr=CcrSettings(level="balanced"))
    again, second = results(send(to, said(SEARCH, narrower)))
    assert again == text and second == narrower[1]


@pytest.mark.usefixtures("careless")
def test_lines_that_were_left_out_stay_among_others_that_are_left_out() -> None:
    to = engine()
    send(to, said(SEARCH))
    other = part(FOUND, 1, 200).replace("packages", "services")
    mixed = ("find . -type f", f"{other}\n{part(FOUND, 50, 149)}\n{other}\nend.ts", False)
    _, second = results(send(to, said(SEARCH, mixed)))
    assert [line for line in second.split("\n") if "left out" in line] == [
        "[lines 2-200 left out; run it again through sed -n '2,200p' to see them]",
        "[lines 301-500 left out; run it again through sed -n '301,500p' to see them]",
    ]
    assert part(FOUND, 50, 149) in second


@pytest.mark.usefixtures("careless")
def test_lines_that_a_search_left_out_stay_where_the_file_itself_is_printed() -> None:
    to = engine("max")
    first = ("grep -rn . src", HITS, False)
    assert "[lines 2-299 left out" in results(send(to, said(first)))[0]
    printed = ("cat src/names", "\n".join(line.split(":", 2)[2] for line in HITS.split("\n")), False)
    assert "[lines 2-299 left out" in results(send(engine("max"), said(printed)))[0]
    assert results(send(to, said(first, printed)))[1] == printed[1]


@pytest.mark.usefixtures("careless")
def test_a_program_that_prints_the_same_again_was_not_asked_for_it() -> None:
    tools = [*TOOLS, {"name": "mcp__headroom__headroom_retrieve", "input_schema": {"type": "object"}}]
    to = engine("max")
    first, second = ("make all", FOUND, False), ("make rest", part(FOUND, 20, 300), False)
    send(to, said(first), tools=tools)
    texts = results(send(to, said(first, second), tools=tools))
    assert ["[298 lines left out]" in texts[0], "[279 lines left out]" in texts[1]] == [True, True]


def test_how_many_requests_will_follow_is_what_sessions_had_on_average() -> None:
    watch, found = Watch(), []
    for turn in (0, 9, 10, 19, 20, 80):
        watch.vocabulary.turn = turn
        outlook = watch.outlook({}, "", 0)
        assert outlook is not None
        found.append(outlook.remaining)
    assert found == [35, 35, 26, 26, 20, 20]


def test_what_stands_again_may_be_left_out_again() -> None:
    watch = Watch()
    watch.cut({"command": "find"}, "first/line/one\nsecond/line/two", "first/line/one\n[1 lines left out]")
    outlook = watch.outlook({"command": "ls"}, "", 0)
    assert outlook is not None and set(outlook.missing) == {"second/line/two"}
    layout = read("anthropic", json.dumps({"messages": said(("ls", "second/line/two", False))}).encode())
    watch.see(layout.blocks[-1], ["second/line/two"], 4)
    assert not outlook.missing
