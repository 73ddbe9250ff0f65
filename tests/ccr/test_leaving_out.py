"""What is left out of a tool's output is kept first, marked, and left out the same way ever after."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from headroom.ccr.originals import hash_of
from headroom.ccr.ways import CcrSettings
from headroom.engine import Engine, Mode, RawRequest, Rewrite
from headroom.session.memory import Memory, RamMemory, SqliteMemory
from tests.support.originals import RamOriginals

type Json = dict[str, Any]

ITEMS = json.dumps([{"id": 1000 + i, "name": f"item number {i}", "price": i * 3, "stock": "yes"} for i in range(200)])
TOOLS = [
    {"name": name, "input_schema": {"type": "object"}} for name in ("catalogue", "mcp__headroom__headroom_retrieve")
]
BALANCED = CcrSettings(level="balanced")


def engine(memory: Memory | None = None, originals: RamOriginals | None = None, **settings: Any) -> Engine:
    settings = {"level": "balanced", **settings}
    return Engine(memory or RamMemory(), originals=originals or RamOriginals(), ccr=CcrSettings(**settings))


def messages(content: str = ITEMS, more: int = 0) -> list[Json]:
    said: list[Json] = [{"role": "user", "content": "Which items cost more than 500?"}]
    for number in range(1, more + 2):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "catalogue", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content if number == 1 else "ok"}
        said += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return said


def send(to: Engine, said: list[Json], mode: Mode = "optimize", session: str = "s1", **fields: Any) -> Rewrite:
    body = json.dumps({"model": "claude-sonnet-4-5", "tools": TOOLS, **fields, "messages": said}).encode()
    profiles = {"catalogue": "normal", "Bash": "normal"}
    headers = {"x-claude-code-session-id": session}
    return to.rewrite(RawRequest("anthropic", "anthropic", "/v1/messages", headers, body, tool_profiles=profiles), mode)


def result(rewrite: Rewrite) -> str:
    found = json.loads(rewrite.body)["messages"][2]["content"][0]["content"]
    assert isinstance(found, str)
    return found


def test_items_are_left_out_with_a_marker_that_says_how_many_and_how_to_get_them() -> None:
    originals = RamOriginals()
    text = result(send(engine(originals=originals), messages()))
    marker = re.search(
        r"^\[200 items compressed to (\d+)\. Retrieve more with (\S+): hash=([0-9a-f]{24})\]$", text, re.M
    )
    assert marker and int(marker[1]) < 100
    assert marker[2] == "mcp__headroom__headroom_retrieve"
    assert marker[3] == hash_of(ITEMS)
    kept = originals.kept[marker[3]]
    assert (kept.text, kept.session, kept.tool) == (ITEMS, "s1", "catalogue")
    assert originals.touched == ["s1"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": TOOLS[:1]},
        {"tools": []},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "catalogue"}},
        {"tool_choice": {"type": "none"}},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
    ],
)
def test_nothing_is_left_out_where_the_model_cannot_ask_for_it(fields: Json) -> None:
    originals = RamOriginals()
    text = result(send(engine(originals=originals), messages(), **fields))
    assert "Retrieve" not in text and "\n1123" in text
    assert originals.kept == {}


@pytest.mark.parametrize("settings", [{"level": "safe"}, {"retrieval": "off"}, {"retrieval": "native"}])
def test_nothing_is_left_out_where_the_user_does_not_want_it(settings: Json) -> None:
    assert "\n1123" in result(send(engine(**settings), messages()))


def test_a_tool_with_another_profile_keeps_its_items() -> None:
    body = json.dumps({"model": "m", "tools": TOOLS, "messages": messages()}).encode()
    sent = engine().rewrite(RawRequest("anthropic", "anthropic", "/v1/messages", {}, body))
    assert "\n1123" in result(sent)


def test_what_a_tool_flagged_as_an_error_is_told_in_full() -> None:
    said = messages()
    said[2]["content"][0]["is_error"] = True
    assert "\n1123" in result(send(engine(), said))


def test_the_command_is_named_to_an_agent_with_a_shell() -> None:
    tools = [{"name": "Bash"}, TOOLS[0]]
    text = result(send(engine(retrieval="command"), messages(), tools=tools))
    assert f"Retrieve more: headroom retrieve {hash_of(ITEMS)}]" in text
    assert "Retrieve" not in result(send(engine(retrieval="command"), messages(), tools=tools[1:]))


@pytest.mark.parametrize("command", ["headroom retrieve {}", "cd /tmp && /opt/bin/headroom retrieve {} --query cents"])
def test_what_the_command_prints_is_left_whole(command: str) -> None:
    """Else what is asked for would be left out again, for ever."""
    said = messages(more=1)
    call, printed = said[-2]["content"][0], said[-1]["content"][0]
    call.update(name="Bash", input={"command": command.format(hash_of(ITEMS))})
    printed.update(content=ITEMS)
    to, tools = engine(retrieval="command"), [{"name": "Bash"}, TOOLS[0]]
    send(to, said[:3], tools=tools)
    sent = send(to, said, tools=tools)
    assert "Retrieve more: headroom retrieve" in result(sent)
    assert json.loads(sent.body)["messages"][-1] == said[-1]


def test_the_same_bytes_leave_after_a_restart_and_where_there_is_no_way_back_any_more(tmp_path: Path) -> None:
    memory, originals = SqliteMemory(tmp_path / "state.db"), RamOriginals()
    first = result(send(engine(memory, originals), messages()))
    memory.close()
    assert hash_of(ITEMS) in first

    for settings in ({}, {"level": "safe"}, {"retrieval": "off"}):
        memory = SqliteMemory(tmp_path / "state.db")
        again = engine(memory, originals, **settings)
        assert result(send(again, messages(more=2), tools=TOOLS[:1])) == first
        memory.close()


def test_what_a_session_was_promised_is_kept_again_when_the_store_was_lost() -> None:
    memory, originals = RamMemory(), RamOriginals()
    send(engine(memory, originals), messages())
    originals.kept.clear()
    send(engine(memory, originals), messages(more=1), session="a copy of it")
    assert originals.kept[hash_of(ITEMS)].text == ITEMS
    assert originals.kept[hash_of(ITEMS)].session == "a copy of it"


def test_without_a_store_that_works_nothing_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    originals = RamOriginals()
    originals.broken = True
    to = engine(originals=originals)
    text = result(send(to, messages()))
    assert "Retrieve" not in text and "\n1123" in text
    assert result(send(to, messages(more=1))) == text
    assert caplog.text.count("originals can't be kept, nothing more is left out: the disk is full") == 1


def test_an_audit_says_what_would_be_saved_and_keeps_nothing() -> None:
    originals = RamOriginals()
    to = engine(originals=originals)
    sent = send(to, messages(), "audit")
    assert result(sent) == ITEMS
    assert sent.saved["smart_crusher"] > 1000 and sent.saved["marker"] < 0
    assert originals.kept == {}


def test_no_reference_points_at_what_was_left_out() -> None:
    page = "<html><body><main>" + "".join(f"<p>Paragraph {i} of the long page.</p>\n" for i in range(60))
    page += "<nav>" + "\n".join(f"<a href='/section/{i}'>section {i} of the site map</a>" for i in range(80)) + "</nav>"
    said = messages(page)
    said[1]["content"][0]["input"] = {"url": "https://example.com"}
    call = {"type": "tool_use", "id": "toolu_9", "name": "Bash", "input": {"command": "cat page.html"}}
    seen = {"type": "tool_result", "tool_use_id": "toolu_9", "content": page}
    to = engine()
    send(to, said)
    sent = send(to, [*said, {"role": "assistant", "content": [call]}, {"role": "user", "content": [seen]}])
    first, second = (json.loads(sent.body)["messages"][i]["content"][0]["content"] for i in (2, 4))
    assert "Retrieve more" in first and "section 44 of the site map" not in first
    assert "section 44 of the site map" in second


def test_a_state_of_an_earlier_version_gets_the_column_that_it_lacks(tmp_path: Path) -> None:
    import sqlite3

    old = sqlite3.connect(tmp_path / "state.db")
    old.execute(
        "CREATE TABLE decisions (id INTEGER PRIMARY KEY, key BLOB NOT NULL, needs BLOB NOT NULL,"
        " replacement TEXT NOT NULL, before INTEGER NOT NULL, after INTEGER NOT NULL, saved TEXT NOT NULL,"
        " made REAL NOT NULL, UNIQUE (key, needs))"
    )
    old.execute("INSERT INTO decisions VALUES (1, x'01', x'', 'shorter', 9, 3, '{}', 0)")
    old.commit()
    old.close()
    memory = SqliteMemory(tmp_path / "state.db")
    (decision,) = memory.find([b"\x01"])[b"\x01"]
    assert (decision.replacement, decision.hash) == ("shorter", "")
    memory.close()


def test_a_tool_with_the_profile_outline_shows_what_code_declares() -> None:
    code = "".join(
        f"def step_{n}(order):\n    check_{n}(order)\n    store_{n}(order)\n    tell_{n}(order)\n    return {n}\n"
        for n in range(40)
    )
    call = {"type": "tool_use", "id": "toolu_1", "name": "view", "input": {"path": "shop/steps.py"}}
    said: list[Json] = [
        {"role": "user", "content": "How is the project organised?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": code}]},
    ]
    body = json.dumps({"model": "claude-sonnet-4-5", "tools": TOOLS, "messages": said}).encode()

    def sent(level: str, **profiles: str) -> str:
        request = RawRequest("anthropic", "anthropic", "/v1/messages", {}, body, tool_profiles=profiles)
        return result(engine(level=level).rewrite(request))

    shown = sent("balanced", view="outline").split("\n")
    assert shown[:4] == ["def step_0(order):", "[lines 2-5 left out]", "def step_1(order):", "[lines 7-10 left out]"]
    assert re.fullmatch(r"\[200 lines compressed to 40\. Retrieve more with \S+: hash=[0-9a-f]{24}\]", shown[-1])
    for kept in (sent("balanced"), sent("balanced", view="normal"), sent("safe", view="outline")):
        assert "return 17" in kept
