"""What the proxy leaves alone: answers, byte for byte and at once, and the connections of everybody else."""

import ssl
import time
from typing import Any

import httpx
import pytest

from tests.e2e.world import World
from tests.support.answers import Answer, ToolCall

pytestmark = pytest.mark.e2e
ANSWER = Answer("It is ready — là, 済み.", (ToolCall("look", {"at": "it"}),))
ASK = {"role": "user", "content": "Is it ready?"}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("https://api.anthropic.com/v1/messages", {"model": "claude-opus-4-8", "messages": [ASK]}),
    "openai-chat": ("https://api.openai.com/v1/chat/completions", {"model": "gpt-4o", "messages": [ASK]}),
    "openai-responses": ("https://api.openai.com/v1/responses", {"model": "gpt-5", "input": [ASK]}),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Is it ready?"}]}]},
    ),
}


@pytest.fixture
def client(world: World) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(world.authorities))
    return httpx.Client(proxy=world.proxy.url, verify=trusted, trust_env=False, timeout=30)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("shape", REQUESTS)
def test_an_answer_arrives_byte_for_byte(world: World, client: httpx.Client, shape: str, streaming: bool) -> None:
    world.begin(lambda _, body: ANSWER)
    url, body = REQUESTS[shape]
    if shape == "gemini" and not streaming:
        url = url.replace("streamGenerateContent?alt=sse", "generateContent")

    answer = client.post(url, json={**body, "stream": streaming} if shape != "gemini" else body)

    assert answer.status_code == 200
    assert answer.content == world.provider.received[0].answer
    assert answer.headers["request-id"] == world.provider.received[0].id


@pytest.mark.parametrize("shape", REQUESTS)
def test_an_answer_leaves_the_proxy_while_it_is_being_made(world: World, client: httpx.Client, shape: str) -> None:
    world.begin(lambda _, body: Answer("It is ready.", delay=0.1))
    url, body = REQUESTS[shape]
    arrived = []
    with client.stream("POST", url, json={**body, "stream": True} if shape != "gemini" else body) as answer:
        for _ in answer.iter_raw():
            arrived.append(time.monotonic())
    assert len(arrived) >= 3
    assert arrived[-1] - arrived[0] > 0.15


def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(world: World, client: httpx.Client) -> None:
    world.begin(lambda _, body: Answer("It is ready.", cut_after=3))
    url, body = REQUESTS["anthropic"]
    arrived = b""
    with (
        pytest.raises(httpx.TransportError),
        client.stream("POST", url, json={**body, "stream": True}) as answer,
    ):
        for chunk in answer.iter_raw():
            arrived += chunk
    assert world.provider.received[0].answer.startswith(arrived)
    assert b"message_start" in arrived


def test_other_hosts_are_not_decrypted(world: World, client: httpx.Client) -> None:
    only_theirs = ssl.create_default_context(cafile=str(world.provider.certificate))
    with httpx.Client(proxy=world.proxy.url, verify=only_theirs, trust_env=False) as other:
        assert (
            other.get("https://pypi.org/simple/").status_code == 404
        )  # the stand-in's own answer, through its own TLS
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            other.get("https://api.anthropic.com/")


def test_tokens_are_counted_for_the_request_that_follows(world: World, client: httpx.Client) -> None:
    world.begin(lambda _, body: Answer("It is ready."))
    lines = "".join(f"line {number} of a long output that repeats itself\n" for number in range(200))
    call = {"type": "tool_use", "name": "run", "input": {}}
    request = {
        "model": "claude-opus-4-8",
        "messages": [
            ASK,
            {"role": "assistant", "content": [{**call, "id": "toolu_1"}, {**call, "id": "toolu_2"}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": lines},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": lines},
                ],
            },
        ],
    }
    counted = client.post("https://api.anthropic.com/v1/messages/count_tokens", json=request)
    assert counted.json() == {"input_tokens": len(world.provider.received[0].body) // 4}
    client.post("https://api.anthropic.com/v1/messages", json=request)

    first, second = (received.json["messages"] for received in world.provider.received)
    assert first == second
    assert first != request["messages"]
