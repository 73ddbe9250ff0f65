"""Beta headers of a session that hops between proxies: sent once by any of them, sent for the rest of it by all."""

import contextlib
from collections.abc import Iterator

import pytest

from headroom.session.betas import SessionBetaTracker
from headroom.stores.opening import open_lists
from tests.support.servers import redis_program, redis_server


@pytest.fixture(params=["redis", "postgres"])
def trackers(request: pytest.FixtureRequest) -> Iterator[list[SessionBetaTracker]]:
    url = request.getfixturevalue(f"{request.param}_url")
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(SessionBetaTracker(10, open_lists(url)))) for _ in range(2)]


def send(tracker: SessionBetaTracker, *values: str, session: str = "s") -> str:
    """What leaves for what a client sent."""
    tracker.share("anthropic", session, values)
    return tracker.merge("anthropic", session, values) or ",".join(values)


def test_a_token_that_was_sent_through_one_is_sent_by_the_other(trackers: list[SessionBetaTracker]) -> None:
    one, other = trackers
    assert send(one, "a,b") == "a,b"
    assert send(other, "a") == "a,b"
    assert send(other, "C,a") == "a,b,C"
    assert send(one, "a,c") == "a,b,C"
    assert send(one, "") == "a,b,C"


def test_sessions_and_providers_are_kept_apart(trackers: list[SessionBetaTracker]) -> None:
    one, other = trackers
    send(one, "a")
    assert send(other, "b", session="t") == "b"
    other.share("openai-chat", "s", [""])
    assert other.merge("openai-chat", "s", [""]) is None


def test_it_is_known_after_a_restart(trackers: list[SessionBetaTracker]) -> None:
    one, other = trackers
    send(one, "a,b")
    assert other.merge("anthropic", "s", ["a"]) is None  # it has not asked yet
    assert send(other, "a") == "a,b"


def test_without_the_store_each_goes_on_by_what_it_knows() -> None:
    if redis_program() is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with redis_server() as server:
        tracker = SessionBetaTracker(10, open_lists(server.url))
        send(tracker, "a,b")
        server.stop()
        assert send(tracker, "a") == "a,b"
        assert send(tracker, "a,c") == "a,b,c"
        tracker.close()


def test_disabled_nothing_is_asked(trackers: list[SessionBetaTracker], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = trackers
    send(one, "a,b")
    monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "disabled")
    assert send(other, "a") == "a"
