"""`headroom doctor`: green where all is well, and for each planted fault red with what to do about it."""

import json
import os
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom import paths
from headroom.cli import checks, running
from headroom.cli.finding import Finding
from headroom.ledger import Ledger
from headroom.ledger.database import MIGRATIONS
from tests.cli.conftest import Place
from tests.cli.test_figures import row
from tests.support.certificates import Authority
from tests.support.proxy import ROOT, free_port

CLIENT_VARIABLES = ("HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CLIENT_VARIABLES, "NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE", "NODE_TLS_REJECT_UNAUTHORIZED"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.e2e
def test_where_all_is_well_it_is_green(place: Place) -> None:
    place.run(place.client_command("amber"))
    said = json.loads(place.headroom("doctor", "--skip", "port", "--json").stdout)
    assert said["ok"] is True and all(one["ok"] for one in said["findings"])
    found = {one["check"]: one["found"] for one in said["findings"]}
    assert re.fullmatch(r"\d requests, \d+ tokens saved in the last, [\d.]+ s", found["exchange on loopback"])
    assert found["traffic"] == "1 requests in 7 days, 1 rewritten"


@pytest.mark.e2e
def test_faults_are_told_all_at_once_with_their_remedies(place: Place) -> None:
    place.workspace.mkdir(mode=0o755)
    (place.workspace / "ledger.db").write_bytes(b"this is no database " * 100)
    place.environment |= {"HEADROOM_BETA_HEADER_STICKY": "maybe", "HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"}
    said = place.headroom("doctor", code=1).stdout
    for remedy in (
        f"chmod 700 {place.workspace}",
        "mv ",
        "headroom run -- true",
        "unset HTTPS_PROXY",
        "headroom config",
    ):
        assert remedy in said
    assert said.endswith("things are wrong\n")
    assert (place.workspace / "ledger.db").read_bytes().startswith(b"this is no database")  # nothing was touched


@pytest.mark.e2e
def test_a_proxy_that_hangs_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(place.workspace))
    process = place.start("proxy", "--port", "0")
    end = time.monotonic() + 30
    while (found := running.find(place.workspace)) is None:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    assert _one(checks.proxy) == Finding("proxy", f"process {process.pid} answers at {found.url}")
    process.send_signal(signal.SIGSTOP)
    assert f"kill -9 {process.pid}" in _one(checks.proxy).remedy
    process.kill()
    process.communicate(timeout=20)


def test_a_variable_that_nobody_reads_is_told_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _one(checks.environment).remedy == ""
    monkeypatch.setenv("HEADROOM_WORKSPACEDIR", "/tmp")
    assert _one(checks.environment).remedy == "did you mean HEADROOM_WORKSPACE_DIR?"


def test_every_variable_that_is_read_is_known() -> None:
    read = set()
    for folder in ("headroom", "addon"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.name != "checks.py":
                read |= set(re.findall(r'"(HEADROOM_[A-Z_]+)"', file.read_text()))
    assert read == set(checks.VARIABLES)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("https_proxy", "http://127.0.0.1:{port}", "unset https_proxy"),
        ("NODE_EXTRA_CA_CERTS", "/no/such/file.pem", "unset NODE_EXTRA_CA_CERTS"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "0", "unset NODE_TLS_REJECT_UNAUTHORIZED"),
    ],
)
def test_a_variable_that_cannot_work_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value.format(port=free_port()))
    assert remedy in _one(checks.environment).remedy


def test_a_proxy_elsewhere_and_one_that_listens_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
        assert _one(checks.environment).remedy == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("headroom_mode: perhaps\n", "headroom_mode is 'perhaps'; allowed: optimize | audit | off"),
        ("headroom_time_budget: soon\n", "headroom_time_budget"),
        (": [\n", "config.yaml"),
    ],
)
def test_a_wrong_file_of_settings_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert _one(lambda: checks.settings(str(tmp_path))).remedy == ""
    (tmp_path / "config.yaml").write_text(text)
    finding = _one(lambda: checks.settings(str(tmp_path)))
    assert said in finding.found and "headroom config" in finding.remedy


def test_wrong_limits_of_models_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_MODEL_LIMITS", '{"anthropic": {"context_limits": {"x": -1}}}')
    assert "HEADROOM_MODEL_LIMITS" in _one(lambda: checks.settings(str(tmp_path))).found


def test_a_ca_that_is_missing_expired_open_to_others_or_without_its_key_is_told(tmp_path: Path) -> None:
    def finding() -> Finding:
        return _one(lambda: checks.certificate(str(tmp_path)))

    assert "headroom run -- true" in finding().remedy
    file, key = tmp_path / "mitmproxy-ca-cert.pem", tmp_path / "mitmproxy-ca.pem"
    Authority(tmp_path).certificate.rename(file)
    assert str(key) in finding().found and f"rm -r {tmp_path}" in finding().remedy
    key.touch(0o644)
    key.chmod(0o644)
    assert finding().remedy == f"chmod 600 {key}"
    key.chmod(0o600)
    assert finding().remedy == ""
    file.write_bytes(_expired())
    assert "2001-01-01 to 2001-01-02" in finding().found and f"rm -r {tmp_path}" in finding().remedy
    file.write_text("no certificate")
    assert "can't be read" in finding().found


