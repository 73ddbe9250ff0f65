"""Which hosts are decrypted, which requests are ours, and what the option headroom_hosts may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.errors import ConfigurationError
from headroom.wire.targets import HOST_SHAPES, Target, is_provider_host, model_from_path, parse_hosts, target

PROVIDER_HOSTS = [
    "api.anthropic.com",
    "API.Anthropic.com.",
    "api.openai.com",
    "eu.api.openai.com",
    "chatgpt.com",
    "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com",
    "us-central1-aiplatform.googleapis.com",
    "aiplatform.eu.rep.googleapis.com",
    "claude.googleapis.com",
    "my-team.openai.azure.com",
    "my-team.services.ai.azure.com",
]
OTHER_HOSTS = [
    "",
    "github.com",
    "registry.npmjs.org",
    "pypi.org",
    "files.pythonhosted.org",
    "console.anthropic.com",
    "api.anthropic.com.example.org",
    "evil-api.anthropic.com",
    "openai.com",
    "ab.chatgpt.com",
    "play.googleapis.com",
    "storage.googleapis.com",
    "us-central1-aiplatform.mtls.googleapis.com",
    "aiplatform.googleapis.com.example.org",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "bedrock-mantle.us-east-1.api.aws",
]


@pytest.mark.parametrize("host", PROVIDER_HOSTS)
def test_provider_hosts_are_decrypted(host: str) -> None:
    assert is_provider_host(host, {})


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_all_other_hosts_pass_through(host: str) -> None:
    assert not is_provider_host(host, {})
    assert target(host, 443, "/v1/messages", "POST", {}) is None


VERTEX = "/v1/projects/p-1/locations/europe-west4"
OURS = [
    ("api.anthropic.com", "/v1/messages?beta=true", Target("anthropic", "anthropic", "messages")),
    ("api.anthropic.com", "/v1/messages/count_tokens", Target("anthropic", "anthropic", "count_tokens")),
    ("api.anthropic.com", "//v1/messages/", Target("anthropic", "anthropic", "messages")),
    ("api.openai.com", "/v1/chat/completions", Target("openai", "openai-chat", "chat")),
    ("us.api.openai.com", "/v1/responses", Target("openai", "openai-responses", "responses")),
    ("api.openai.com", "/v1/responses/compact", Target("openai", "openai-responses", "responses")),
    ("api.openai.com", "/v1/responses/input_tokens", Target("openai", "openai-responses", "count_tokens")),
    ("chatgpt.com", "/backend-api/codex/responses", Target("openai", "openai-responses", "responses")),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/models/gemini-2.5-pro:generateContent?key=k",
        Target("gemini", "gemini", "generate"),
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1alpha/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        Target("gemini", "gemini", "stream_generate"),
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/tunedModels/mine-1:generateContent",
        Target("gemini", "gemini", "generate"),
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1/models/gemini-2.5-pro%3AcountTokens",
        Target("gemini", "gemini", "count_tokens"),
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/openai/chat/completions",
        Target("gemini", "openai-chat", "chat"),
    ),
    (
        "europe-west4-aiplatform.googleapis.com",
        f"{VERTEX}/publishers/google/models/gemini-2.5-pro:streamGenerateContent",
        Target("vertex", "gemini", "stream_generate"),
    ),
    (
        "aiplatform.googleapis.com",
        "/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent",
        Target("vertex", "gemini", "generate"),
    ),
    ("aiplatform.googleapis.com", f"{VERTEX}/endpoints/12345:generateContent", Target("vertex", "gemini", "generate")),
    (
        "aiplatform.us.rep.googleapis.com",
        f"{VERTEX}/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
        Target("vertex", "anthropic", "messages"),
    ),
    (
        "aiplatform.googleapis.com",
        f"{VERTEX}/publishers/anthropic/models/claude-opus-4-6:rawPredict",
        Target("vertex", "anthropic", "messages"),
    ),
    (
        "aiplatform.googleapis.com",
        f"{VERTEX}/publishers/anthropic/models/count-tokens:rawPredict",
        Target("vertex", "anthropic", "count_tokens"),
    ),
    (
        "aiplatform.googleapis.com",
        f"{VERTEX}/endpoints/openapi/chat/completions",
        Target("vertex", "openai-chat", "chat"),
    ),
    (
        "claude.googleapis.com",
        "/v1/projects/p/locations/global/workspaces/w-1/invoke/v1/messages",
        Target("vertex", "anthropic", "messages"),
    ),
    (
        "team.openai.azure.com",
        "/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21",
        Target("azure", "openai-chat", "chat"),
    ),
    ("team.openai.azure.com", "/openai/v1/responses", Target("azure", "openai-responses", "responses")),
    (
        "team.openai.azure.com",
        "/openai/responses?api-version=2025-04-01-preview",
        Target("azure", "openai-responses", "responses"),
    ),
    ("team.services.ai.azure.com", "/anthropic/v1/messages", Target("azure", "anthropic", "messages")),
    (
        "team.services.ai.azure.com",
        "/api/projects/p/openai/v1/responses",
        Target("azure", "openai-responses", "responses"),
    ),
]


@pytest.mark.parametrize(("host", "path", "expected"), OURS)
def test_requests_of_providers_are_known_by_host_and_path(host: str, path: str, expected: Target) -> None:
    assert target(host, 443, path, "POST", {}) == expected
    assert target(host, None, path, "DELETE", {}) is None


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("api.anthropic.com", "/v1/messages/batches"),
        ("api.anthropic.com", "/api/event_logging/batch"),
        ("api.anthropic.com", "/v2/v1/messages"),
        ("api.anthropic.com", ""),
        ("api.openai.com", "/v1/responses/resp_1/cancel"),
        ("api.openai.com", "/v1/threads/t/messages"),
        ("api.openai.com", "/v1/embeddings"),
        ("chatgpt.com", "/backend-api/conversation"),
        ("chatgpt.com", "/v1/responses"),
        ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:embedContent"),
        ("generativelanguage.googleapis.com", "/v1beta/models/a/b:generateContent"),
        ("generativelanguage.googleapis.com", "/v1beta/models"),
        ("aiplatform.googleapis.com", f"{VERTEX}/publishers/mistralai/models/mistral-large:rawPredict"),
        ("team.openai.azure.com", "/openai/deployments/d/embeddings"),
    ],
)
def test_other_requests_to_providers_are_not_ours(host: str, path: str) -> None:
    assert target(host, 443, path, "POST", {}) is None


def test_a_websocket_begins_with_a_get_and_nothing_else_does() -> None:
    assert target("api.openai.com", 443, "/v1/responses", "GET", {}) == Target(
        "openai", "openai-responses", "responses"
    )
    assert target("api.openai.com", 443, "/v1/chat/completions", "GET", {}) is None
    assert target("api.openai.com", 443, "/v1/responses/compact", "GET", {}) is None
    assert target("api.anthropic.com", 443, "/v1/messages", "GET", {}) is None


@pytest.mark.parametrize(
    "host",
    [
        "bedrock-runtime.us-east-1.amazonaws.com",
        "bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
        "bedrock-runtime.cn-north-1.amazonaws.com.cn",
        "vpce-0a1b.bedrock-runtime.eu-west-1.vpce.amazonaws.com",
    ],
)
def test_signed_requests_to_bedrock_stay_as_they_are(host: str) -> None:
    everything = {"*.amazonaws.com": "anthropic", "*.cn": "anthropic"}
    assert not is_provider_host(host, everything)
    found = target(host, 443, "/model/anthropic.claude-sonnet-4-5/invoke-with-response-stream", "POST", everything)
    assert found is not None
    assert not found.rewritable
    assert "signed" in found.reason
    assert target(host, 443, "/v1/messages", "POST", everything) is None


def test_a_host_that_the_user_names_is_ours_below_any_path() -> None:
    hosts = parse_hosts("gateway.example.com=openai, api.deepseek.com=anthropic,[::1]:8080=gemini")
    chat = Target("gateway.example.com", "openai-chat", "chat")
    assert target("gateway.example.com", 443, "/chat/completions", "POST", hosts) == chat
    assert target("gateway.example.com", 8443, "/api/v1/chat/completions", "POST", hosts) == chat
    assert target("gateway.example.com", 443, "/api/v1/responses", "POST", hosts) == Target(
        "gateway.example.com", "openai-responses", "responses"
    )
    assert target("gateway.example.com", 443, "/v1/messages", "POST", hosts) is None
    assert target("api.deepseek.com", 443, "/anthropic/v1/messages?beta=true", "POST", hosts) == Target(
        "api.deepseek.com", "anthropic", "messages"
    )
    assert target("::1", 8080, "/v1beta/models/g:generateContent", "POST", hosts) == Target("::1", "gemini", "generate")
    assert all(is_provider_host(host, hosts) for host in ("gateway.example.com", "api.deepseek.com", "::1"))
    assert not is_provider_host("example.com", hosts)


def test_one_of_openais_shapes_can_be_meant_alone() -> None:
    hosts = parse_hosts("a.example=openai-chat,b.example=openai-responses")
    assert target("a.example", 443, "/v1/responses", "POST", hosts) is None
    assert target("b.example", 443, "/v1/chat/completions", "POST", hosts) is None
    assert target("b.example", 443, "/v1/responses", "POST", hosts) is not None


def test_a_port_tells_two_services_of_a_host_apart() -> None:
    hosts = parse_hosts("127.0.0.1:8001=anthropic,127.0.0.1:8002=openai")
    assert is_provider_host("127.0.0.1", hosts)
    assert target("127.0.0.1", 8001, "/v1/messages", "POST", hosts) is not None
    assert target("127.0.0.1", 8002, "/v1/messages", "POST", hosts) is None
    assert target("127.0.0.1", 8003, "/v1/messages", "POST", hosts) is None


def test_a_wildcard_is_for_all_hosts_below_and_the_nearest_name_wins() -> None:
    hosts = parse_hosts("*.example.com=openai,*.eu.example.com=gemini,b.example.com=anthropic")
    shapes = {
        name: found.shape if (found := target(name, 443, "/v1/models/m/v1/messages", "POST", hosts)) else None
        for name in ("a.example.com", "b.example.com", "example.com")
    }
    assert shapes == {"a.example.com": None, "b.example.com": "anthropic", "example.com": None}
    assert is_provider_host("x.y.example.com", hosts)
    assert not is_provider_host("example.com", hosts)
    found = target("a.eu.example.com", 443, "/v1/models/m:generateContent", "POST", hosts)
    assert found is not None
    assert found.shape == "gemini"


def test_what_the_user_says_of_a_host_goes_before_what_we_know() -> None:
    hosts = parse_hosts("api.openai.com=openai-chat")
    assert target("api.openai.com", 443, "/v1/responses", "POST", hosts) is None


def test_hosts_are_parsed() -> None:
    assert parse_hosts("") == {}
    assert parse_hosts(" A.example.com.=OpenAI ,b:80=gemini,, a.example.com=openai") == {
        "a.example.com": "openai",
        "b:80": "gemini",
    }


@pytest.mark.parametrize(
    ("spec", "entry", "allowed"),
    [
        ("a.example", "a.example", "anthropic | openai"),
        ("b=openai,a.example=claude", "a.example=claude", "anthropic | openai"),
        ("=openai", "=openai", "a host name"),
        ("https://a.example=openai", "https://a.example=openai", "a host name"),
        ("a.example/v1=openai", "a.example/v1=openai", "no path"),
        ("a.example:70000=openai", "a.example:70000=openai", "with a port"),
        ("*=openai", "*=openai", "*.example.com"),
        ("a.*.com=openai", "a.*.com=openai", "a host name"),
        ("a=openai,a=gemini", "a=gemini", "one shape"),
        ("bedrock-runtime.us-east-1.amazonaws.com=anthropic", "bedrock-runtime.us-east-1", "signed"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(spec: str, entry: str, allowed: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_hosts(spec)
    assert "headroom_hosts" in raised.value.message
    assert entry in raised.value.message
    assert allowed in raised.value.message
    assert raised.value.details["setting"] == "headroom_hosts"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "gemini-2.5-pro"),
        ("/v1beta/tunedModels/mine-1:generateContent", "mine-1"),
        (
            f"{VERTEX}/publishers/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict",
            "claude-sonnet-4-5@20250929",
        ),
        (f"{VERTEX}/publishers/anthropic/models/count-tokens:rawPredict", None),
        (f"{VERTEX}/endpoints/12345:generateContent", None),
        ("/openai/deployments/gpt-5-prod/chat/completions?api-version=1", "gpt-5-prod"),
        ("/v1/messages", None),
    ],
)
def test_a_path_may_name_the_model(path: str, model: str | None) -> None:
    assert model_from_path(path) == model


@given(host=st.text(max_size=60), path=st.text(max_size=60), shape=st.sampled_from(HOST_SHAPES))
def test_any_text_is_borne(host: str, path: str, shape: str) -> None:
    target(host, 443, path, "POST", {host: shape})
    model_from_path(path)
    assert not is_provider_host(host + ".invalid", {"*.test": shape})
