"""What the API answers."""

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from headroom.api.live import Step
from headroom.api.world import content_token
from headroom.ccr.deferred import UNKNOWN, about
from headroom.ccr.originals import original_of
from headroom.session.standing import BlockReport
from headroom.stores.entries import Entry, Limits
from headroom.stores.opening import open_entries
from headroom.subscription import Reading, Window
from tests.api.conftest import Place
from tests.ledger.rows import exchange


def conversation(rows: int = 200) -> list[dict[str, object]]:
    listed = json.dumps([{"id": i, "name": f"server-{i}", "state": "running"} for i in range(rows)])
    call = {"id": "call_1", "type": "function", "function": {"name": "list_servers", "arguments": "{}"}}
    return [
        {"role": "user", "content": "Which servers run?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": listed},
    ]


def test_messages_come_back_in_fewer_tokens_and_say_the_same(client: TestClient) -> None:
    said = client.post("/v1/compress", json={"messages": conversation(), "model": "gpt-4o"}).json()
    assert said["tokens_saved"] == said["tokens_before"] - said["tokens_after"] > 1000
    assert said["compression_ratio"] == pytest.approx(said["tokens_after"] / said["tokens_before"])
    assert said["messages"][:2] == conversation()[:2]
    assert said["transforms_applied"] == ["json"]
    assert all(f"server-{i}" in said["messages"][2]["content"] for i in range(200))


def test_nothing_saved_is_a_ratio_of_one(client: TestClient) -> None:
    said = client.post("/v1/compress", json={"messages": [{"role": "user", "content": "hi"}], "model": "gpt-4o"}).json()
    assert (said["tokens_saved"], said["compression_ratio"]) == (0, 1.0)
    assert client.post("/v1/compress", json={"messages": []}).json()["compression_ratio"] == 1.0


def test_a_simulation_says_what_it_would_be_worth(client: TestClient) -> None:
    config = {"default_mode": "simulate", "generate_diff_artifact": True}
    body = {"messages": conversation(), "model": "gpt-4o", "config": config}
    said = client.post("/v1/compress", json=body).json()
    assert said["estimated_savings"].startswith("$0.0") and said["estimated_savings"].endswith(" per request")
    assert said["messages_optimized"] == said["messages"] and said["transforms"] == ["json"]
    assert said["block_breakdown"]["tool_results"] > 1000 and said["waste_signals"]["json_bloat_tokens"] > 1000
    assert len(said["stable_prefix_hash"]) == 16 and said["cache_alignment_score"] == 100.0
    assert said["ignored_settings"] == ["generate_diff_artifact"]


def test_an_audit_only_counts(client: TestClient) -> None:
    body = {"messages": conversation(), "config": {"default_mode": "audit"}}
    said = client.post("/v1/compress", json=body).json()
    assert said["messages"] == conversation() and said["tokens_saved"] == 0


def test_the_callers_settings_hold(client: TestClient) -> None:
    body = {"messages": conversation(), "config": {"tool_profiles": {"list_servers": "skip"}}}
    assert client.post("/v1/compress", json=body).json()["tokens_saved"] == 0


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"{", "validation_error", "not JSON"),
        (b"[]", "validation_error", "expected an object"),
        (b"{}", "validation_error", "messages is missing"),
        (b'{"messages": [1]}', "validation_error", "messages[0]"),
        (b'{"messages": [], "model": 3}', "validation_error", "model"),
        (b'{"messages": [], "token_budget": 0}', "validation_error", "token_budget"),
        (b'{"messages": [], "config": {"default_mode": "fast"}}', "configuration_error", "default_mode"),
        (b'{"messages": [], "config": 1}', "validation_error", "config"),
    ],
)
def test_what_is_wrong_with_a_body_is_told(client: TestClient, body: bytes, kind: str, said: str) -> None:
    answer = client.post("/v1/compress", content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, kind) and said in error["message"]


def test_an_original_comes_back_exactly(client: TestClient, place: Place) -> None:
    original = original_of('line "1"\r\n\tline ü\n', "session-1", "Bash", "make")
    place.originals.keep([original])
    said = client.post("/v1/retrieve", json={"hash": original.hash}).json()
    assert said["original_content"] == original.text
    assert (said["tool_name"], said["original_item_count"], said["retrieval_count"]) == ("Bash", 3, 1)
    assert client.get(f"/v1/retrieve/{original.hash}").json()["retrieval_count"] == 2


