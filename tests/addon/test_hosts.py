"""Each host that speaks a provider's API, through a real mitmdump: what is rewritten, and under whose name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.coding import Coding, results, source
from tests.support.stage import Stage, stage

Json = dict[str, Any]
LONG = source("handler", 80)
PLACE = "/v1/projects/p1/locations/us-east5"
VERTEX = f"{PLACE}/publishers"
CALLS = ("call_1", "call_2")
READ = {"path": "app/handler.py"}

ANTHROPIC = {
    "https://api.anthropic.com/v1/messages": "anthropic",
    f"https://us-east5-aiplatform.googleapis.com{VERTEX}/anthropic/models/claude-sonnet-4-5:rawPredict": "vertex",
    f"https://aiplatform.googleapis.com{VERTEX}/anthropic/models/claude-sonnet-4-5:streamRawPredict": "vertex",
    "https://shop.services.ai.azure.com/anthropic/v1/messages": "azure",
    "https://llm.example.com/v1/messages": "llm.example.com",
    "https://llm.example.com/team/a/v1/messages": "llm.example.com",
}
CHAT = {
    "https://api.openai.com/v1/chat/completions": "openai",
    "https://shop.openai.azure.com/openai/deployments/gpt-5/chat/completions?api-version=2026-01-01": "azure",
    "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions": "gemini",
    f"https://aiplatform.googleapis.com{PLACE}/endpoints/openapi/chat/completions": "vertex",
    "https://eu.router.example.net/api/v1/chat/completions": "eu.router.example.net",
}
RESPONSES = {
    "https://api.openai.com/v1/responses": "openai",
    "https://chatgpt.com/backend-api/codex/responses": "openai",
    "https://shop.openai.azure.com/openai/v1/responses": "azure",
}
GEMINI = {
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:generateContent": "gemini",
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse": "gemini",
    f"https://us-east5-aiplatform.googleapis.com{VERTEX}/google/models/gemini-3-pro:generateContent": "vertex",
}


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    hosts = "llm.example.com=anthropic,*.router.example.net=openai-chat"
    with stage(tmp_path_factory.mktemp("hosts"), options=[f"headroom_hosts={hosts}"]) as running:
        yield running


def arrived(on: Stage, url: str, body: bytes, provider: str, **headers: str) -> bytes:
    """The body that reached the provider; the ledger has it under the provider's name, as rewritten."""
    sent = on.send(body, headers, url=url)
    assert sent.response.status_code == 200
    row = on.row(sent)
    assert (row.provider, row.outcome) == (provider, "rewritten")
    assert len(on.received.body) < len(body)
    return on.received.body


@pytest.mark.parametrize("url", ANTHROPIC)
def test_claude_wherever_it_is_hosted(on: Stage, url: str) -> None:
    session = Coding().read(content=LONG).read(content=LONG)
    received = results(arrived(on, url, session.body, ANTHROPIC[url], **session.headers))
    assert "as in Read" in received["toolu_2"] and "handler_80(" in received["toolu_1"]


@pytest.mark.parametrize("url", CHAT)
def test_chat_completions_wherever_they_are_hosted(on: Stage, url: str) -> None:
    messages: list[Json] = [{"role": "user", "content": f"Fix the bug. See {url}."}]
    for call in CALLS:
        function = {"name": "view", "arguments": json.dumps(READ)}
        messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": call, "content": LONG},
        ]
    body = json.dumps({"model": "gpt-5", "messages": messages}).encode()
    told = json.loads(arrived(on, url, body, CHAT[url]))["messages"]
    assert told[2]["content"] == LONG and "as in view" in told[4]["content"]


@pytest.mark.parametrize("url", RESPONSES)
def test_responses_wherever_they_are_hosted(on: Stage, url: str) -> None:
    items: list[Json] = [{"role": "user", "content": f"Fix the bug. See {url}."}]
    for call in CALLS:
        items += [
            {"type": "function_call", "call_id": call, "name": "view", "arguments": json.dumps(READ)},
            {"type": "function_call_output", "call_id": call, "output": LONG},
        ]
    body = json.dumps({"model": "gpt-5", "input": items, "store": False}).encode()
    told = json.loads(arrived(on, url, body, RESPONSES[url]))["input"]
    assert told[2]["output"] == LONG and "as in view" in told[4]["output"]


@pytest.mark.parametrize("url", GEMINI)
def test_gemini_wherever_it_is_hosted(on: Stage, url: str) -> None:
    contents: list[Json] = [{"role": "user", "parts": [{"text": f"Fix the bug. See {url}."}]}]
    for _ in CALLS:
        answer = {"functionResponse": {"name": "view", "response": {"output": LONG}}}
        contents += [
            {"role": "model", "parts": [{"functionCall": {"name": "view", "args": READ}}]},
            {"role": "user", "parts": [answer]},
        ]
    told = json.loads(arrived(on, url, json.dumps({"contents": contents}).encode(), GEMINI[url]))["contents"]
    said = [content["parts"][0]["functionResponse"]["response"]["output"] for content in told[2::2]]
    assert said[0] == LONG and "as in view" in said[1]


def test_bedrock_is_not_decrypted(on: Stage) -> None:
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):  # the provider's own certificate
        on.send(Coding().read().read(), url="https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.x/invoke")
