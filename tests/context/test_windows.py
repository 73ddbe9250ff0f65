"""Dropping in a live session: rarely, much at once, and then the same every time."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from headroom.cache import CacheSettings
from headroom.ccr.originals import hash_of
from headroom.config import IntelligentContextConfig, RollingWindowConfig
from headroom.context.choosing import choose
from headroom.context.managers import IntelligentContextManager, RollingWindow
from headroom.context.units import Unit
from headroom.context.windows import Windows
from headroom.engine import Engine, Mode, RawRequest, Rewrite
from headroom.session.memory import Memory, RamMemory, SqliteMemory
from headroom.wire.usage import Usage
from tests.context.conversations import LIST, chat, task, text
from tests.context.test_managers import MODELS, SHAPES, is_legal, outputs, size
from tests.support.originals import RamOriginals

LIMIT = 6000
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "mcp__headroom__headroom_retrieve")]


def engine(memory: Memory | None = None, originals: RamOriginals | None = None, limit: int = LIMIT) -> Engine:
    kept = originals or RamOriginals()
    manager = IntelligentContextManager(IntelligentContextConfig(output_buffer_tokens=0))
    return Engine(memory or RamMemory(), CacheSettings(False), originals=kept, windows=Windows(manager, kept, limit))


def send(to: Engine, messages: list[Any], shape: str = "anthropic", mode: Mode = "optimize", **more: Any) -> Rewrite:
    fields = {"model": MODELS[shape], "tools": TOOLS, **more.pop("fields", {})}
    body = json.dumps({**fields, LIST[shape]: messages}).encode()
    return to.rewrite(RawRequest(shape, shape, "/", {"x-headroom-session-id": "s1"}, body, **more), mode)


def left(rewrite: Rewrite, shape: str = "anthropic") -> list[Any]:
    found: list[Any] = json.loads(rewrite.body)[LIST[shape]]
    return found


def run(to: Engine, messages: list[Any], shape: str = "anthropic", first: int = 3) -> tuple[list[int], list[Any]]:
    """Send the conversation as it grows; at which lengths what had been sent before changed, and what was sent last."""
    breaks: list[int] = []
    before: list[Any] = []
    for end in range(first, len(messages) + 1):
        if end < len(messages) and (messages[end].get("role") in ("user", "tool") or "output" in messages[end]):
            continue
        now = left(send(to, messages[:end], shape), shape)
        assert size(shape, now) <= LIMIT
        if now[: len(before)] != before:
            breaks.append(end)
        before = now
    return breaks, before


@pytest.mark.parametrize("shape", SHAPES)
def test_no_request_is_over_the_limit_and_the_prefix_breaks_rarely(shape: str) -> None:
    messages = task(80) if shape == "anthropic" else chat(shape, 60)
    breaks, last = run(engine(), messages, shape)
    is_legal(shape, last)
    grown = size(shape, messages)
    assert grown > 2 * LIMIT
    assert 1 <= len(breaks) <= (grown - LIMIT) / (0.3 * LIMIT) + 1


def test_what_is_dropped_is_kept_and_the_marker_names_it() -> None:
    originals, messages = RamOriginals(), task(80)
    sent = send(engine(originals=originals), messages)
    now = left(sent)
    (marker,) = [m for m in now if m not in messages]
    gone = [m for m in messages if m not in now]
    text = json.dumps(gone[0])[:30]
    kept = next(iter(originals.kept.values()))
    assert kept.text.startswith(f"[{text}") and json.loads(kept.text) == gone
    assert (kept.session, kept.tool) == ("s1", "conversation")
    assert marker == {
        "role": "user",
        "content": f"[Earlier context compressed: {len(gone)} message(s) dropped by importance scoring.\nFull content "
        f"available via mcp__headroom__headroom_retrieve tool with reference '{hash_of(kept.text)}'.]",
    }
    assert sent.reason == f"{len(gone)} earlier messages dropped"
    assert originals.touched == ["s1"]


def test_without_a_tool_to_ask_with_nothing_is_promised() -> None:
    sent = send(engine(), task(80), fields={"tools": TOOLS[:1]})
    assert b"message(s) dropped by importance scoring.]" in sent.body


def test_after_a_restart_the_same_bytes_leave(tmp_path: Path) -> None:
    messages, originals = task(60), RamOriginals()
    memory = SqliteMemory(tmp_path / "state.db")
    breaks, _ = run(engine(memory, originals), messages[:81])
    memory.close()
    assert breaks
    memory = SqliteMemory(tmp_path / "state.db")
    first = send(engine(memory, originals), messages[:83]).body
    memory.close()
    memory = SqliteMemory(tmp_path / "state.db")
    again = engine(memory, originals)
    assert send(again, messages[:83]).body == first
    held = again.hold(raw(messages[:83]))
    assert held.body == first
    memory.close()


def raw(messages: list[Any]) -> RawRequest:
    body = json.dumps({"model": MODELS["anthropic"], "tools": TOOLS, "messages": messages}).encode()
    return RawRequest("anthropic", "anthropic", "/", {"x-headroom-session-id": "s1"}, body)


def test_a_conversation_that_is_taken_up_at_an_earlier_point_gets_what_held_there() -> None:
    messages, to = task(80), engine()
    early = send(to, messages[:61])
    later = [send(to, messages[:end]) for end in range(63, 162, 2)]
    assert early.gone is not None and later[-1].gone is not None
    assert len(early.gone.messages) < len(later[-1].gone.messages)
    assert send(to, messages[:61]).body == early.body
    result = {"type": "tool_result", "tool_use_id": "toolu_30", "content": "else"}
    fork = [*messages[:62], {"role": "user", "content": [result]}]
    assert left(send(to, fork))[: len(left(early))] == left(early)


def test_a_history_that_the_client_rewrote_is_decided_anew() -> None:
    messages, to = task(80), engine()
    send(to, messages)
    messages[2]["content"][0]["content"] = "rewritten"
    now = left(send(to, messages))
    assert size("anthropic", now) <= LIMIT
    assert now[-6:] == messages[-6:]


def test_a_breakpoint_that_moves_on_changes_nothing() -> None:
    messages, to = task(60), engine()
    before = left(send(to, messages[:-2]))
    for message in messages[:9:4]:
        message["content"][-1]["cache_control"] = {"type": "ephemeral"}
    after = left(send(to, messages))
    assert [m for m in before if "dropped" in json.dumps(m)] == [m for m in after if "dropped" in json.dumps(m)]


def test_references_to_what_went_are_made_again() -> None:
    messages = task(60)
    listing = "\n".join(f"{hash_of(str(n))} is file {n}" for n in range(120))
    for number in (2, 110):
        messages[number]["content"][0]["content"] = listing
    kept = RamOriginals()
    messages[-1]["content"][0]["content"] = text(59, 600)
    limit = int(1.3 * send(engine(limit=10**6), messages[:111]).tokens_after)
    windows = Windows(RollingWindow(RollingWindowConfig(output_buffer_tokens=0)), kept, limit)
    to = Engine(RamMemory(), CacheSettings(False), originals=kept, windows=windows)
    early = send(to, messages[:111])
    assert not early.reason and hash_of("20") not in json.dumps(left(early)[110])
    late = left(send(to, messages))
    (last,) = [message for message in late if "toolu_54" in json.dumps(message) and message["role"] == "user"]
    assert messages[2] not in late and all(hash_of(str(n)) in json.dumps(last) for n in range(120))


def test_a_request_to_count_tokens_is_counted_as_it_would_be_sent() -> None:
    to, messages = engine(), task(80)
    assert send(to, messages, counts=True).gone is not None
    assert len(left(send(to, messages, counts=True))) == len(messages)
    sent = send(to, messages)
    assert send(to, messages, counts=True).body == sent.body


@pytest.mark.parametrize("mode", ["audit", "off"])
def test_other_modes_drop_nothing(mode: Mode) -> None:
    assert len(left(send(engine(), task(80), mode=mode))) == 161


def test_where_the_provider_has_the_history_nothing_is_dropped() -> None:
    assert len(left(send(engine(), task(80), whole=True))) == 161
    messages = chat("openai-responses", 60)
    sent = send(engine(), messages, "openai-responses", fields={"previous_response_id": "resp_1"})
    assert len(left(sent, "openai-responses")) == len(messages)


def test_the_sender_says_what_fits_and_what_stays_free() -> None:
    to, messages = engine(limit=0), task(40)
    assert len(left(send(to, messages))) == 81  # claude-sonnet-4-5 takes more
    assert size("anthropic", left(send(engine(limit=0), messages, context_limit=5000))) <= 5000
    assert size("anthropic", left(send(engine(limit=0), messages, context_limit=8000, output_buffer=4000))) <= 4000


def test_bills_teach_how_the_provider_counts() -> None:
    messages = task(40)
    to = engine(limit=size("anthropic", messages) + 2000)
    sent = send(to, messages[:61])
    assert sent.gone is not None and not sent.gone.messages
    to.settle(sent, Usage(input_tokens=2 * size("anthropic", messages[:61])))
    assert "dropped" in send(to, messages[:63]).reason


def test_a_session_that_is_left_alone_keeps_all_its_messages() -> None:
    to, messages = engine(), task(80)
    send(to, messages)
    to.leave_alone("s1", "refused")
    sent = send(to, messages)
    assert sent.body == raw(messages).body and sent.reason == "refused"


def test_what_the_marker_promises_is_kept_again_when_the_store_was_lost(tmp_path: Path) -> None:
    memory, messages = RamMemory(), task(80)
    send(engine(memory), messages)
    lost = RamOriginals()
    sent = send(engine(memory, lost), messages)
    (hash,) = lost.kept
    assert hash.encode() in sent.body


def test_a_window_that_fails_costs_no_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    to, messages = engine(), task(80)
    content = "of " + "content"

    def fails(*_: object) -> None:
        raise RuntimeError(content)

    assert to.windows is not None
    monkeypatch.setattr(to.windows.manager, "choose", fails)
    assert len(left(send(to, messages))) == 161
    monkeypatch.setattr(to.windows, "held", fails)
    assert len(left(send(to, messages))) == 161
    assert "no messages are dropped" in caplog.text and content not in caplog.text


def test_where_nothing_more_may_go_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    to = engine(limit=300)
    messages = task(2, 400)
    with caplog.at_level(logging.WARNING):
        assert len(left(send(to, messages))) == len(left(send(to, messages))) == 5
    assert caplog.text.count("nothing more may go") == 1


def test_the_rolling_window_drops_the_oldest() -> None:
    kept = RamOriginals()
    windows = Windows(RollingWindow(RollingWindowConfig(output_buffer_tokens=0)), kept, LIMIT)
    to = Engine(RamMemory(), CacheSettings(False), originals=kept, windows=windows)
    now = left(send(to, task(80)))
    assert outputs(now) == list(range(80 - len(outputs(now)), 80))
    assert "dropped by rolling window" in json.dumps(now)


def test_a_step_leaves_no_more_than_three_fifths_of_the_budget_but_for_the_last_three_units() -> None:
    """Tools and system prompt are 40 % of it, what the last quarter of the budget holds 24 %: units of that go too."""
    some = [Unit((0,), "user", 0), *(Unit((2 * n + 1, 2 * n + 2), "tools", 0) for n in range(20))]
    sizes = [10, *(n for _ in range(20) for n in (5, 25))]
    choice = choose(some, sizes, [float(n) for n in range(21)], 1000, 500, 2, fixed=400)
    assert 570 < choice.tokens <= 600 and choice.messages == tuple(range(1, 29))
    huge = choose(some[:4], [10, 5, 200, 5, 200, 5, 200], [0.0, 1.0, 2.0, 3.0], 1000, 500, 2, fixed=400)
    assert huge.messages == () and huge.tokens == 1025
