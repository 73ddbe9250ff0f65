"""Whatever goes wrong: what the client sees, what reaches the provider, what the ledger says."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headroom.ledger import Ledger
from tests.support.answers import Answer
from tests.support.certificates import Authority
from tests.support.codex import websocket
from tests.support.coding import COMMAND_REFERENCE, REFERENCE, Coding, results, source
from tests.support.stage import MESSAGES, Stage, stage
from tests.support.standin import StandIn
from tests.support.upstream import Upstream, read_head

MUTE = "mute.test"
"""A provider that takes a request and hangs up."""


def hang_up(connection: socket.socket) -> None:
    read_head(connection)


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        Upstream(hang_up, Authority(folder).server_context()) as mute,
        stage(
            folder / "stage",
            options=[f"headroom_hosts={MUTE}=anthropic", "ssl_insecure=true"],
            environment={"STANDIN_PORTS": json.dumps({MUTE: mute.port})},
        ) as running,
    ):
        yield running
    assert "Addon error" not in running.proxy.log


@pytest.fixture(autouse=True)
def fresh(on: Stage) -> None:
    on.provider.script = done
    on.provider.received.clear()


@pytest.fixture
def workspace(on: Stage, tmp_path: Path) -> Iterator[Path]:
    """The place of a workspace that this test alone has; nothing is there yet."""
    before = on.workspace
    yield tmp_path / "workspace"
    on.move(before)


def done(shape: str, body: dict[str, Any]) -> Answer:
    return Answer("Done.")


def took_over(on: Stage, session: Coding) -> None:
    """Look that a session is rewritten: the proxy does its work."""
    assert on.send(session).response.status_code == 200
    assert REFERENCE in results(on.received.body)[f"toolu_{len(session.messages) // 2}"]


@contextlib.contextmanager
def time_budget(on: Stage, milliseconds: int) -> Iterator[None]:
    on.control("options", headroom_time_budget=milliseconds)
    try:
        yield
    finally:
        on.control("options", headroom_time_budget=5000)


# --- the engine


def test_the_engine_raises(on: Stage) -> None:
    session = Coding(system="secret words of the system prompt").read().read()
    sent = on.send(session, {"x-fault": "raise"})
    assert sent.response.status_code == 200 and on.received.body == session.body
    row = on.row(sent)
    assert (row.outcome, row.reason, row.status) == ("error", "engine: RuntimeError", 200)
    assert row.usage and row.cost_usd == row.cost_without_usd
    log = on.proxy.log
    assert "the engine failed, the request leaves as it came: RuntimeError" in log and "control.py" in log
    assert "secret words" not in log
    took_over(on, Coding().read().read())


def test_the_engine_exceeds_its_time(on: Stage) -> None:
    session = Coding().read()
    began = time.monotonic()
    with time_budget(on, 250):
        sent = on.send(session, {"x-fault": "late 4"})
    assert time.monotonic() - began < 3.8 and sent.response.status_code == 200
    assert on.received.body == session.body
    row = on.row(sent)
    assert (row.outcome, row.reason) == ("passed", "time budget of 250 ms exceeded")
    time.sleep(4)  # the engine has come to its end by now; what it decided was not sent and must not count
    on.send(session.read())
    assert results(on.received.body)["toolu_1"] == source("handler")
    assert results(on.received.body)["toolu_2"] != source("handler")


ONLY_BEFORE = "time budget of 250 ms exceeded: only what was decided before"


def test_what_was_decided_before_holds_when_the_engine_exceeds_its_time(on: Stage) -> None:
    session = Coding().read().read()
    on.send(session)
    before = results(on.received.body)
    began = time.monotonic()
    with time_budget(on, 250):
        sent = on.send(session.read("other").read("other"), {"x-fault": "late 4"})
    assert time.monotonic() - began < 3.8 and sent.response.status_code == 200
    during = results(on.received.body)
    assert REFERENCE in before["toolu_2"] and before.items() <= during.items()
    assert during["toolu_3"] == during["toolu_4"] == source("other"), "nothing new is decided"
    row = on.row(sent)
    assert (row.outcome, row.reason) == ("rewritten", ONLY_BEFORE) and row.tokens_saved > 0
    time.sleep(4)  # the engine has come to its end by now
    on.send(session.read("other"))
    after = results(on.received.body)
    assert during.items() <= after.items() and REFERENCE in after["toolu_5"]


def test_what_was_decided_before_holds_after_a_restart_when_the_engine_exceeds_its_time(
    on: Stage, workspace: Path
) -> None:
    before = on.workspace
    on.move(workspace)
    session = Coding().read().read()
    on.send(session)
    first = results(on.received.body)
    on.move(before)
    on.move(workspace)  # nothing of the session is in memory any more
    with time_budget(on, 250):
        sent = on.send(session.read("other"), {"x-fault": "late 4"})
    assert first.items() <= results(on.received.body).items()
    assert on.row(sent).reason == ONLY_BEFORE


def test_what_was_decided_before_holds_while_others_keep_the_engine_busy(on: Stage) -> None:
    sessions = [Coding().read().read() for _ in range(4)]
    before = []
    for session in sessions:
        on.send(session)
        before.append(results(on.received.body))
    hanging = [threading.Thread(target=on.send, args=(Coding().read(), {"x-fault": "late 4"})) for _ in range(3)]
    with time_budget(on, 250):
        for thread in hanging:
            thread.start()
        time.sleep(0.1)
        for session, old in zip(sessions, before, strict=True):
            sent = on.send(session.read("other"), client=on.new_client())
            assert REFERENCE in old["toolu_2"] and old.items() <= results(on.received.body).items()
            assert on.row(sent).reason in (ONLY_BEFORE, "")
        for thread in hanging:
            thread.join()
    time.sleep(1.2)


def test_what_was_decided_before_cannot_be_found_in_time(on: Stage) -> None:
    session = Coding().read().read()
    on.send(session)
    with time_budget(on, 250):
        sent = on.send(session.read("other"), {"x-fault": "lost 0.6"})
    assert sent.response.status_code == 200 and on.received.body == session.body
    assert (on.row(sent).outcome, on.row(sent).reason) == ("error", "engine: RuntimeError")
    time.sleep(0.6)
    took_over(on, Coding().read().read())


def test_what_was_remembered_is_what_was_sent(on: Stage) -> None:
    """The engine has decided in time and is late with the rest: the provider gets what it decided."""
    session = Coding().read().read()
    with time_budget(on, 400):
        sent = on.send(session, {"x-fault": "slow 0.8"})
    first = results(on.received.body)
    assert REFERENCE in first["toolu_2"] and on.row(sent).outcome == "rewritten"
    on.send(session.read("other"))
    assert first.items() <= results(on.received.body).items()


def test_a_larger_time_budget_is_waited_for(on: Stage) -> None:
    session = Coding().read().read()
    with time_budget(on, 5000):
        sent = on.send(session, {"x-fault": "late 0.4"})
    assert REFERENCE in results(on.received.body)["toolu_2"] and on.row(sent).outcome == "rewritten"


def test_engines_that_hang_hold_nobody_else_up(on: Stage) -> None:
    hanging = [threading.Thread(target=on.send, args=(Coding().read(), {"x-fault": "late 4"})) for _ in range(3)]
    with time_budget(on, 250):
        for thread in hanging:
            thread.start()
        began = time.monotonic()
        assert on.send(Coding().read().read(), client=on.new_client()).response.status_code == 200
        assert time.monotonic() - began < 3
        for thread in hanging:
            thread.join()
    time.sleep(max(0.0, began + 4.3 - time.monotonic()))
    took_over(on, Coding().read().read())


# --- bodies

STRANGE = {
    "cut off": Coding().read().read().body[:-20],
    "no JSON": b"\x00\xff secret words",
    "two values": Coding().read().body + b"{}",
    "a list": b"[1, 2, 3]",
    "a word": b'"secret words"',
    "broken UTF-8": Coding().read().body.replace(b"handler_7", b"handler\xff"),
    "messages twice": Coding().read().body[:-1] + b', "messages": []}',
    "messages of another kind": b'{"model": "m", "messages": {"role": "user"}}',
    "many levels": b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a million levels": b'{"messages": ' + b"[" * 1_000_000,
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_malformed_body_passes_as_it_is(on: Stage, what: str) -> None:
    sent = on.send(STRANGE[what])
    assert on.received.body == STRANGE[what]
    assert sent.response.content == on.received.answer
    row = on.row(sent)
    assert row.outcome in ("passed", "unchanged") and row.bytes_after == row.bytes_before == len(STRANGE[what])
    assert row.status == sent.response.status_code and row.reason and "secret" not in row.reason


def test_an_empty_body_passes(on: Stage) -> None:
    sent = on.send(b"")
    assert on.received.body == b"" and sent.response.status_code == 400
    row = on.row(sent)
    assert (row.outcome, row.reason, row.status) == ("passed", "no body; invalid_request_error", 400)


def test_a_body_of_100_mb_passes(on: Stage) -> None:
    body = b'{"model": "m", "messages": [], "padding": "' + b"0123456789abcdef" * 6_250_000 + b'"}'
    sent = on.send(body)
    assert sent.response.status_code == 200
    assert hashlib.sha256(on.received.body).digest() == hashlib.sha256(body).digest()
    row = on.row(sent)
    assert (row.outcome, row.reason) == ("passed", "body of 100,000,045 bytes: more than providers take")
    took_over(on, Coding().read().read())


def test_a_small_body_that_unpacks_to_more_than_providers_take_passes(on: Stage) -> None:
    import gzip

    body = gzip.compress(b'{"model": "m", "messages": [], "padding": "' + b"0" * 40_000_000 + b'"}')
    sent = on.send(body, {"content-encoding": "gzip"})
    assert sent.response.status_code == 200
    assert (on.row(sent).outcome, on.row(sent).bytes_before) == ("passed", len(body))


def test_unknown_fields_and_block_types_leave_as_they_came(on: Stage) -> None:
    session = Coding(new_field={"a": [1.0, 1e2, {"b": None}]}, betas_of_tomorrow=True).read()
    session.messages[0]["content"].append({"type": "hologram", "data": source("handler"), "id": 7})
    session.messages.append({"role": "assistant", "content": [{"type": "quantum_use", "id": "q1", "input": 1}]})
    strange = {"type": "quantum_result", "quantum_use_id": "q1", "content": source("handler"), "mood": "blue"}
    session.messages.append({"role": "user", "content": [strange]})
    session.messages.append({"role": "observer", "content": source("handler"), "unheard": True})
    session.read(content=[{"type": "hologram", "text": source("handler")}]).read()
    sent = on.send(session)
    assert on.row(sent).outcome == "rewritten"
    before, after = json.loads(session.body), json.loads(on.received.body)
    assert REFERENCE in after["messages"][-1]["content"][0].pop("content")
    del before["messages"][-1]["content"][0]["content"]
    assert json.dumps(after) == json.dumps(before)


# --- the disk


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 1 MB at ``folder``."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)]
    allowed = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None
    if not allowed or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted on Linux by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Nothing more can be written to the disk at ``folder``."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    try:
        yield
    finally:
        filler.unlink()


def test_the_disk_is_full(on: Stage, workspace: Path) -> None:
    before = on.workspace
    with small_disk(workspace):
        on.move(workspace)
        kept = Coding().read()
        first = on.send(kept)
        on.row(first)
        old = results(on.received.body)
        with full(workspace):
            sent = on.send(kept.read())
            during = results(on.received.body)
            assert REFERENCE in during["toolu_2"] and old.items() <= during.items()
            took_over(on, Coding().read().read())
            assert "can't be used" in on.logged(f"{workspace}/state.db")
            assert "can't be used" in on.logged(f"{workspace}/ledger.db")
            on.send(kept.read("other"))
            assert during.items() <= results(on.received.body).items()
        on.move(before)  # it lets go of the workspace, and there is room again
        on.workspace = workspace
        assert on.row(sent).outcome == "rewritten" and on.row(first).outcome == "rewritten"
        on.move(workspace)
        on.send(kept)  # as after a restart: all that was decided has reached the disk
        assert during.items() <= results(on.received.body).items()
        on.move(before)


def test_the_database_is_locked(on: Stage, workspace: Path) -> None:
    before = on.workspace
    on.move(workspace)
    session = Coding().read()
    on.send(session)
    on.move(before)
    on.move(workspace)  # nothing of the session is in memory any more
    with contextlib.ExitStack() as locks:
        for name in ("state.db", "ledger.db"):
            database = locks.enter_context(contextlib.closing(sqlite3.connect(workspace / name, isolation_level=None)))
            database.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        sent = on.send(session.read())
        assert sent.response.status_code == 200 and time.monotonic() - began < 3
        during = results(on.received.body)
        assert during["toolu_1"] != source("handler") and REFERENCE in during["toolu_2"]
        assert "database is locked" in on.logged(f"{workspace}/state.db can't be used")
        assert "database is locked" in on.logged(f"{workspace}/ledger.db can't be used")
        on.send(session.read())
        assert during.items() <= results(on.received.body).items()
    on.move(before)
    on.workspace = workspace
    assert on.row(sent).outcome == "rewritten"
    on.move(workspace)
    on.send(session.read("other"))
    assert during.items() <= results(on.received.body).items()


def aside(workspace: Path, name: str) -> bytes:
    """What was moved aside of a database."""
    (found,) = (file for file in workspace.glob(f"{name}.corrupt-*") if not file.name.endswith(("-wal", "-shm")))
    return found.read_bytes()


def test_the_databases_are_broken_when_the_proxy_starts(on: Stage, workspace: Path) -> None:
    workspace.mkdir(mode=0o700)
    for name in ("state.db", "ledger.db"):
        (workspace / name).write_bytes(b"This is no database. " * 500)
    on.move(workspace)
    sent = on.send(Coding().read().read())
    assert REFERENCE in results(on.received.body)["toolu_2"] and on.row(sent).outcome == "rewritten"
    for name in ("state.db", "ledger.db"):
        assert "moved to" in on.logged(f"{workspace}/{name} is not a sound database")
        assert aside(workspace, name) == b"This is no database. " * 500
        assert (workspace / name).read_bytes().startswith(b"SQLite format 3\0")


def test_the_databases_break_while_the_proxy_runs(on: Stage, workspace: Path) -> None:
    before = on.workspace
    on.move(workspace)
    session = Coding().read()
    on.row(on.send(session))
    for name in ("state.db", "ledger.db"):
        for file in (workspace / name, workspace / f"{name}-wal"):
            with file.open("r+b") as broken:
                broken.write(b"garbage " * (file.stat().st_size // 8))
    sent = on.send(session.read())
    during = results(on.received.body)
    assert sent.response.status_code == 200
    assert during["toolu_1"] != source("handler") and REFERENCE in during["toolu_2"]
    on.send(session.read("other"))
    assert during.items() <= results(on.received.body).items()
    on.move(before)
    on.move(workspace)
    sent = on.send(Coding().read().read())
    assert REFERENCE in results(on.received.body)["toolu_2"] and on.row(sent).outcome == "rewritten"
    for name in ("state.db", "ledger.db"):
        assert "moved to" in on.logged(f"{workspace}/{name} is not a sound database")
        assert b"garbage" in aside(workspace, name)


def test_the_workspace_cannot_be_written(on: Stage, workspace: Path) -> None:
    """Not even by root: a file stands where its folder should be."""
    workspace.write_text("in the way")
    on.move(workspace)
    session = Coding().read()
    on.send(session)
    first = results(on.received.body)
    sent = on.send(session.read())
    assert sent.response.status_code == 200
    assert first.items() <= results(on.received.body).items() and REFERENCE in results(on.received.body)["toolu_2"]
    assert "can't be used" in on.logged(f"{workspace}/state.db")
    assert "can't be used" in on.logged(f"{workspace}/ledger.db")
    on.logged("200 messages claude-sonnet-4-5, rewritten")
    assert workspace.read_text() == "in the way"


# --- the provider


@pytest.mark.parametrize(
    "status, error",
    [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_error_of_the_provider_reaches_the_client(on: Stage, status: int, error: str, streamed: bool) -> None:
    on.provider.script = lambda shape, body: Answer("not now", status=status, headers={"retry-after": "7"})
    sent = on.send(Coding(stream=streamed).read().read())
    assert sent.response.status_code == status and sent.response.headers["retry-after"] == "7"
    assert sent.response.content == on.received.answer
    assert len(on.provider.received) == 1, "nothing is sent again"
    row = on.row(sent)
    assert row.status == status and row.usage is None and row.cost_usd is None and row.tokens_saved == 0
    assert row.reason == error


def test_the_provider_breaks_off_in_the_middle_of_an_answer(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("A long story. " * 50, cut_after=4)
    session = Coding(stream=True).read().read()
    project, raw = on.new_project(), b""
    headers = {**session.headers, "x-headroom-project": project}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        on.client.stream("POST", MESSAGES, content=session.body, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            raw += chunk
    assert raw == on.received.answer and raw.count(b"event: ") == 4
    (row,) = on.rows(project)
    assert row.status == 200 and row.outcome == "rewritten" and row.reason.startswith("connection: ")
    assert row.usage and row.usage.total_input == on.received.bill.input, "what it said until then counts"


def test_the_provider_hangs_up(on: Stage) -> None:
    sent = on.send(Coding().read().read(), url=f"https://{MUTE}/v1/messages")
    assert sent.response.status_code == 502
    row = on.row(sent)
    assert row.status == 0 and row.reason.startswith("connection: ") and row.cost_usd is None and row.tokens_saved == 0


def test_the_client_goes_away_in_the_middle_of_an_answer(on: Stage) -> None:
    gone = threading.Event()

    def pace(event: int) -> None:
        assert event < 4 or gone.wait(5)

    on.provider.script = lambda shape, body: Answer("A long story. " * 50, pace=pace, delay=0.05)
    session, project, client = Coding(stream=True).read().read(), on.new_project(), on.new_client()
    headers = {**session.headers, "x-headroom-project": project}
    with client.stream("POST", MESSAGES, content=session.body, headers=headers) as answer:
        next(answer.iter_raw())
    client.close()
    (row,) = on.rows(project)
    assert row.status == 200 and row.outcome == "rewritten" and row.reason.startswith("connection: ")
    assert row.usage and row.usage.total_input == on.received.bill.input
    gone.set()
    took_over(on, Coding().read().read())


def test_the_client_goes_away_while_its_request_is_rewritten(on: Stage) -> None:
    session, project, client = Coding().read(), on.new_project(), on.new_client(timeout=0.1)
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            MESSAGES,
            content=session.body,
            headers={**session.headers, "x-headroom-project": project, "x-fault": "late 0.5"},
        )
    client.close()
    (row,) = on.rows(project)
    assert row.status == 0 and "connection: " in row.reason
    assert on.provider.received == []
    took_over(on, Coding().read().read())


# --- the provider refuses what we made of a request


def picky(status: int = 400) -> Any:
    """A provider that takes no reference."""

    def script(shape: str, body: dict[str, Any]) -> Answer:
        if any(words in json.dumps(body) for words in (REFERENCE, COMMAND_REFERENCE)):
            return Answer("messages.4: this is not what I know", status=status)
        return Answer("Taken. " * 20)

    return script


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_refused_request_is_sent_again_unchanged(on: Stage, status: int, streamed: bool) -> None:
    on.provider.script = picky(status)
    session = Coding(stream=streamed).read()
    on.send(session)
    on.provider.received.clear()
    sent = on.send(session.read(), {"anthropic-beta": "a", "x-own": "1"})
    refused, taken = on.provider.received
    assert REFERENCE.encode() in refused.body and taken.body == session.body
    own = [h for h in taken.headers if h[0].lower() != "content-length"]
    assert own == [h for h in refused.headers if h[0].lower() != "content-length"]
    assert sent.response.status_code == 200 and sent.response.content == taken.answer
    row = on.row(sent)
    assert (row.outcome, row.status, row.reason) == ("resent", 200, f"refused with {status}: session left alone")
    assert row.tokens_before == row.tokens_after and row.cost_usd == row.cost_without_usd and row.tokens_saved == 0
    assert row.usage and row.usage.total_input == taken.bill.input and row.bytes_after == row.bytes_before
    assert "it is left alone" in on.logged(f"the provider refused a rewritten request of session {session.session}")

    on.provider.received.clear()
    later = on.send(session.read("other"))
    assert [one.body for one in on.provider.received] == [session.body]
    assert on.row(later).outcome == "unchanged"
    assert on.row(later).reason == f"the provider refused a rewritten request with {status}"
    on.provider.script = done
    took_over(on, Coding().read().read())


def test_a_session_is_left_alone_after_a_restart_too(on: Stage, workspace: Path) -> None:
    before = on.workspace
    on.move(workspace)
    on.provider.script = picky()
    session = Coding().read().read()
    assert on.row(on.send(session)).outcome == "resent"
    on.move(before)
    on.move(workspace)
    on.provider.received.clear()
    sent = on.send(session.read("other"))
    assert [one.body for one in on.provider.received] == [session.body]
    assert on.row(sent).reason == "the provider refused a rewritten request with 400"


def test_an_encoded_request_is_sent_again_byte_for_byte(on: Stage) -> None:
    import gzip

    on.provider.script = picky()
    session = Coding().read().read()
    body = gzip.compress(session.body, 9)
    sent = on.send(body, {**session.headers, "content-encoding": "gzip"})
    assert sent.response.status_code == 200
    assert on.received.header("content-length") == str(len(body)) and on.received.body == session.body
    assert on.row(sent).outcome == "resent"


def test_a_request_whose_original_is_refused_too_gets_that_answer(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("prompt is too long: 200001 tokens", status=400)
    session = Coding().read().read()
    sent = on.send(session)
    changed, original = on.provider.received
    assert changed.body != session.body == original.body
    assert sent.response.status_code == 400 and sent.response.content == original.answer
    row = on.row(sent)
    assert (row.outcome, row.status) == ("resent", 400)
    assert row.reason == "refused with 400, the original with 400; invalid_request_error" and row.tokens_saved == 0
    on.provider.script = done
    took_over(on, session.read())


def test_a_refusal_of_what_we_did_not_change_is_the_clients(on: Stage) -> None:
    on.provider.script = lambda shape, body: Answer("max_tokens: field required", status=400)
    sent = on.send(Coding())
    assert sent.response.status_code == 400 and len(on.provider.received) == 1
    assert sent.response.content == on.received.answer
    assert on.row(sent).outcome == "unchanged" and "invalid_request_error" in on.row(sent).reason


def test_the_original_finds_the_provider_overloaded(on: Stage) -> None:
    answers = iter([Answer("no", status=400), Answer("busy", status=529, headers={"retry-after": "3"})])
    on.provider.script = lambda shape, body: next(answers)
    session = Coding().read().read()
    sent = on.send(session)
    assert sent.response.status_code == 529 and sent.response.headers["retry-after"] == "3"
    assert on.row(sent).reason == "refused with 400, the original with 529; overloaded_error"
    on.provider.script = done
    took_over(on, session.read())


# --- the same over a WebSocket


def turns_of(session: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """A Codex session that has shown the same file ``number`` times."""
    for call in range(len(session) // 2, number):
        shown = source("handler")
        arguments = json.dumps({"cmd": "cat handler.py"})
        session.append({"type": "function_call", "name": "exec_command", "call_id": f"c{call}", "arguments": arguments})
        session.append({"type": "function_call_output", "call_id": f"c{call}", "output": shown})
    return session


@contextlib.contextmanager
def codex(on: Stage, project: str, **more: str) -> Iterator[Any]:
    """A WebSocket as Codex opens it, with ``more`` headers: a function that sends a request and gives back the events
    of its answer."""
    headers = {"session_id": project, "originator": "codex_exec", "x-headroom-project": project, **more}
    with websocket(on, headers) as send:
        yield lambda items: send({"type": "response.create", "model": "gpt-5.1-codex", "input": items})


def test_a_message_refused_on_a_websocket_is_sent_again_unchanged(on: Stage) -> None:
    on.provider.script = picky()
    project = on.new_project()
    with codex(on, project) as ask:
        assert ask(turns_of([], 1))[-1]["type"] == "response.completed"
        events = ask(turns_of([], 2))
        assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
        _, refused, taken = on.provider.received
        assert COMMAND_REFERENCE in refused.body.decode() and taken.json["input"] == turns_of([], 2)
        assert ask(turns_of([], 3))[-1]["type"] == "response.completed"
        assert on.received.json["input"] == turns_of([], 3) and len(on.provider.received) == 4
    first, second, third = on.rows(project, 3)
    assert (first.status, second.outcome, second.reason) == (
        101,
        "resent",
        "refused with invalid_request_error: session left alone",
    )
    assert second.usage and second.usage.total_input == taken.bill.input and second.tokens_saved == 0
    assert (third.outcome, third.reason) == (
        "unchanged",
        "the provider refused a rewritten request with invalid_request_error",
    )


def test_what_was_decided_before_holds_on_a_websocket_when_the_engine_exceeds_its_time(on: Stage) -> None:
    project = on.new_project()
    with codex(on, project) as ask:
        ask(turns_of([], 2))
        before = on.received.json["input"]
    assert before != turns_of([], 2)
    with time_budget(on, 250), codex(on, project, **{"x-fault": "late 0.8"}) as ask:
        ask(turns_of([], 3))
    assert on.received.json["input"] == before + turns_of([], 3)[4:]
    assert on.rows(project, 2)[-1].reason == ONLY_BEFORE
    time.sleep(0.8)


def test_a_websocket_whose_user_has_used_up_a_limit_is_told_so_once(on: Stage) -> None:
    project = on.new_project()
    with codex(on, project) as ask:
        on.provider.script = lambda shape, body: Answer("usage limit reached", status=429)
        (event,) = ask(turns_of([], 2))
        assert event["status"] == 429 and len(on.provider.received) == 1
        on.provider.script = done
        assert ask(turns_of([], 3))[-1]["type"] == "response.completed"
    assert COMMAND_REFERENCE in on.received.body.decode()
    first, second = on.rows(project, 2)
    assert first.usage is None and "rate_limit_error" in first.reason
    assert second.outcome == "rewritten" and second.usage


# --- the proxy itself


def test_a_proxy_that_is_killed_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    with stage(tmp_path) as own:
        session = Coding().read().read()
        first = own.send(session)
        before = results(own.received.body)
        assert own.row(first).outcome == "rewritten"
        own.proxy.stop(signal.SIGKILL)
        own.proxy.start()
        own.client = own.new_client()
        sent = own.send(session.read())
        after = results(own.received.body)
        assert REFERENCE in before["toolu_2"] and before.items() <= after.items()
        assert own.row(first).outcome == own.row(sent).outcome == "rewritten"

        # ended in the middle of an answer: what is known of it is written down
        begun, never = threading.Event(), threading.Event()

        def pace(event: int) -> None:
            if event == 3:
                begun.set()
                never.wait(10)

        own.provider.script = lambda shape, body: Answer("A long story. " * 50, pace=pace)
        project = own.new_project()
        waiting = threading.Thread(target=reads_in_vain, args=(own, project))
        waiting.start()
        assert begun.wait(5)
        own.proxy.stop()
        never.set()
        waiting.join()
        (row,) = own.rows(project)
        assert row.status == 200 and row.reason and row.usage and row.usage.total_input > 0
        assert "this run: " in own.proxy.log


def reads_in_vain(own: Stage, project: str) -> None:
    session = Coding(stream=True).read().read()
    with contextlib.suppress(httpx.HTTPError):
        own.client.post(MESSAGES, content=session.body, headers={**session.headers, "x-headroom-project": project})


def test_two_proxies_on_one_workspace_lose_no_row(on: Stage, tmp_path: Path) -> None:
    both = {"HEADROOM_WORKSPACE_DIR": str(on.workspace)}
    project = on.new_project()
    with StandIn(tmp_path, done) as provider, stage(tmp_path, environment=both, provider=provider) as other:
        shared = Coding("shared-by-two").read().read()

        def send(which: Stage) -> None:
            client = which.new_client()
            for _ in range(25):
                session = Coding().read().read()
                headers = {**session.headers, "x-headroom-project": project}
                assert client.post(MESSAGES, content=session.body, headers=headers).status_code == 200

        threads = [threading.Thread(target=send, args=(which,)) for which in (on, other, on, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = on.rows(project, 100)
        assert len(rows) == len({row.id for row in rows}) == 100
        assert {row.outcome for row in rows} == {"rewritten"}

        on.send(shared)
        mine = results(on.received.body)
        other.client.post(MESSAGES, content=shared.read("more").body, headers=shared.headers)
        assert mine.items() <= results(other.received.body).items(), "what one has decided holds for the other"
    ledger = Ledger(on.workspace / "ledger.db")
    assert ledger.totals(project=project).requests == 100
    ledger.close()
