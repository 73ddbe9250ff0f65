"""`headroom uninstall`, `cert trust` and `cert untrust`: what came goes again, and nothing else does."""

import os
import re
import stat
from pathlib import Path

import pytest

from headroom.cli import uninstall
from headroom.errors import HeadroomError
from tests.cli.conftest import Place
from tests.cli.test_proxy import proxy
from tests.support.proxy import ROOT


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.e2e
def test_after_daily_use_everything_goes_and_nothing_else(place: Place) -> None:
    (place.home / ".claude").mkdir()
    (place.home / ".claude" / "settings.json").write_text('{"model": "opus"}')
    (place.home / "ready").touch()  # the stand-in's
    before = files(place.home)
    place.run(place.client_command("amber"))
    place.headroom("memory", "save", "a fact")
    place.headroom("setup", "claude", "codex", "--yes")
    (place.workspace / "config").mkdir()
    (place.workspace / "config" / "config.toml").write_text("default_mode = 'audit'\n")
    used = files(place.home)

    said = place.headroom("uninstall", said="n\n").stdout
    for name in ("the setup of Claude Code", "the setup of Codex", "mitmproxy-ca*", str(place.workspace)):
        assert name in said
    assert "nothing was removed" in said and files(place.home) == used

    said = place.headroom("uninstall", "--yes").stdout
    assert "it is gone" in said and "pip uninstall headroom-ai" in said
    assert files(place.home) == before
    assert {path.name for path in place.home.iterdir()} == {".claude", "client.py", "ready"}
    assert place.headroom("uninstall").stdout.startswith("nothing of headroom is here")


@pytest.mark.e2e
def test_while_the_proxy_runs_nothing_goes(place: Place) -> None:
    with proxy(place, "--port", "0") as one:
        assert f"process {one.pid}" in place.headroom("uninstall", "--yes", code=1).stderr
        assert (place.workspace / "ledger.db").exists()


def test_in_a_folder_that_is_not_ours_alone_only_what_is_ours_goes(place: Place) -> None:
    folder = place.home / "shared"
    (folder / "logs").mkdir(parents=True)
    for name in ("ledger.db", "ledger.db-wal", "proxy_savings.json", "logs/proxy.log", "thesis.txt", "other.db"):
        (folder / name).write_text("x")
    savings = place.home / "elsewhere.json"
    savings.write_text("{}")
    place.environment |= {"HEADROOM_WORKSPACE_DIR": str(folder), "HEADROOM_SAVINGS_PATH": str(savings)}
    (place.home / ".mitmproxy").mkdir()
    (place.home / ".mitmproxy" / "mitmproxy-ca-cert.pem").write_text("a certificate")
    (place.home / ".mitmproxy" / "config.yaml").write_text("{}")
    place.headroom("uninstall", "--yes", "--keep-ca")
    assert {path.name for path in folder.iterdir()} == {"thesis.txt", "other.db"} and not savings.exists()
    assert (place.home / ".mitmproxy" / "mitmproxy-ca-cert.pem").exists()
    place.headroom("uninstall", "--yes")
    assert [path.name for path in (place.home / ".mitmproxy").iterdir()] == ["config.yaml"]


def test_every_file_that_headroom_writes_is_known_by_name() -> None:
    from headroom import paths

    written = [
        paths.ledger_path(), paths.state_path(), paths.originals_path(), paths.memory_path(), paths.savings_path(),
        paths.toin_path(), paths.subscription_state_path(), paths.session_stats_path(),
    ]  # fmt: skip
    named = {
        Path(name)
        for folder in ("headroom", "addon")
        for file in (ROOT / folder).rglob("*.py")
        for name in re.findall(r'"([a-z_]+\.db)"', file.read_text())
    }
    lacking = {path.name for path in {*written, *named} if not any(path.match(pattern) for pattern in uninstall.FILES)}
    assert lacking <= {"headroom.db"}  # a program's own, in the folder for temporary files


@pytest.fixture
def system(place: Place, tmp_path: Path) -> Path:
    """A system whose commands write down what they are told, and do nothing."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cp", "rm", "update-ca-certificates", "sudo"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/told\n')
        (tools / name).chmod(stat.S_IRWXU)
    place.environment["PATH"] = f"{tools}{os.pathsep}{place.environment['PATH']}"
    return tmp_path / "told"


@pytest.mark.skipif(not Path("/proc").exists(), reason="the commands are those of Debian")
def test_the_system_is_told_to_trust_the_ca_and_to_forget_it(place: Place, system: Path) -> None:
    assert "there is no CA at" in place.headroom("cert", "trust", "--yes", code=1).stderr
    place.headroom("run", "--", "true")
    said = place.headroom("cert", "trust", said="n\n").stdout
    assert "nothing was changed" in said and "update-ca-certificates" in said and not system.exists()
    place.headroom("cert", "trust", "--yes")
    place.headroom("cert", "untrust", "--yes")
    told = [line.removeprefix("sudo ") for line in system.read_text().splitlines()]
    ca, store = place.home / ".mitmproxy" / "mitmproxy-ca-cert.pem", "/usr/local/share/ca-certificates/mitmproxy.crt"
    assert told == [
        f"cp {ca} {store}", "update-ca-certificates ", f"rm {store}", "update-ca-certificates --fresh"
    ]  # fmt: skip


def test_a_command_of_the_system_that_fails_is_said() -> None:
    from headroom.cli.trust_system import run

    with pytest.raises(HeadroomError, match="exit code 3"):
        run("exit 3")
