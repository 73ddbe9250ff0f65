"""The windows of plans, as they are kept."""

import json
import stat
import threading
from pathlib import Path

import pytest

from headroom.subscription import Reading, Subscriptions, Window
from headroom.subscription import state as state_module

NOW = 1_790_000_000.0
END = NOW + 9_000


def reading(
    used: float = 0.4, resets_at: float | None = END, provider: str = "anthropic", account: str = ""
) -> Reading:
    return Reading(provider, (Window("5 hours", used, resets_at, 300, "allowed"),), "", account)


def test_the_last_that_was_told_is_what_is_known(tmp_path: Path) -> None:
    state = Subscriptions(tmp_path / "s.json")
    assert state.plans(NOW) == []
    state.record(reading(0.4), now=NOW)
    state.record(reading(0.5), now=NOW + 60)
    [plan] = state.plans(NOW + 61)
    assert (plan.name, plan.updated) == ("Claude plan", NOW + 60)
    [window] = plan.windows
    assert (window.used, window.resets_at, window.minutes, window.status) == (0.5, END, 300, "allowed")


def test_a_window_that_is_over_is_not_shown(tmp_path: Path) -> None:
    state = Subscriptions(tmp_path / "s.json")
    state.record(reading(), now=NOW)
    assert state.plans(END - 1) and state.plans(END + 1) == []


def test_requests_that_had_been_twice_as_dear_gain_as_much_time_as_was_used(tmp_path: Path) -> None:
    state = Subscriptions(tmp_path / "s.json")
    for minute in range(31):
        state.record(reading(), 0.10, 0.20, now=NOW + 60 * minute)
    [plan] = state.plans(NOW + 1800)
    assert plan.windows[0].gained_minutes == pytest.approx(30)


def test_a_pause_is_no_use_and_a_dearer_session_gains_nothing(tmp_path: Path) -> None:
    state = Subscriptions(tmp_path / "s.json")
    state.record(reading(), 0.10, 0.05, now=NOW)
    state.record(reading(), 0.10, 0.05, now=NOW + 100)
    assert state.plans(NOW + 101)[0].windows[0].gained_minutes == 0
    paused = Subscriptions(tmp_path / "p.json")
    paused.record(reading(), 0.10, 0.20, now=NOW)
    paused.record(reading(), 0.10, 0.20, now=NOW + 3600)
    assert paused.plans(NOW + 3601)[0].windows[0].gained_minutes == 0


def test_the_next_window_begins_anew_and_a_small_shift_does_not(tmp_path: Path) -> None:
    state = Subscriptions(tmp_path / "s.json")
    state.record(reading(), 0.1, 0.2, now=NOW)
    state.record(reading(resets_at=END + 30), 0.1, 0.2, now=NOW + 60)
    assert state.plans(NOW + 61)[0].windows[0].gained_minutes == pytest.approx(1)
    state.record(reading(resets_at=END + 18_000), 0.1, 0.2, now=NOW + 120)
    kept = json.loads((tmp_path / "s.json").read_text())["plans"]["anthropic"]["windows"]["5 hours"]
    assert kept["cost_usd"] == pytest.approx(0.1)


def test_accounts_and_providers_are_kept_apart(tmp_path: Path) -> None:
    state = Subscriptions(tmp_path / "s.json")
    state.record(reading(0.1, account="aa"), now=NOW)
    state.record(reading(0.2, account="bb"), now=NOW + 1)
    state.record(reading(0.3, provider="openai"), now=NOW + 2)
    assert [(plan.name, plan.windows[0].used) for plan in state.plans(NOW + 3)] == [
        ("ChatGPT plan", 0.3),
        ("Claude plan", 0.2),
        ("Claude plan", 0.1),
    ]


def test_the_file_is_its_owners_and_has_no_account(tmp_path: Path) -> None:
    path = tmp_path / "new" / "s.json"
    Subscriptions(path).record(reading(account="abcdef01"), now=NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["schema_version"] == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"schema_version": 9}', '{"schema_version": 1, "plans": {"a": 1}}']
)
def test_a_file_that_is_not_ours_is_not_shown_and_is_written_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)
    state = Subscriptions(path)
    assert state.plans(NOW) == []
    state.record(reading(), now=NOW)
    assert len(state.plans(NOW)) == 1


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    state = Subscriptions(tmp_path / "file" / "s.json")
    state.record(reading(), now=NOW)
    state.record(reading(), now=NOW)
    assert state.plans(NOW) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_several_proxies_lose_nothing_of_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "LOCK_SECONDS", 60.0)
    path = tmp_path / "s.json"

    def work(account: str) -> None:
        state = Subscriptions(path)
        for number in range(20):
            state.record(reading(account=account), 1.0, 2.0, now=NOW + number)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("aa", "bb", "cc")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plans = json.loads(path.read_text())["plans"]
    assert [plans[f"anthropic:{name}"]["windows"]["5 hours"]["cost_usd"] for name in ("aa", "bb", "cc")] == [20, 20, 20]
