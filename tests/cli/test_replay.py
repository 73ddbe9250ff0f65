"""`headroom replay`: what one's own recorded traffic would have cost."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from headroom.cli.replay.caching import PrefixCache
from headroom.cli.replay.play import play
from headroom.cli.replay.records import ORIGINAL
from headroom.errors import ValidationError
from tests.cli.conftest import Place
from tests.support.coding import Coding

BEGAN = 1_760_000_000.0
URL = "https://api.anthropic.com/v1/messages?beta=true"
HEADERS = {"x-claude-code-session-id": "one", "user-agent": "claude-cli/2.1 (external, cli)"}


def bodies(turns: int = 6) -> list[bytes]:
    """A session that reads the same file in every turn."""
    session = Coding("one", system="You write code. " * 400)
    found = []
    for _ in range(turns):
        session.read()
        found.append(session.body)
    return found


def answer(usage: dict[str, int] | None = None) -> dict[str, Any]:
    told = usage or {"input_tokens": 1000, "output_tokens": 10}
    return {"type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [], "usage": told}


def as_har(file: Path, sent: Sequence[bytes]) -> None:
    def entry(number: int, url: str, body: bytes, status: int = 200) -> dict[str, Any]:
        text = {"text": base64.b64encode(json.dumps(answer()).encode()).decode(), "encoding": "base64"}
        headers = [{"name": name.title(), "value": value} for name, value in HEADERS.items()]
        return {
            "startedDateTime": datetime.fromtimestamp(BEGAN + 20 * number, UTC).isoformat(),
            "request": {"method": "POST", "url": url, "headers": headers, "postData": {"text": body.decode()}},
            "response": {"status": status, "content": {"mimeType": "application/json", **text}},
        }

    entries = [entry(number, URL, body) for number, body in enumerate(sent)]
    entries += [entry(90, "https://example.com/", b"{}"), entry(91, URL, b"{}", 429)]
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries[::-1]}}))


def as_flow(file: Path, sent: Sequence[bytes]) -> None:
    with file.open("wb") as opened:
        writer = FlowWriter(opened)
        for number, body in enumerate(sent):
            flow = tflow.tflow(resp=True)
            flow.request.url, flow.request.method = URL, "POST"
            for name, value in HEADERS.items():
                flow.request.headers[name] = value
            flow.request.timestamp_start = BEGAN + 20 * number
            flow.request.content = body
            if number:  # through headroom: what the client sent is beside what was sent on
                flow.request.content, flow.metadata[ORIGINAL] = b'{"short": 1}', body
            assert flow.response is not None
            flow.response.content = json.dumps(answer()).encode()
            flow.response.headers["content-type"] = "application/json"
            writer.add(flow)


def as_lines(file: Path, sent: Sequence[bytes]) -> None:
    lines = [
        {"url": URL, "time": BEGAN + 20 * number, "headers": HEADERS, "body": json.loads(body), "response": answer()}
        for number, body in enumerate(sent)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(("name", "write"), [("x.har", as_har), ("x.flow", as_flow), ("x.jsonl", as_lines)])
def test_every_kind_of_recording_says_the_same(
    tmp_path: Path, name: str, write: Callable[[Path, Sequence[bytes]], None]
) -> None:
    write(tmp_path / name, bodies())
    found = play(tmp_path / name, {})
    sums = found.all
    assert (sums.requests, sums.rewritten, sums.breaks) == (6, 6, 0)
    assert list(found.sessions) == ["one"]
    assert sums.tokens_after < 0.7 * sums.tokens_before
    assert sums.cost_usd < 0.8 * sums.cost_without_usd
    assert sums.cache_read > 0 and found.saved["repeats"] > 3_000
    assert sums.billed_requests == 6
    assert sums.billed_usd == pytest.approx(6 * (1000 * 3.0 + 10 * 15.0) / 1e6)
    if name == "x.har":
        assert dict(found.tally.passed_over) == {"no model request": 1, "answered with 429": 1}
    as_lines(tmp_path / "other.jsonl", bodies())
    assert play(tmp_path / "other.jsonl", {}).all == sums


def test_codexs_websocket_is_read_with_what_was_said_before(tmp_path: Path) -> None:
    text = "".join(f"line {i} of what is said again and again\n" for i in range(200))
    flow = tflow.twebsocketflow()
    flow.request.url, flow.request.method = "https://api.openai.com/v1/responses", "GET"
    assert flow.websocket is not None
    flow.websocket.messages = []

    def say(from_client: bool, **message: Any) -> None:
        assert flow.websocket is not None
        number = len(flow.websocket.messages)
        said = WebSocketMessage(Opcode.TEXT, from_client, json.dumps(message).encode(), BEGAN + number)
        flow.websocket.messages.append(said)

    items: list[Any] = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look."}]}]
    for number in range(4):
        goes_on = {"previous_response_id": f"resp_{number - 1}"} if number else {}
        say(True, type="response.create", model="gpt-5", input=items, **goes_on)
        call = {
            "type": "function_call",
            "call_id": f"c{number}",
            "name": "exec_command",
            "arguments": '{"cmd": "cat x"}',
        }
        say(False, type="response.output_item.done", item=call)
        usage = {"input_tokens": 500, "output_tokens": 7}
        say(False, type="response.completed", response={"id": f"resp_{number}", "model": "gpt-5", "usage": usage})
        items = [{"type": "function_call_output", "call_id": f"c{number}", "output": text}]
    with (tmp_path / "x.flow").open("wb") as opened:
        FlowWriter(opened).add(flow)
    sums = play(tmp_path / "x.flow", {}).all
    assert (sums.requests, sums.rewritten, sums.breaks, sums.billed_requests) == (4, 3, 0, 4)
    assert sums.tokens_after < 0.7 * sums.tokens_before


def test_lines_may_be_bodies_alone_of_every_provider(tmp_path: Path) -> None:
    text = "".join(f"line {i} of what is said twice\n" for i in range(200))
    call = {"type": "function", "function": {"name": "run", "arguments": "{}"}}
    chat = [{"role": "user", "content": "Twice."}]
    for number in range(2):
        chat.append({"role": "assistant", "content": None, "tool_calls": [{**call, "id": f"c{number}"}]})  # type: ignore[dict-item]
        chat.append({"role": "tool", "tool_call_id": f"c{number}", "content": text})
    items = [{"role": "user", "content": "Twice, please."}]
    for number in range(2):
        items.append({"type": "function_call", "call_id": f"c{number}", "name": "run", "arguments": "{}"})
        items.append({"type": "function_call_output", "call_id": f"c{number}", "output": text})
    contents: list[Any] = [{"role": "user", "parts": [{"text": "Twice."}]}]
    for _ in range(2):
        contents.append({"role": "model", "parts": [{"functionCall": {"name": "run", "args": {}}}]})
        said = {"functionResponse": {"name": "run", "response": {"output": text}}}
        contents.append({"role": "user", "parts": [said]})
    file = tmp_path / "bodies.jsonl"
    every = [
        {"model": "gpt-4o", "messages": chat},
        {"model": "gpt-5", "input": items},
        {"model": "gemini-2.5-pro", "contents": contents},
        json.loads(bodies(2)[-1]),
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in every))
    found = play(file, {})
    assert found.all.requests == 4 and len(found.sessions) == 4 and found.all.rewritten == 4
    assert found.all.cost_usd < found.all.cost_without_usd


def test_a_prefix_is_read_while_it_lives() -> None:
    (first, second) = (json.loads(body) for body in bodies(2))
    cache = PrefixCache("anthropic")
    wrote = cache.bill(first, BEGAN, 5)
    assert wrote.cache_read_tokens == 0 and wrote.cache_write_tokens > 1024 and wrote.input_tokens == 0
    read = cache.bill(second, BEGAN + 299, 5)
    assert read.cache_read_tokens == wrote.cache_write_tokens
    assert cache.bill(second, BEGAN + 299 + 301, 5).cache_read_tokens == 0
    alone = PrefixCache("openai-chat")
    body = {"messages": [{"role": "user", "content": f"word{i} " * 300} for i in range(6)]}
    assert alone.bill(body, 0.0, 0).cache_read_tokens == 0
    longer = {"messages": [*body["messages"], {"role": "user", "content": "and more"}]}
    again = alone.bill(longer, 60.0, 0)
    assert 0 < again.input_tokens < 20 and again.cache_write_tokens == 0
    assert alone.bill(longer, 5000.0, 0).cache_read_tokens == 0


def test_claude_codes_billing_line_breaks_no_prefix() -> None:
    """anthropics/claude-code #68900: it is another one in every request, and taken out before caching."""
    cache, sizes = PrefixCache("anthropic"), []
    for number, body in enumerate(bodies(2)):
        line = f"x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch={number:05x};"
        system = [{"type": "text", "text": line}, {"type": "text", "text": "You write code. " * 400}]
        sizes.append(cache.bill({**json.loads(body), "system": system}, BEGAN, 5))
    assert sizes[1].cache_read_tokens == sizes[0].cache_write_tokens > 1024


def test_the_command_says_it_for_people_and_programs(place: Place) -> None:
    file = place.home / "mine.har"
    as_har(file, bodies())
    said = place.headroom("replay", str(file)).stdout
    assert said.startswith("6 requests of 1 session, 6 of them rewritten") and "Nothing was sent anywhere" in said
    assert "6 answers say what they were billed" in said and "passed over: 1 answered with 429" in said
    data = json.loads(place.headroom("replay", str(file), "--json").stdout)
    assert data["totals"]["breaks"] == 0 and data["sessions"][0]["session"] == "one"
    assert not (place.workspace / "ledger.db").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.har", "[]", "can't be read as har"),
        ("x.har", '{"log": {"entries": [{}]}}', "can't be read as har"),
        ("x.flow", "no flows", "can't be read as flow"),
        ("x.jsonl", '{"model": "x"}\n', "line 1 has no url, and no messages"),
        ("x.jsonl", "{\n", "line 1 is no JSON"),
        ("x.txt", "", "expected .har, .flow or .jsonl"),
    ],
)
def test_what_is_no_recording_is_said(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValidationError) as told:
        play(tmp_path / name, {})
    assert said in told.value.message
