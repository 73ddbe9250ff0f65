"""Usage is read from real-looking answers of each provider, however they are cut, encoded or broken."""

import gzip
import json
import tracemalloc
import zlib
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from headroom.wire.usage import LIMIT, Stored, Usage, UsageReader


def sse(*events: tuple[str | None, object], end: str = "\n") -> bytes:
    lines = []
    for name, data in events:
        if name:
            lines.append(f"event: {name}")
        lines += [f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}", ""]
    return end.join([*lines, ""]).encode()


def read(shape: str, body: bytes, content_type: str = "text/event-stream", encoding: str = "") -> UsageReader:
    reader = UsageReader(shape, content_type, encoding)
    reader.feed(body)
    return reader


ANTHROPIC_START = {
    "type": "message_start",
    "message": {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 2048,
            "cache_read_input_tokens": 41000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1024, "ephemeral_1h_input_tokens": 1024},
            "output_tokens": 4,
            "service_tier": "standard",
        },
    },
}
ANTHROPIC = sse(
    ("message_start", ANTHROPIC_START),
    ("ping", {"type": "ping"}),
    (
        "content_block_delta",
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'Größe 🙂 "usage": {}'}},
    ),
    (
        "message_delta",
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 233}},
    ),
    ("message_stop", {"type": "message_stop"}),
)
CHAT = sse(
    (
        None,
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "gpt-5.6",
            "choices": [{"index": 0, "delta": {"content": "naïve"}}],
            "usage": None,
        },
    ),
    (
        None,
        {
            "id": "chatcmpl-1",
            "model": "gpt-5.6",
            "choices": [],
            "usage": {
                "prompt_tokens": 3000,
                "completion_tokens": 50,
                "total_tokens": 3050,
                "prompt_tokens_details": {"cached_tokens": 2048, "cache_write_tokens": 512},
            },
        },
    ),
    (None, "[DONE]"),
    end="\r\n",
)
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5.6-codex",
    "error": None,
    "output": [{"type": "message", "content": [{"type": "output_text", "text": '{"usage": {"input_tokens": 1}}'}]}],
    "usage": {
        "input_tokens": 5000,
        "input_tokens_details": {
            "cached_tokens": 4096,
            "cache_write_tokens": 600,
            "cache_write_tokens_details": {"ttl_30m_tokens": 400, "ttl_12h_tokens": 200},
        },
        "output_tokens": 70,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 5070,
    },
}
RESPONSES = sse(
    (
        "response.created",
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None, "output": []}},
    ),
    ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "ok"}),
    ("response.completed", {"type": "response.completed", "response": RESPONSE}),
)
GEMINI_CHUNKS = [
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "日本"}]}}],
        "usageMetadata": {"promptTokenCount": 900, "cachedContentTokenCount": 512, "totalTokenCount": 900},
        "modelVersion": "gemini-2.5-pro",
    },
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "語"}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 900,
            "cachedContentTokenCount": 512,
            "candidatesTokenCount": 11,
            "thoughtsTokenCount": 30,
            "toolUsePromptTokenCount": 7,
            "totalTokenCount": 948,
        },
        "modelVersion": "gemini-2.5-pro",
    },
]
GEMINI = sse(*((None, chunk) for chunk in GEMINI_CHUNKS), end="\r\n")
GEMINI_ARRAY = (
    b"[" + b"\n,\r\n".join(json.dumps(c, indent=2, ensure_ascii=False).encode() for c in GEMINI_CHUNKS) + b"\n]\n"
)

SAMPLES = {
    "anthropic": ("anthropic", ANTHROPIC, Usage(12, 1024, 1024, 41000, 233), "claude-sonnet-4-5-20250929"),
    "chat": ("openai-chat", CHAT, Usage(440, 512, 0, 2048, 50), "gpt-5.6"),
    "responses": ("openai-responses", RESPONSES, Usage(304, 400, 200, 4096, 70), "gpt-5.6-codex"),
    "gemini": ("gemini", GEMINI, Usage(395, 0, 0, 512, 41), "gemini-2.5-pro"),
    "gemini array": ("gemini", GEMINI_ARRAY, Usage(395, 0, 0, 512, 41), "gemini-2.5-pro"),
}
every_sample = pytest.mark.parametrize(("shape", "body", "usage", "model"), SAMPLES.values(), ids=SAMPLES)


