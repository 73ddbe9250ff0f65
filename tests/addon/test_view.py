"""What a user sees of a request: in the flow dump, in the content view, in a file of saved flows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mitmproxy import contentviews, http, io
from mitmproxy.test import taddons, tflow

from addon import HeadroomAddon
from addon.view import HeadroomContentview, render
from headroom.ccr.markers import standing
from headroom.ccr.originals import hash_of
from headroom.session.standing import BlockReport
from tests.support.answers import Answer
from tests.support.coding import REFERENCE, Coding, results, source
from tests.support.stage import stage

VIEW = HeadroomContentview()
EXCHANGE = re.compile(r"\[[0-9:.]+\] [0-9]{3} messages .* \[[0-9a-f-]{0,12}\]")
"""The log's line for an exchange: mitmdump's time, status and kind, and the session at its end."""


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    """The addon brings its view."""
    with taddons.context(HeadroomAddon()):
        yield


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, http.HTTPFlow], bytes, bytes]:
    """The log of a proxy, the flows that it saved by their x-flow header, what was sent and what was received."""
    folder = tmp_path_factory.mktemp("view")
    with stage(folder, options=[f"save_stream_file={folder / 'saved.flow'}", "flow_detail=3"]) as on:
        session = Coding(system="A system prompt.").read().read("short", "1\tpass").read()
        on.send(session, {"x-flow": "rewritten"})
        received = on.received.body
        on.send(Coding(), {"x-flow": "nothing to do"})
        on.send(Coding().read().read(), {"x-flow": "audit", "x-headroom-mode": "audit"})
        on.send(b"no JSON", {"x-flow": "malformed"})
        on.client.get("https://api.anthropic.com/v1/models", headers={"x-flow": "not ours"})

        def picky(shape: str, body: object) -> Answer:
            return Answer("no", status=400) if REFERENCE in json.dumps(body) else Answer("Done.")

        on.provider.script = picky
        on.row(on.send(Coding().read().read(), {"x-flow": "refused"}))  # then all are saved
    with (folder / "saved.flow").open("rb") as file:
        flows = [flow for flow in io.FlowReader(file).stream() if isinstance(flow, http.HTTPFlow)]
    return on.proxy.log, {flow.request.headers["x-flow"]: flow for flow in flows}, session.body, received


Seen = tuple[str, dict[str, http.HTTPFlow], bytes, bytes]


def shown(flow: http.HTTPFlow, view: str = "auto") -> contentviews.ContentviewResult:
    return contentviews.prettify_message(flow.request, flow, view)


def test_a_rewritten_request_is_shown_block_by_block_before_and_after(seen: Seen) -> None:
    _, flows, sent, received = seen
    result = shown(flows["rewritten"])
    assert result.view_name == "headroom"
    lines = result.text.splitlines()
    assert lines[0].startswith("session ") and lines[0].endswith("client claude-code   model claude-sonnet-4-5")
    assert lines[1].startswith("tokens  ") and "saved" in lines[1]
    blocks = result.text.split("\n\n")[1:]
    assert blocks[0].startswith("[2] Read /app/handler.py: ") and "left as it was: sent before" in blocks[0]
    assert blocks[1].startswith("[4] Read /app/short.py: ") and "left as it was: " in blocks[1]
    head, *rest = blocks[2].splitlines()
    assert head.startswith("[6] Read /app/handler.py: 1,080 -> ") and "(repeats " in head
    before, after = "\n".join(rest).split("  after\n")
    assert before.splitlines()[:2] == ["  before", f"    | {source('handler').splitlines()[0]}"]
    assert "    | ... 20 more lines" in before
    assert after.strip() == f"| {results(received)['toolu_3']}"
    assert flows["rewritten"].metadata["headroom_original"] == sent
    assert flows["rewritten"].request.content == received


@pytest.fixture(scope="module")
def left_out(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What the view shows of a session of which something was left out, block by block."""
    folder = tmp_path_factory.mktemp("left-out")
    options = [
        *("headroom_profile=balanced", "headroom_retrieval=tool", "headroom_tool_profiles=catalogue=normal"),
        *(f"save_stream_file={folder / 'saved.flow'}", "flow_detail=3"),
    ]
    with stage(folder, options=options) as on:
        session = Coding(tools=[{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "catalogue")])
        on.send(session)  # our tool is there from the first request on
        for tool, arguments, output in (
            ("Bash", {"command": "ls -l"}, ROWS),
            ("catalogue", {"page": 1}, ITEMS),
            ("headroom_retrieve", {"hash": hash_of(ITEMS)}, "No such tool available: headroom_retrieve"),
        ):
            on.row(on.send(session.use(tool, arguments, output)))  # then it is shown and saved too
    with (folder / "saved.flow").open("rb") as file:
        *_, flow = (flow for flow in io.FlowReader(file).stream() if isinstance(flow, http.HTTPFlow))
    text = shown(flow).text
    assert text.replace("\n", "\n    ") in on.proxy.log  # as mitmdump itself shows it
    return [block.splitlines() for block in text.split("\n\n")[1:]]