def test_a_query_gets_what_matches_in_its_order(client: TestClient, place: Place) -> None:
    items = [{"id": i, "state": "failed" if i in (7, 3) else "running"} for i in range(50)]
    original = original_of(json.dumps(items), "session-1", "list")
    place.originals.keep([original])
    said = client.post("/v1/retrieve", json={"hash": original.hash, "query": "failed"}).json()
    assert said["results"] == [items[3], items[7]] and said["count"] == 2
    stats = client.get("/v1/retrieve/stats").json()
    assert stats["store"]["entries"] == 1 and stats["store"]["retrievals"] == 1
    assert stats["recent_retrievals"][0]["retrieval_type"] == "search"
    assert "failed" not in json.dumps(stats)  # what was asked is the user's


def test_a_hash_that_expired_and_one_that_never_was_are_told_apart(client: TestClient, place: Place) -> None:
    unknown = client.post("/v1/retrieve", json={"hash": "0" * 24})
    assert unknown.status_code == 404 and unknown.json()["error"]["type"] == "not_found"

    class Expired:
        def get(self, hash: str) -> None:
            return None

        def state(self, hash: str) -> str:
            return "expired"

        def close(self) -> None: ...

    place.originals.close()
    place.originals = Expired()  # type: ignore[assignment]
    expired = client.post("/v1/retrieve", json={"hash": "0" * 24})
    assert expired.status_code == 410 and expired.json()["error"]["type"] == "expired"


