"""Hits for the same question and for one that is as good as the same; for anything else the provider is asked."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import anthropic
import httpx
import httpx2
import numpy as np
import openai
import pytest
from google import genai

from headroom.config import SemanticCacheConfig
from headroom.semantic_cache import SemanticCache, open_cache, question
from headroom.semantic_cache import cache as module
from headroom.semantic_cache.questions import telling
from headroom.semantic_cache.transport import cached
from tests.support.answers import Answer, Bill, stream, whole

Json = dict[str, Any]
ON = SemanticCacheConfig(enabled=True)


class Words:
    """An embedder: the words of a text, each a dimension of its own."""

    name, dimensions = "words", 4096

    def embed(self, texts: Sequence[str]) -> Any:
        found = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in text.lower().replace("?", "").split():
                row[sum(ord(c) * 31**n for n, c in enumerate(word)) % self.dimensions] += 1
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


LONG = "please tell me in a few words how the prices in the table of the shop are computed and by whom they are changed"


class Provider:
    """Answers in each shape, counts how often it was asked."""

    def __init__(self, broken: str = "") -> None:
        self.asked: list[Json] = []
        self.broken = broken

    def __call__(self, request: httpx.Request) -> httpx.Response:
        said = json.loads(request.content)
        self.asked.append(said)
        shape = {"/v1/messages": "anthropic", "/v1/chat/completions": "openai-chat"}.get(request.url.path, "gemini")
        shape = "openai-responses" if request.url.path.endswith("/responses") else shape
        complete = whole(shape, Answer(f"answer {len(self.asked)}"), Bill(9, 0, 0, 3), str(said.get("model", "g")))
        if not said.get("stream") and "stream" not in request.url.path:
            raw = gzip.compress(json.dumps(complete).encode())
            headers = {"content-type": "application/json", "content-encoding": "gzip"}
            return httpx.Response(200, headers=headers, stream=httpx.ByteStream(raw))
        events = "".join(
            f"{f'event: {name}\n' if name else ''}data: {data}\n\n" for name, data in stream(shape, complete)
        )
        if self.broken:
            events = f"event: error\ndata: {self.broken}\n\n"
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, stream=httpx.ByteStream(events.encode())
        )


class Pieces:
    """The bytes of an answer, some at a time."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @staticmethod
    def of(found: httpx.Response, module: ModuleType) -> Any:
        """As a stream of the module's kind."""
        kind = type("Stream", (Pieces, module.SyncByteStream, module.AsyncByteStream), {})
        return kind(b"".join(found.stream))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[bytes]:
        yield from (self.raw[at : at + 50] for at in range(0, len(self.raw), 50))

    async def __aiter__(self) -> Any:
        for part in self:
            yield part


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SemanticCache]]:
    made: list[SemanticCache] = []

    def made_with(embedder: Any = None, **settings: Any) -> SemanticCache:
        monkeypatch.setattr(module, "embedder", lambda: embedder)
        made.append(open_cache(SemanticCacheConfig(enabled=True, **settings), path=tmp_path / "cache.db"))
        return made[-1]

    yield made_with
    for cache in made:
        cache.close()


def below(cache: SemanticCache, provider: Callable[[Any], Any], of: ModuleType = httpx2, kind: str = "Client") -> Any:
    """A client of httpx or httpx2 that asks the cache, and beneath it the provider."""

    def handled(request: Any) -> Any:
        found = provider(request)
        return of.Response(found.status_code, headers=found.headers, stream=Pieces.of(found, of))

    return cached(getattr(of, kind)(transport=of.MockTransport(handled)), cache)


def client(cache: SemanticCache, provider: Callable[[Any], Any], key: str = "sk-1") -> openai.OpenAI:
    return openai.OpenAI(api_key=key, http_client=below(cache, provider))


def ask(to: openai.OpenAI, text: str = LONG, **more: Any) -> str | None:
    settings: Json = {"model": "gpt-4o", "temperature": 0, **more}
    answer = to.chat.completions.create(messages=[{"role": "user", "content": text}], **settings)
    said: str | None = answer.choices[0].message.content
    return said


