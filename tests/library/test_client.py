"""``HeadroomClient`` around the real SDKs, before a stand-in provider: bytes, figures, and nothing of ours upstream."""

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel

from headroom import (
    AnthropicProvider,
    ConfigurationError,
    GoogleProvider,
    HeadroomClient,
    OpenAIProvider,
    ProviderError,
    SimulationResult,
)
from headroom.cache import CacheSettings
from headroom.engine import Engine, RawRequest
from headroom.session.memory import RamMemory
from tests.library.conversations import Step, messages
from tests.support.answers import Answer
from tests.support.standin import Received, StandIn

ROWS = json.dumps([{"sku": f"A-{i:04}", "name": f"part {i}", "stock": i * 7 % 50, "shelf": "north"} for i in range(80)])
STEPS = [
    Step("list_stock", {"shelf": "north"}, ROWS),
    Step("list_stock", {"shelf": "north", "again": True}, ROWS),
]
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "openai-chat": "gpt-4o",
    "openai-responses": "gpt-5",
    "gemini": "gemini-2.5-pro",
}
SAID = "All parts are there."


@dataclass(slots=True)
class World:
    """The stand-in and clients of it."""

    provider: StandIn
    folder: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.provider.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.provider.certificate))

    def client(self, shape: str, asynchronous: bool = False, **options: Any) -> Any:
        """The SDK's own client."""
        if shape == "gemini":
            return genai.Client(api_key="test", http_options=types.HttpOptions(base_url=self.url))
        sdk: Any = anthropic if shape == "anthropic" else openai
        web = (sdk.DefaultAsyncHttpxClient if asynchronous else sdk.DefaultHttpxClient)(verify=self.trust)
        if shape == "anthropic":
            kind: Any = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
            return kind(api_key="sk-ant-test", base_url=self.url, http_client=web, max_retries=0, **options)
        kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        return kind(api_key="sk-test", base_url=f"{self.url}/v1", http_client=web, max_retries=0, **options)

    def wrapped(self, shape: str, asynchronous: bool = False, **options: Any) -> Any:
        options = {"default_mode": "optimize", "store_url": f"sqlite:///{self.folder}/headroom.db", **options}
        return HeadroomClient(self.client(shape, asynchronous), **options)

    def sent_directly(self, shape: str) -> Received:
        """The request as the SDK alone sends it."""
        client = self.client(shape)
        method(client, shape)(**asked(shape))
        return self.last

    @property
    def last(self) -> Received:
        return self.provider.received[-1]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = tmp_path / "provider"
    folder.mkdir()
    with StandIn(folder, lambda shape, body: Answer(SAID)) as provider:
        monkeypatch.setenv("SSL_CERT_FILE", str(provider.certificate))
        yield World(provider, tmp_path)
    assert provider.failures == []


def asked(shape: str, **more: Any) -> dict[str, Any]:
    """The keywords of a call with the conversation."""
    said = messages(shape, STEPS)
    match shape:
        case "anthropic":
            return {"model": MODELS[shape], "max_tokens": 100, "messages": said, **more}
        case "openai-chat":
            return {"model": MODELS[shape], "messages": said, **more}
        case "openai-responses":
            return {"model": MODELS[shape], "input": said, **more}
    return {"model": MODELS[shape], "contents": said, **more}


def method(client: Any, shape: str) -> Any:
    match shape:
        case "anthropic":
            return client.messages.create
        case "openai-chat":
            return client.chat.completions.create
        case "openai-responses":
            return client.responses.create
    return client.models.generate_content


def text_of(shape: str, answer: Any) -> str:
    match shape:
        case "anthropic":
            return str(answer.content[0].text)
        case "openai-chat":
            return str(answer.choices[0].message.content)
        case "openai-responses":
            return str(answer.output_text)
    return str(answer.text)


SHAPES = tuple(MODELS)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_provider_gets_the_bytes_that_the_engine_makes(world: World, shape: str) -> None:
    plain = world.sent_directly(shape)
    with world.wrapped(shape, enable_cache_optimizer=False) as client:
        answer = method(client, shape)(**asked(shape))
        assert text_of(shape, answer) == SAID
        rewrite = Engine(RamMemory(), CacheSettings(enabled=False)).rewrite(
            RawRequest("host", shape, plain.path, {}, plain.body, MODELS[shape], all_new=False)
        )
        assert rewrite.body != plain.body and world.last.body == rewrite.body
        figures = client.get_stats()
    assert len(world.last.body) < len(plain.body)
    assert figures["session"]["requests_total"] == figures["session"]["requests_optimized"] == 1
    assert figures["session"]["tokens_saved_total"] == rewrite.tokens_before - rewrite.tokens_after > 500
    assert not [name for name, _ in world.last.headers if name.lower().startswith("x-headroom")]


