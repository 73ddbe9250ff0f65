"""`headroom proxy`: in the foreground, for whoever wants to use it."""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from headroom.cli import running
from headroom.cli.scripts.served import _Private
from headroom.ledger import Ledger
from tests.cli.conftest import Place
from tests.support.proxy import free_port

pytestmark = pytest.mark.e2e
SAY = "import os; print(os.environ['HTTPS_PROXY'])"


@contextlib.contextmanager
def proxy(place: Place, *options: str) -> Iterator[running.Running]:
    """One that has said that it runs."""
    with (place.home / "out").open("wb") as out:
        process = place.start("proxy", *place.options, *options, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 30
        while (found := running.find(place.workspace)) is None or found.pid != process.pid:
            assert process.poll() is None and time.monotonic() < end, (place.home / "out").read_text()
            time.sleep(0.05)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert running.find(place.workspace) is None


def test_a_command_uses_the_proxy_that_runs_and_leaves_it_running(place: Place) -> None:
    with proxy(place, "--port", "0") as one:
        assert stat.S_IMODE(running.state_file(place.workspace).stat().st_mode) == 0o600
        ran = place.headroom("run", "--", *place.client_command("amber"))
        assert ran.stdout == "200 It ran twice.\n"
        assert ran.stderr.startswith("headroom: 1 request, ")
        assert place.headroom("run", "--", sys.executable, "-c", SAY).stdout == f"{one.url}\n"
    assert len(place.provider.received[0].body) < 15_000


def test_a_command_with_options_gets_a_proxy_of_its_own(place: Place) -> None:
    with proxy(place, "--port", "0") as one:
        ran = place.headroom("run", "--mode", "audit", "--", sys.executable, "-c", SAY)
        assert ran.stdout != f"{one.url}\n"


def test_the_options_do_what_they_say(place: Place) -> None:
    port, file = free_port(), place.home / "headroom.jsonl"
    with proxy(place, "--port", str(port), "--no-optimize", "--log-file", str(file)) as one:
        assert one.port == port
        place.headroom("run", "--", *place.client_command("amber"))
    assert len(place.provider.received[0].body) > 20_000
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert any("messages claude-sonnet-4-5" in line["message"] and "mode off" in line["message"] for line in lines)
    assert all(set(line) - {"exchange"} == {"time", "level", "message"} for line in lines)
    (figures,) = [line["exchange"] for line in lines if "exchange" in line]
    assert figures["model"] == "claude-sonnet-4-5" and figures["mode"] == "off" and figures["tokens_saved"] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_above_the_budget_requests_are_refused(place: Place) -> None:
    client = "import httpx; print(httpx.post('https://api.anthropic.com/v1/messages', json={}).status_code)"
    with proxy(place, "--port", "0", "--budget", "0.000001"):
        place.headroom("run", "--", *place.client_command("amber"))
        assert place.headroom("run", "--", sys.executable, "-c", client).stdout == "429\n"


def test_after_a_kill_nothing_is_taken_for_running(place: Place) -> None:
    process = place.start("proxy", "--port", "0")
    end = time.monotonic() + 30
    while running.find(place.workspace) is None:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    assert running.state_file(place.workspace).exists()
    assert running.find(place.workspace) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_an_address_that_others_reach_is_refused_with_the_reason(place: Place, host: str) -> None:
    said = place.headroom("proxy", "--host", host, code=2).stderr
    assert host in said and "other machines" in said and "--insecure" in said and "HEADROOM_API_KEY" in said


def test_with_insecure_it_is_not_refused(place: Place) -> None:
    with proxy(place, "--port", "0", "--host", "0.0.0.0", "--insecure") as one:
        assert one.host == "0.0.0.0"
        assert place.headroom("run", "--", sys.executable, "-c", SAY).stdout == f"http://127.0.0.1:{one.port}\n"


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        (("--budget", "-1"), "headroom_budget is '-1.0'; allowed: US dollars above 0", 1),
        (("--set", "no_such_option=1"), "there is no option no_such_option", 1),
        (("--log-file", "/no/such/folder/log"), "/no/such/folder/log can't be written: No such file", 1),
        (("--set", "nonsense"), "'nonsense' is not name=value", 2),
        (("--mode", "audit", "--no-optimize"), "say different things", 2),
        (("--port", "many"), "'many' is not a valid integer", 2),
    ],
)
def test_a_wrong_option_is_said(place: Place, options: tuple[str, ...], said: str, code: int) -> None:
    ran = place.headroom("proxy", "--port", "0", *options, code=code)
    assert said in ran.stdout + ran.stderr and "Traceback" not in ran.stdout
    assert not Path(running.state_file(place.workspace)).exists()


