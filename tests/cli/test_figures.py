"""`headroom stats`, `sessions`, `cert`, `config`: what they print is what is there."""

import hashlib
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headroom.cli.output import sparkline
from headroom.ledger import Exchange, Ledger
from headroom.subscription import Reading, Subscriptions, Window
from tests.cli.conftest import Place
from tests.ledger.rows import exchange
from tests.support.proxy import ROOT

DAY = 86400.0


def row(age: float = 0.0, **fields: Any) -> Exchange:
    """An exchange of ``age`` seconds ago that saved 400 of 1,000 tokens and 1 of 3 cents."""
    saved: dict[str, Any] = {"tokens_after": 600, "saved_by_strategy": {"repeats": 400}, "cost_without_usd": 0.03}
    return exchange(time=time.time() - age, **{"session": "one", **saved, **fields})


@pytest.fixture
def filled(place: Place) -> Place:
    place.workspace.mkdir(mode=0o700)
    ledger = Ledger(place.workspace / "ledger.db")
    ledger.record(row())
    ledger.record(row(session="two", model="gpt-5", client="codex", cost_usd=0.05, cost_without_usd=0.05))
    ledger.record(row(3 * DAY))
    ledger.record(row(30 * DAY, project="[red]old[/red]"))
    ledger.close()
    return place


@pytest.mark.parametrize(("since", "count"), [("today", 2), ("7d", 3), ("all", 4)])
def test_stats_count_from_when_they_are_asked(filled: Place, since: str, count: int) -> None:
    said = json.loads(filled.headroom("stats", "--since", since, "--json").stdout)
    totals = said["totals"]
    assert totals["requests"] == count and totals["tokens_saved"] == 400 * count
    assert totals["saved_usd"] == pytest.approx(0.01 * (count - 1))
    assert totals["usage"]["cache_read_tokens"] == 40_000 * count
    assert totals["saved_by_strategy"] == {"repeats": 400 * count}


def test_stats_by_a_column_add_up(filled: Place) -> None:
    said = json.loads(filled.headroom("stats", "--by", "model", "--json").stdout)
    assert [group["name"] for group in said["groups"]] == ["claude-sonnet-4-5", "gpt-5"]  # 0.06 and 0.05 USD
    assert sum(group["requests"] for group in said["groups"]) == said["totals"]["requests"] == 4


def test_stats_for_people(filled: Place) -> None:
    said = filled.headroom("stats").stdout
    assert re.search(r"saved +1,600 +40.0 %\n +repeats +1,600", said) and re.search(r"net saving +\$0.0300", said)
    by = filled.headroom("stats", "--by", "project").stdout
    assert "[red]old[/red]" in by and by.splitlines()[-1].startswith("all")
    assert "\x1b" not in said + by


def test_stats_say_what_broke_prefixes_and_what_it_cost(filled: Place) -> None:
    ledger = Ledger(filled.workspace / "ledger.db")
    for number in range(3):
        clock: dict[str, Any] = {"break_part": "system", "break_kind": "time", "break_tokens": 3_000, "break_usd": 0.01}
        ledger.record(row(**clock, break_at=800))
        cleared: dict[str, Any] = {"break_part": f"message {number}", "break_kind": "text", "break_tokens": 500}
        ledger.record(row(**cleared, break_usd=0.002, break_at=9_000))
    ledger.record(row(20 * DAY, break_part="tools", break_kind="tool order", break_tokens=5, break_usd=9.0))
    ledger.close()

    said = json.loads(filled.headroom("stats", "--since", "7d", "--json").stdout)
    assert said["breaks"] == [
        {"part": "system", "kind": "time", "times": 3, "tokens": 9_000, "usd": pytest.approx(0.03)},
        {"part": "messages", "kind": "text", "times": 3, "tokens": 1_500, "usd": pytest.approx(0.006)},
    ]
    shown = filled.headroom("stats", "--since", "7d").stdout
    assert re.search(r"system +time +3 +9,000 +\$0\.0300\n *messages +text +3 +1,500 +\$0\.0060", shown)


def test_sessions_come_newest_first(filled: Place) -> None:
    said = json.loads(filled.headroom("sessions", "--json").stdout)
    assert [(one["session"], one["requests"]) for one in said] == [("two", 1), ("one", 3)]
    assert filled.headroom("sessions", "--limit", "1").stdout.splitlines()[-1].startswith("two")


@pytest.mark.parametrize("command", [("stats",), ("stats", "--json"), ("sessions",)])
def test_without_a_ledger_it_is_said_and_none_is_made(place: Place, command: tuple[str, ...]) -> None:
    said = place.headroom(*command, code=1).stderr
    assert said.startswith("headroom: there is no ledger at") and said.count("\n") == 1
    assert not place.workspace.exists()


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """mitmproxy's folder with a CA."""
    from mitmproxy.certs import CertStore

    folder = tmp_path_factory.mktemp("confdir")
    CertStore.from_store(folder, "mitmproxy", 2048)
    yield folder


def test_cert_tells_of_the_ca_what_openssl_would(place: Place, confdir: Path) -> None:
    file = confdir / "mitmproxy-ca-cert.pem"
    assert place.headroom("cert", "where", "--confdir", str(confdir)).stdout == f"{file}\n"
    said = json.loads(place.headroom("cert", "show", "--confdir", str(confdir), "--json").stdout)
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    assert said["sha256"].replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert said["variables"]["NODE_EXTRA_CA_CERTS"] == str(file)
    assert Path(said["variables"]["SSL_CERT_FILE"]).read_bytes().endswith(file.read_bytes())
    assert said["sha256"] in place.headroom("cert", "--confdir", str(confdir)).stdout


