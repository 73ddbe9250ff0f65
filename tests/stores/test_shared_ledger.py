"""One ledger and one budget for several proxies: what went through any of them is in the figures of all."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headroom.errors import StorageError
from headroom.ledger import Exchange, Ledger
from headroom.ledger.shared import SharedLedger, share
from headroom.stores import remote
from headroom.stores.journal import START, Note
from headroom.stores.opening import open_journal
from tests.ledger.rows import exchange, sound
from tests.stores.conftest import PATIENCE
from tests.stores.test_servers import eventually
from tests.stores.test_two_proxies import counted
from tests.support.coding import Coding
from tests.support.servers import redis_program, redis_server
from tests.support.stage import stage

NOON = 20_000 * 86400.0 + 43_200
TODAY = 20_000 * 86400.0


class Proxy:
    """The ledger of one workspace, and what shares it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.path = folder / "ledger.db"
        self.ledger = Ledger(self.path)
        shared = share(self.ledger, url, folder)
        assert shared is not None
        self.shared: SharedLedger = shared

    def close(self) -> None:
        self.shared.close()
        self.ledger.close()


@pytest.fixture(params=["redis", "postgres"])
def server_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def opening(tmp_path: Path, server_url: str) -> Iterator[Callable[[str], Proxy]]:
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(contextlib.closing(Proxy(tmp_path / name, server_url)))


def known(proxy: Proxy) -> list[Exchange]:
    return sorted(proxy.ledger.recent(10_000), key=lambda row: row.id)


def by_id(rows: list[Exchange]) -> list[Exchange]:
    return sorted(rows, key=lambda row: row.id)


def test_rows_of_each_are_in_the_ledgers_of_all(opening: Callable[[str], Proxy]) -> None:
    one, other = opening("one"), opening("other")
    rows = [exchange(time=NOON + number, session=f"s{number % 3}") for number in range(7)]
    rows.append(exchange(usage=None, cost_usd=None, input_cost_usd=None, cost_without_usd=None, status=500))
    for number, row in enumerate(rows):
        (one, other)[number % 2].shared.record(row)
    for _ in range(2):  # and nothing is counted twice
        for proxy in (one, other):
            proxy.shared.sync()
    assert known(one) == known(other) == by_id(rows)
    assert one.ledger.totals() == other.ledger.totals()
    assert sound(one.path) and sound(other.path)


