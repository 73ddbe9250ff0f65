"""The proxy's own port: model calls of clients that have it as their base URL, and the HTTP API."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.coding import Coding
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.e2e
KEY = "the-key-of-this-proxy"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("direct"), options=["headroom_api_hosts=proxy.internal"]) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("locked"), environment={"HEADROOM_API_KEY": KEY}) as running:
        yield running


@pytest.fixture(scope="module")
def direct(world: Stage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.proxy.url, trust_env=False, timeout=30) as client:
        yield client


def test_a_client_with_the_proxy_as_its_base_url_is_rewritten_like_any_other(
    world: Stage, direct: httpx.Client
) -> None:
    session = Coding().read().read()
    project = world.new_project()
    headers = {"content-type": "application/json", "x-headroom-project": project, "x-api-key": "sk-1"}
    answer = direct.post("/v1/messages", content=session.body, headers={**session.headers, **headers})

    assert answer.status_code == 200, answer.text
    received = world.received
    assert (received.host, received.path) == ("api.anthropic.com", "/v1/messages")
    assert received.header("x-api-key") == "sk-1"
    assert not [name for name, _ in received.headers if name.lower().startswith("x-headroom")]
    (row,) = world.rows(project)
    assert row.outcome == "rewritten" and len(received.body) < len(session.body)


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/v1/chat/completions", "api.openai.com"),
        ("/v1/responses", "api.openai.com"),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "generativelanguage.googleapis.com"),
    ],
)
def test_each_providers_path_leads_to_it(world: Stage, direct: httpx.Client, path: str, host: str) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "contents": []}
    project = world.new_project()
    assert direct.post(path, json=body, headers={"x-headroom-project": project}).status_code == 200
    assert world.received.host == host and world.received.json == body
    assert world.rows(project)[0].status == 200


def test_a_stream_through_the_base_url_comes_as_it_is_sent(world: Stage, direct: httpx.Client) -> None:
    body = {"model": "claude-sonnet-4-5", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with direct.stream("POST", "/v1/messages", json=body) as answer:
        content = b"".join(answer.iter_bytes())
    assert content == world.received.answer and b"message_stop" in content


def test_one_connection_asks_all_providers_and_the_api_as_often_as_it_likes(world: Stage) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "stream": True}
    one = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=world.proxy.url, trust_env=False, timeout=30, limits=one) as client:
        for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/chat/completions") * 4:
            assert client.get("/health").status_code == 200
            assert client.post(path, json=body).status_code == 200
            assert world.received.path == path


def test_a_path_that_nobody_has_is_told_with_the_base_urls(direct: httpx.Client) -> None:
    answer = direct.post("/chat/completions", json={})
    assert answer.status_code == 404 and "/v1 for OpenAI" in answer.json()["error"]["message"]


def test_health_is_told(direct: httpx.Client) -> None:
    said = direct.get("/health").json()
    assert said["status"] == "healthy"
    assert {name: said["config"][name] for name in ("optimize", "cache", "rate_limit")} == {
        "optimize": True,
        "cache": True,
        "rate_limit": True,
    }
    assert direct.get("/livez").json() == {"status": "alive"}
    assert direct.get("/readyz").json() == {"status": "ready"}


def test_another_name_is_refused_and_never_resolved(world: Stage) -> None:
    """A page of evil.example whose name was made to point here (DNS rebinding) learns nothing."""
    for host, status in (("evil.example", 421), ("localhost", 200), ("proxy.internal", 200), ("[::1]", 200)):
        connection = http.client.HTTPConnection("127.0.0.1", world.proxy.port)
        connection.request("GET", "/health", headers={"host": f"{host}:{world.proxy.port}"})
        assert connection.getresponse().status == status, host
        connection.close()


def test_a_web_page_cannot_spend_the_users_money(world: Stage, direct: httpx.Client) -> None:
    before = len(world.provider.received)
    answer = direct.post("/v1/messages", content=b"{}", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403 and answer.json()["error"]["type"] == "forbidden"
    assert len(world.provider.received) == before


def test_too_much_is_refused_before_it_is_read(world: Stage) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", world.proxy.port)
    connection.putrequest("POST", "/cache/clear")
    connection.putheader("content-length", "0")
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()
    with socket.create_connection(("127.0.0.1", world.proxy.port)) as raw:
        raw.sendall(
            b"POST /cache/clear HTTP/1.1\r\nhost: localhost:%d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            % world.proxy.port
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_what_comes_through_a_tunnel_is_never_taken_for_ours(world: Stage) -> None:
    """Also when it is plain HTTP to our own port number on another host: the stand-in behind has TLS only, and says so
    by closing."""
    with socket.create_connection(("127.0.0.1", world.proxy.port)) as raw:
        raw.sendall(b"CONNECT example.com:%d HTTP/1.1\r\n\r\n" % world.proxy.port)
        assert b" 200 " in raw.recv(1000)
        raw.sendall(b"GET /health HTTP/1.1\r\nhost: localhost:%d\r\n\r\n" % world.proxy.port)
        assert b'"healthy"' not in raw.recv(1000)


def test_with_a_key_everybody_has_to_show_it(locked: Stage) -> None:
    with httpx.Client(base_url=locked.proxy.url, trust_env=False, timeout=30) as client:
        refused = client.get("/stats")
        assert refused.status_code == 401 and refused.json()["error"]["type"] == "authentication_error"
        assert client.post("/v1/messages", json={"messages": []}).status_code == 401
        assert client.get("/health").status_code == 200
        assert client.get("/stats", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]}
        keys = {"x-headroom-api-key": KEY, "authorization": "Bearer sk-ant-oat-1"}
        assert client.post("/v1/messages", json=body, headers=keys).status_code == 200
        assert locked.received.header("authorization") == "Bearer sk-ant-oat-1"
        assert client.post("/v1/messages", json=body, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        assert locked.received.header("authorization") == ""  # our key is nothing for a provider
    assert KEY not in locked.proxy.log


def test_with_a_key_a_tunnel_needs_it_too(locked: Stage) -> None:
    trust = ssl.create_default_context(cafile=str(locked.proxy.certificate))
    body = json.dumps({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]}).encode()
    url = "https://api.anthropic.com/v1/messages"
    with httpx.Client(proxy=locked.proxy.url, verify=trust, trust_env=False) as client, pytest.raises(httpx.ProxyError):
        client.post(url, content=body)
    proxy = httpx.Proxy(locked.proxy.url, auth=("headroom", KEY))
    with httpx.Client(proxy=proxy, verify=trust, trust_env=False) as client:
        assert client.post(url, content=body).status_code == 200
    with httpx.Client(proxy=locked.proxy.url, trust_env=False) as client:
        assert client.get("http://example.test/").status_code == 407


def test_the_folder_of_the_token_is_the_owners_only(world: Stage, direct: httpx.Client) -> None:
    direct.get("/sessions/none")
    token = Path(world.proxy.workspace) / "dashboard-token"
    assert token.stat().st_mode & 0o777 == 0o600