def test_with_a_key_others_may_reach_it_and_clients_of_run_show_it(place: Place) -> None:
    place.environment["HEADROOM_API_KEY"] = "a key/of ours"
    with proxy(place, "--port", "0", "--host", "0.0.0.0") as one:
        ran = place.headroom("run", "--", *place.client_command("amber"))
        assert ran.stdout == "200 It ran twice.\n"
        said = place.headroom("run", "--", sys.executable, "-c", SAY).stdout
        assert said == f"http://headroom:a%20key%2Fof%20ours@127.0.0.1:{one.port}\n"
        with pytest.raises(httpx.ProxyError), httpx.Client(proxy=one.url, trust_env=False) as client:
            client.get("https://api.anthropic.com/")


def test_at_four_fifths_of_the_budget_the_log_says_so_once(place: Place) -> None:
    place.headroom("run", *place.options, "--", *place.client_command("amber"))
    ledger = Ledger(place.workspace / "ledger.db")
    spent = ledger.totals().cost_usd
    ledger.close()
    with (
        proxy(place, "--port", "0", "--budget", f"{spent * 1.2:.9f}") as one,
        httpx.Client(base_url=one.url, trust_env=False, timeout=30) as client,
    ):
        first = client.post("/v1/messages", json={"model": "claude-haiku-4-5", "max_tokens": 1, "messages": []})
        second = client.post("/v1/messages", json={"model": "claude-haiku-4-5", "max_tokens": 1, "messages": []})
        budget = client.get("/stats").json()["budget"]
    assert (first.status_code, second.status_code) == (200, 200)
    assert budget["share"] >= 0.8
    assert (place.home / "out").read_text().count("above that requests get a 429") == 1


def test_a_long_log_file_is_put_aside_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "headroom.jsonl"
    handler = _Private(str(file), maxBytes=1000, backupCount=2, encoding="utf-8")
    for _ in range(40):
        handler.emit(logging.LogRecord("headroom", logging.INFO, "", 0, "x" * 100, None, None))
    handler.close()
    files = sorted(tmp_path.iterdir())
    assert [found.name for found in files] == ["headroom.jsonl", "headroom.jsonl.1", "headroom.jsonl.2"]
    assert all(stat.S_IMODE(found.stat().st_mode) == 0o600 and found.stat().st_size <= 1000 for found in files)


def test_the_dashboards_address_has_what_opens_it(place: Place) -> None:
    told = place.headroom("dashboard", code=1)
    assert "no proxy runs" in told.stderr and "`headroom proxy` starts one" in told.stderr
    with proxy(place, "--port", "0") as one:
        address = place.headroom("dashboard").stdout.strip()
        assert json.loads(place.headroom("dashboard", "--json").stdout) == {"url": address, "opened": False}
        page, _, key = address.partition("#key=")
        assert page == f"{one.url}/dashboard"
        assert httpx.get(page, trust_env=False).status_code == 200
        assert httpx.post(f"{page}/login", json={"key": key}, trust_env=False).status_code == 200


def test_every_option_of_the_documented_commands_is_taken(place: Place) -> None:
    log, notes = place.home / "headroom.jsonl", place.home / "notes.db"
    place.environment["HEADROOM_API_KEY"] = "a key"
    words = ("--port", "0", "--host", "0.0.0.0", "--budget", "10.00", "--log-file", str(log))
    flags = ("--no-optimize", "--no-cache", "--no-ccr-responses", "--no-ccr-expansion")
    with proxy(place, *words, *flags, "--memory-db-path", str(notes)) as one:
        ran = place.headroom("run", "--", *place.client_command("amber"))
        assert ran.stdout == "200 It ran twice.\n" and one.host == "0.0.0.0"
        found = re.search(r"MCP tools with notes: (http://127\.0\.0\.1:\d+/mcp)\n", (place.home / "out").read_text())
        assert found is not None
        body = {
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
            },
        }  # fmt: skip
        asked = {"accept": "application/json, text/event-stream", "authorization": "Bearer a key"}
        with httpx.Client(trust_env=False, timeout=30) as client:
            assert client.post(found[1], json=body, headers={**asked, "authorization": ""}).status_code == 401
            said = client.post(found[1], json=body, headers=asked)
        assert said.status_code == 200 and "headroom" in said.text
    assert len(place.provider.received[0].body) > 15_000  # nothing was optimized
    assert log.exists()


def test_a_port_that_is_taken_is_said_before_anything_starts(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = place.headroom("proxy", "--port", str(port - 1), "--memory", code=1)
        assert f"port {port} can't be used" in said.stderr and "Traceback" not in said.stderr
