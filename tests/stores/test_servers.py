"""A server that goes away costs no request its time, and is used again when it is back."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headroom.ccr.originals import Originals, open_originals, original_of
from headroom.errors import ConfigurationError, StorageError
from headroom.stores import remote
from tests.support.proxy import free_port
from tests.support.servers import (
    PostgresProcess,
    RedisProcess,
    postgres_programs,
    postgres_server,
    redis_program,
    redis_server,
)

type Server = RedisProcess | PostgresProcess


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that only this test uses."""
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.05)
    if request.param == "redis":
        if redis_program() is None:
            pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
        with redis_server() as redis:
            yield redis
    else:
        if postgres_programs() is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        with postgres_server() as postgres:
            yield postgres


@pytest.fixture
def originals(server: Server) -> Iterator[Originals]:
    originals = open_originals(server.url)
    yield originals
    originals.close()


def eventually(what: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def can_keep(originals: Originals) -> bool:
    try:
        originals.keep([original_of("again", "s1")])
    except StorageError:
        return False
    return True


def test_what_was_kept_survives_a_restart_of_the_server_unnoticed(server: Server, originals: Originals) -> None:
    one = original_of("kept before", "s1")
    originals.keep([one])
    server.restart()
    found = originals.get(one.hash)
    assert found is not None and found.text == "kept before"


def test_while_it_is_away_keeping_fails_at_once_and_the_log_says_it_once(
    server: Server, originals: Originals, caplog: pytest.LogCaptureFixture
) -> None:
    originals.keep([original_of("kept before", "s1")])
    server.stop()
    began = time.monotonic()
    for _ in range(50):
        assert not can_keep(originals)
        with pytest.raises(StorageError, match="can't be used"):
            originals.get("0" * 24)
    assert time.monotonic() - began < 25  # and not 100 times as long as an answer is waited for
    assert len([r for r in caplog.records if "can't be used" in r.getMessage()]) == 1
    server.start()
    assert eventually(lambda: can_keep(originals))
    assert originals.state(original_of("kept before", "s1").hash) == "live"
    assert len([r for r in caplog.records if "can be used again" in r.getMessage()]) == 1


def test_a_server_that_hangs_is_waited_for_a_moment_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(remote.TIMEOUT, "0.25")
    originals = open_originals(server.url)
    assert eventually(lambda: can_keep(originals))
    assert server.process is not None
    children = _children(server.process.pid)
    for pid in (server.process.pid, *children):
        _send(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(200):  # each would wait, were it not known
            assert not can_keep(originals)
        assert time.monotonic() - began < 20
    finally:
        for pid in (server.process.pid, *children):
            _send(pid, signal.SIGCONT)
    assert eventually(lambda: can_keep(originals))
    originals.close()


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "61"])
def test_a_wrong_timeout_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(remote.TIMEOUT, value)
    for url in ("redis://127.0.0.1/0", "postgresql://127.0.0.1/postgres"):
        with pytest.raises(ConfigurationError, match="HEADROOM_STORE_TIMEOUT is"):
            open_originals(url)
        with pytest.raises(ConfigurationError, match="HEADROOM_STORE_TIMEOUT is"):
            remote.store_url(url)


def test_a_server_that_is_not_there_at_the_start_is_no_reason_to_wait(caplog: pytest.LogCaptureFixture) -> None:
    for kind in ("redis", "postgresql"):
        originals = open_originals(f"{kind}://user:secret@127.0.0.1:{free_port()}/0")
        with pytest.raises(StorageError) as caught:
            originals.keep([original_of("text", "s1")])
        assert "secret" not in str(caught.value)
        originals.close()
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "url", ["mysql://somewhere/db", "redis", "/some/file.db", "redis://127.0.0.1:port/0", "postgresql://%zz/"]
)
def test_a_wrong_url_is_named_when_it_is_read(url: str) -> None:
    with pytest.raises(ConfigurationError, match="headroom_store"):
        open_originals(url)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "postgresql", "mysql"])
def test_no_password_is_in_an_error_or_a_log(scheme: str) -> None:
    assert "secret" not in remote.shown(f"{scheme}://user:secret@host:1/x?password=secret")
    with pytest.raises(ConfigurationError) as caught:
        open_originals(f"{scheme}://user:secret@host:port/%zz")
    assert "secret" not in str(caught.value) + str(caught.value.details)


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'headroom-ai\[redis\]'"):
        open_originals("redis://127.0.0.1/0")


def _children(pid: int) -> list[int]:
    task = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in task.read_text().split()] if task.exists() else []


def _send(pid: int, what: signal.Signals) -> None:
    import os

    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return
