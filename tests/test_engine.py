"""First sight and sticky: a block is decided when it first appears, and is the same bytes ever after."""

import copy
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from headroom.engine import Abandoned, Engine, RawRequest, Rewrite
from headroom.session.conversation import Conversation
from headroom.session.memory import RamMemory, SqliteMemory
from headroom.tokenizers import Encoding, count
from headroom.wire.layout import Layout
from headroom.wire.usage import Usage

type Json = dict[str, Any]

FILE = "\n".join(f"{i}\tdef handler_{i}(request): return respond({i}, request.user, 'ok')" for i in range(1, 81))
OTHER = "\n".join(f"{i}\tclass Model_{i}(Base): table = 'model_{i}'; fields = ['id', 'name']" for i in range(1, 81))


def user(*blocks: object) -> Json:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def call(number: int, path: str = "/app/a.py", tool: str = "Read") -> Json:
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": {"file_path": path}}],
    }


def result(number: int, content: object, **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content, **more}


def read_twice() -> list[Json]:
    """A session that reads a file, then reads it again."""
    return [
        user(text("Fix the bug in handler_7.")),
        call(1),
        user(result(1, FILE)),
        call(2),
        user(result(2, FILE)),
        call(3, "/app/b.py"),
        user(result(3, OTHER)),
    ]


def body(messages: list[Json], **more: Any) -> bytes:
    messages = copy.deepcopy(messages)
    if isinstance(messages[-1]["content"], list):
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}  # as Claude Code marks its newest block
    return json.dumps({"model": "claude-sonnet-4-5", "system": "You code.", **more, "messages": messages}).encode()


def send(engine: Engine, messages: list[Json], session: str = "s1", **more: Any) -> Rewrite:
    headers = {"x-claude-code-session-id": session}
    return engine.rewrite(RawRequest("anthropic", "anthropic", "/v1/messages", headers, body(messages, **more)))


def results(rewrite: Rewrite) -> Json:
    """What the provider gets for each call."""
    return {
        block["tool_use_id"]: block["content"]
        for message in json.loads(rewrite.body)["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    }


def play(engine: Engine, messages: list[Json], **more: Any) -> list[Rewrite]:
    """Send every request of a session."""
    return [send(engine, messages[: i + 1], **more) for i in range(0, len(messages), 2)]


def test_the_report_is_the_same_whether_the_requests_before_were_seen_or_not() -> None:
    memory, messages = RamMemory(), read_twice()
    messages += [call(4), user(result(4, FILE + "\n81\tend()"))]
    for request, sent in enumerate(play(Engine(memory), messages)):
        fresh = send(Engine(memory), messages[: 2 * request + 1])
        assert (sent.blocks, sent.tokens_before, sent.tokens_after) == (
            fresh.blocks,
            fresh.tokens_before,
            fresh.tokens_after,
        )


def test_a_block_is_compressed_when_it_first_appears_and_stays_the_same() -> None:
    sent = play(Engine(RamMemory()), read_twice())
    assert results(sent[1])["toolu_1"].startswith("1\tdef handler_1(")
    assert results(sent[1])["toolu_1"] != FILE
    assert results(sent[2])["toolu_2"].startswith("[lines 1-80 as in Read for this path above: ")
    for earlier, later in itertools.pairwise(sent):
        old = results(earlier)
        assert {key: results(later)[key] for key in old} == old
    assert sent[3].saved["repeats"] > 1000 and sent[3].tokens_before - sent[3].tokens_after == sum(
        sent[3].saved.values()
    )


def test_nothing_else_changes() -> None:
    messages = [
        *read_twice()[:2],
        user(result(1, FILE)),
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": FILE, "signature": "EqQB+/=="},
                {"type": "redacted_thinking", "data": "x" * 500},
                {"type": "text", "text": FILE},
                {"type": "tool_use", "id": "toolu_2", "name": "Edit", "input": {"old_string": FILE, "n": 1.50}},
            ],
        },
        user(text(FILE), result(2, "ok"), {"type": "image", "source": {"type": "base64", "data": "aGk="}}),
    ]
    sent = play(Engine(RamMemory()), messages)[-1]
    before, after = json.loads(body(messages)), json.loads(sent.body)
    assert after["messages"][2]["content"][0].pop("content") != before["messages"][2]["content"][0].pop("content")
    assert after == before