@pytest.mark.parametrize("shape", SHAPES)
async def test_asynchronous_clients_do_the_same(world: World, shape: str) -> None:
    plain = world.sent_directly(shape)
    async with world.wrapped(shape, asynchronous=shape != "gemini") as client:
        answer = await method(client.aio if shape == "gemini" else client, shape)(**asked(shape))
        assert text_of(shape, answer) == SAID
        assert client.get_stats()["session"]["requests_optimized"] == 1
    assert len(world.last.body) < len(plain.body)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_audit_mode_not_a_byte_is_changed(world: World, shape: str) -> None:
    plain = world.sent_directly(shape)
    with world.wrapped(shape, default_mode="audit") as client:
        method(client, shape)(**asked(shape))
        (metrics,) = client.get_metrics()
        sums = client.get_summary()
    assert world.last.body == plain.body
    assert metrics.mode == "audit" and metrics.tokens_input_after < metrics.tokens_input_before
    assert sums["total_tokens_saved"] == 0 and sums["tokens_savable"] > 500


@pytest.mark.parametrize("shape", SHAPES)
def test_a_simulation_sends_nothing_and_says_what_would_be_done(world: World, shape: str) -> None:
    with world.wrapped(shape, default_mode="audit") as client:
        ask = method(client, shape)
        resource = {
            "anthropic": lambda: client.messages,
            "openai-chat": lambda: client.chat.completions,
            "openai-responses": lambda: client.responses,
            "gemini": lambda: client.models,
        }[shape]()
        plan = resource.simulate(**asked(shape))
        again = ask(**asked(shape, headroom_mode="simulate"))
    assert isinstance(plan, SimulationResult) and plan == again
    assert plan.tokens_saved == plan.tokens_before - plan.tokens_after > 500
    assert plan.transforms and plan.messages_optimized >= 1
    assert plan.estimated_savings.startswith("$0.") and plan.estimated_savings.endswith(" per request")
    assert plan.block_breakdown["tool_results"] > 1000 and len(plan.stable_prefix_hash) == 16
    assert world.provider.received == []