def test_a_workspace_that_is_no_folder_or_open_to_others_is_told() -> None:
    folder = paths.workspace_dir()
    assert _one(checks.workspace).remedy == ""
    folder.touch()
    assert "HEADROOM_WORKSPACE_DIR" in _one(checks.workspace).remedy
    folder.unlink()
    folder.mkdir(mode=0o755)
    assert _one(checks.workspace).remedy == f"chmod 700 {folder}"
    folder.chmod(0o700)
    (folder / "ledger.db").touch(0o644)
    (folder / "ledger.db").chmod(0o644)
    assert _one(checks.workspace).remedy == f"chmod 600 {folder / 'ledger.db'}"


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is read-only for root")
def test_a_workspace_that_cannot_be_written_is_told() -> None:
    paths.workspace_dir().mkdir(mode=0o500)
    assert "chown" in _one(checks.workspace).remedy


@pytest.mark.parametrize("name", ["ledger.db", "state.db"])
def test_a_broken_database_is_told_and_left_as_it_is(name: str) -> None:
    file = paths.private_dir(paths.workspace_dir()) / name
    assert all(finding.remedy == "" for finding in checks.databases())
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 200)
    database.close()
    (before,) = [finding for finding in checks.databases() if finding.check == name]
    assert before.found.startswith("sound")
    content = file.read_bytes()
    broken = content[:4096] + b"\xff" * 8192 + content[12288:]
    file.write_bytes(broken)
    (finding,) = [finding for finding in checks.databases() if finding.remedy]
    assert finding.check == name and f"mv {file} " in finding.remedy
    assert file.read_bytes() == broken


def test_a_ledger_of_a_newer_version_is_told() -> None:
    Ledger(paths.ledger_path()).close()
    database = sqlite3.connect(paths.ledger_path())
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    assert checks.databases()[0].remedy == "update headroom"


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("time budget of 250 ms exceeded", "headroom_time_budget"),
        ("nothing to gain; prefix broken: tools changed", "headroom_tool_profiles"),
        ("streamed: stream_large_bodies is set", "stream_large_bodies"),
        ("something that nobody thought of", "report"),
    ],
)
def test_traffic_that_is_never_rewritten_is_told_with_the_reason(reason: str, remedy: str) -> None:
    _record(*[("unchanged", reason)] * 12, *[("unchanged", "no tool output")] * 30)
    finding = _one(checks.traffic)
    assert f"{reason.partition(';')[0]} (12)" in finding.found and remedy in finding.remedy


def test_traffic_with_nothing_to_rewrite_or_little_or_some_rewritten_is_fine() -> None:
    assert _one(checks.traffic).remedy == ""
    _record(*[("unchanged", "no tool output")] * 30, *[("unchanged", "nothing to gain")] * 9)
    assert _one(checks.traffic).remedy == ""
    _record(*[("unchanged", "nothing to gain")] * 30, ("rewritten", ""))
    assert _one(checks.traffic).remedy == ""


def test_prefixes_that_clients_break_again_and_again_are_told_with_their_price() -> None:
    assert checks.prefixes() == []
    ledger = Ledger(paths.ledger_path())
    broken = {"break_at": 900, "break_tokens": 2_000, "break_usd": 0.01}
    for number in range(5):
        ledger.record(row(break_part="system", break_kind="time", **broken))
        ledger.record(row(break_part=f"message {number}", break_kind="text", **broken))
    ledger.record(row(break_part="tools", break_kind="tool order", **broken))  # once is no habit
    ledger.close()
    unsteady, other = sorted(checks.prefixes(), key=lambda finding: not finding.remedy)
    assert unsteady.found == (
        "clients changed their system (time) 5 times in 7 days: 10,000 tokens were billed again, $0.05"
    )
    assert "headroom_stable_prefix moves" in unsteady.remedy
    assert "messages (text) 5 times" in other.found and other.remedy == ""


def _one(check: Callable[[], list[Finding]]) -> Finding:
    (finding,) = check()
    return finding


def _record(*outcomes: tuple[str, str]) -> None:
    ledger = Ledger(paths.ledger_path())
    for outcome, reason in outcomes:
        ledger.record(row(outcome=outcome, reason=reason))
    ledger.close()


def _expired() -> bytes:
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mitmproxy")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = made.serial_number(1).not_valid_before(datetime(2001, 1, 1, tzinfo=UTC))
    signed = dated.not_valid_after(datetime(2001, 1, 2, tzinfo=UTC)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)