def test_more_rows_than_fit_into_one_answer_all_come(
    opening: Callable[[str], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headroom.ledger.shared.BATCH", 10)
    one, other = opening("one"), opening("other")
    rows = [exchange() for _ in range(35)]
    for row in rows:
        one.shared.record(row)
    one.shared.sync()
    other.shared.sync()
    assert known(other) == by_id(rows)


def test_what_was_taken_in_is_not_asked_for_again(
    opening: Callable[[str], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opening("one"), opening("other")
    one.shared.record(exchange())
    one.shared.sync()
    other.shared.sync()
    other.close()
    again = opening("other")
    taken: list[str] = []
    monkeypatch.setattr(again.ledger, "take_in", counted(lambda rows: taken.extend(row.id for row in rows), "in", []))
    again.shared.sync()
    assert taken == []


def test_the_budget_counts_what_all_have_spent_today(opening: Callable[[str], Proxy]) -> None:
    one, other = opening("one"), opening("other")
    one.shared.record(exchange(time=NOON, cost_usd=0.25))
    one.shared.record(exchange(time=NOON - 86400, cost_usd=100.0))
    other.shared.record(exchange(time=NOON, cost_usd=0.5))
    one.shared.sync()
    assert one.shared.spent_usd(TODAY) == pytest.approx(0.25)
    assert other.shared.spent_usd(TODAY) == pytest.approx(0.75)  # what it has not told yet counts too
    other.shared.sync()
    assert one.shared.spent_usd(TODAY) == pytest.approx(0.75)
    for proxy in (one, other):
        proxy.shared.sync()
    assert other.shared.spent_usd(TODAY) == pytest.approx(0.75)
    assert one.shared.spent_usd(TODAY + 86400) == 0.0


def test_a_proxy_that_was_killed_tells_its_rows_when_it_starts_again(opening: Callable[[str], Proxy]) -> None:
    one, other = opening("one"), opening("other")
    row = exchange()
    one.shared.record(row)  # and nothing is told any more: kill -9
    again = opening("one")
    again.shared.sync()
    other.shared.sync()
    assert known(other) == [row]


def test_a_thread_of_its_own_keeps_it_up_to_date(opening: Callable[[str], Proxy]) -> None:
    one, other = opening("one"), opening("other")
    for proxy in (one, other):
        proxy.shared.start()
    row = exchange()
    one.shared.record(row)
    assert eventually(lambda: known(other) == [row])


def test_closing_tells_what_is_left(opening: Callable[[str], Proxy]) -> None:
    one, other = opening("one"), opening("other")
    row = exchange()
    one.shared.record(row)
    one.shared.close()
    other.shared.sync()
    assert known(other) == [row]


def test_a_row_that_another_version_wrote_is_taken_as_far_as_it_is_understood(server_url: str, tmp_path: Path) -> None:
    import json

    import zstandard

    journal = open_journal(server_url)
    assert journal is not None
    later = json.dumps({"id": "a" * 32, "time": NOON, "model": "m", "colour": "red"}).encode()
    journal.append([Note("a" * 32, 20_000, 0.0, zstandard.compress(later)), Note("b" * 32, 20_000, 0.0, b"not a row")])
    journal.close()
    proxy = Proxy(tmp_path, server_url)
    proxy.shared.sync()
    (row,) = known(proxy)
    assert (row.id, row.model, row.time) == ("a" * 32, "m", NOON)
    proxy.close()


def test_a_store_that_was_emptied_is_read_from_its_beginning(postgres_url: str) -> None:
    import psycopg

    journal = open_journal(postgres_url)
    assert journal is not None
    journal.append([Note(str(number), 1, 0.0, b"old") for number in range(3)])
    rows, position = journal.after(START, 10)
    assert len(rows) == 3 and journal.after(position, 10) == ([], position)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("TRUNCATE headroom_journal RESTART IDENTITY")
    assert journal.after(position, 10) == ([], START)
    journal.append([Note("new", 1, 0.0, b"new")])
    assert journal.after(position, 10)[0] == [b"new"]
    journal.close()


def test_without_the_store_rows_wait_and_the_budget_counts_what_is_known_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if redis_program() is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.05)
    with redis_server() as server:
        one, other = Proxy(tmp_path / "one", server.url), Proxy(tmp_path / "other", server.url)
        one.shared.sync()
        other.shared.sync()
        server.stop()
        row = exchange(time=NOON, cost_usd=0.5)
        one.shared.record(row)
        with pytest.raises(StorageError):
            one.shared.sync()
        assert one.shared.spent_usd(TODAY) == pytest.approx(0.5)
        assert known(one) == [row]
        server.start()

        def told() -> bool:
            with contextlib.suppress(StorageError):
                one.shared.sync()
                other.shared.sync()
            return known(other) == [row]

        assert eventually(told)
        one.close()
        other.close()


def test_two_running_proxies_have_one_budget_and_one_ledger(server_url: str, tmp_path: Path) -> None:
    options = [f"headroom_store={server_url}", "headroom_budget=0.0001"]
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(stage(tmp_path / "one", options=options, environment=PATIENCE))
        other = stack.enter_context(
            stage(tmp_path / "other", options=options, environment=PATIENCE, provider=one.provider)
        )
        first = one.send(Coding().read())
        assert first.response.status_code == 200
        (row,) = one.rows(first.project, seconds=30)
        assert row.cost_usd is not None and row.cost_usd > 0.0001
        ledger = Ledger(other.workspace / "ledger.db")
        assert eventually(lambda: ledger.recent() == [row])
        ledger.close()
        end = time.monotonic() + 30
        while (refused := other.send(Coding().read()).response).status_code != 429:
            assert time.monotonic() < end, refused.text
        assert "headroom_budget" in refused.json()["error"]["message"]