def test_streams_of_each_sdk_pass_as_they_come(world: World) -> None:
    with world.wrapped("anthropic") as client:
        with client.messages.stream(**asked("anthropic")) as stream:
            assert "".join(stream.text_stream) == SAID
        events = list(client.messages.create(**asked("anthropic", stream=True)))
        assert events[0].type == "message_start" and events[-1].type == "message_stop"
        rows = client.get_metrics()
        assert [row.stream for row in rows] == [True, True]
        assert all(row.tokens_output for row in rows)
    with world.wrapped("openai-chat") as client:
        chunks = client.chat.completions.create(
            **asked("openai-chat", stream=True, stream_options={"include_usage": True})
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SAID
        with client.responses.stream(**asked("openai-responses")) as stream:
            assert stream.get_final_response().output_text == SAID
        assert all(row.tokens_output for row in client.get_metrics(limit=2))
    with world.wrapped("gemini") as client:
        parts = client.models.generate_content_stream(**asked("gemini"))
        assert "".join(part.text or "" for part in parts) == SAID
        assert client.get_metrics(limit=1)[0].tokens_output


async def test_asynchronous_streams_too(world: World) -> None:
    async with world.wrapped("anthropic", asynchronous=True) as client:
        async with client.messages.stream(**asked("anthropic")) as stream:
            assert "".join([text async for text in stream.text_stream]) == SAID
        assert client.get_metrics()[0].tokens_output
    async with world.wrapped("gemini") as client:
        parts = await client.aio.models.generate_content_stream(**asked("gemini"))
        assert "".join([part.text or "" async for part in parts]) == SAID


def test_raw_responses_options_and_everything_else_are_the_sdks_own(world: World) -> None:
    with world.wrapped("openai-chat") as client:
        raw = client.chat.completions.with_raw_response.create(**asked("openai-chat"))
        assert raw.status_code == 200 and raw.parse().choices[0].message.content == SAID
        longer = client.with_options(timeout=77)
        assert longer.timeout == 77 and client.timeout != 77
        longer.chat.completions.create(**asked("openai-chat"))
        assert client.get_stats()["session"]["requests_optimized"] == 2  # ledger and decisions are shared
        assert client.api_key == "sk-test" and isinstance(
            client.chat.completions, type(client.original.chat.completions)
        )
        assert isinstance(client.sdk, openai.OpenAI) and "completions" in dir(client.chat)
        with pytest.raises(AttributeError):
            client.chat.nothing_of_this_name  # noqa: B018


class Stock(BaseModel):
    parts: int


def test_structured_outputs_are_parsed(world: World) -> None:
    world.provider.script = lambda shape, body: Answer('{"parts": 80}')
    with world.wrapped("openai-chat") as client:
        answer = client.chat.completions.parse(**asked("openai-chat", response_format=Stock))
        assert answer.choices[0].message.parsed == Stock(parts=80)
        assert client.responses.parse(**asked("openai-responses", text_format=Stock)).output_parsed == Stock(parts=80)
        assert client.get_stats()["session"]["requests_optimized"] == 2


def test_keywords_of_one_request_hold_for_it_alone(world: World) -> None:
    with world.wrapped("anthropic", enable_cache_optimizer=False) as client:
        create = client.messages.create
        create(**asked("anthropic", headroom_mode="audit"))
        audit = world.last
        create(**asked("anthropic", headroom_tool_profiles={"list_stock": {"skip_compression": True}}))
        assert world.last.body == audit.body
        create(**asked("anthropic", headroom_keep_turns=1))
        assert world.last.body == audit.body  # it is all one turn
        create(**asked("anthropic", headroom_cache_prefix_tokens=100_000))
        assert world.last.body == audit.body
        with pytest.raises(
            ConfigurationError, match=r"headroom_mod is no keyword of headroom; did you mean headroom_mode\?"
        ):
            create(**asked("anthropic", headroom_mod="audit"))
        with pytest.raises(ConfigurationError, match="headroom_keep_turns"):
            create(**asked("anthropic", headroom_keep_turns=-1))
        create(**asked("anthropic"))
        assert world.last.body == audit.body  # what was sent once stays as it was sent
        create(**{**asked("anthropic"), "messages": messages("anthropic", STEPS, "And what is right?")})
        assert len(world.last.body) < len(audit.body)
    for received in world.provider.received:
        assert b"headroom" not in received.body and "headroom" not in str(received.headers).lower()


def test_a_body_that_the_provider_refuses_is_sent_once_more_as_it_came(world: World) -> None:
    plain = world.sent_directly("anthropic")
    refuse: Callable[[str, Any], Answer] = lambda shape, body: (  # noqa: E731
        Answer(SAID) if body == plain.json else Answer("blocks cannot be modified", status=400)
    )
    world.provider.script = refuse
    with world.wrapped("anthropic", enable_cache_optimizer=False) as client:
        assert text_of("anthropic", client.messages.create(**asked("anthropic"))) == SAID
        sent = len(world.provider.received)
        client.messages.create(**asked("anthropic"))
        assert len(world.provider.received) == sent + 1  # the session is left alone
        assert client.get_stats()["session"]["requests_optimized"] == 0


def test_an_error_of_the_provider_is_the_sdks_error(world: World) -> None:
    world.provider.script = lambda shape, body: Answer("slow down", status=429)
    with world.wrapped("openai-chat") as client:
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**asked("openai-chat"))
        (row,) = client.get_metrics()
    assert row.error and client.get_stats()["session"]["tokens_saved_total"] == 0


def test_what_is_set_wrong_is_said_at_once(world: World) -> None:
    with pytest.raises(ProviderError, match="expected a client of openai, anthropic or google-genai"):
        HeadroomClient(object())
    with pytest.raises(ProviderError, match="provider is OpenAIProvider and the client is one of anthropic"):
        HeadroomClient(world.client("anthropic"), OpenAIProvider())
    with pytest.raises(ConfigurationError, match="default_mode"):
        world.wrapped("anthropic", default_mode="optimise")
    with pytest.raises(ConfigurationError, match="store_url"):
        world.wrapped("anthropic", store_url="mysql://x/y")
    with pytest.raises(ConfigurationError, match=r"context_limits\.gpt-4o"):
        OpenAIProvider(context_limits={"gpt-4o": 0})


def test_the_set_up_is_examined_without_a_request(world: World) -> None:
    with world.wrapped("anthropic", provider=AnthropicProvider(enable_cache_control=False)) as client:
        found = client.validate_setup()
        assert found["valid"] and found["issues"] == [] and found["provider"]["name"] == "anthropic"
        assert found["cache_optimizer"] == {"ok": True, "name": "none", "error": None}
        assert client.context_limit("claude-sonnet-4-5") >= 200_000
    with world.wrapped("gemini", provider=GoogleProvider(context_limits={"gemini-x": 5000})) as client:
        assert client.context_limit("gemini-x") == 5000
    assert world.provider.received == []


def test_what_a_request_wastes_is_named(world: World) -> None:
    with world.wrapped("anthropic", default_mode="audit") as client:
        client.messages.create(**asked("anthropic", system="Today is November 25, 2026. You keep a shop."))
        (row,) = client.get_metrics()
    assert row.waste_signals["repetition_tokens"] > 1000 and row.waste_signals["dynamic_date_tokens"] > 0
    assert row.block_breakdown["tool_results"] > 1000 and row.cache_alignment_score is not None