def test_usages_add_up_and_know_their_whole_input() -> None:
    both = Usage(1, 2, 3, 4, 5) + Usage(10, 20, 30, 40, 50)
    assert both == Usage(11, 22, 33, 44, 55)
    assert both.total_input == 110


@every_sample
def test_an_answer_says_what_it_used(shape: str, body: bytes, usage: Usage, model: str) -> None:
    reader = read(shape, body)
    assert (reader.usage, reader.model, reader.error_type) == (usage, model, None)


@given(
    sample=st.sampled_from(list(SAMPLES.values())),
    cuts=st.lists(st.integers(0, 4000), max_size=40),
    asked=st.booleans(),
)
def test_it_does_not_matter_where_the_bytes_are_cut(
    sample: tuple[str, bytes, Usage, str], cuts: list[int], asked: bool
) -> None:
    shape, body, usage, model = sample
    reader = UsageReader(shape, "text/event-stream")
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    for start, end in pairwise(places):
        reader.feed(body[start:end])
        if asked:
            assert reader.error_type is None
    assert (reader.usage, reader.model) == (usage, model)


@every_sample
def test_bytes_may_come_one_by_one(shape: str, body: bytes, usage: Usage, model: str) -> None:
    reader = UsageReader(shape, "text/event-stream")
    for i in range(len(body)):
        reader.feed(body[i : i + 1])
    assert (reader.usage, reader.model) == (usage, model)


def bare_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


ENCODED = {
    "gzip": ("gzip", gzip.compress(ANTHROPIC)),
    "gzip in two members": ("x-gzip", gzip.compress(ANTHROPIC[:900]) + gzip.compress(ANTHROPIC[900:])),
    "deflate": ("deflate", zlib.compress(ANTHROPIC)),
    "deflate without header": ("deflate", bare_deflate(ANTHROPIC)),
    "br": ("br", brotli.compress(ANTHROPIC)),
    "zstd": ("zstd", zstandard.compress(ANTHROPIC)),
    "zstd in two frames": ("ZSTD", zstandard.compress(ANTHROPIC[:900]) + zstandard.compress(ANTHROPIC[900:])),
    "gzip, then br": ("gzip, br", brotli.compress(gzip.compress(ANTHROPIC))),
    "identity": ("identity", ANTHROPIC),
}


@pytest.mark.parametrize(("encoding", "body"), ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_encoded_answers_are_decoded_on_the_copy(encoding: str, body: bytes, size: int) -> None:
    reader = UsageReader("anthropic", "text/event-stream", encoding)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    assert reader.usage == Usage(12, 1024, 1024, 41000, 233)


def test_an_encoded_stream_is_read_as_it_comes() -> None:
    start = sse(("message_start", ANTHROPIC_START))
    br, zstd, gz = brotli.Compressor(), zstandard.ZstdCompressor().compressobj(), zlib.compressobj(wbits=31)
    flushed = {
        "br": br.process(start) + br.flush(),
        "zstd": zstd.compress(start) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
        "gzip": gz.compress(start) + gz.flush(zlib.Z_SYNC_FLUSH),
    }
    for encoding, chunk in flushed.items():
        assert read("anthropic", chunk, encoding=encoding).usage == Usage(12, 1024, 1024, 41000, 4)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "lzma", "gzip, br"])