ROWS = "\n".join(f"-rw-r--r-- 1 root root {100 + i} Nov 24 02:10 file{i:03}.ts" for i in range(300))
ITEMS = json.dumps([{"id": 1000 + i, "name": f"item number {i}", "price": i * 3, "stock": "yes"} for i in range(200)])
GAP = re.compile(r"\[lines (\d+)-(\d+) left out; run it again through sed -n '\d+,\d+p' to see them.*\]")


def test_beside_each_marker_stands_what_was_left_out(left_out: list[list[str]]) -> None:
    lines = left_out[0]
    hash = hash_of(ROWS)
    said = f"  original {hash}, 300 lines, {len(ROWS):,} characters, as it came: headroom retrieve {hash}"
    assert lines[1] == said
    assert lines[2].startswith("  marker   ")
    gap = GAP.fullmatch(lines[2].removeprefix("  marker   "))
    assert gap
    first, last = int(gap[1]), int(gap[2])
    missing = ROWS.split("\n")[first - 1 : last]
    assert lines[3:12] == [*(f"    | {line}" for line in missing[:8]), f"    | ... {len(missing) - 8} more lines"]
    assert lines[12].startswith(("  marker   ", "  before"))


def test_a_marker_that_stands_for_all_has_the_beginning_of_the_original_beside_it(left_out: list[list[str]]) -> None:
    lines, hash = left_out[1], hash_of(ITEMS)
    assert lines[1].startswith(f"  original {hash}, 1 line, ") and lines[1].endswith(f": headroom retrieve {hash}")
    assert re.fullmatch(rf"  marker   \[200 items compressed to \d+\. Retrieve more: hash={hash}\]", lines[2])
    assert lines[3] == f"    | {ITEMS[:400]} ... {len(ITEMS):,} characters"
    assert lines[4] == "  before"


def test_what_was_given_back_is_not_shown_as_left_out(left_out: list[list[str]]) -> None:
    lines, hash = left_out[2], hash_of(ITEMS)
    assert lines[1:3] == [f"  original {hash}, given back here: headroom retrieve {hash}", "  before"]
    assert lines[-1] == f"    | {ITEMS}"


def test_lines_of_a_part_of_a_file_are_found_by_the_files_own_numbers() -> None:
    original = "\n".join(f"{n}\tline {n}" for n in range(101, 141))
    marker = "[lines 111-130 left out; read them with offset 111, limit 20]"
    text = f"101\tline 101\n{marker}\n140\tline 140\n[lines 132-133 left out]"
    (_, first), (_, second) = standing(text, original)
    assert (first.split("\n")[0], first.split("\n")[-1]) == ("111\tline 111", "130\tline 130")
    assert second == "132\tline 132\n133\tline 133"


@pytest.mark.parametrize(
    "line", [f"[lines {'9' * 5000}-3 left out]", "[lines 0-0 left out]", "[" + "Retrieve more " * 50_000]
)
def test_what_a_tool_printed_that_only_looks_like_a_marker_does_no_harm(line: str) -> None:
    """Also where it would take hours to look into it in more than one pass."""
    assert all(lines in ("", "1\n2") for _, lines in standing(f"1\n{line}", "1\n2"))


