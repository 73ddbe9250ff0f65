"""What others see of a running proxy: spans, the windows of plans, metrics."""

import json
import time
from pathlib import Path

import httpx
import pytest
from mitmproxy import http
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from prometheus_client.parser import text_string_to_metric_families
from wsproto.frame_protocol import Opcode

from addon.plans import usage_tap
from addon.rows import Exchange
from addon.websocket import Socket, Sockets
from headroom.subscription import Reading, Window
from headroom.wire.targets import Target
from headroom.wire.usage import UsageReader
from tests.support.answers import Answer
from tests.support.coding import Coding
from tests.support.collector import collecting
from tests.support.stage import Stage, stage

RESET = int(time.time()) + 9000
PLAN = {
    "anthropic-ratelimit-unified-5h-utilization": "0.42",
    "anthropic-ratelimit-unified-5h-reset": str(RESET),
    "anthropic-organization-id": "11111111-2222-3333-4444-555555555555",
}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def ask(on: Stage, path: str) -> httpx.Response:
    return httpx.get(f"{on.proxy.url}{path}", trust_env=False, timeout=30)


def test_spans_plans_and_metrics_of_a_session(tmp_path: Path) -> None:
    with collecting() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "NO_PROXY": "127.0.0.1"}
        with stage(tmp_path, options=["headroom_otel=true"], environment=environment) as on:
            on.provider.script = lambda shape, body: Answer("Done.", headers=PLAN)
            coding = Coding()
            on.rows(on.send(coding.read(), {"traceparent": f"00-{TRACE}-{PARENT}-01"}).project, seconds=30)
            on.rows(on.send(coding.read()).project, seconds=30)
            [plan] = ask(on, "/subscription").json()["plans"]
            assert (plan["name"], plan["windows"][0]["used"], plan["windows"][0]["resets_at"]) == (
                "Claude plan",
                0.42,
                RESET,
            )
            kept = (on.workspace / "subscription_state.json").read_text()
            assert "11111111" not in kept and json.loads(kept)["schema_version"] == 1
            families = {family.name: family for family in text_string_to_metric_families(ask(on, "/metrics").text)}
            [requests] = families["headroom_requests"].samples
            assert (requests.labels, requests.value) == ({"model": "claude-sonnet-4-5"}, 2.0)
            assert families["headroom_saved_tokens"].samples[0].value > 0
            assert families["headroom_rewrite_seconds"].type == "histogram"
    first, second = collector.spans
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert second.parent_span_id == b"" and second.name == "chat claude-sonnet-4-5"
    told = {each.key: each.value for each in second.attributes}
    assert told["headroom.tokens_saved"].int_value > 0
    assert told["gen_ai.usage.input_tokens"].int_value > 0
    assert told["gen_ai.conversation.id"].string_value == coding.session


def test_codex_tells_its_plan_in_an_event() -> None:
    target = Target("openai", "openai-responses", "responses")
    exchange = Exchange(target, "optimize", reader=UsageReader("openai-responses"))
    sockets = Sockets(*[lambda *_: None] * 4)  # type: ignore[arg-type]
    flow = tflow.twebsocketflow()
    sockets.start(flow, Socket(target, {}, "optimize", None, exchange))
    primary = {"used_percent": 40.0, "window_minutes": 300, "reset_at": RESET}
    event = {"type": "codex.rate_limits", "rate_limits": {"primary": primary}}
    assert flow.websocket is not None
    message = WebSocketMessage(Opcode.TEXT, False, json.dumps(event).encode())
    flow.websocket.messages.append(message)
    sockets._event(flow, sockets._open[flow.id], message)
    assert exchange.plan == Reading("openai", (Window("5 hours", 0.4, RESET, 300),))


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_answer_to_a_clients_own_question_is_read_as_it_passes(encoding: str) -> None:
    usage = {"five_hour": {"utilization": 6.0, "resets_at": "2026-09-21T14:13:20+00:00"}}
    flow = tflow.tflow(req=http.Request.make("GET", "https://api.anthropic.com/api/oauth/usage"))
    flow.response = http.Response.make(200, b"", {"content-encoding": encoding})
    flow.response.content = json.dumps(usage).encode()
    found: list[Reading] = []
    tap = usage_tap(flow, found.append)
    raw = flow.response.raw_content
    assert tap is not None and raw is not None
    passed = tap(raw[:20]) + tap(raw[20:]) + tap(b"")
    assert passed == raw
    assert found == [Reading("anthropic", (Window("5 hours", 0.06, 1_790_000_000, 300),))]


def test_other_answers_are_not_read() -> None:
    flow = tflow.tflow(req=http.Request.make("GET", "https://api.anthropic.com/api/oauth/profile"))
    flow.response = http.Response.make(200, b"{}")
    assert usage_tap(flow, print) is None