def test_what_cannot_be_decoded_says_nothing_and_raises_nothing(encoding: str) -> None:
    reader = UsageReader("anthropic", "text/event-stream", encoding)
    for _ in range(3):
        reader.feed(b"this is no compressed stream at all")
    assert (reader.usage, reader.error_type, reader.model) == (None, None, None)


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_compression_bomb_is_not_unpacked(encoding: str) -> None:
    zeros = bytes(3 * LIMIT)
    compress = {"gzip": gzip.compress, "br": lambda data: brotli.compress(data, quality=1), "zstd": zstandard.compress}
    bomb = compress[encoding](zeros)
    tracemalloc.start()
    reader = read("anthropic", bomb, encoding=encoding)
    assert tracemalloc.get_traced_memory()[1] < 2.5 * LIMIT
    tracemalloc.stop()
    assert reader.usage is None


JSON_ANSWERS = {
    "anthropic": ("anthropic", ANTHROPIC_START["message"], Usage(12, 1024, 1024, 41000, 4)),
    "responses": ("openai-responses", RESPONSE, Usage(304, 400, 200, 4096, 70)),
    "gemini": ("gemini", GEMINI_CHUNKS[1], Usage(395, 0, 0, 512, 41)),
}


@pytest.mark.parametrize(("shape", "answer", "usage"), JSON_ANSWERS.values(), ids=JSON_ANSWERS)
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", ""])
def test_a_plain_json_answer_says_what_it_used(shape: str, answer: object, usage: Usage, content_type: str) -> None:
    body = b"\xef\xbb\xbf\r\n" + json.dumps(answer, indent=1).encode()
    assert read(shape, body, content_type).usage == usage
    assert read(shape, body[:-1], content_type).usage is None


def test_an_answer_with_half_a_character_is_read_all_the_same() -> None:
    # a lone surrogate, which json.dumps writes as \ud83d
    answer = {"model": "m", "choices": [{"message": {"content": "\ud83d"}}], "usage": {"prompt_tokens": 3}}
    assert read("openai-chat", json.dumps(answer).encode(), "application/json").usage == Usage(3)


def test_the_input_is_known_when_the_stream_breaks_off() -> None:
    assert read("anthropic", ANTHROPIC[:-250]).usage == Usage(12, 1024, 1024, 41000, 4)


def test_the_last_event_counts_without_a_blank_line_after_it() -> None:
    reader = read("openai-chat", b'data: {"model":"m","usage":{"prompt_tokens":9,"completion_tokens":2}}')
    assert reader.usage == Usage(9, output_tokens=2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_an_event_may_have_several_lines_of_data(end: str) -> None:
    pretty = json.dumps(GEMINI_CHUNKS[1], indent=2).replace("\n", "\ndata: ")
    reader = UsageReader("gemini", "text/event-stream")
    for byte in f": hello\n\ndata: {pretty}\n\n".replace("\n", end).encode():
        reader.feed(bytes([byte]))
    assert reader.usage == Usage(395, 0, 0, 512, 41)


def test_what_anthropic_says_again_at_the_end_replaces_what_it_said_at_the_start() -> None:
    end = {
        "type": "message_delta",
        "delta": {},
        "usage": {"input_tokens": 40, "cache_creation_input_tokens": 3048, "cache_read_input_tokens": None}
        | {"output_tokens": 99},
    }
    reader = read("anthropic", sse(("message_start", ANTHROPIC_START), ("message_delta", end)))
    assert reader.usage == Usage(40, 2024, 1024, 41000, 99)


def test_a_zero_at_the_end_takes_nothing_back() -> None:
    end = {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 0, "output_tokens": 9}}
    reader = read("anthropic", sse(("message_start", ANTHROPIC_START), ("message_delta", end)))
    assert reader.usage == Usage(12, 1024, 1024, 41000, 9)


def test_cache_writes_without_their_parts_are_the_short_ones() -> None:
    answer = {"type": "message", "usage": {"input_tokens": 1, "cache_creation_input_tokens": 70, "output_tokens": 2}}
    assert read("anthropic", json.dumps(answer).encode()).usage == Usage(1, 70, 0, 0, 2)