def test_of_very_many_markers_the_first_are_shown() -> None:
    original = "\n".join(str(n) for n in range(100)).encode()
    replacement = "\n".join(f"[lines {n}-{n} left out]" for n in range(1, 100, 2))
    block = BlockReport((0, len(original)), 2, "x", "", 900, 80, {"keep": 820}, "", True, replacement, hash="0a" * 12)
    said = dict.fromkeys(("session", "client", "model", "reason", "cache"), "")
    lines = list(render({**said, "tokens_before": 9, "tokens_after": 8, "blocks": [tuple(block)]}, original))
    assert sum(line.startswith("  marker ") for line in lines) == 12
    assert "  ... 38 more markers" in lines


def test_the_flow_list_shows_what_was_saved(seen: Seen) -> None:
    flows = seen[1]
    report = flows["rewritten"].metadata["headroom"]
    before, after = report["tokens_before"], report["tokens_after"]
    assert flows["rewritten"].comment == f"headroom: {before:,} -> {after:,} tokens, {before - after:,} saved"
    assert flows["rewritten"].marked == ":green_circle:"
    for name in ("nothing to do", "audit", "malformed", "not ours"):
        assert (flows[name].comment, flows[name].marked) == ("", "")


def test_a_refused_rewrite_is_not_shown_as_one(seen: Seen) -> None:
    flow = seen[1]["refused"]
    assert flow.marked == ":red_circle:" and flow.comment == "headroom: refused with 400: session left alone"
    assert flow.request.content and REFERENCE.encode() not in flow.request.content
    assert "saved 0 (0.0 %)" in shown(flow, "headroom").text
    assert "reason  refused with 400: session left alone" in shown(flow, "headroom").text


def test_why_a_request_was_left_is_shown(seen: Seen) -> None:
    flows = seen[1]
    assert "reason  no tool output" in shown(flows["nothing to do"], "headroom").text
    audit = shown(flows["audit"], "headroom").text
    assert "reason  audit" in audit and " -> " in audit


def test_other_messages_have_their_usual_view(seen: Seen) -> None:
    flows = seen[1]
    for name in ("malformed", "not ours"):
        assert shown(flows[name]).view_name != "headroom"
        assert VIEW.render_priority(b"", contentviews.Metadata(flow=flows[name], http_message=flows[name].request)) < 0
        assert "not a request that headroom has seen" in shown(flows[name], "headroom").text
    answered = tflow.tflow(resp=True)
    answered.metadata["headroom"] = flows["rewritten"].metadata["headroom"]
    assert answered.response and contentviews.prettify_message(answered.response, answered).view_name != "headroom"


def test_the_flow_dump_shows_the_view_and_the_log_a_line_for_each_exchange(seen: Seen) -> None:
    log = seen[0]
    assert "[6] Read /app/handler.py: 1,080 -> " in log and "| [lines 1-60 as in Read" in log
    lines = [line for line in log.splitlines() if EXCHANGE.fullmatch(line)]
    assert len(lines) == 5, lines
    assert "200 messages claude-sonnet-4-5, rewritten, " in lines[0] and "repeats=" in lines[0]
    assert "billed in=" in lines[0] and "$0.0" in lines[0] and " ms" in lines[0]
    assert "400 messages ?, passed, " in lines[3] and "body not read: expected { at byte 0" in lines[3]
    assert "refused with 400: session left alone" in lines[4]
    assert "this run: 5 requests, 1 rewritten, 0 errors; " in log.splitlines()[-1]


def test_a_saved_flow_can_be_shown_without_the_proxy(seen: Seen, tmp_path: Path) -> None:
    """Saved, read and saved again: the report is plain data."""
    with (tmp_path / "again.flow").open("wb") as file:
        io.FlowWriter(file).add(seen[1]["rewritten"])
    with (tmp_path / "again.flow").open("rb") as file:
        (flow,) = io.FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert shown(flow).text == shown(seen[1]["rewritten"]).text