def test_the_commands_for_systems_are_those_of_the_readme(place: Place, confdir: Path) -> None:
    said = json.loads(place.headroom("cert", "--confdir", str(confdir), "--json").stdout)
    readme = (ROOT / "certs" / "README.md").read_text()
    for system in said["system"].values():
        for command in (system["trust"], system["remove"]):
            for part in command.split(" && "):
                written = part.replace(str(confdir), "~/.mitmproxy")
                windows = part.replace(
                    f"{confdir}/mitmproxy-ca-cert.cer", r'"%USERPROFILE%\.mitmproxy\mitmproxy-ca-cert.cer"'
                )
                assert written in readme or windows in readme, part


def test_cert_check_says_who_trusts_it(place: Place, confdir: Path) -> None:
    file = confdir / "mitmproxy-ca-cert.pem"
    place.environment |= {"NODE_EXTRA_CA_CERTS": str(file), "REQUESTS_CA_BUNDLE": str(place.provider.certificate)}
    said = json.loads(place.headroom("cert", "check", "--confdir", str(confdir), "--json").stdout)
    assert said["sound"] is True
    assert said["trusted_by"] == {"system": False, "NODE_EXTRA_CA_CERTS": True, "REQUESTS_CA_BUNDLE": False}


def test_without_a_ca_the_remedy_is_said(place: Place) -> None:
    for what in ("where", "check"):
        said = place.headroom("cert", what, code=1)
        assert "headroom run -- true" in said.stdout + said.stderr


def test_config_says_where_each_value_comes_from(place: Place) -> None:
    folder = place.home / ".mitmproxy"
    folder.mkdir()
    (folder / "config.yaml").write_text("headroom_time_budget: 400\nweb_port: 1234\n")
    place.environment["HEADROOM_WORKSPACE_DIR"] = str(place.home / "elsewhere")
    said = json.loads(place.headroom("config", "--json").stdout)
    found = {one["name"]: (one["value"], one["source"]) for one in said["settings"]}
    assert found["headroom_time_budget"] == (400, str(folder / "config.yaml"))
    assert found["headroom_mode"] == ("optimize", "default")
    assert found["ledger"] == (str(place.home / "elsewhere" / "ledger.db"), "HEADROOM_WORKSPACE_DIR")
    assert said["wrong"] == []
    assert "headroom_time_budget" in place.headroom("config").stdout


def test_config_names_a_wrong_value(place: Place) -> None:
    place.environment["HEADROOM_BETA_HEADER_STICKY"] = "maybe"
    assert "HEADROOM_BETA_HEADER_STICKY is 'maybe'" in place.headroom("config", code=1).stderr


def test_help_names_every_command_and_loads_nothing_heavy(place: Place) -> None:
    said = place.headroom("--help").stdout
    for name in ("run", "proxy", "stats", "sessions", "cert", "config", "doctor"):
        assert f"\n  {name} " in said
        assert "Usage: " in place.headroom(name, "--help").stdout
    heavy = {"mitmproxy", "rich", "sqlite3", "cryptography", "asyncio"}
    loaded = f"import sys, headroom.cli.main; print({heavy} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", loaded], cwd=ROOT, text=True) == "set()\n"


def test_a_reader_that_goes_away_is_no_error(filled: Place) -> None:
    process = filled.start("sessions")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.wait(20)
    assert process.stderr.read() == ""


def test_stats_show_how_full_a_plan_is_and_what_was_gained(filled: Place) -> None:
    now = time.time()
    state = Subscriptions(filled.workspace / "subscription_state.json")
    reading = Reading("anthropic", (Window("7 days", 0.42, now + 3 * 86400, 10080, "allowed"),))
    for second in range(0, 241, 60):
        state.record(reading, 0.1, 0.2, now=now - 300 + second)
    said = filled.headroom("stats", "--since", "all").stdout
    line = next(line for line in said.splitlines() if "Claude plan" in line)
    assert "7 days" in line and "42 %" in line and "3 days" in line and "4 min" in line
    [plan] = json.loads(filled.headroom("stats", "--json").stdout)["plans"]
    assert plan["windows"][0]["used"] == 0.42


def test_the_last_days_are_a_line_of_bars(filled: Place) -> None:
    days = json.loads(filled.headroom("stats", "--json").stdout)["days"]
    assert len(days) == 14 and [day["day"] for day in days] == sorted(day["day"] for day in days)
    assert sum(day["tokens_saved"] for day in days) == 1_200  # what is older is not among them
    assert sum(day["saved_usd"] for day in days) == pytest.approx(0.02)
    shown = filled.headroom("stats").stdout.splitlines()[-1]
    assert re.fullmatch(r"net saving, 14 days  [▁-█]{14}  \$0\.0\d+ at the most", shown), shown


@pytest.mark.parametrize(
    ("numbers", "bars"),
    [((0.0, 1.0, 7.0), "▁▂█"), ((0.0, 0.0), "▁▁"), ((-7.0, 0.0), "▁█"), ((5.0, 5.0), "██")],
)
def test_bars_begin_at_nothing_or_below(numbers: tuple[float, ...], bars: str) -> None:
    assert sparkline(numbers) == bars
