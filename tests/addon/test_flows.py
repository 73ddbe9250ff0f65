"""What passes through a real mitmdump with the addon, and in which form it arrives."""

import gzip
import http.client
import itertools
import json
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
import zstandard

from tests.support.answers import Answer
from tests.support.certificates import Authority
from tests.support.coding import REFERENCE, Coding, results, source
from tests.support.proxy import ADDON
from tests.support.stage import CONTROL, MESSAGES, Stage, stage
from tests.support.standin import StandIn
from tests.support.upstream import Http2, Request2, Upstream, read_head

TWO, SLOW, PLAIN = "two.test", "slow.test", "plain.test"
"""Hosts with servers of their own: one that speaks HTTP/2, one whose body is read bit by bit, one without TLS."""
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
}
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstandard.decompress,
    "deflate": zlib.decompress,
}


SAID = b'{"type":"message","model":"m","usage":{"input_tokens":7}}'


class Confirmed:
    """How many events a client has; a server waits for that before it sends the next."""

    def __init__(self) -> None:
        self._events, self._news = 0, threading.Condition()

    def wait_for(self, events: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self._events >= events, 5), f"{events} were sent, {self._events} came"

    def read(self, answer: httpx.Response) -> bytes:
        """The whole answer, confirming each event as it comes."""
        raw = b""
        for chunk in answer.iter_raw():
            raw += chunk
            with self._news:
                self._events = raw.count(b"\n\n")
                self._news.notify_all()
        return raw


over_http2 = Confirmed()
EVENTS = [b'event: e\ndata: {"type":"ping","n":%d}\n\n' % n for n in range(20)]


def paced() -> Iterator[bytes]:
    for number, event in enumerate(EVENTS):
        over_http2.wait_for(number)
        yield event


def answer_over_http2(request: Request2) -> tuple[int, dict[str, str], Iterable[bytes]]:
    if b"paced" in request.body:
        return 200, {"content-type": "text/event-stream"}, paced()
    if b"refuse" in request.body and REFERENCE.encode() in request.body:
        return 400, {"content-type": "application/json"}, [b'{"type":"error","error":{"type":"invalid_request_error"}}']
    return 200, {"content-type": "application/json"}, [SAID[:20], SAID[20:]]


class World:
    """The servers that all tests of this file share."""

    def __init__(self, folder: Path) -> None:
        self.uploads: list[bytes] = []
        self.upload_began = threading.Event()
        self.plain_requests: list[bytes] = []
        self.http2 = Http2(answer_over_http2)
        self.two = Upstream(self.http2, Authority(folder).server_context("h2"))
        self.slow = Upstream(self._slow, Authority(folder).server_context())
        self.plain = Upstream(self._plain)

    def _slow(self, connection: socket.socket) -> None:
        """Takes a body of 8 bytes; the test sends the last four once the first four are here."""
        self.uploads.append(read_head(connection))
        self.uploads.append(connection.recv(4))
        self.upload_began.set()
        self.uploads.append(connection.recv(4))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def _plain(self, connection: socket.socket) -> None:
        head = read_head(connection)
        self.plain_requests.append(head + connection.recv(5))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\nok")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def on(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("flows")
    ports = {TWO: world.two.port, SLOW: world.slow.port, PLAIN: world.plain.port}
    with (
        world.two,
        world.slow,
        world.plain,
        stage(
            folder,
            options=[f"headroom_hosts={TWO}=anthropic,{SLOW}=anthropic", "ssl_insecure=true"],
            environment={"STANDIN_PORTS": json.dumps(ports)},
        ) as running,
    ):
        yield running
    log = running.proxy.log
    assert "Traceback" not in log and "rror in" not in log


