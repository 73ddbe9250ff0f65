"""What was left out and asked for again is counted, and counts from the next start on."""

import json
from pathlib import Path
from typing import Any

import pytest

from headroom.ccr.learning import Learner, Who, asked, family, who
from headroom.ccr.originals import hash_of
from headroom.ccr.ways import CcrSettings
from headroom.engine import Engine, RawRequest
from headroom.session.memory import Memory, RamMemory
from headroom.telemetry import Toin, ToolSignature
from tests.support.originals import RamOriginals

type Json = dict[str, Any]
RETRIEVE = "mcp__headroom__headroom_retrieve"
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("catalogue", RETRIEVE)]
HEADERS = {"x-api-key": "sk-ant-api03-test"}
ME = Who("api-key", "claude-sonnet")


def items(start: int) -> str:
    """A page of the catalogue: another one for each ``start``, of one structure."""
    return json.dumps(
        [{"id": start + i, "name": f"item number {start + i}", "price": i * 3, "stock": "yes"} for i in range(200)]
    )


STRUCTURE = ToolSignature.of(items(0))


class Proxy:
    """An engine that learns, from its start to its end; ``path`` is TOIN's file."""

    def __init__(self, path: Path, memory: Memory, originals: RamOriginals) -> None:
        self.toin = Toin(path)

        def find(hash: str) -> tuple[str, str] | None:
            kept = originals.get(hash)
            return (kept.tool, kept.text) if kept else None

        self.learner = Learner(self.toin, find)
        settings = CcrSettings(level="balanced")
        self.engine = Engine(memory, originals=originals, ccr=settings, learner=self.learner)

    def send(self, messages: list[Json]) -> list[str]:
        """What the provider gets as the results of tools."""
        body = json.dumps({"model": "claude-sonnet-4-5-20250929", "tools": TOOLS, "messages": messages}).encode()
        raw = RawRequest("anthropic", "anthropic", "/v1/messages", HEADERS, body, tool_profiles={"catalogue": "normal"})
        sent = json.loads(self.engine.rewrite(raw).body)["messages"]
        return [block["content"] for message in sent for block in message["content"] if block["type"] == "tool_result"]

    def counted(self) -> dict[str, Any]:
        """TOIN's pattern of the catalogue, once all is counted."""
        self.learner.close()
        patterns = self.toin.export_patterns()["patterns"]
        found: dict[str, Any] = patterns.get(f"{ME.auth}|{ME.family}|{STRUCTURE.structure_hash}", {})
        return found


def session(start: int, ask: bool = False, query: str = "") -> list[Json]:
    """The catalogue is looked at, and where it is asked for, what was left out."""
    said: list[Json] = [{"role": "user", "content": [{"type": "text", "text": f"Which of {start} cost most?"}]}]
    calls: list[tuple[str, Json, str]] = [("catalogue", {}, items(start))]
    if ask:
        arguments = {"hash": hash_of(items(start)), **({"query": query} if query else {})}
        calls.append((RETRIEVE, arguments, items(start)))
    for number, (name, arguments, text) in enumerate(calls):
        id = f"toolu_{start}_{number}"
        said += [
            {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": arguments}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": text}]},
        ]
    return said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toin.json"


def test_what_was_left_out_and_what_was_asked_for_is_counted_once(path: Path) -> None:
    proxy = Proxy(path, RamMemory(), RamOriginals())
    proxy.send(session(0))
    asking = session(0, ask=True, query="price of 77")
    proxy.send(asking)
    proxy.send([*asking, {"role": "user", "content": [{"type": "text", "text": "Thanks."}]}])
    found = proxy.counted()
    assert (found["compressions"], found["items_before"]) == (1, 200)
    assert 0 < found["items_after"] < 100 and found["tokens_after"] < found["tokens_before"]
    assert (found["retrievals"], found["full_retrievals"]) == (1, 0)
    assert sorted(figures[3] for figures in found["fields"].values()) == [0, 0, 0, 1]  # the price was asked for
    assert "item number" not in path.read_text() and "price" not in path.read_text()


def test_what_is_asked_for_most_of_the_time_is_left_whole_from_the_next_start_on(path: Path) -> None:
    memory, originals = RamMemory(), RamOriginals()
    proxy = Proxy(path, memory, originals)
    for number in range(12):
        proxy.send(session(1000 * number))
        proxy.send(session(1000 * number, ask=True))
    (late,) = proxy.send(session(50_000))
    assert "Retrieve more" in late  # while it runs the same is done with all of them
    assert proxy.counted()["retrievals"] == 12
    (before,) = Proxy(path.with_name("empty.json"), RamMemory(), RamOriginals()).send(session(60_000))
    assert "Retrieve more" in before

    again = Proxy(path, memory, originals)
    (whole,) = again.send(session(60_000))
    assert "Retrieve more" not in whole and "\n60123§" in whole
    (same,) = again.send([*session(50_000), {"role": "user", "content": [{"type": "text", "text": "Go on."}]}])
    assert same == late  # what was sent stays
    again.learner.close()


def test_what_is_asked_for_now_and_then_keeps_more(path: Path) -> None:
    toin = Toin(path)
    for number in range(12):
        toin.record_compression(STRUCTURE, 200, 15, 4000, 400, "json", auth_mode=ME.auth, model_family=ME.family)
        if number < 4:
            toin.record_retrieval(STRUCTURE, auth_mode=ME.auth, model_family=ME.family)
    toin.close()
    (few,) = Proxy(path.with_name("empty.json"), RamMemory(), RamOriginals()).send(session(0))
    (more,) = Proxy(path, RamMemory(), RamOriginals()).send(session(0))
    assert "Retrieve more" in more
    assert more.count("item number") >= few.count("item number") + 5


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        (RETRIEVE, {"hash": "hash=" + "0a" * 12}, ("0a" * 12, "")),
        ("headroom_retrieve", {"hash": "0a" * 12, "query": "refused"}, ("0a" * 12, "refused")),
        ("Bash", {"command": f"cd /src && headroom retrieve {'0a' * 12} | head"}, ("0a" * 12, "")),
        ("shell", {"command": ["bash", "-lc", f"headroom retrieve {'0a' * 12}"]}, ("0a" * 12, "")),
        ("exec", {"input": f"text(await tools.{RETRIEVE}({{hash: '{'0a' * 12}'}}));"}, ("0a" * 12, "")),
        ("Bash", {"command": f"git show {'0a' * 12}"}, None),
        ("Read", {"file_path": "headroom retrieve.txt"}, None),
        (RETRIEVE, {}, None),
    ],
)
def test_a_call_that_asks_by_the_clients_own_means_is_understood(
    tool: str, arguments: Json, expected: tuple[str, str] | None
) -> None:
    assert asked(tool, arguments) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet"),
        ("anthropic/claude-3-opus-latest", "claude-opus"),
        ("gpt-4o-mini", "gpt-mini"),
        ("gemini-2.5-pro", "gemini-pro"),
        ("o3", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_family_is_a_name_without_its_version(model: str, expected: str) -> None:
    assert family(model) == expected


def test_a_subscription_is_told_from_a_key() -> None:
    assert who(HEADERS, "").auth == "api-key"
    assert who({"authorization": "Bearer sk-proj-1"}, "").auth == "api-key"
    assert who({"authorization": "Bearer sk-ant-oat01-1"}, "").auth == "subscription"
    assert who({}, "").auth == "unknown"