def test_the_same_request_is_answered_from_the_cache(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make()
    to = client(cache, provider)
    assert ask(to) == ask(to) == "answer 1"
    assert len(provider.asked) == 1 and (cache.hits, cache.misses) == (1, 1)
    raw = to.chat.completions.with_raw_response.create(
        model="gpt-4o", temperature=0, messages=[{"role": "user", "content": LONG}]
    )
    assert raw.headers["x-headroom-cache"] == "hit; similarity=1.000"


def test_a_very_similar_question_is_answered_from_the_cache(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make(Words())
    to = client(cache, provider)
    assert ask(to) == ask(to, f"{LONG}?") == ask(to, LONG.replace("few words", "few  Words")) == "answer 1"
    assert ask(to, LONG.replace("please", "kindly")) == "answer 1"  # 0.955 and more
    assert ask(to, LONG.replace("prices in the table of the shop", "wages of all people")) == "answer 2"
    assert len(provider.asked) == 2


def test_without_an_embedder_only_the_same_request_is_a_hit(make: Callable[..., SemanticCache]) -> None:
    provider = Provider()
    to = client(make(), provider)
    assert (ask(to), ask(to, f"{LONG}?")) == ("answer 1", "answer 2")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{LONG} since 2024", f"{LONG} since 2025"),
        (f"{LONG} in shop/prices.py", f"{LONG} in shop/taxes.py"),
        (f"{LONG} and can you change them", f"{LONG} and can you not change them"),
        (f"{LONG} in basePrice", f"{LONG} in lastPrice"),
        (f'{LONG} for "pears"', f'{LONG} for "apples"'),
    ],
)
def test_a_number_a_name_or_a_negation_makes_another_question(
    one: str, other: str, make: Callable[..., SemanticCache]
) -> None:
    provider = Provider()
    to = client(make(Words(), similarity=0.5), provider)
    assert telling(one) != telling(other)
    assert (ask(to, one), ask(to, other)) == ("answer 1", "answer 2")


@pytest.mark.parametrize(
    "more",
    [
        {"model": "gpt-4o-mini"},
        {"max_tokens": 5},
        {"top_p": 0.5},
        {"seed": 7},
        {"stop": ["."]},
        {"response_format": {"type": "json_object"}},
        {"logit_bias": {"50256": -100}},
        {"frequency_penalty": 1.0},
        {"extra_body": {"reasoning_effort": "high"}},
        {"extra_headers": {"OpenAI-Beta": "x"}},
        {"n": 2},
    ],
)
def test_every_field_that_shapes_the_answer_makes_another_question(
    more: Json, make: Callable[..., SemanticCache]
) -> None:
    provider = Provider()
    to = client(make(Words()), provider)
    assert (ask(to), ask(to, **more), ask(to), ask(to, **more)) == ("answer 1", "answer 2", "answer 1", "answer 2")


def test_what_was_said_before_makes_another_question(make: Callable[..., SemanticCache]) -> None:
    provider = Provider()
    to = client(make(Words()), provider)
    for system in ("You keep a shop.", "You keep a bank."):
        to.chat.completions.create(
            model="gpt-4o",
            temperature=0,
            messages=[{"role": "system", "content": system}, {"role": "user", "content": LONG}],
        )
    assert len(provider.asked) == 2


def test_who_asks_is_no_other_question_but_another_key_is(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make()
    assert ask(client(cache, provider), user="alice") == ask(client(cache, provider), user="bob") == "answer 1"
    assert ask(client(cache, provider, "sk-2")) == "answer 2"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"temperature": 0.7}, "its temperature is not 0"),
        ({"temperature": openai.omit}, "its temperature is not 0"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "it has tools"),
    ],
)
def test_answers_that_vary_or_call_tools_are_not_taken_unless_that_is_asked_for(
    more: Json, reason: str, make: Callable[..., SemanticCache]
) -> None:
    provider = Provider()
    to = client(make(), provider)
    assert (ask(to, **more), ask(to, **more)) == ("answer 1", "answer 2")
    body = json.dumps({**provider.asked[0]}).encode()
    assert question("openai-chat", "/v1/chat/completions", body, ON).reason == reason
    wanted = client(make(any_temperature=True, with_tools=True), provider)
    assert ask(wanted, **more) == ask(wanted, **more) == "answer 3"


def test_a_stream_is_a_stream_again(make: Callable[..., SemanticCache]) -> None:
    provider = Provider()
    to = client(make(), provider)
    got = []
    for _ in range(2):
        chunks = list(
            to.chat.completions.create(
                model="gpt-4o", temperature=0, stream=True, messages=[{"role": "user", "content": LONG}]
            )
        )
        got.append([chunk.choices[0].delta.content for chunk in chunks if chunk.choices])
        assert len(chunks) > 3
    assert got[0] == got[1] and "".join(filter(None, got[0])) == "answer 1"
    assert ask(to) == "answer 2"  # not streamed, it is another answer


