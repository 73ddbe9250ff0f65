"""LiteLLM's own ``completion`` with our callback, before a stand-in provider."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from headroom import ConfigurationError, compress
from headroom.config import IntelligentContextConfig
from tests.library.conversations import Step, code, messages, rows
from tests.support.answers import Answer
from tests.support.standin import StandIn

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches a list of prices when it is imported

SAID = "All is well."
STEPS = [
    Step("orders", {"day": 1}, rows(60)),
    Step("orders", {"day": 1, "again": True}, rows(60)),
    Step("note", {}, "kept as it is"),
]
MODELS = {
    "anthropic/claude-sonnet-4-5": "",
    "openai/gpt-4o": "/v1",
    "gemini/gemini-2.5-pro": "/v1beta",
}


class Lite:
    """LiteLLM and the provider that it talks to."""

    def __init__(self, module: Any, provider: StandIn) -> None:
        self.module, self.provider = module, provider

    def keywords(self, model: str, **more: Any) -> dict[str, Any]:
        url = f"https://localhost:{self.provider.port}{MODELS[model]}"
        return {"model": model, "messages": chat(), "api_base": url, "api_key": "test", **more}

    def sent(self, model: str, asynchronous: bool = False, **more: Any) -> Any:
        """The body of the request that a completion makes."""
        keywords = self.keywords(model, **more)
        if asynchronous:
            answer = asyncio.run(self.whole(keywords))
        else:
            answer = self.module.completion(**keywords)
            if more.get("stream"):
                answer = self.module.stream_chunk_builder(list(answer))
        assert answer.choices[0].message.content == SAID
        return self.provider.received[-1].json

    async def whole(self, keywords: dict[str, Any]) -> Any:
        answer = await self.module.acompletion(**keywords)
        return self.module.stream_chunk_builder([each async for each in answer]) if "stream" in keywords else answer


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("provider"), lambda shape, body: Answer(SAID)) as running:
        yield running
    assert running.failures == []


@pytest.fixture
def lite(provider: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lite]:
    import litellm

    monkeypatch.setenv("SSL_CERT_FILE", str(provider.certificate))
    monkeypatch.setattr(litellm, "callbacks", [])
    monkeypatch.setattr(litellm, "input_callback", [])
    yield Lite(litellm, provider)


def chat() -> list[Any]:
    return messages("openai-chat", STEPS)


def texts(value: Any) -> Iterator[str]:
    """Every text of a body, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_completions_are_sent_with_shorter_tool_results_and_nothing_else_changed(
    lite: Lite, model: str, stream: bool, asynchronous: bool
) -> None:
    from headroom.integrations.litellm import HeadroomCallback

    more = {"stream": True} if stream else {}
    plain = lite.sent(model, asynchronous, **more)
    callback = HeadroomCallback()
    lite.module.callbacks = [callback]
    ours = lite.sent(model, asynchronous, **more)
    before, after = list(texts(plain)), list(texts(ours))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    expected = [each["content"] for each in compress(chat(), "gpt-4o").messages if each["role"] == "tool"][:2]
    shorter = [(rows(60), new) for new in expected]
    # the ids of calls are LiteLLM's own for some providers, so a reference may name another; JSON's form does not
    assert [old for old, _ in changed if len(old) > 100] == [old for old, _ in shorter]
    assert changed[0] == shorter[0]
    assert len(json.dumps(ours)) < len(json.dumps(plain)) / 2
    stats = callback.get_stats()
    assert stats["requests_total"] == stats["requests_optimized"] == 1
    assert stats["tokens_saved_total"] > 1000


def test_the_responses_api_is_treated_alike(lite: Lite) -> None:
    from headroom.integrations.litellm import HeadroomCallback

    callback = HeadroomCallback()
    lite.module.callbacks = [callback]
    given = messages("openai-responses", STEPS)
    url = f"https://localhost:{lite.provider.port}/v1"
    lite.module.responses(model="openai/gpt-5", input=given, api_base=url, api_key="test")
    assert lite.provider.received[-1].json["input"] == compress(given, "gpt-5").messages != given
    assert callback.get_stats()["requests_total"] == 1


def test_what_is_sent_grows_at_its_end_only(lite: Lite) -> None:
    from headroom.integrations.litellm import HeadroomCallback

    lite.module.callbacks = [HeadroomCallback()]
    before: list[Any] = []
    for count in range(1, len(STEPS) + 1):
        keywords = lite.keywords("openai/gpt-4o", messages=messages("openai-chat", STEPS[:count]))
        lite.module.completion(**keywords)
        now = lite.provider.received[-1].json["messages"]
        assert now[: len(before)] == before
        before = now


def test_settings_are_those_of_compress(lite: Lite) -> None:
    from headroom.integrations.litellm import HeadroomCallback

    plain = lite.sent("openai/gpt-4o")
    lite.module.callbacks = [HeadroomCallback(tool_profiles={"orders": "skip"})]
    assert lite.sent("openai/gpt-4o") == plain
    small = IntelligentContextConfig(output_buffer_tokens=100, keep_last_turns=1)
    lite.module.callbacks = [HeadroomCallback(model_limit=1000, intelligent_context=small)]
    long = messages("openai-chat", [Step("notes", {"n": n}, code(30, f"n{n}")) for n in range(12)])
    assert "Earlier context compressed" in json.dumps(lite.sent("openai/gpt-4o", messages=long))
    with pytest.raises(ConfigurationError, match="tool_profile is no setting; did you mean tool_profiles"):
        HeadroomCallback(tool_profile={})
    with pytest.raises(ConfigurationError, match="model_limit is 0"):
        HeadroomCallback(model_limit=0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_failure_leaves_the_request_as_it_came(
    lite: Lite, asynchronous: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from headroom.integrations.litellm import HeadroomCallback

    secret = "the text of a request"

    def broken(*args: object, **keywords: object) -> None:
        raise RuntimeError(secret)

    plain = lite.sent("openai/gpt-4o", asynchronous)
    monkeypatch.setattr("headroom.integrations.shortener.compress", broken)
    lite.module.callbacks = [HeadroomCallback()]
    assert lite.sent("openai/gpt-4o", asynchronous) == plain
    assert "messages stay as they came" in caplog.text and secret not in caplog.text