def test_decisions_survive_a_restart(tmp_path: Path) -> None:
    messages = read_twice()
    first = SqliteMemory(tmp_path / "state.db")
    before = play(Engine(first), messages[:5])[-1]
    after = send(Engine(SqliteMemory(tmp_path / "state.db")), messages)  # the first one was never closed: kill -9
    assert {key: results(after)[key] for key in results(before)} == results(before)


def test_what_was_sent_before_we_saw_the_session_stays() -> None:
    sent = send(Engine(RamMemory()), read_twice())
    assert results(sent)["toolu_1"] == results(sent)["toolu_2"] == FILE
    assert results(sent)["toolu_3"] != OTHER
    assert {block.reason for block in sent.blocks if not block.new} == {"sent before"}


def test_parallel_sessions_do_not_mix() -> None:
    engine = Engine(RamMemory())
    other = [json.loads(json.dumps(m).replace("toolu_", "toolu_other_")) for m in read_twice()]
    alone = [results(r) for r in play(Engine(RamMemory()), other)]
    mixed = []
    for i in range(0, 7, 2):
        send(engine, read_twice()[: i + 1], "s1")
        mixed.append(results(send(engine, other[: i + 1], "s2")))
    assert mixed == alone


def test_equal_texts_are_told_apart_by_their_calls() -> None:
    messages = [
        user(text("go")),
        {"role": "assistant", "content": [*call(1)["content"], *call(2)["content"]]},
        user(result(1, FILE), result(2, FILE)),
        call(3),
        user(result(3, FILE)),
    ]
    first, last = play(Engine(RamMemory()), messages)[1:]
    assert results(first)["toolu_1"].startswith("1\t") and results(first)["toolu_2"].startswith("[lines 1-80")
    assert {key: results(last)[key] for key in ("toolu_1", "toolu_2")} == results(first)


def test_parallel_results_in_another_order_refer_to_nothing_that_comes_later() -> None:
    messages = [
        user(text("go")),
        {"role": "assistant", "content": [*call(1)["content"], *call(2)["content"]]},
        user(result(1, FILE), result(2, FILE)),
        call(3),
        user(result(3, "done")),
    ]
    engine = Engine(RamMemory())
    play(engine, messages[:3])
    messages[2]["content"].reverse()
    swapped = results(send(engine, messages))
    assert swapped["toolu_2"].startswith("1\t") and swapped["toolu_1"].startswith("1\t")


@pytest.mark.parametrize("gone", ["cleared", "compacted"])
def test_a_reference_whose_target_is_gone_is_decided_again(gone: str) -> None:
    engine, messages = Engine(RamMemory()), read_twice()
    play(engine, messages)
    if gone == "cleared":
        messages[2] = user(result(1, "[Old tool result content cleared]"))
    else:
        messages = [user(text("Summary of what was done.")), *messages[3:]]
    sent = results(send(engine, messages))
    assert sent["toolu_2"].startswith("1\tdef handler_1(")
    assert "handler_80" in sent["toolu_2"]
    again = results(send(engine, [*messages, call(4), user(result(4, "fine"))]))
    assert {key: again[key] for key in sent} == sent


def test_a_rewound_and_a_forked_session_keep_their_bytes() -> None:
    engine, messages = Engine(RamMemory()), read_twice()
    sent = play(engine, messages)
    rewound = [*messages[:4], user(result(2, FILE), text("Try another way."))]
    assert results(send(engine, rewound)) == results(sent[2])
    fork = send(engine, messages, session="a new session id")
    assert results(fork) == results(sent[-1])


def test_counting_tokens_sees_the_request_that_follows() -> None:
    engine, messages = Engine(RamMemory()), read_twice()
    counted = send(engine, messages[:3])
    assert send(engine, messages[:3]).body == counted.body


@pytest.mark.parametrize(
    "more",
    [
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"context_management": {"edits": [{"type": "compact_20260112"}]}},
        {"context_management": {"edits": [{"type": "something_new"}]}},
    ],
)
def test_nothing_refers_to_what_the_provider_may_clear(more: Json) -> None:
    sent = play(Engine(RamMemory()), read_twice(), **more)[-1]
    assert " as in Read" not in json.dumps(results(sent))
    assert sent.saved["line_numbers"] > 0