def test_what_the_provider_used_to_compact_is_billed_too() -> None:
    compaction = {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500, "cache_read_input_tokens": 5}
    message = {"type": "message", "input_tokens": 23_000, "output_tokens": 1000}
    answer = {"usage": {"input_tokens": 23_000, "output_tokens": 1000, "iterations": [compaction, message]}}
    assert read("anthropic", json.dumps(answer).encode()).usage == Usage(203_000, 0, 0, 5, 4500)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}, Usage(36, 0, 0, 64, 5)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 64}, Usage(36, 0, 0, 64, 5)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 145}, Usage(100, 0, 0, 0, 45)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 0, 0, 0, 5)),
        ({"prompt_tokens": -4, "completion_tokens": "5", "prompt_tokens_details": [1]}, Usage()),
    ],
    ids=["deepseek", "moonshot", "thoughts only in the total", "no details", "nonsense"],
)
def test_providers_that_speak_the_chat_shape_differ(said: object, usage: Usage) -> None:
    assert read("openai-chat", json.dumps({"model": "m", "usage": said}).encode()).usage == usage


@pytest.mark.parametrize(
    ("shape", "body", "error"),
    [
        ("anthropic", b'{"type":"error","error":{"type":"rate_limit_error","message":"no"}}', "rate_limit_error"),
        ("anthropic", sse(("error", {"type": "error", "error": {"type": "overloaded_error"}})), "overloaded_error"),
        ("openai-chat", b'{"error":{"message":"secret text","type":null,"code":"context_length"}}', "context_length"),
        ("openai-chat", b'{"error":{"message":"a","type":"secret text"}}', "error"),
        (
            "openai-responses",
            sse(("e", {"type": "error", "code": "server_error", "message": "m"})),
            "server_error",
        ),
        (
            "openai-responses",
            sse(("e", {"type": "response.failed", "response": {"model": "m", "error": {"code": "rate_limit"}}})),
            "rate_limit",
        ),
        ("gemini", b'[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]', "RESOURCE_EXHAUSTED"),
        ("openai-chat", b'{"model":"m","error":null,"usage":null}', None),
    ],
)
def test_an_error_is_known_by_its_name_and_never_by_its_text(shape: str, body: bytes, error: str | None) -> None:
    reader = read(shape, body)
    assert (reader.error_type, reader.usage) == (error, None)


def test_an_error_in_mid_stream_leaves_the_usage_so_far() -> None:
    broken = sse(
        ("message_start", ANTHROPIC_START),
        ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    )
    reader = read("anthropic", broken)
    assert (reader.error_type, reader.usage) == ("overloaded_error", Usage(12, 1024, 1024, 41000, 4))


