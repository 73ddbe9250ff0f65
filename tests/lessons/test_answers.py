"""What has gone wrong elsewhere with the answers of providers."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.lessons.conftest import Raw
from tests.support.answers import Answer
from tests.support.coding import REFERENCE, Coding
from tests.support.stage import MESSAGES, Stage

START = b'event: message_start\ndata: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":3}}}\n\n'
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Dialogue:
    """A server that sends each of its chunks only when the client has all before it."""

    def __init__(self, head: bytes, chunks: list[bytes], encode: Callable[[bytes], bytes] = bytes) -> None:
        self.head, self.chunks, self.encode = head, chunks, encode
        self.arrived, self.news = 0, threading.Condition()
        self.held_back: list[int] = []

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(self.head)
        sent = 0
        for number, chunk in enumerate(self.chunks):
            connection.sendall(self.encode(chunk))
            sent += len(chunk)
            with self.news:
                if not self.news.wait_for(lambda: self.arrived >= sent, 5):  # noqa: B023
                    self.held_back.append(number)
        connection.sendall(self.encode(b""))

    def read(self, chunks: Iterator[bytes]) -> bytes:
        raw = b""
        for chunk in chunks:
            raw += chunk
            with self.news:
                self.arrived = len(raw)
                self.news.notify_all()
        assert self.held_back == []
        return raw


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(chunks: list[bytes]) -> Dialogue:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return Dialogue(head, chunks, chunked)


def ask(on: Stage, dialogue: Dialogue, raw: Raw) -> bytes:
    raw.serve = dialogue.serve
    session = Coding(stream=True)
    url = f"https://{Raw.provider}/v1/messages"
    with on.client.stream("POST", url, content=session.body, headers=session.headers) as answer:
        return dialogue.read(answer.iter_raw())


def test_the_stream_was_buffered_and_the_first_token_came_after_a_minute(on: Stage, raw: Raw) -> None:
    """mitmproxy #4469, #6237: a response hook that reads content holds a whole SSE answer back."""
    dialogue = stream([START, *(b'event: x\ndata: {"n":%d}\n\n' % n for n in range(10))])
    assert ask(on, dialogue, raw) == b"".join(dialogue.chunks)


def test_pings_came_without_message_start(on: Stage, raw: Raw) -> None:
    """headroomlabs-ai/headroom #3055: pings before, between and after pass in their places, none is made up."""
    dialogue = stream([PING, START, PING, PING, b'event: message_stop\ndata: {"type":"message_stop"}\n\n'])
    assert ask(on, dialogue, raw) == b"".join(dialogue.chunks)


def test_heartbeats_were_held_back_in_a_fixed_size_buffer(on: Stage, raw: Raw) -> None:
    """databricks/unity-gateway #361: until the client gave up after 284 s. Chunks of three bytes leave as they come."""
    dialogue = stream([b":\n\n"] * 20)
    assert ask(on, dialogue, raw) == b":\n\n" * 20