def test_clearing_thinking_takes_no_tool_result_away() -> None:
    sent = play(Engine(RamMemory()), read_twice(), context_management={"edits": [{"type": "clear_thinking_20251015"}]})
    assert sent[-1].saved["repeats"] > 1000


def test_nothing_refers_to_history_that_the_provider_keeps() -> None:
    items = [
        {"type": "function_call", "call_id": "c1", "name": "Read", "arguments": '{"path": "a"}'},
        {"type": "function_call_output", "call_id": "c1", "output": FILE},
        {"type": "function_call_output", "call_id": "c2", "output": FILE},
    ]
    for more, expected in (({}, True), ({"previous_response_id": "r1"}, False), ({"conversation": "c"}, False)):
        raw = json.dumps({"model": "gpt-5", "input": items, **more}).encode()
        sent = Engine(RamMemory()).rewrite(RawRequest("openai", "openai-responses", "/v1/responses", {}, raw))
        assert (" as in Read" in sent.body.decode()) is expected


def test_a_result_beside_an_image_and_a_short_one_stay() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    messages = [user(text("go")), call(1), user(result(1, [{"type": "text", "text": FILE}, image]), result(2, "ok"))]
    sent = play(Engine(RamMemory()), messages)[-1]
    assert json.loads(sent.body) == json.loads(body(messages))
    assert [block.reason for block in sent.blocks] == ["beside an image, or not to be cached", "short"]


def test_a_result_that_the_client_marked_as_not_to_be_cached_stays() -> None:
    for mark, stays in ((None, True), (False, True), ({"type": "ephemeral"}, False)):
        whole = {**result(1, FILE), "cache_control": mark}
        part = result(1, [{"type": "text", "text": FILE, "cache_control": mark}])
        for again in (whole, part):
            messages = [user(text("go")), call(0), user(result(0, FILE)), call(1), user(again, text("go on"))]
            sent = play(Engine(RamMemory()), messages)[-1]
            assert (json.loads(sent.body)["messages"][-1]["content"][0] == again) is stays


def test_no_patch_gives_the_same_bytes_object() -> None:
    engine = Engine(RamMemory())
    raw = RawRequest("anthropic", "anthropic", "/v1/messages", {}, body([user(text("hello"))]))
    assert engine.rewrite(raw).body is raw.body
    assert engine.rewrite(raw, "off").body is raw.body


def test_audit_reports_and_changes_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    memory = SqliteMemory(tmp_path / "state.db")
    engine, messages = Engine(memory), read_twice()
    for i in (0, 2, 4):
        raw = RawRequest("anthropic", "anthropic", "/v1/messages", {}, body(messages[: i + 1]))
        audited = engine.rewrite(raw, "audit")
        assert audited.body is raw.body
    assert audited.saved["repeats"] > 1000 and audited.reason == "audit"
    sent = engine.rewrite(RawRequest("anthropic", "anthropic", "/v1/messages", {}, body(messages)))
    assert results(sent)["toolu_1"] == FILE  # it was sent as it was, and so it stays


def test_a_session_left_alone_is_never_rewritten_again(tmp_path: Path) -> None:
    messages = read_twice()
    engine = Engine(SqliteMemory(tmp_path / "state.db"))
    sent = send(engine, messages[:3])
    engine.leave_alone(sent.identity.session, "refused")
    for again in (engine, Engine(SqliteMemory(tmp_path / "state.db"))):
        left = send(again, messages[:5])
        assert json.loads(left.body) == json.loads(body(messages[:5])) and left.reason == "refused"


def test_without_time_nothing_new_is_decided_and_the_old_still_holds() -> None:
    engine, messages = Engine(RamMemory()), read_twice()
    before = results(play(engine, messages[:3])[-1])
    late = engine.rewrite(
        RawRequest("anthropic", "anthropic", "/v1/messages", {"x-claude-code-session-id": "s1"}, body(messages[:5])),
        until=time.monotonic() - 1,
    )
    assert results(late) == before | {"toolu_2": FILE}
    assert late.blocks[-1].reason == "no time left"


def test_an_abandoned_request_is_not_remembered() -> None:
    memory, verdict = RamMemory(), threading.Lock()
    verdict.acquire()  # by a caller who waits no longer
    with pytest.raises(Abandoned):
        Engine(memory).rewrite(
            RawRequest("anthropic", "anthropic", "/v1/messages", {}, body(read_twice()[:3])), verdict=verdict
        )
    assert memory.all() == []


