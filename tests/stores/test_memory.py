"""What every memory of decisions promises: embedded, or shared by several proxies through a server."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from headroom.errors import StorageError
from headroom.session.memory import Decision, Memory
from headroom.session.shared import SharedMemory, open_memory
from headroom.stores.lists import Item
from headroom.stores.opening import open_lists
from tests.stores.test_servers import eventually
from tests.support.servers import RedisProcess, redis_program, redis_server

type Opening = Callable[..., Memory]
P, Q = b"p" * 16, b"q" * 16


@pytest.fixture
def opening(tmp_path: Path, store_url: str) -> Iterator[Opening]:
    """Opens the memory of a further proxy: with a workspace of its own, where a server is between them."""
    opened: list[Memory] = []

    def opening(name: str = "one") -> Memory:
        folder = tmp_path / (name if store_url else "both")
        opened.append(open_memory(store_url, folder / "state.db"))
        return opened[-1]

    yield opening
    for memory in opened:
        memory.close()


def decision(name: str, text: str = "short", needs: tuple[bytes, ...] = (), hash: str = "") -> Decision:
    return Decision(name.encode().ljust(16, b"."), text, 100, 10, {"repeats": 90}, frozenset(needs), hash)


def test_what_one_proxy_decided_the_other_finds_whole(opening: Opening) -> None:
    one, other = opening(), opening("other")
    made = [decision("a", "wörter \x00 \U0001f600\n", (P, Q), "0" * 24), decision("b", "")]
    assert one.remember(made)
    assert other.find([made[1].key, made[0].key, b"none"]) == {made[0].key: [made[0]], made[1].key: [made[1]]}
    assert one.find([made[0].key]) == {made[0].key: [made[0]]}
    assert one.find([]) == {} and other.find([b"none"]) == {}


def test_the_first_to_decide_has_decided_for_all(opening: Opening) -> None:
    one, other = opening(), opening("other")
    first, late = decision("a", "first"), decision("a", "late")
    assert one.remember([first])
    assert not other.remember([late, decision("b")])
    assert other.find([first.key]) == one.find([first.key]) == {first.key: [first]}
    assert other.remember([first])


def test_one_that_holds_elsewhere_does_not_stand_in_the_way_when_it_was_known(opening: Opening) -> None:
    one, other = opening(), opening("other")
    with_p, with_q = decision("a", "as in p", (P,)), decision("a", "as in q", (Q,))
    assert one.remember([with_p])
    known = other.find([with_p.key])
    assert other.remember([with_q], known)
    assert one.find([with_p.key]) == other.find([with_p.key]) == {with_p.key: [with_p, with_q]}


def test_one_that_was_not_known_is_told(opening: Opening) -> None:
    one, other = opening(), opening("other")
    known = other.find([decision("a").key])
    assert one.remember([decision("a", "as in p", (P,))])
    assert not other.remember([decision("a", "as in q", (Q,))], known)


def test_of_many_that_decide_at_once_one_is_first_for_all(opening: Opening) -> None:
    memories = [opening(f"proxy{number}") for number in range(4)]
    blocks = [f"block{number}" for number in range(10)]
    stood: list[list[bool]] = [[] for _ in memories]

    def work(number: int) -> None:
        for block in blocks:
            made = decision(block, f"by {number}", (bytes([number]) * 16,))
            stood[number].append(memories[number].remember([made], memories[number].find([made.key])))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [decision(block).key for block in blocks]
    found = [memory.find(keys) for memory in memories]
    assert all(one == found[0] for one in found)
    for place, key in enumerate(keys):
        first = found[0][key][0].replacement
        assert all(stood[n][place] or first != f"by {n}" for n in range(4))  # the first of all is told that it stands


def test_a_session_that_is_left_alone_is_left_alone_by_all(opening: Opening) -> None:
    one, other = opening(), opening("other")
    assert other.left_alone("s1") is None
    one.leave_alone("s1", "the provider refused it")
    one.leave_alone("s1", "for another reason")
    assert eventually(lambda: other.left_alone("s1") is not None)
    assert other.left_alone("s1") == one.left_alone("s1") == "the provider refused it"
    assert other.left_alone("s2") is None


def test_it_is_known_after_a_restart(opening: Opening) -> None:
    memory = opening()
    memory.remember([decision("a")])
    memory.leave_alone("s1", "refused")
    memory.close()
    again = opening()
    assert again.find([decision("a").key]) == {decision("a").key: [decision("a")]}
    assert again.left_alone("s1") == "refused"


def test_without_the_store_the_copies_hold_and_nothing_new_is_remembered(tmp_path: Path) -> None:
    if redis_program() is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with redis_server() as server:
        one, other = (open_memory(server.url, tmp_path / name / "state.db") for name in ("one", "other"))
        one.remember([decision("a")])
        other.find([decision("a").key])
        one.leave_alone("s1", "refused")
        assert eventually(lambda: other.left_alone("s1") == "refused")
        server.stop()
        for memory in (one, other):
            assert memory.find([decision("a").key, decision("b").key]) == {decision("a").key: [decision("a")]}
            assert memory.problem
            assert not memory.remember([decision("b")])
            assert memory.left_alone("s1") == "refused"
            memory.close()


def test_what_the_store_has_lost_comes_back_from_the_copies(
    redis_process: RedisProcess, redis_url: str, tmp_path: Path
) -> None:
    import redis

    one, other = (open_memory(redis_url, tmp_path / name / "state.db") for name in ("one", "other"))
    made = [decision("a", "as in p", (P,)), decision("a", "as in q", (Q,)), decision("b")]
    one.remember(made)
    with redis.Redis(port=redis_process.port) as client:
        client.flushall()
    assert one.find([made[0].key, made[2].key]) == {made[0].key: made[:2], made[2].key: made[2:]}
    assert other.find([made[0].key, made[2].key]) == {made[0].key: made[:2], made[2].key: made[2:]}
    one.close()
    other.close()


def test_decisions_of_a_single_proxy_are_shared_from_the_day_it_has_a_store(redis_url: str, tmp_path: Path) -> None:
    alone = open_memory("", tmp_path / "one" / "state.db")
    alone.remember([decision("a")])
    alone.close()
    one, other = (open_memory(redis_url, tmp_path / name / "state.db") for name in ("one", "other"))
    assert one.find([decision("a").key])
    assert other.find([decision("a").key]) == {decision("a").key: [decision("a")]}
    one.close()
    other.close()


def test_an_item_that_is_no_decision_counts_as_no_store(redis_url: str, tmp_path: Path) -> None:
    memory, lists = open_memory(redis_url, tmp_path / "state.db"), open_lists(redis_url)
    lists.add([Item(decision("a").key, b"v" * 16, b"not one of ours")])
    assert memory.find([decision("a").key]) == {}
    assert not memory.remember([decision("a")])
    memory.close()
    lists.close()


def test_what_the_store_took_but_said_too_late_is_used_by_nobody(redis_url: str, tmp_path: Path) -> None:
    one, other = (open_memory(redis_url, tmp_path / name / "state.db") for name in ("one", "other"))
    assert isinstance(one, SharedMemory)
    lists = one._lists
    add = lists.add

    def add_and_be_late(items: Sequence[Item]) -> Mapping[bytes, list[Item]]:
        add(items)
        raise StorageError("no answer in time")

    lists.add = add_and_be_late  # type: ignore[method-assign]
    assert not one.remember([decision("a"), decision("b")])  # so both leave as they came
    lists.add = add  # type: ignore[method-assign]
    assert one.find([decision("a").key]) == {}
    assert other.find([decision("a").key, decision("b").key]) == {}
    assert not other.remember([decision("b", "another")])
    assert other.remember([decision("c")])
    one.close()
    other.close()