@pytest.mark.parametrize("body", [{}, {"hash": 3}, {"hash": "xyz"}, {"hash": "0" * 24, "query": 1}])
def test_what_is_no_hash_is_told(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/v1/retrieve", json=body)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "validation_error"


def test_a_models_call_is_answered_in_its_providers_shape(client: TestClient, place: Place) -> None:
    original = original_of("all of it", "session-1", "Bash")
    place.originals.keep([original])
    function = {"name": "headroom_retrieve", "arguments": json.dumps({"hash": original.hash})}
    openai = client.post("/v1/retrieve/tool_call", json={"tool_call": {"id": "c1", "function": function}}).json()
    assert openai["tool_result"] == {"role": "tool", "tool_call_id": "c1", "content": "all of it"}
    use = {"type": "tool_use", "id": "t1", "name": "mcp__headroom__headroom_retrieve", "input": {"hash": "1" * 24}}
    anthropic = client.post("/v1/retrieve/tool_call", json={"tool_call": use, "provider": "anthropic"}).json()
    assert not anthropic["success"] and anthropic["tool_result"]["is_error"] is True
    assert anthropic["tool_result"]["content"] == UNKNOWN.format("1" * 24)
    other = {"id": "c1", "function": {"name": "rm", "arguments": "{}"}}
    assert client.post("/v1/retrieve/tool_call", json={"tool_call": other}).status_code == 400


def test_a_query_finds_the_same_for_a_program_and_for_a_model(client: TestClient, place: Place) -> None:
    items = [{"id": 100 + i, "state": "failed" if i in (7, 31) else "running"} for i in range(60)]
    original = original_of(json.dumps(items), "session-1", "list")
    place.originals.keep([original])
    asked = {"hash": original.hash, "query": "which jobs failed?"}
    found = client.post("/v1/retrieve", json=asked).json()["results"]
    use = {"type": "tool_use", "id": "t1", "name": "headroom_retrieve", "input": asked}
    told = client.post("/v1/retrieve/tool_call", json={"tool_call": use, "provider": "anthropic"}).json()
    assert told["data"]["results"] == found == [items[7], items[31]]
    text = told["tool_result"]["content"]
    assert text == about(original.text, "which jobs failed?")
    assert [json.loads(line) for line in text.split("\n") if line.startswith("{")] == found


def test_the_figures_are_the_ledgers(client: TestClient, place: Place) -> None:
    for model, outcome in (("claude-sonnet-4-5", "rewritten"), ("gpt-4o", "error")):
        place.ledger.record(exchange(model=model, outcome=outcome, reason="engine: KeyError"))
    stats = client.get("/stats").json()
    assert stats["requests"]["by_model"] == {"claude-sonnet-4-5": 1, "gpt-4o": 1}
    assert (stats["requests"]["total"], stats["requests"]["failed"]) == (2, 1)
    assert stats["tokens"]["saved"] == 300 and stats["tokens"]["total_before_compression"] == 2000
    assert stats["cost"]["saved_usd"] == pytest.approx(0.002)
    assert stats["budget"]["limit_usd"] == 10.0 and stats["budget"]["spent_usd"] == pytest.approx(0.04)
    assert [one["outcome"] for one in stats["recent_requests"]] == ["error", "rewritten"]
    assert [one["outcome"] for one in client.get("/troubles").json()["requests"]] == ["error"]
    summary = client.get("/stats/summary?since=today").json()
    assert summary["totals"]["requests"] == 2 and summary["by"]["client"][0]["name"] == "claude-code"
    for series in ("hourly", "daily", "weekly", "monthly"):
        points = client.get(f"/stats-history?series={series}").json()[series]
        assert sum(point["requests"] for point in points) == 2
    csv = client.get("/stats-history?format=csv").text.splitlines()
    assert csv[0].startswith("timestamp,requests,") and csv[1].split(",")[1] == "2"


def test_metrics_are_in_prometheus_format(client: TestClient, place: Place) -> None:
    place.ledger.record(exchange(model='a "quoted" \\ model\n'))
    place.ledger.record(exchange())
    place.live.add(exchange(rewrite_ms=3.0))
    place.subscriptions.record(Reading("anthropic", (Window("5 hours", 0.4, time.time() + 9000, 300),)))
    families = metrics(client)
    models = {"claude-sonnet-4-5": 300.0, "a ?quoted? ? model?": 300.0}
    assert {s.labels["model"]: s.value for s in families["headroom_saved_tokens"].samples} == models
    assert {s.labels["strategy"]: s.value for s in families["headroom_strategy_saved_tokens"].samples} == {
        "line-numbers": 100.0,
        "repeats": 500.0,
    }
    assert sample(families, "headroom_rewrite_seconds_count") == 1.0
    assert sample(metrics(client), "headroom_rewrite_seconds_count") == 1.0  # none is counted twice
    assert sample(families, "headroom_budget_usd") == 10.0
    [used] = families["headroom_plan_used_ratio"].samples
    assert (used.labels, used.value) == ({"provider": "anthropic", "window": "5 hours"}, 0.4)
    kinds = {s.labels["kind"]: s.value for s in families["headroom_billed_tokens"].samples}
    assert (kinds["cache_read"], kinds["output"]) == (40_000.0, 300.0)
    assert all(
        family.documentation and family.type in ("counter", "gauge", "histogram") for family in families.values()
    )


def metrics(client: TestClient) -> dict[str, Metric]:
    """/metrics as Prometheus' own parser reads it."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def sample(families: dict[str, Metric], name: str) -> float:
    [value] = [s.value for family in families.values() for s in family.samples if s.name == name]
    return float(value)


def test_the_semantic_cache_can_be_cleared(client: TestClient, place: Place) -> None:
    assert client.post("/cache/clear").json() == {"status": "cleared", "entries": 0}
    path = place.running.workspace / "semantic_cache.db"
    entries = open_entries("", path, Limits())
    entries.put([Entry("1" * 24, "", "place", "", time.time(), 3, b"abc")])
    assert client.post("/cache/clear").json() == {"status": "cleared", "entries": 1}
    assert entries.get("1" * 24) is None
    entries.close()


def test_events_come_as_exchanges_end_and_go_on_after_the_last(client: TestClient, place: Place) -> None:
    place.live.add(exchange(project="one"))
    place.live.add(exchange(project="two"))
    first = client.get("/events?after=1")
    assert first.headers["content-type"].startswith("text/event-stream")
    assert "id: 2\nevent: exchange\ndata: {" in first.text and '"project": "two"' in first.text
    assert '"project": "one"' not in first.text
    began = time.monotonic()
    place.live.add(exchange(project="three"))
    again = client.get("/events", headers={"last-event-id": "2"})
    assert '"project": "three"' in again.text and time.monotonic() - began < 5


def test_texts_of_requests_are_shown_only_to_whoever_shows_the_token(client: TestClient, place: Place) -> None:
    step = Step(1, "Bash", "cat secrets", 100, 40, {"repeats": 60}, "", "the secret text", "shorter")
    row = exchange(session="s1")
    place.live.add(row, [step])
    place.ledger.record(row)
    hidden = client.get("/sessions/s1")
    assert "secret" not in hidden.text and hidden.json()["texts"] is False
    assert hidden.json()["exchanges"][0]["blocks"][0]["saved"] == {"repeats": 60}
    assert client.post("/dashboard/login", json={"key": "wrong"}).status_code == 401
    assert "secret" not in client.get("/sessions/s1").text
    login = client.post("/dashboard/login", json={"key": content_token(place.running.workspace)})
    assert login.status_code == 200
    cookie = login.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    shown = client.get("/sessions/s1").json()
    assert shown["exchanges"][0]["blocks"][0]["text_before"] == "the secret text"


def test_an_unknown_path_and_a_wrong_method_are_errors_of_the_same_shape(client: TestClient) -> None:
    assert client.get("/nothing").json()["error"]["type"] == "not_found"
    assert client.get("/v1/compress").status_code == 405
    assert set(client.get("/v1/compress").json()["error"]) == {"type", "message"}


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=-1", "limit=%D9%A3"])
def test_a_wrong_number_is_told(client: TestClient, query: str) -> None:
    assert client.get(f"/sessions?{query}").status_code == 400


def test_the_page_lets_nothing_in_from_elsewhere(client: TestClient) -> None:
    page = client.get("/dashboard")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert "require-trusted-types-for 'script'" in policy and page.headers["x-frame-options"] == "DENY"
    assert client.get("/dashboard/static/..%2f..%2fworld.py").status_code == 404
    for name in ("app.js", "style.css", "icon.svg"):
        assert client.get(f"/dashboard/static/{name}").status_code == 200


def test_a_session_is_told_after_the_proxy_was_started_anew_without_its_texts(client: TestClient, place: Place) -> None:
    row = exchange(session="s2")
    place.ledger.record(row)
    block = BlockReport((10, 90), 1, "Bash", "cat secrets", 100, 40, {"repeats": 60}, "", True, "shorter", 40, "")
    place.blocks.add("s2", row.id, row.time, [block])
    told = client.get("/sessions/s2").json()["exchanges"]
    assert [one["request_id"] for one in told] == [row.id]
    assert told[0]["blocks"] == [
        {"turn": 1, "tool": "Bash", "before": 100, "after": 40, "saved": {"repeats": 60}, "reason": "", "hash": ""}
    ]


def test_what_was_given_back_is_told_with_whole_hashes_only_to_whoever_shows_the_key(
    client: TestClient, place: Place
) -> None:
    original = original_of("all of it", "s1", "Bash")
    place.originals.keep([original])
    client.post("/v1/retrieve", json={"hash": original.hash})
    step = Step(3, "headroom_retrieve", "", 10, 90, {"retrieved": -80}, "", hash="1" * 24)
    row = exchange(session="s2")
    place.ledger.record(row)
    place.live.add(row, [step])
    shown = {"x-headroom-api-key": content_token(place.running.workspace)}
    for headers, hashes in (({}, [f"{original.hash[:6]}…", "111111…"]), (shown, [original.hash, "1" * 24])):
        told = client.get("/retrievals", headers=headers).json()
        assert told["whole"] is bool(headers)
        assert {(one["how"], one["hash"], one["session"]) for one in told["retrievals"]} == {
            ("http", hashes[0], "s1"),
            ("model", hashes[1], "s2"),
        }
        [asked] = client.get("/v1/retrieve/stats", headers=headers).json()["recent_retrievals"]
        assert asked["hash"] == hashes[0]
        [one] = client.get("/sessions/s2", headers=headers).json()["exchanges"]
        assert one["blocks"][0]["hash"] == hashes[1]


def test_the_windows_of_plans_are_told(client: TestClient, place: Place) -> None:
    assert client.get("/subscription").json() == {"plans": []}
    place.subscriptions.record(Reading("anthropic", (Window("5 hours", 0.4, time.time() + 9000, 300),)))
    [plan] = client.get("/subscription").json()["plans"]
    assert plan["name"] == "Claude plan" and plan["windows"][0]["used"] == 0.4


@pytest.mark.parametrize("config", [0, 0.0, False, "", []])
def test_a_config_that_is_no_object_is_refused_also_where_it_is_empty(client: TestClient, config: object) -> None:
    assert client.post("/v1/compress", json={"messages": [], "config": config}).status_code == 400


@pytest.mark.parametrize("said", ["half an emoji: \\ud83d", "tab\\u0000"])
def test_texts_that_are_no_unicode_come_back_as_they_were(client: TestClient, said: str) -> None:
    body = f'{{"messages": [{{"role": "user", "content": "{said}", "n": 123456789012345678901234567890}}]}}'
    answer = client.post("/v1/compress", content=body.encode())
    assert answer.status_code == 200
    assert said in answer.text and "123456789012345678901234567890" in answer.text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "-1e400", "[" * 100_000])
def test_what_is_no_json_is_refused(client: TestClient, number: str) -> None:
    assert client.post("/v1/compress", content=f'{{"messages": [], "n": {number}}}'.encode()).status_code == 400


def test_an_original_that_only_looks_like_json_is_searched_by_lines(client: TestClient, place: Place) -> None:
    original = original_of("[1e400, NaN,\n 3]", "s1")
    place.originals.keep([original])
    answer = client.post("/v1/retrieve", json={"hash": original.hash, "query": "nan"})
    assert answer.json()["results"] == ["[1e400, NaN,"]


def test_the_token_is_one_for_all_who_ask_at_once_and_its_owners_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(content_token, [tmp_path / "workspace"] * 32))
    assert len(tokens) == 1 and len(tokens.pop()) == 32
    [file] = (tmp_path / "workspace").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