def test_what_an_abandoned_request_was_about_to_shorten_stays_as_it_was_sent() -> None:
    messages, verdict = read_twice(), threading.Lock()
    engine, fresh = Engine(RamMemory()), Engine(RamMemory())
    verdict.acquire()
    with pytest.raises(Abandoned):
        engine.rewrite(
            RawRequest(
                "anthropic", "anthropic", "/v1/messages", {"x-claude-code-session-id": "s1"}, body(messages[:3])
            ),
            verdict=verdict,
        )
    after = send(engine, messages[:5])
    assert results(after)["toolu_1"] == FILE
    assert results(after)["toolu_2"].startswith("[lines 1-80 as in ")
    assert after.body == send(fresh, messages[:5]).body


def test_many_threads_give_the_same_bytes_as_one() -> None:
    messages, engine = read_twice(), Engine(RamMemory())
    expected = [sent.body for sent in play(Engine(RamMemory()), messages)]
    got: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: got.append([s.body for s in play(engine, messages)])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 8


@pytest.mark.parametrize("shape", ["openai-chat", "openai-responses", "gemini"])
def test_the_other_shapes_are_rewritten_the_same_way(shape: str) -> None:
    def convert(messages: list[Json]) -> bytes:
        chat: list[Json] = []
        items: list[Json] = []
        contents: list[Json] = []
        for message in messages:
            for block in message["content"]:
                if block["type"] == "text":
                    chat.append({"role": "user", "content": block["text"]})
                    items.append({"role": "user", "content": [{"type": "input_text", "text": block["text"]}]})
                    contents.append({"role": "user", "parts": [{"text": block["text"]}]})
                elif block["type"] == "tool_use":
                    arguments = json.dumps(block["input"])
                    function = {"name": block["name"], "arguments": arguments}
                    chat.append({"role": "assistant", "tool_calls": [{"id": block["id"], "function": function}]})
                    items.append({"type": "function_call", "call_id": block["id"], **function})
                    part = {"functionCall": {"name": block["name"], "args": block["input"]}}
                    contents.append({"role": "model", "parts": [part]})
                else:
                    answer, words = block["tool_use_id"], block["content"]
                    chat.append({"role": "tool", "tool_call_id": answer, "content": words})
                    items.append({"type": "function_call_output", "call_id": answer, "output": words})
                    response = {"name": "Read", "response": {"output": words}}
                    contents.append({"role": "user", "parts": [{"functionResponse": response}]})
        whole = {
            "openai-chat": {"messages": chat},
            "openai-responses": {"input": items},
            "gemini": {"contents": contents},
        }
        return json.dumps({"model": "m", **whole[shape]}).encode()

    engine, plain = Engine(RamMemory()), play(Engine(RamMemory()), read_twice())
    for i, expected in zip(range(0, 7, 2), plain, strict=True):
        sent = engine.rewrite(RawRequest("p", shape, "/", {}, convert(read_twice()[: i + 1])))
        assert [b.replacement for b in sent.blocks] == [b.replacement for b in expected.blocks]


def test_a_tool_that_the_user_skips_stays_as_it_is() -> None:
    raw = RawRequest(
        "anthropic", "anthropic", "/v1/messages", {}, body(read_twice()[:3]), tool_profiles={"read": "skip"}
    )
    sent = Engine(RamMemory()).rewrite(raw)
    assert sent.body is raw.body and [block.reason for block in sent.blocks] == ["skipped by the tool's profile"]


@pytest.mark.parametrize(
    ("model", "encoding"), [("gpt-4-0613", "cl100k_base"), ("gpt-4o", "o200k_base"), ("", "o200k_base")]
)
def test_a_block_is_counted_with_the_vocabulary_of_the_models_family(model: str, encoding: Encoding) -> None:
    words = "\n".join(f"Straßenbahn Überführung 部署 {n}" for n in range(60))
    reports = send(Engine(RamMemory()), [*read_twice()[:2], user(result(1, words))], model=model).blocks
    assert count(words, "o200k_base") != count(words, "cl100k_base")
    assert [report.before for report in reports] == [count(words, encoding)]


