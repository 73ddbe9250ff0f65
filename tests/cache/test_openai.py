"""OpenAI and Gemini: a key where it is taken, nothing else."""

import json

import pytest

from headroom.cache import CacheSettings, Plan, RequestFacts, optimize
from headroom.session.prefix import Prefixes
from headroom.wire.shapes import read
from headroom.wire.spans import splice
from tests.cache.programs import Json, chat, dumps

CHAT: Json = {"model": "gpt-5", "messages": chat(3)["messages"] + [{"role": "user", "content": "word " * 900}]}
RESPONSES: Json = {"model": "gpt-5", "input": CHAT["messages"], "instructions": "Be brief."}


def planned(
    body: Json, shape: str = "openai-chat", host: str = "api.openai.com", session: str = "s1"
) -> tuple[Plan, Json]:
    layout = read(shape, dumps(body))
    history = Prefixes().open(session, layout, 0.0)
    plan = optimize(layout, RequestFacts(host, "openai-python", session, 0.0), history, CacheSettings())
    return plan, json.loads(splice(layout.body, plan.patches))


@pytest.mark.parametrize(("body", "shape"), [(CHAT, "openai-chat"), (RESPONSES, "openai-responses")])
def test_a_conversation_gets_a_key_of_its_own(body: Json, shape: str) -> None:
    plan, out = planned(body, shape)
    assert plan.kind == "key"
    key = out.pop("prompt_cache_key")
    assert out == body
    assert planned(body, shape)[1]["prompt_cache_key"] == key
    assert planned(body, shape, session="s2")[1]["prompt_cache_key"] != key
    assert len(key) <= 64


def test_the_key_holds_no_name_that_a_user_gave() -> None:
    assert "secret" not in planned(CHAT, session="my-secret-project")[1]["prompt_cache_key"]


@pytest.mark.parametrize("key", ["mine", None])
def test_a_clients_own_key_stays(key: str | None) -> None:
    body = {**CHAT, "prompt_cache_key": key}
    plan, out = planned(body)
    assert (plan.reason, out) == ("the client sends its own key", body)


@pytest.mark.parametrize("host", ["api.groq.com", "openrouter.ai", "me.openai.azure.com", "chatgpt.com", "localhost"])
def test_a_host_that_may_not_know_the_field_gets_none(host: str) -> None:
    assert planned(CHAT, host=host)[1] == CHAT


def test_a_short_prompt_gets_none() -> None:
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
    assert planned(body)[1] == body


def test_gemini_is_left_as_it_is() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "word " * 5000}]}]}
    plan, out = planned(body, "gemini", "generativelanguage.googleapis.com")
    assert out == body
    assert plan.reason == "the provider caches by itself"