def test_a_stream_that_ends_in_an_error_or_is_not_read_is_not_kept(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider('{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}'), make()
    to, url = below(cache, provider), "https://api.anthropic.com/v1/messages"
    body = {"temperature": 0, "stream": True, "messages": [{"role": "user", "content": "a"}]}
    for _ in range(2):
        to.post(url, json=body)
    provider.broken = ""
    with to.stream("POST", url, json=body) as half:
        next(half.iter_raw())
    assert to.post(url, json=body).text.count("message_stop") > 0
    assert len(provider.asked) == 4
    to.post(url, json=body)
    assert len(provider.asked) == 4


def test_an_error_is_not_kept(make: Callable[..., SemanticCache]) -> None:
    asked: list[int] = []

    def fails(_: httpx.Request) -> httpx.Response:
        asked.append(1)
        return httpx.Response(400, json={"error": {"message": "no"}})

    to = below(make(), fails)
    for _ in range(2):
        to.post("https://api.openai.com/v1/chat/completions", json={"temperature": 0, "messages": []})
    assert len(asked) == 2


def test_the_other_sdks_are_answered_too(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make(Words())
    claude = anthropic.Anthropic(api_key="k", http_client=below(cache, provider))
    said: Json = {"model": "claude-sonnet-4-5", "max_tokens": 9, "extra_body": {"temperature": 0}}
    for text in (LONG, f"{LONG}?"):
        message: Any = claude.messages.create(messages=[{"role": "user", "content": text}], **said)
        assert message.content[0].text == "answer 1"
        with claude.messages.stream(messages=[{"role": "user", "content": text}], **said) as events:
            assert events.get_final_text() == "answer 2"
    gpt = openai.OpenAI(api_key="k", http_client=below(cache, provider))
    for text in (LONG, f"{LONG}?"):
        assert gpt.responses.create(model="gpt-4o", temperature=0, input=text).output_text == "answer 3"
    options = genai.types.HttpOptions(httpx_client=below(cache, provider, httpx))
    gemini = genai.Client(api_key="k", http_options=options)
    settings = genai.types.GenerateContentConfig(temperature=0)
    for text in (LONG, f"{LONG}?"):
        found = gemini.models.generate_content(model="gemini-2.5-flash", contents=text, config=settings)
        assert found.text == "answer 4"
    assert len(provider.asked) == 4


def test_asynchronous_clients_are_answered_too(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make()

    async def run() -> list[str]:
        to = openai.AsyncOpenAI(api_key="k", http_client=below(cache, provider, httpx2, "AsyncClient"))
        said = []
        for streamed in (False, False, True, True):
            answer: Any = await to.chat.completions.create(
                model="gpt-4o", temperature=0, stream=streamed, messages=[{"role": "user", "content": LONG}]
            )
            if streamed:
                parts = [c.choices[0].delta.content or "" async for c in answer if c.choices]
                said.append("".join(parts))
            else:
                said.append(answer.choices[0].message.content)
        return said

    assert asyncio.run(run()) == ["answer 1", "answer 1", "answer 2", "answer 2"]


def test_a_clients_copy_is_cached_and_the_client_is_not(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make()
    plain = httpx.Client(transport=httpx.MockTransport(provider))
    ours = cached(plain, cache)
    body = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "a"}]}
    for to in (ours, ours, plain):
        to.post("https://api.openai.com/v1/chat/completions", json=body)
    assert len(provider.asked) == 2


def test_an_answer_lives_as_long_as_the_setting_says(
    make: Callable[..., SemanticCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider()
    to = client(make(Words(), ttl_seconds=300), provider)
    now = time.time()
    ask(to)
    monkeypatch.setattr(time, "time", lambda: now + 299)
    assert ask(to) == ask(to, f"{LONG}?") == "answer 1"
    monkeypatch.setattr(time, "time", lambda: now + 301)
    assert ask(to) == "answer 2"


def test_no_more_answers_are_kept_than_the_setting_says(make: Callable[..., SemanticCache]) -> None:
    provider, cache = Provider(), make(max_entries=10)
    to = client(cache, provider)
    for number in range(40):
        ask(to, f"question {number}")
    assert cache._entries.stats()["entries"] <= 10
    assert ask(to, "question 39") == "answer 40"


def test_a_store_that_fails_costs_no_request(
    tmp_path: Path, make: Callable[..., SemanticCache], caplog: pytest.LogCaptureFixture
) -> None:
    provider, cache = Provider(), make()
    cache.close()
    assert ask(client(cache, provider)) == "answer 1"
    assert "the semantic cache can't be read" in caplog.text and "an answer can't be kept" in caplog.text