class Later:
    """A clock that is set."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def seen_from_the_middle(pause: float, usage: Usage | None = None, **more: Any) -> list[Rewrite]:
    """A session whose first requests left without a proxy; then a pause, and two more requests."""
    clock = Later()
    engine, messages = Engine(RamMemory(), clock=clock), read_twice()
    sent = [send(engine, messages[:5], **more)]
    if usage is not None:
        engine.settle(sent[0], usage)
    clock.now += pause
    sent.append(send(engine, messages, **more))
    clock.now += 5
    sent.append(send(engine, [*messages, call(4), user(result(4, "ok"))], **more))
    return sent


@pytest.mark.parametrize(
    ("pause", "usage"),
    [(1200, None), (5, Usage(5000, 0, 0, 0, 1))],
    ids=["what was cached has expired", "the answer said that nothing is cached"],
)
def test_what_was_sent_before_is_decided_when_the_provider_has_nothing_cached(
    pause: float, usage: Usage | None
) -> None:
    first, cold, warm = seen_from_the_middle(pause, usage)
    assert results(first)["toolu_1"] == FILE
    assert results(cold)["toolu_1"] != FILE and results(cold)["toolu_3"] != OTHER
    assert results(cold)["toolu_2"].startswith("[lines 1-80 as in Read for this path above: ")
    assert {key: results(warm)[key] for key in results(cold)} == results(cold)


@pytest.mark.parametrize("usage", [None, Usage(10, 4000, 0, 0, 1), Usage(10, 0, 0, 4000, 1)])
def test_what_was_sent_before_stays_while_the_provider_may_have_it_cached(usage: Usage | None) -> None:
    for sent in seen_from_the_middle(310, usage):
        assert results(sent)["toolu_1"] == FILE


def test_a_caller_may_keep_what_was_sent_before_in_a_cold_moment_too() -> None:
    clock = Later()
    engine, messages = Engine(RamMemory(), clock=clock), read_twice()
    send(engine, messages[:5])
    clock.now += 1200
    request = RawRequest("anthropic", "anthropic", "/v1/messages", {}, body(messages), keep_turns=9)
    assert results(engine.rewrite(request))["toolu_1"] == FILE


def test_what_was_decided_before_holds_in_a_cold_moment_too() -> None:
    clock = Later()
    engine, messages = Engine(RamMemory(), clock=clock), read_twice()
    before = [send(engine, messages[:n]) for n in (1, 3, 5)][-1]
    clock.now += 1200
    after = send(engine, messages)
    assert {key: results(after)[key] for key in results(before)} == results(before)


def test_what_was_decided_too_late_is_not_sent_by_a_thread_that_waited_for_it() -> None:
    memory, messages = RamMemory(), read_twice()
    engine = Engine(memory)
    send(engine, messages[:3])
    deciding, waiting, going_on = threading.Event(), threading.Event(), threading.Event()
    conversations = engine._conversations["optimize"]
    find_conversation, find = conversations.find, memory.find

    def find_and_wait(keys: Any) -> Any:
        if not deciding.is_set():
            deciding.set()
            assert going_on.wait(30)
        return find(keys)

    def find_what_is_locked(hint: str, layout: Layout) -> Conversation | None:
        found = find_conversation(hint, layout)
        if deciding.is_set():
            assert found is not None and found.lock.locked()
            waiting.set()
        return found

    def abandoned() -> None:
        verdict = threading.Lock()
        verdict.acquire()
        raw = RawRequest(
            "anthropic", "anthropic", "/v1/messages", {"x-claude-code-session-id": "s1"}, body(messages[:5])
        )
        with pytest.raises(Abandoned):
            engine.rewrite(raw, verdict=verdict)

    sent: list[Rewrite] = []
    memory.find = find_and_wait  # type: ignore[method-assign]
    conversations.find = find_what_is_locked  # type: ignore[method-assign]
    late = threading.Thread(target=abandoned)
    late.start()
    assert deciding.wait(30)
    after = threading.Thread(target=lambda: sent.append(send(engine, messages)))
    after.start()
    assert waiting.wait(30)
    going_on.set()
    for thread in (late, after):
        thread.join(30)
    assert results(sent[0])["toolu_2"] == FILE  # as it left when nobody waited any more
    assert results(sent[0])["toolu_1"] != FILE and len(results(sent[0])["toolu_3"]) < len(OTHER)
