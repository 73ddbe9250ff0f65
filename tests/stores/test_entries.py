"""What every store of entries promises, wherever it keeps them."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headroom.errors import StorageError
from headroom.stores.entries import Entries, Entry, Limits
from headroom.stores.opening import open_entries

type Opening = Callable[[Limits], Entries]
LIMITS = Limits(ttl=100.0, session_seconds=1000.0, entries=5, bytes=10_000)


class Clock:
    """The time, as a test wants it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def opening(tmp_path: Path, store_url: str) -> Iterator[Opening]:
    """Opens the same store again and again, as several proxies do."""
    opened: list[Entries] = []

    def opening(limits: Limits = LIMITS) -> Entries:
        opened.append(open_entries(store_url, tmp_path / "workspace" / "originals.db", limits))
        return opened[-1]

    yield opening
    for entries in opened:
        entries.close()


def entry(name: str, session: str = "s1", data: bytes = b"", tool: str = "Read", made: float = 0.0) -> Entry:
    data = data or name.encode()
    return Entry(f"{name:0>24}", session, tool, f"src/{name}.py", made or time.time(), 3 * len(data), data)


def key(name: str) -> str:
    return f"{name:0>24}"


def names(*some: str) -> set[str]:
    return {key(name) for name in some}


def test_what_is_kept_is_there_for_another_proxy(opening: Opening) -> None:
    kept = [entry("a"), entry("b", data=bytes(range(256)))]
    opening(LIMITS).put(kept)
    other = opening(LIMITS)
    assert [other.get(one.hash) for one in kept] == kept
    assert other.get(key("c")) is None
    assert other.missing([key("a"), key("c")]) == names("c")
    assert other.missing([]) == set()


def test_one_text_of_two_sessions_is_kept_once_and_belongs_to_both(opening: Opening) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a", "s1", tool="Read"), entry("a", "s2", tool="Bash"), entry("b", "s2")])
    assert [one.hash for one in entries.of_session("s1")] == [key("a")]
    assert {(one.hash, one.tool) for one in entries.of_session("s2")} == {(key("a"), "Bash"), (key("b"), "Read")}
    assert all(one.data == b"" and one.size == 3 for one in entries.of_session("s2"))
    assert entries.stats() == {"entries": 2, "bytes": 2, "text_bytes": 6, "sessions": 2}


def test_keeping_the_same_again_changes_nothing(opening: Opening) -> None:
    entries = opening(LIMITS)
    for _ in range(3):
        entries.put([entry("a", made=7.0)])
    assert entries.stats() == {"entries": 1, "bytes": 1, "text_bytes": 3, "sessions": 1}
    assert entries.of_session("s1") == [replace(entry("a", made=7.0), data=b"")]


def test_a_session_lists_what_it_kept_oldest_first(opening: Opening) -> None:
    entries = opening(LIMITS)
    entries.put([entry("b", made=2.0), entry("a", made=3.0), entry("c", made=1.0)])
    assert [one.made for one in entries.of_session("s1")] == [1.0, 2.0, 3.0]
    assert entries.of_session("another") == []


def test_the_sessions_that_hold_something_are_listed_latest_first(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a"), entry("b")])
    clock.passes(1)
    entries.put([entry("a", "s2")])
    clock.passes(1)
    entries.touch("s3")
    assert [(one.session, one.entries, one.text_bytes) for one in entries.holders()] == [("s2", 1, 3), ("s1", 2, 6)]
    assert [one.seen for one in entries.holders()] == [clock.now - 1, clock.now - 2]
    assert [one.session for one in entries.holders(1)] == ["s2"]


def test_what_expired_is_told_from_what_was_never_kept(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a")])
    assert entries.state(key("a")) == "live"
    clock.passes(1001)
    assert entries.state(key("a")) == "expired"
    assert entries.get(key("a")) is None
    assert entries.missing([key("a")]) == names("a")
    entries.put([entry("b", "s2")])  # takes out what has expired
    assert entries.state(key("a")) == "expired"
    assert entries.state(key("c")) == "unknown"
    assert entries.stats()["entries"] == 1
    entries.put([entry("a", "s2")])
    assert entries.state(key("a")) == "live"


def test_nothing_of_a_living_session_expires(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a"), entry("b", "s2")])
    for _ in range(10):
        clock.passes(900)
        entries.touch("s1")
        entries.put([entry("c", "s3")])
    assert entries.state(key("a")) == "live"
    assert entries.state(key("b")) == "expired"
    assert entries.get(key("a")) is not None
    clock.passes(1001)
    assert entries.state(key("a")) == "expired"


def test_a_session_that_another_proxy_sees_lives(opening: Opening, clock: Clock) -> None:
    one, other = opening(LIMITS), opening(LIMITS)
    one.put([entry("a")])
    for _ in range(5):
        clock.passes(900)
        other.touch("s1")
    one.put([entry("b", "s2")])
    assert one.get(key("a")) is not None


def test_what_no_session_holds_lives_as_long_as_it_is_read(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a", ""), entry("b", "")])
    for _ in range(10):
        clock.passes(60)
        assert entries.get(key("a")) is not None
    assert entries.state(key("b")) == "expired"
    clock.passes(101)
    assert entries.state(key("a")) == "expired"


def test_above_the_limit_the_longest_unused_goes(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    for name in "abcde":
        entries.put([entry(name, "")])
        clock.passes(5)
    assert entries.get(key("a")) is not None
    entries.put([entry("f", "")])
    assert entries.missing(names(*"abcdef")) == names("b")
    assert entries.state(key("b")) == "expired"
    assert entries.stats()["entries"] == 5


def test_above_the_limit_nothing_of_a_living_session_goes(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    entries.put([entry(name) for name in "abcd"])
    entries.put([entry("e", "")])
    clock.passes(5)
    entries.put([entry(name, "s2") for name in "fghij"])
    assert entries.missing(names(*"abcdefghij")) == names("e")


def test_a_full_store_refuses_and_keeps_what_it_has(opening: Opening, clock: Clock) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a", data=b"x" * 6000)])
    with pytest.raises(StorageError, match="full"):
        entries.put([entry("b", data=b"y" * 3000), entry("c", data=b"z" * 3000)])
    assert entries.missing(names("a", "b", "c")) == names("b", "c")
    entries.put([entry("a", "s2", data=b"x" * 6000), entry("b", "s2", data=b"y" * 3000)])  # one of them is there
    clock.passes(1001)
    entries.put([entry("d", "s3", data=b"d" * 9000)])
    assert entries.stats() == {"entries": 1, "bytes": 9000, "text_bytes": 27000, "sessions": 1}


def test_what_is_forgotten_can_be_kept_anew(opening: Opening) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a", data=b"wrong")])
    entries.forget(key("a"))
    assert entries.get(key("a")) is None
    entries.put([entry("a", data=b"right")])
    found = entries.get(key("a"))
    assert found is not None and found.data == b"right"


def test_many_threads_use_one_store(opening: Opening) -> None:
    entries = opening(replace(LIMITS, entries=10_000, bytes=1 << 20))
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for count in range(25):
                name = f"{number}x{count}"
                entries.put([entry(name, f"s{number}")])
                found = entries.get(key(name))
                assert found is not None and found.data == name.encode()
                entries.touch(f"s{number}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert entries.stats()["entries"] == 100
    assert [len(entries.of_session(f"s{number}")) for number in range(4)] == [25] * 4


def test_a_closed_store_says_so(opening: Opening) -> None:
    entries = opening(LIMITS)
    entries.put([entry("a")])
    entries.close()
    with pytest.raises(StorageError, match="closed"):
        entries.get(key("a"))
