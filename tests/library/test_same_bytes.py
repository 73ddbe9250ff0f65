"""A conversation leaves a program's SDK in the bytes in which it would have left the proxy."""

import json
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from hypothesis import given, settings

from headroom import HeadroomClient
from headroom.engine import Engine, RawRequest
from headroom.messages import LIST
from headroom.session.identity import lower_headers
from headroom.session.memory import RamMemory
from headroom.wire.targets import model_from_path, target
from headroom.wire.usage import UsageReader
from tests.library.conversations import MODELS, SHAPES, STEPS, Step, code, log, messages, rows
from tests.support.answers import Answer, Bill, whole
from tests.support.stage import Stage, stage
from tests.support.standin import shape_of

SAID = Answer("And then?")


class Wire:
    """Takes requests in place of the network and answers them."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answer = b""

    def __call__(self, request: Any) -> Any:
        self.sent.append(request)
        shape = shape_of(request.url.path)
        assert shape is not None
        said = whole(shape, SAID, Bill(plain=len(request.content) // 4), MODELS[shape])
        self.answer = json.dumps(said).encode()
        return web(shape).Response(200, content=self.answer, headers={"content-type": "application/json"})

    def http(self, shape: str) -> Any:
        return web(shape).Client(transport=web(shape).MockTransport(self))


def web(shape: str) -> Any:
    """The HTTP package that a provider's SDK uses."""
    return httpx if shape == "gemini" else httpx2


def sdk(shape: str, http: Any) -> Any:
    if shape == "anthropic":
        return anthropic.Anthropic(api_key="test", http_client=http, max_retries=0)
    if shape == "gemini":
        return genai.Client(api_key="test", http_options=types.HttpOptions(httpx_client=http))
    return openai.OpenAI(api_key="test", http_client=http, max_retries=0)


def ask(shape: str, client: Any, said: list[Any]) -> None:
    fields = {"model": MODELS[shape], LIST[shape]: said}
    calls: dict[str, Callable[[], Any]] = {
        "anthropic": lambda: client.messages.create(max_tokens=100, **fields),
        "openai-chat": lambda: client.chat.completions.create(**fields),
        "openai-responses": lambda: client.responses.create(**fields),
        "gemini": lambda: client.models.generate_content(**fields),
    }
    calls[shape]()


def through_the_proxy(engine: Engine, request: Any, answer: bytes) -> bytes:
    """What the proxy makes of a request; it is given it as the addon does."""
    path = request.url.raw_path.decode()
    aim = target(request.url.host, None, path, "POST", {})
    assert aim is not None and aim.rewritable
    headers = lower_headers(request.headers)
    raw = RawRequest(
        aim.provider, aim.shape, path, headers, request.content, model_from_path(path) or "", request.url.host
    )
    rewrite = engine.rewrite(raw)
    reader = UsageReader(aim.shape, "application/json", "")
    reader.feed(answer)
    assert reader.usage is not None
    engine.settle(rewrite, reader.usage)
    return rewrite.body


@pytest.mark.parametrize("shape", SHAPES)
def test_a_conversation_leaves_the_sdk_as_it_leaves_the_proxy(shape: str) -> None:
    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    @given(STEPS)
    def holds(steps: list[Step]) -> None:
        plain, ours, engine = Wire(), Wire(), Engine(RamMemory())
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/headroom.db"
            with HeadroomClient(sdk(shape, ours.http(shape)), store_url=url, default_mode="optimize") as client:
                for count in range(len(steps) + 1):
                    said = messages(shape, steps[:count])
                    ask(shape, sdk(shape, plain.http(shape)), said)
                    ask(shape, client, said)
                    client.get_stats()  # the answer is taken in
                    expected = through_the_proxy(engine, plain.sent[-1], plain.answer)
                    assert ours.sent[-1].content == expected

    holds()


STORY = [
    Step("mcp__shop__orders", {"limit": 50}, rows(50)),
    Step("Bash", {"command": "tail -n 60 shop.log"}, log(60)),
    Step("Read", {"file_path": "/shop/price.py"}, code(60)),
    Step("Bash", {"command": "cat /shop/price.py"}, code(60)),
    Step("Grep", {"pattern": "é"}, 'é " \\ \u2028' * 30),
]


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), options=["headroom_cache=false"]) as running:
        yield running


@pytest.mark.parametrize("shape", SHAPES)
def test_a_real_proxy_sends_what_the_sdk_sends(on: Stage, shape: str, tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=str(on.proxy.certificate))
    ours = Wire()
    url = f"sqlite:///{tmp_path}/headroom.db"
    with (
        web(shape).Client(proxy=on.proxy.url, verify=trust, trust_env=False, timeout=30) as http,
        HeadroomClient(
            sdk(shape, ours.http(shape)), store_url=url, default_mode="optimize", enable_cache_optimizer=False
        ) as client,
    ):
        for count in range(len(STORY) + 1):
            said = messages(shape, STORY[:count], f"What is wrong with the {shape} shop?")
            ask(shape, sdk(shape, http), said)
            ask(shape, client, said)
            assert on.received.body == ours.sent[-1].content
    assert len(ours.sent[-1].content) < len(json.dumps(said)) * 0.7