def test_text_that_talks_of_usage_is_not_usage() -> None:
    text = '"usage": {"output_tokens": 7000000}, "error": {"type": "x"}'
    delta = {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": text}}
    reader = read("anthropic", sse(("message_start", ANTHROPIC_START), *[("content_block_delta", delta)] * 3))
    assert (reader.usage, reader.error_type) == (Usage(12, 1024, 1024, 41000, 4), None)


def test_a_websocket_gives_whole_events() -> None:
    reader = UsageReader("openai-responses")
    reader.feed_event(json.dumps({"type": "response.created", "response": {"model": "gpt-5.6"}}).encode())
    reader.feed_event(b'{"type":"response.output_text.delta","delta":"x"}')
    assert (reader.usage or Usage(), reader.model) == (Usage(), "gpt-5.6")
    reader.feed_event(json.dumps({"type": "response.incomplete", "response": RESPONSE}).encode())
    assert (reader.usage or Usage(), reader.model) == (Usage(304, 400, 200, 4096, 70), "gpt-5.6-codex")


def test_a_count_of_tokens_is_no_usage() -> None:
    assert read("anthropic", b'{"input_tokens": 2095}', "application/json").usage is None


@pytest.mark.parametrize("content_type", ["audio/mpeg", "text/html; charset=utf-8", "image/png"])
def test_what_cannot_say_it_is_not_read(content_type: str) -> None:
    assert read("openai-chat", CHAT, content_type).usage is None


def test_a_json_answer_that_is_too_long_is_given_up() -> None:
    reader = UsageReader("openai-chat", "application/json")
    tracemalloc.start()
    reader.feed(b'{"x":"')
    for _ in range(2 * LIMIT >> 20):
        reader.feed(b"a" * (1 << 20))
    reader.feed(b'","usage":{"prompt_tokens":1}}')
    assert tracemalloc.get_traced_memory()[0] < LIMIT / 8
    tracemalloc.stop()
    assert reader.usage is None


def test_a_long_stream_is_not_kept() -> None:
    delta = sse(("content_block_delta", {"type": "content_block_delta", "delta": {"text": "x" * 3000}}))
    reader = read("anthropic", sse(("message_start", ANTHROPIC_START)))
    tracemalloc.start()
    for _ in range(2000):
        reader.feed(delta)
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()


def test_an_event_that_is_too_long_is_skipped_and_the_next_one_read() -> None:
    reader = read("gemini", b'data: {"usageMetadata":{"promptTokenCount":1},"x":"')
    tracemalloc.start()
    for _ in range(2 * LIMIT >> 20):
        reader.feed(b"a" * (1 << 20))
    assert tracemalloc.get_traced_memory()[0] < LIMIT / 8
    tracemalloc.stop()
    reader.feed(b'"}\n')
    reader.feed(b"\n")
    assert reader.usage is None
    reader.feed(GEMINI)
    assert reader.usage == Usage(395, 0, 0, 512, 41)


@given(shape=st.sampled_from(["anthropic", "openai-chat", "openai-responses", "gemini"]), body=st.binary())
def test_any_bytes_are_borne(shape: str, body: bytes) -> None:
    for kind, encoding in (("text/event-stream", ""), ("application/json", "gzip"), ("", "zstd"), ("", "br")):
        reader = UsageReader(shape, kind, encoding)
        reader.feed(body)
        reader.feed_event(body)
        reader.feed(b'data: {"usage": ' + body + b"}\n\n")
        assert reader.model is None


NAMES = """
type error code usage message response model iterations cache_creation input_tokens cache_creation_input_tokens
prompt_tokens prompt_tokens_details usageMetadata promptTokenCount
"""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=20,
)


@given(shape=st.sampled_from(["anthropic", "openai-chat", "openai-responses", "gemini"]), value=json_values)
def test_any_json_is_borne_and_never_gives_negative_tokens(shape: str, value: object) -> None:
    reader = read(shape, json.dumps(value).encode())
    reader.feed_event(json.dumps(value).encode())
    usage = reader.usage or Usage()
    assert min(usage.input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens, usage.output_tokens) >= 0


def test_an_answer_that_the_provider_may_keep_is_told_when_it_is_whole() -> None:
    def call(name: str, **more: str) -> dict[str, str]:
        return {"type": "function_call", "call_id": f"call_{name}", "name": name, "arguments": '{"page": 1}', **more}

    response = {"object": "response", "id": "resp_1", "usage": {"input_tokens": 1, "output_tokens": 1}}
    begun = {"type": "response.created", "response": {**response, "status": "in_progress", "usage": None}}
    output = [{"type": "message"}, call("look"), call("theirs", namespace="mcp__docs"), {"type": "function_call"}]
    whole = {**response, "status": "completed", "output": output}
    expected = Stored("resp_1", (("call_look", "look", {"page": 1}),))

    streamed = UsageReader("openai-responses", "text/event-stream")
    streamed.feed(f"data: {json.dumps(begun)}\n\n".encode())
    assert streamed.stored is None
    streamed.feed(f"data: {json.dumps({'type': 'response.completed', 'response': whole})}\n\n".encode())
    assert streamed.stored == expected

    at_once = UsageReader("openai-responses", "application/json")
    at_once.feed(json.dumps(whole).encode())
    assert at_once.usage is not None and at_once.stored == expected
