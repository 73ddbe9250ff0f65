"""`headroom run -- command`: behind the proxy, and otherwise as if nothing were there."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from headroom.cli import running
from headroom.cli.run import _attend
from headroom.ledger import Ledger
from tests.cli.conftest import Place
from tests.support.proxy import free_port

pytestmark = pytest.mark.e2e
SAY = "import json, os; print(json.dumps(dict(os.environ)))"
WAIT = """
import os, signal, sys, time
def end(number, _):
    os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
    os._exit(number)
for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(name, end)
print("ready", os.getpid(), flush=True)
time.sleep(30)
"""


def test_a_program_that_knows_of_no_proxy_sends_fewer_tokens(place: Place) -> None:
    ran = place.run(place.client_command("amber", 2))

    assert ran.stdout == "200 It ran twice.\n" * 2
    assert len(place.provider.received) == 2
    assert all(len(received.body) < 15_000 for received in place.provider.received)
    ledger = Ledger(place.workspace / "ledger.db")
    totals = ledger.totals()
    ledger.close()
    assert totals.requests == totals.rewritten == 2
    assert ran.stderr.startswith(f"headroom: 2 requests, {totals.tokens_saved:,} of {totals.tokens_before:,} tokens")
    assert f"billed ${totals.cost_usd:,.4f}" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_only_the_command_gets_the_variables_and_only_the_owner_the_files(place: Place) -> None:
    given = json.loads(place.headroom("run", "--", sys.executable, "-c", SAY).stdout)

    assert {name for name in given if given[name] != place.environment.get(name)} - {"LC_CTYPE"} == {
        *("HTTPS_PROXY", "https_proxy", "NODE_EXTRA_CA_CERTS", "NODE_USE_ENV_PROXY"),
        *("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
    assert given["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    authority = (place.home / ".mitmproxy" / "mitmproxy-ca-cert.pem").read_bytes()
    assert Path(given["NODE_EXTRA_CA_CERTS"]).read_bytes() == authority
    bundle = Path(given["SSL_CERT_FILE"])
    assert bundle.read_bytes().endswith(authority) and bundle.read_bytes().count(b"BEGIN CERTIFICATE") > 50
    assert {path.name for path in place.home.iterdir()} == {".headroom", ".mitmproxy", "client.py"}
    for path in place.workspace.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_the_users_own_variables_name_stays_trusted(place: Place) -> None:
    company = place.home / "company.pem"
    company.write_bytes(place.provider.certificate.read_bytes())
    place.environment |= {"SSL_CERT_FILE": str(company), "NODE_EXTRA_CA_CERTS": str(company)}
    given = json.loads(place.headroom("run", "--", sys.executable, "-c", SAY).stdout)
    for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"):
        assert company.read_bytes() in Path(given[name]).read_bytes()


def test_another_host_is_reached_undecrypted(place: Place) -> None:
    place.environment["SSL_CERT_FILE"] = str(place.provider.certificate)
    ran = place.run([sys.executable, "-c", "import httpx; print(httpx.get('https://pypi.org/simple/').status_code)"])
    assert ran.stdout == "404\n"  # the stand-in's own answer, through its own TLS
    assert ran.stderr == "headroom: no model request came through the proxy\n"


def test_input_output_and_exit_code_are_the_commands_own(place: Place) -> None:
    script = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('err\\n'); sys.exit(7)"
    ran = place.headroom("run", sys.executable, "-c", script, said="in\n", code=7)
    assert ran.stdout == "IN\n"
    assert ran.stderr == "err\nheadroom: no model request came through the proxy\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_signal_reaches_the_command(place: Place, name: str) -> None:
    process = place.start("run", "--", sys.executable, "-c", WAIT)
    assert process.stdout is not None and process.stdout.readline().startswith("ready")
    process.send_signal(signal.Signals[name])
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (f"got {name}\n", signal.Signals[name])


def test_a_signal_that_comes_as_the_command_starts_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = os.posix_spawnp

    def spawn_and_get_a_signal(*given: Any, **more: Any) -> int:
        process = spawn(*given, **more)
        os.kill(os.getpid(), signal.SIGUSR1)
        return process

    monkeypatch.setattr(os, "posix_spawnp", spawn_and_get_a_signal)
    assert _attend([sys.executable, "-c", "import time; time.sleep(30)"], os.environ) == 128 + signal.SIGUSR1


def test_a_command_that_a_signal_ended_is_told_as_a_shell_would(place: Place) -> None:
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    place.headroom("run", "--", *killed, code=128 + signal.SIGKILL)


def test_a_command_that_stops_itself_stops_us_too_and_goes_on_with_us(place: Place) -> None:
    script = "import os, signal; print(1, flush=True); os.kill(os.getpid(), signal.SIGSTOP); print(2, flush=True)"
    process = place.start("run", "--", sys.executable, "-c", script)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=20)[0] == "1\n2\n"
    assert process.returncode == 0


@pytest.mark.parametrize(("word", "code"), [("no-such-command", 127), ("pyproject.toml", 126)])
def test_a_command_that_cannot_be_run_is_named(place: Place, word: str, code: int) -> None:
    ran = place.headroom("run", "--", word, code=code)
    assert word in ran.stderr and ran.stdout == ""
    assert not (place.home / ".mitmproxy").exists()  # no proxy was started for it


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "headroom_budget=much"), "headroom_budget is 'much'"),
        (("--set", "no_such_option=1"), "no_such_option"),
        (("--set", "ssl_insecure=perhaps"), "ssl_insecure"),
    ],
)
def test_a_proxy_that_cannot_start_says_why(place: Place, options: tuple[str, ...], said: str) -> None:
    ran = place.headroom("run", *options, "--", sys.executable, "-c", "print(1)", code=125)
    assert said in ran.stderr and ran.stdout == ""


def test_a_port_that_is_taken_is_said(place: Place) -> None:
    port = str(place.provider.port)
    assert port in place.headroom("run", "--port", port, "--", "true", code=125).stderr


def test_the_port_and_mode_asked_for_are_used(place: Place) -> None:
    port = str(free_port())
    ran = place.run(place.client_command("amber"), "--port", port, "--mode", "audit")
    assert len(place.provider.received[0].body) > 20_000
    assert "an audit found" in ran.stderr and "0 of " in ran.stderr
    assert f":{port}" in place.log


def test_what_is_typed_wins_over_mitmproxys_own_file(place: Place) -> None:
    (place.home / ".mitmproxy").mkdir()
    (place.home / ".mitmproxy" / "config.yaml").write_text("headroom_mode: 'off'\nlisten_port: 1\n")
    place.run(place.client_command("amber"), "--mode", "optimize")
    assert len(place.provider.received[0].body) < 15_000


def test_two_at_once_make_one_ca_and_do_not_mix(place: Place) -> None:
    options = ("run", *place.options, "--")
    one = place.start(*options, *place.client_command("amber", 2))
    other = place.start(*options, *place.client_command("heron", 3))
    for process, times in ((one, 2), (other, 3)):
        out, err = process.communicate(timeout=60)
        assert out == "200 It ran twice.\n" * times, err + place.log
        assert err.startswith(f"headroom: {times} requests, ")
    ledger = Ledger(place.workspace / "ledger.db")
    assert ledger.totals().requests == 5
    ledger.close()


def test_no_proxy_is_left_behind_when_we_are_killed(place: Place) -> None:
    process = place.start("run", "--", sys.executable, "-c", WAIT)
    assert process.stdout is not None
    client = int(process.stdout.readline().split()[1])
    port = int(place.log.rpartition("listening at 127.0.0.1:")[2].split(".")[0])
    assert _listens(port)
    process.kill()
    process.wait()
    os.kill(client, signal.SIGTERM)
    end = time.monotonic() + 10
    while _listens(port):
        assert time.monotonic() < end, "the proxy is still there"
        time.sleep(0.05)


def test_a_state_file_that_a_dead_proxy_left_counts_for_nothing(place: Place) -> None:
    place.workspace.mkdir(mode=0o700)
    left = {"pid": os.getpid(), "host": "127.0.0.1", "port": place.provider.port, "confdir": str(place.home)}
    running.state_file(place.workspace).write_text(json.dumps(left))
    given = json.loads(place.headroom("run", "--", sys.executable, "-c", SAY).stdout)
    assert not given["HTTPS_PROXY"].endswith(f":{place.provider.port}")


def test_a_proxy_that_was_needed_so_far_is_not_passed_over_in_silence(place: Place) -> None:
    place.environment["HTTPS_PROXY"] = "http://user:secret@proxy.example.com:3128"
    said = place.headroom("run", "--", "true").stderr
    assert "proxy.example.com" in said and "--set mode=upstream:" in said
    assert "secret" not in said


def _listens(port: int) -> bool:
    asked = [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"]
    return subprocess.run(asked, capture_output=True).returncode == 0


def test_with_web_mitmweb_shows_what_goes_through_while_the_command_runs(place: Place) -> None:
    client = " ".join(place.client_command("amber"))
    web = ("--web", "--set", "web_open_browser=false")
    process = place.start("run", *place.options, *web, "--", "sh", "-c", f"{client}; read line")
    assert process.stdout is not None and process.stderr is not None
    said = process.stderr.readline()
    found = re.fullmatch(
        r"headroom: mitmweb is at (http://127\.0\.0\.1:\d+/)\?token=(\w+) while the command runs\n", said
    )
    assert found is not None, said + place.log
    assert process.stdout.readline() == "200 It ran twice.\n"
    with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {found[2]}"}) as asking:
        (flow,) = asking.get(f"{found[1]}flows").json()
    assert flow["request"]["path"] == "/v1/messages" and flow["comment"].startswith("headroom: ")
    out, err = process.communicate("\n", timeout=60)
    assert (out, process.returncode) == ("", 0) and "1 request, " in err
