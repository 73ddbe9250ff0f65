"""Where a model call goes whose client has the proxy as its base URL."""

import pytest

from headroom.api.upstreams import ANTHROPIC, CHATGPT, GEMINI, OPENAI, upstream


@pytest.mark.parametrize(
    ("path", "headers", "host"),
    [
        ("/v1/messages?beta=true", {}, ANTHROPIC),
        ("/v1/messages/count_tokens", {}, ANTHROPIC),
        ("/v1/messages/batches/b1/results", {}, ANTHROPIC),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, ANTHROPIC),
        ("/v1/files", {"x-api-key": "k"}, ANTHROPIC),
        ("/api/event_logging/batch", {}, ANTHROPIC),
        ("/v1/chat/completions", {}, OPENAI),
        ("/v1/responses", {}, OPENAI),
        ("/v1/responses/r1", {}, OPENAI),
        ("/v1/models", {}, OPENAI),
        ("/v1/models/gpt-4o", {}, OPENAI),
        ("/v1/embeddings", {}, OPENAI),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", {}, GEMINI),
        ("/v1/models/gemini-2.5-pro:generateContent", {}, GEMINI),
        ("/v1beta/openai/chat/completions", {}, GEMINI),
        ("/upload/v1beta/files", {}, GEMINI),
        ("/v1/models", {"x-goog-api-key": "k"}, GEMINI),
        ("/backend-api/codex/responses", {}, CHATGPT),
        ("/chat/completions", {}, None),
        ("/v1", {}, None),
        ("/wp-admin", {}, None),
    ],
)
def test_the_path_and_the_headers_tell_whose_it_is(path: str, headers: dict[str, str], host: str | None) -> None:
    assert upstream(path, headers) == host