def test_downloads_and_git_clone_stalled(on: Stage, raw: Raw) -> None:
    """sulla-desktop #540: foreign hosts are not decrypted at all, and what they send passes as it comes."""
    dialogue = Dialogue(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n", [b"0123456789" * 100] * 5)
    raw.serve = dialogue.serve
    with socket.create_connection(("127.0.0.1", on.proxy.port), 10) as connection:
        connection.sendall(f"CONNECT {Raw.foreign}:443 HTTP/1.1\r\nhost: {Raw.foreign}:443\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection, server_hostname=Raw.foreign) as secure:
            issuer = ssl.DER_cert_to_PEM_cert(secure.getpeercert(True) or b"")
            assert issuer != "" and issuer not in on.proxy.certificate.read_text()
            secure.sendall(b"GET /info/refs HTTP/1.1\r\nhost: foreign.test\r\n\r\n")
            left = len(dialogue.head) + 5000

            def pieces() -> Iterator[bytes]:
                nonlocal left
                head = b""
                while len(head) < len(dialogue.head):
                    head += secure.recv(len(dialogue.head) - len(head))
                left -= len(head)
                while left > 0 and (piece := secure.recv(4096)):
                    left -= len(piece)
                    yield piece

            assert dialogue.read(pieces()) == b"0123456789" * 500


def test_a_retry_that_was_not_streamed_was_answered_with_a_stream(on: Stage) -> None:
    """#3040, #3017: each request gets an answer of the kind that it asked for, one that is sent again too."""
    on.provider.script = lambda shape, body: (
        Answer("no", status=400) if REFERENCE in json.dumps(body) else Answer("Taken.")
    )
    for streamed, kind in ((True, "text/event-stream"), (False, "application/json")):
        sent = on.send(Coding(stream=streamed).read().read())
        assert sent.response.headers["content-type"].startswith(kind) and sent.response.content == on.received.answer
        assert on.row(sent).outcome == "resent"
        assert sent.response.content.startswith(b"event: message_start" if streamed else b"{")


def test_the_proxys_own_summary_said_that_nothing_failed(on: Stage, raw: Raw) -> None:
    """#3055: what the client saw is what the ledger counts: an error in the stream, and one that broke off."""
    overloaded = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    dialogue = stream([START, overloaded])
    raw.serve = dialogue.serve
    session, project = Coding(stream=True), on.new_project()
    url, headers = f"https://{Raw.provider}/v1/messages", {**session.headers, "x-headroom-project": project}
    with on.client.stream("POST", url, content=session.body, headers=headers) as answer:
        assert dialogue.read(answer.iter_raw()) == START + overloaded
    (row,) = on.rows(project)
    assert row.status == 200 and "overloaded_error" in row.reason and row.usage and row.usage.input_tokens == 3

    on.provider.script = lambda shape, body: Answer("A long story. " * 20, cut_after=3)
    project = on.new_project()
    with pytest.raises(Exception, match="peer closed connection"):
        on.client.post(MESSAGES, content=session.body, headers={**headers, "x-headroom-project": project})
    assert on.rows(project)[0].reason.endswith("(incomplete chunked read)")


GARBAGE = {
    "no JSON": (b"content-type: application/json", b"<html>surprise</html>"),
    "no events": (b"content-type: text/event-stream", b"\x00\x01data\n\n" * 50),
    "not what its coding says": (b"content-type: application/json\r\ncontent-encoding: gzip", b"this is no gzip"),
    "a coding nobody knows": (b"content-type: application/json\r\ncontent-encoding: x-tomorrow", b"\xff\xfe\x00"),
    "figures that are none": (
        b"content-type: application/json",
        b'{"usage":{"input_tokens":"many","output_tokens":-1}}',
    ),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_completed_answers_were_thrown_away_and_paid_twice(on: Stage, raw: Raw, what: str) -> None:
    """#2340: after a conversion error; the client sent again, a quota was gone in minutes. Whatever the provider says
    reaches the client byte for byte, and it is asked once."""
    head, body = GARBAGE[what]
    dialogue = Dialogue(b"HTTP/1.1 200 OK\r\n%s\r\ncontent-length: %d\r\n\r\n" % (head, len(body)), [body])
    raw.serve = dialogue.serve
    session, project = Coding().read().read(), on.new_project()
    url, headers = f"https://{Raw.provider}/v1/messages", {**session.headers, "x-headroom-project": project}
    with on.client.stream("POST", url, content=session.body, headers=headers) as answer:
        assert dialogue.read(answer.iter_raw()) == body
    assert len(raw.heads) == 1
    (row,) = on.rows(project)
    assert (row.status, row.outcome) == (200, "rewritten")


def test_a_body_that_began_to_leave_before_the_hook_saw_it(on: Stage) -> None:
    """claudecode_webui #1399, mitmproxy #4470: with stream_large_bodies the headers leave before the request hook, and
    the body is None. A chunked request shows only on the way that it is large."""
    on.control("options", stream_large_bodies="3k")
    try:
        session, project = Coding().read().read(), on.new_project()
        pieces = [session.body[i : i + 500] for i in range(0, len(session.body), 500)]
        headers = {**session.headers, "x-headroom-project": project}
        assert on.client.post(MESSAGES, content=iter(pieces), headers=headers).status_code == 200
    finally:
        on.control("options", stream_large_bodies=None)
    assert on.received.body == session.body
    assert not any(name.lower().startswith("x-headroom") for name, _ in on.received.headers)
    (row,) = on.rows(project)
    assert (row.outcome, row.reason) == ("passed", "streamed: stream_large_bodies is set")


def test_answers_with_equal_ids_were_merged_by_the_client(on: Stage) -> None:
    """Claude Code merges messages that have the same id: no two answers of the stand-in share one."""
    ids = {on.send(Coding()).response.json()["id"] for _ in range(20)}
    assert len(ids) == 20
