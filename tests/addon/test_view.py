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
        on.send(Coding().read().read(), {"x-flow": "refused"})
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
    assert before.splitlines()[:2] == ["  before", f'    | "{source("handler").splitlines()[0]}']
    assert "    | ... 20 more lines" in before
    assert after.strip() == f"| {results(received)['toolu_3']}"
    assert flows["rewritten"].metadata["headroom_original"] == sent
    assert flows["rewritten"].request.content == received


def test_a_block_that_something_was_left_out_of_names_its_original() -> None:
    original, hash = b'"200 items"', "0a" * 12
    marker = f"[200 items compressed to 15. Retrieve more: hash={hash}]"
    block = BlockReport((0, len(original)), 2, "catalogue", "", 900, 80, {"json": 820}, "", True, marker, hash=hash)
    said = {
        "session": "s",
        "client": "c",
        "model": "m",
        "tokens_before": 9,
        "tokens_after": 8,
        "reason": "",
        "cache": [],
    }
    lines = list(render({**said, "blocks": [tuple(block), tuple(block._replace(hash=""))]}, original))
    assert lines.count(f"  original {hash}, as it came: headroom retrieve {hash}") == 1
    assert lines.index(f"    | {marker}") > lines.index('    | "200 items"') > lines.index("  before")


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
