"""GoogleProvider(enable_context_caching=True): what Google's own SDK sends then, and what is left at the end."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import types

from headroom import GoogleProvider, HeadroomClient

Json = dict[str, Any]
MODEL = "gemini-2.5-pro"
SYSTEM = "You run a shop and look things up. " * 1_000
LOST = {"error": {"code": 403, "message": "CachedContent not found (or permission denied)", "status": "DENIED"}}


class Gemini:
    """A provider with explicit caches. ``received`` is (method, path, body) of each call."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, Json]] = []
        self.living: set[str] = set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                _, _, path = self.path.partition("?")[0].lstrip("/").partition("/")  # without the version
                status, told = provider.answer(self.command, path, json.loads(raw or b"{}"))
                data = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_PATCH = do_DELETE = do_POST

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        self.received.append((method, path, body))
        if path == "cachedContents":
            name = f"cachedContents/c{len(self.received)}"
            self.living.add(name)
            return 200, {"name": name, "usageMetadata": {"totalTokenCount": 8_001}}
        if method == "DELETE":
            self.living.discard(path)
            return 200, {}
        cached = body.get("cachedContent")
        if cached and cached not in self.living:
            return 403, LOST
        said = {"content": {"role": "model", "parts": [{"text": "Done."}]}, "finishReason": "STOP"}
        usage = {
            "promptTokenCount": 8_100,
            "candidatesTokenCount": 2,
            "cachedContentTokenCount": 8_001 if cached else 0,
        }
        return 200, {"candidates": [said], "usageMetadata": usage}


@pytest.fixture
def provider() -> Iterator[Gemini]:
    made = Gemini()
    yield made
    made.server.shutdown()
    made.server.server_close()


def client(of: Gemini, folder: Path, **options: Any) -> HeadroomClient[genai.Client]:
    at = types.HttpOptions(base_url=f"http://127.0.0.1:{of.server.server_address[1]}")
    options = {"default_mode": "optimize", "store_url": f"sqlite:///{folder}/headroom.db", **options}
    return HeadroomClient(genai.Client(api_key="test", http_options=at), **options)


ASKS = GoogleProvider(enable_context_caching=True)


def ask(by: Any, said: str) -> str | None:
    config = types.GenerateContentConfig(system_instruction=SYSTEM, temperature=0.5)
    found: types.GenerateContentResponse = by.models.generate_content(model=MODEL, contents=said, config=config)
    return found.text


def test_a_system_prompt_that_comes_again_is_cached_and_the_cache_is_deleted_at_the_end(
    provider: Gemini, tmp_path: Path
) -> None:
    ours = client(provider, tmp_path, provider=ASKS)
    assert [ask(ours, said) for said in "abc"] == ["Done."] * 3
    (first, made, second, third) = provider.received
    assert "cachedContent" not in first[2] and first[2]["systemInstruction"]["parts"][0]["text"] == SYSTEM
    assert made[:2] == ("POST", "cachedContents") and made[2]["ttl"] == "300s"
    assert made[2]["model"] == f"models/{MODEL}" and made[2]["systemInstruction"] == first[2]["systemInstruction"]
    for _, _, body in (second, third):
        assert body["cachedContent"] in provider.living and "systemInstruction" not in body
        assert body["generationConfig"] == first[2]["generationConfig"]
    told = ours.get_stats()["context_caches"]
    assert (told["created"], told["reused"]) == (1, 2)
    ours.close()
    assert provider.living == set()


async def test_asynchronously_too(provider: Gemini, tmp_path: Path) -> None:
    ours = client(provider, tmp_path, provider=ASKS)
    config = types.GenerateContentConfig(system_instruction=SYSTEM)
    for said in "abc":
        await ours.aio.models.generate_content(model=MODEL, contents=said, config=config)
    assert [("cachedContent" in body) for _, path, body in provider.received if path != "cachedContents"] == [0, 1, 1]
    await ours.aclose()
    assert provider.living == set()


def test_a_cache_that_is_gone_costs_no_answer(provider: Gemini, tmp_path: Path) -> None:
    ours = client(provider, tmp_path, provider=ASKS)
    ask(ours, "a")
    ask(ours, "b")
    provider.living.clear()
    assert ask(ours, "c") == "Done."
    assert provider.received[-2][2].get("cachedContent") and "cachedContent" not in provider.received[-1][2]
    assert ask(ours, "d") == "Done." and "cachedContent" not in provider.received[-1][2]
    ours.close()


@pytest.mark.parametrize(
    "options", [{}, {"provider": ASKS, "default_mode": "audit"}, {"provider": ASKS, "enable_cache_optimizer": False}]
)
def test_nobody_gets_one_who_did_not_ask(provider: Gemini, tmp_path: Path, options: Json) -> None:
    ours = client(provider, tmp_path, **options)
    for said in "abc":
        ask(ours, said)
    assert all(path != "cachedContents" and "cachedContent" not in body for _, path, body in provider.received)
    ours.close()