@pytest.fixture(autouse=True)
def fresh(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("Done.")
    on.provider.received.clear()
    on.provider.others.clear()


def rewritten(sent: bytes, received: bytes) -> None:
    """Look that the second read of a file is a reference now and that nothing else but tool results has changed."""
    before, after = json.loads(sent), json.loads(received)
    assert REFERENCE in results(received)["toolu_2"]
    for body in (before, after):
        for message in body["messages"]:
            for block in message["content"]:
                if block["type"] == "tool_result":
                    del block["content"]
    assert before == after and list(before) == list(after)


# --- bodies


@pytest.mark.parametrize("coding", ENCODE)
def test_an_encoded_body_arrives_rewritten_in_the_same_coding(on: Stage, coding: str) -> None:
    session = Coding().read().read()
    sent = on.send(ENCODE[coding](session.body), {**session.headers, "content-encoding": coding})
    assert sent.response.status_code == 200
    assert on.received.header("content-encoding") == coding
    rewritten(session.body, on.received.body)
    row = on.row(sent)
    assert row.outcome == "rewritten" and row.bytes_before == len(ENCODE[coding](session.body))
    assert int(on.received.header("content-length")) == row.bytes_after


def test_a_coding_that_nobody_knows_passes_as_it_is(on: Stage) -> None:
    session = Coding().read().read()
    sent = on.send(session.body, {**session.headers, "content-encoding": "rot13"})
    assert on.received.body == session.body
    assert on.row(sent).outcome == "passed" and on.row(sent).reason.startswith("body not decoded")


def test_a_chunked_request_arrives_rewritten_and_chunked(on: Stage) -> None:
    session = Coding().read().read()
    project = on.new_project()
    pieces = [session.body[i : i + 1000] for i in range(0, len(session.body), 1000)]
    headers = {**session.headers, "x-headroom-project": project}
    assert on.client.post(MESSAGES, content=iter(pieces), headers=headers).status_code == 200
    assert on.received.header("transfer-encoding") == "chunked" and not on.received.header("content-length")
    rewritten(session.body, on.received.body)
    assert on.rows(project)[0].outcome == "rewritten"


def test_one_connection_serves_many_requests(on: Stage) -> None:
    context = ssl.create_default_context(cafile=str(on.proxy.certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", on.proxy.port, context=context, timeout=20)
    connection.set_tunnel("api.anthropic.com", 443)
    session, sockets = Coding(), set()
    for coding in ("", "gzip", "br", "", "zstd"):
        body = session.read().body
        headers = {**session.headers, **({"content-encoding": coding} if coding else {})}
        connection.request("POST", "/v1/messages", ENCODE[coding](body) if coding else body, headers)
        assert json.loads(connection.getresponse().read())["type"] == "message"
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1 and len(on.provider.received) == 5
    rewritten(session.body, on.received.body)


def test_http2_both_ways(on: Stage, world: World) -> None:
    session = Coding().read().read()
    client = on.new_client(http2=True)
    for coding in ("", "gzip"):
        body = ENCODE[coding](session.body) if coding else session.body
        headers = {**session.headers, **({"content-encoding": coding} if coding else {})}
        sent = on.send(body, headers, url=f"https://{TWO}/v1/messages", client=client)
        assert sent.response.http_version == "HTTP/2"
        assert sent.response.content == SAID
        arrived = world.http2.received[-1]
        assert dict(arrived.headers)["content-length"] == str(len(arrived.body))
        rewritten(session.body, DECODE[coding](bytes(arrived.body)) if coding else bytes(arrived.body))
        row = on.row(sent)
        assert row.outcome == "rewritten" and row.provider == TWO and row.usage and row.usage.input_tokens == 7
    assert not any(name.startswith("x-headroom") for name, _ in arrived.headers)


def test_a_request_refused_over_http2_is_sent_again_unchanged(on: Stage, world: World) -> None:
    session = Coding(system="refuse what is rewritten").read().read()
    sent = on.send(session, url=f"https://{TWO}/v1/messages", client=on.new_client(http2=True))
    assert sent.response.status_code == 200
    assert bytes(world.http2.received[-1].body) == session.body
    assert REFERENCE.encode() in world.http2.received[-2].body
    assert on.row(sent).outcome == "resent"


# --- what is not ours


def certificate_of(port: int, host: str, tunnel: int | None, authority: Path) -> bytes:
    """The certificate that a host shows, seen directly or through the proxy at ``tunnel``."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", tunnel or port, context=ssl.create_default_context(cafile=str(authority)), timeout=20
    )
    connection.set_tunnel(host, 443)
    if tunnel is None:
        raw = socket.create_connection(("127.0.0.1", port))
        with connection._context.wrap_socket(raw, server_hostname=host) as wrapped:  # type: ignore[attr-defined]
            return wrapped.getpeercert(True) or b""
    connection.request("POST", "/v1/messages", Coding().body, {"x-headroom-project": "foreign", "content-type": "x/y"})
    assert connection.getresponse().read()
    certificate = connection.sock.getpeercert(True)
    connection.close()
    assert isinstance(certificate, bytes)
    return certificate


@pytest.mark.parametrize("host", ["github.test", "bedrock-runtime.us-east-1.amazonaws.com"])
def test_a_foreign_host_shows_its_own_certificate(on: Stage, host: str) -> None:
    authority = on.provider.certificate
    own = certificate_of(on.provider.port, host, None, authority)
    assert certificate_of(on.provider.port, host, on.proxy.port, authority) == own
    (received,) = on.provider.received
    assert received.host == host and received.header("x-headroom-project") == "foreign"
    assert f"https://{host}" not in on.proxy.log  # no flow of it: only that it was connected to
    assert on.rows("foreign", 0) == []


def test_plain_http_to_a_foreign_host_is_untouched(on: Stage, world: World) -> None:
    answer = on.client.post(
        f"http://{PLAIN}/v1/messages",
        content=b"12345",
        headers=[("X-Headroom-Mode", "off"), ("X-B", "1"), ("X-B", "2")],
    )
    assert answer.content == b"ok" and answer.headers["X-Own"] == "1"
    head = world.plain_requests[-1]
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\n") and head.endswith(b"\r\n\r\n12345")
    assert b"X-Headroom-Mode: off\r\nX-B: 1\r\nX-B: 2\r\n" in head


def test_other_paths_of_a_provider_are_streamed_both_ways(on: Stage, world: World) -> None:
    def body() -> Iterator[bytes]:
        yield b"1234"
        assert world.upload_began.wait(5), "the first half is held back"
        yield b"5678"

    headers = {"content-length": "8", "x-headroom-session-id": "s", "x-own": "kept"}
    answer = on.client.post(f"https://{SLOW}/v1/files", content=body(), headers=headers)
    assert answer.content == b"ok"
    head, first, second = world.uploads
    assert (first, second) == (b"1234", b"5678")
    assert b"x-own: kept\r\n" in head and b"x-headroom" not in head


def test_our_headers_reach_no_path_of_a_provider(on: Stage) -> None:
    headers = {"x-headroom-session-id": "mine", "X-Headroom-User-Id": "me", "x-other": "1"}
    assert on.client.get("https://api.anthropic.com/v1/models", headers=headers).status_code == 404
    (received,) = on.provider.others
    assert received.header("x-other") == "1"
    assert not any(name.lower().startswith("x-headroom") for name, _ in received.headers)


# --- answers

ASK = [{"role": "user", "content": "Say something long."}]
STREAMS = {
    "anthropic": (MESSAGES, {"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": True, "messages": ASK}),
    "openai-chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": "gpt-5", "stream": True, "stream_options": {"include_usage": True}, "messages": ASK},
    ),
    "openai-responses": ("https://api.openai.com/v1/responses", {"model": "gpt-5", "stream": True, "input": ASK}),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Say something long."}]}]},
    ),
}


@pytest.mark.parametrize("shape", STREAMS)
def test_an_answer_streams_event_by_event_and_byte_for_byte(on: Stage, shape: str) -> None:
    url, body = STREAMS[shape]
    confirmed, project = Confirmed(), on.new_project()
    on.provider.script = lambda shape, body: Answer("A long story. " * 40, pace=confirmed.wait_for)
    with on.client.stream("POST", url, json=body, headers={"x-headroom-project": project}) as answer:
        raw = confirmed.read(answer)
    assert on.provider.failures == []
    assert raw == on.received.answer
    row, bill = on.rows(project)[0], on.received.bill
    assert row.status == 200 and row.usage
    assert (row.usage.total_input, row.usage.output_tokens) == (bill.input, bill.output)
    assert row.ttfb_ms > 0 and row.cost_usd is not None


def test_an_answer_over_http2_streams_too(on: Stage) -> None:
    session, client = Coding(system="paced"), on.new_client(http2=True)
    with client.stream("POST", f"https://{TWO}/v1/messages", content=session.body, headers=session.headers) as answer:
        assert answer.http_version == "HTTP/2"
        assert over_http2.read(answer) == b"".join(EVENTS)


# --- headers


def test_beta_tokens_stay_for_a_session(on: Stage) -> None:
    session = Coding(system="I am one whose betas stay.")
    for lines, expected in (
        (["one-2025,two-2025", "Three-2025"], "one-2025,two-2025,Three-2025"),
        (["two-2025"], "one-2025,two-2025,Three-2025"),
        ([], "one-2025,two-2025,Three-2025"),
        (["four-2025", "THREE-2025"], "one-2025,two-2025,Three-2025,four-2025"),
    ):
        headers = [*session.headers.items(), *(("anthropic-beta", line) for line in lines)]
        assert on.client.post(MESSAGES, content=session.body, headers=headers).status_code == 200
        assert on.received.header("anthropic-beta") == expected


def test_beta_tokens_of_http2_stay_over_http2(on: Stage, world: World) -> None:
    session, client = Coding(system="I am one whose betas stay over HTTP/2."), on.new_client(http2=True)
    for lines, expected in (
        (["one-2025", "two-2025"], ["one-2025", "two-2025"]),
        (["two-2025"], ["one-2025,two-2025"]),
    ):
        headers = [*session.headers.items(), *(("anthropic-beta", line) for line in lines)]
        client.post(f"https://{TWO}/v1/messages", content=session.body, headers=headers)
        assert [v for k, v in world.http2.received[-1].headers if k == "anthropic-beta"] == expected


def test_openai_betas_stay_too_and_sessions_are_told_apart(on: Stage) -> None:
    url, body = STREAMS["openai-chat"]
    for session, sent, expected in (
        ("a", "x=1", "x=1"),
        ("b", "y=1", "y=1"),
        ("a", "", "x=1"),
        ("b", "z=1", "y=1,z=1"),
    ):
        headers = {"x-headroom-session-id": session, **({"OpenAI-Beta": sent} if sent else {})}
        on.client.post(url, json=body, headers=headers)
        assert on.received.header("openai-beta") == expected


def test_a_wrong_beta_setting_is_told_to_the_client_and_nothing_goes_upstream(on: Stage) -> None:
    on.control("environment", HEADROOM_BETA_HEADER_STICKY="always")
    try:
        sent = [on.send(Coding().read()), on.send(b"no JSON"), on.send(Coding(), {"x-headroom-bypass": "true"})]
    finally:
        on.control("environment", HEADROOM_BETA_HEADER_STICKY="enabled")
    assert on.provider.received == []
    for one in sent:
        assert one.response.status_code == 400
        error = one.response.json()
        assert error["type"] == "error" and error["error"]["type"] == "invalid_request_error"
        said = "HEADROOM_BETA_HEADER_STICKY is 'always'; allowed: enabled | disabled"
        assert error["error"]["message"] == f"headroom: {said}"
        row = on.row(one)
        assert (row.outcome, row.status, row.reason) == ("error", 400, said)


def test_betas_leave_as_they_came_where_they_are_not_to_stay(on: Stage) -> None:
    on.control("environment", HEADROOM_BETA_HEADER_STICKY="disabled")
    try:
        session = Coding(system="I am one whose betas do not stay.")
        for sent in ("one-2025", "two-2025"):
            on.send(session, {"anthropic-beta": sent})
            assert on.received.header("anthropic-beta") == sent
    finally:
        on.control("environment", HEADROOM_BETA_HEADER_STICKY="enabled")


@pytest.mark.parametrize(
    "wish, mode, reason",
    [
        ({"x-headroom-bypass": "true"}, "off", "bypass"),
        ({"x-headroom-mode": "off"}, "off", "mode off"),
        ({"x-headroom-mode": "audit"}, "audit", "audit"),
    ],
)
def test_a_request_may_ask_to_stay_as_it_is(on: Stage, wish: dict[str, str], mode: str, reason: str) -> None:
    session = Coding(system=f"Leave it, {reason}.").read().read()
    on.send(session, {**wish, "anthropic-beta": "one-2025"})
    sent = on.send(session, {**wish, "anthropic-beta": "two-2025"})
    assert on.received.body == session.body and on.received.header("anthropic-beta") == "two-2025"
    assert not any(name.lower().startswith("x-headroom") for name, _ in on.received.headers)
    row = on.row(sent)
    assert (row.outcome, row.mode, row.reason, row.status) == ("unchanged", mode, reason, 200)
    assert row.bytes_after == row.bytes_before == len(session.body)
    assert row.cost_usd == row.cost_without_usd
    saved = row.tokens_before - row.tokens_after
    assert saved == sum(row.saved_by_strategy.values()) and (saved > 500) == (mode == "audit")


def test_an_unknown_mode_is_refused(on: Stage) -> None:
    sent = on.send(Coding(), {"x-headroom-mode": "fast"})
    assert sent.response.status_code == 400 and on.provider.received == []
    assert "x-headroom-mode is 'fast'; allowed: optimize | audit | off" in sent.response.json()["error"]["message"]


def test_the_session_and_project_that_a_request_names_are_in_the_ledger(on: Stage) -> None:
    session = Coding()
    sent = on.send(session, {"x-headroom-session-id": "ticket-7"})
    row = on.row(sent)
    assert (row.session, row.project, row.client, row.model) == (
        "ticket-7",
        sent.project,
        "claude-code",
        "claude-sonnet-4-5",
    )
    assert not any(name.lower().startswith("x-headroom") for name, _ in on.received.headers)


# --- counting


def test_count_tokens_sees_what_the_next_request_sends(on: Stage) -> None:
    session = Coding().read().read()
    counted = on.send(session, url=f"{MESSAGES}/count_tokens")
    seen = on.received.body
    assert counted.response.json() == {"input_tokens": len(seen) // 4}
    sent = on.send(session)
    assert on.received.body == seen != session.body
    assert [on.row(counted).kind, on.row(sent).kind] == ["count_tokens", "messages"]
    assert on.row(counted).tokens_after == on.row(sent).tokens_after


def test_parallel_sessions_do_not_mix(on: Stage) -> None:
    def play(number: int, out: dict[int, list[dict[str, Any]]]) -> None:
        session = Coding(f"parallel-{number}")
        client = on.new_client()
        for _ in range(4):
            session.read(f"file_{number % 2}")
            assert on.send(session, client=client).response.status_code == 200
            mine = [r for r in on.provider.received if r.header("x-claude-code-session-id") == session.session]
            out[number].append(results(mine[-1].body))

    seen: dict[int, list[dict[str, Any]]] = {number: [] for number in range(6)}
    threads = [threading.Thread(target=play, args=(number, seen)) for number in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, turns in seen.items():
        assert len(turns) == 4, "every request of every session was answered"
        for earlier, later in itertools.pairwise(turns):
            assert {call: later[call] for call in earlier} == earlier
        assert f"file_{number % 2}_1(" in turns[0]["toolu_1"]
        assert REFERENCE in turns[-1]["toolu_4"]


# --- options that change what mitmproxy does


def test_with_stream_large_bodies_a_large_request_passes_and_the_ledger_says_so(on: Stage) -> None:
    on.control("options", stream_large_bodies="4k")
    try:
        large, small = (
            Coding().read().read(),
            Coding().read(content=source("tiny", 20)).read(content=source("tiny", 20)),
        )
        assert len(small.body) < 4096 < len(large.body)
        first = on.send(large, {"x-headroom-mode": "optimize"})
        assert on.received.body == large.body
        assert not any(name.lower().startswith("x-headroom") for name, _ in on.received.headers)
        second = on.send(small)
        assert REFERENCE in results(on.received.body)["toolu_2"]
    finally:
        on.control("options", stream_large_bodies=None)
    row = on.row(first)
    assert (row.outcome, row.reason, row.status) == ("passed", "streamed: stream_large_bodies is set", 200)
    assert row.usage is not None and row.usage.output_tokens > 0
    assert on.row(second).outcome == "rewritten"


def test_the_mode_may_change_while_the_proxy_runs(on: Stage) -> None:
    session = Coding().read().read()
    on.control("options", headroom_mode="audit")
    try:
        sent = on.send(session)
        assert on.received.body == session.body and on.row(sent).reason == "audit"
        refused = on.control("options", headroom_mode="fast")
        assert refused.status_code == 400
        assert refused.text == "headroom_mode is 'fast'; allowed: optimize | audit | off"
        assert on.row(on.send(session)).mode == "audit"
    finally:
        on.control("options", headroom_mode="optimize")
    other = Coding().read().read()
    on.send(other)
    rewritten(other.body, on.received.body)


BUDGET = {
    "anthropic": lambda error: error["error"]["type"] == "rate_limit_error",
    "openai-chat": lambda error: error["error"]["code"] == "insufficient_quota",
    "openai-responses": lambda error: error["error"]["code"] == "insufficient_quota",
    "gemini": lambda error: error["error"]["code"] == 429 and error["error"]["status"] == "RESOURCE_EXHAUSTED",
}


def test_a_used_up_budget_is_told_in_the_providers_own_way(on: Stage) -> None:
    on.row(on.send(Coding()))  # what it cost is in the ledger
    on.control("options", headroom_budget="0.00001")
    on.provider.received.clear()
    try:
        for shape, (url, body) in STREAMS.items():
            sent = on.send(json.dumps(body).encode(), url=url)
            assert sent.response.status_code == 429 and 0 < int(sent.response.headers["retry-after"]) <= 86400
            error = sent.response.json()
            assert BUDGET[shape](error), error
            assert "headroom_budget of 0.00 USD a day is used up" in error["error"]["message"]
            assert on.row(sent).status == 429 and on.row(sent).outcome == "error"
    finally:
        on.control("options", headroom_budget="")
    assert on.provider.received == []
    assert on.send(Coding()).response.status_code == 200


# --- privacy


def test_no_key_and_no_content_is_written_down_and_files_are_private(on: Stage) -> None:
    secret, words = "sk-ant-api03-VERY-SECRET", "The-password-of-the-task-is-swordfish"
    session = Coding(system=words).read(content=f"{source('private')}\n{words}").read()
    headers = {"x-api-key": secret, "authorization": f"Bearer {secret}", "x-goog-api-key": secret, "cookie": secret}
    sent = on.send(session, headers)
    on.row(sent)
    on.send(b'{"model": "' + words.encode() + b'"', headers)
    url, body = STREAMS["gemini"]
    on.send(json.dumps(body).encode(), headers, url=url)
    on.row(on.send(session, headers))
    assert on.workspace.stat().st_mode & 0o777 == 0o700
    files = [file for file in on.workspace.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"ledger.db", "state.db"}
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600, file
        assert secret.encode() not in file.read_bytes()
        if not file.name.startswith("state.db"):  # the memory holds replacements, which quote what they replace
            assert words.encode() not in file.read_bytes(), file
    assert secret not in on.proxy.log and words not in on.proxy.log


def test_nothing_but_the_addon_is_needed(tmp_path: Path) -> None:
    """Without the scripts that only tests load."""
    with stage(tmp_path, scripts=[ADDON], options=["headroom_mode=audit"]) as plain:
        session = Coding().read().read()
        sent = plain.send(session)
        assert plain.received.body == session.body and plain.row(sent).reason == "audit"
    assert CONTROL.name not in plain.proxy.log
    assert isinstance(plain.provider, StandIn)
