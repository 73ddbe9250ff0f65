"""`headroom doctor` on a sound installation with one fault planted: it is red, with its remedy, and nothing else is."""

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headroom.cli import authority, doctor
from headroom.cli.environment import CODEX, NODE, PROXY, REPLACING
from tests.support.certificates import Authority


@dataclass(frozen=True)
class Sound:
    """An installation in which all is well; ``port`` is one that is taken or, for most faults, of no interest."""

    home: Path
    workspace: Path
    config: Path
    certificate: Path
    set: Callable[[str, str], None]
    taken: int
    """A port at which a program listens, and"""
    dead: int
    """one at which none does, though it is taken."""


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / ".mitmproxy"
    authority.make_authority(str(folder), 2048)
    return folder


@pytest.fixture
def sound(tmp_path: Path, confdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sound]:
    for name in (*PROXY, *REPLACING, NODE, CODEX, "NODE_TLS_REJECT_UNAUTHORIZED", "HEADROOM_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    shutil.copytree(confdir, home / ".mitmproxy")
    workspace, config = home / ".headroom", home / ".headroom" / "config"
    config.mkdir(parents=True, mode=0o700)
    workspace.chmod(0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(workspace))
    monkeypatch.setenv("HEADROOM_CONFIG_DIR", str(config))
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Sound(
            home,
            workspace,
            config,
            home / ".mitmproxy" / authority.CERTIFICATE,
            monkeypatch.setenv,
            server.getsockname()[1],
            bound.getsockname()[1],
        )


def no_ca(place: Sound) -> None:
    place.certificate.unlink()


def ca_that_node_does_not_know(place: Sound) -> None:
    place.set("HTTPS_PROXY", f"http://127.0.0.1:{place.taken}")
    place.set(NODE, str(Authority(place.home).certificate))


def ca_that_nobody_knows(place: Sound) -> None:
    place.set("HTTPS_PROXY", f"http://127.0.0.1:{place.taken}")


def proxy_that_is_not_there(place: Sound) -> None:
    place.set("HTTPS_PROXY", f"http://127.0.0.1:{place.dead}")
    place.set(NODE, str(place.certificate))


def ledger_that_is_corrupt(place: Sound) -> None:
    (place.workspace / "ledger.db").write_bytes(b"this is no database " * 500)
    (place.workspace / "ledger.db").chmod(0o600)


def originals_that_cannot_be_read(place: Sound) -> None:
    (place.workspace / "originals.db").mkdir(mode=0o700)


def store_that_does_not_answer(place: Sound) -> None:
    place.set("HEADROOM_STORE_URL", f"redis://:secret@127.0.0.1:{place.dead}/0")


def workspace_that_nobody_can_write(place: Sound) -> None:
    place.set("HEADROOM_WORKSPACE_DIR", "/proc/headroom")


def model_that_is_damaged(place: Sound) -> None:
    folder = place.home / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "onnx" / "kompress-fp32.onnx").write_bytes(b"\x08\x07broken")
    place.set("HEADROOM_KOMPRESS_MODEL", str(folder))


def client_that_is_set_up_for_no_proxy(place: Sound) -> None:
    from headroom.cli.setup import manage

    manage.set_up(["claude"], place.dead, None, yes=True)


def setting_that_is_wrong(place: Sound) -> None:
    (place.config / "config.toml").write_text("default_mode = 'perhaps'\n")


def settings_that_cannot_be_read(place: Sound) -> None:
    (place.config / "config.toml").write_text("default_mode = \n")


def models_json_that_is_wrong(place: Sound) -> None:
    (place.config / "models.json").write_text('{"anthropic": {"context_limits": {"x": -1}}}')


FAULTS: list[tuple[Callable[[Sound], None], str, str, str]] = [
    (no_ca, "CA", "there is no CA at", "headroom run -- true"),
    (ca_that_node_does_not_know, "clients", "Claude Code, Gemini CLI will refuse", f"export {NODE}="),
    (ca_that_nobody_knows, "clients", "no client trusts the CA", "headroom run"),
    (proxy_that_is_not_there, "environment", "where nothing listens", "unset HTTPS_PROXY"),
    (ledger_that_is_corrupt, "ledger.db", "ledger.db", "mv "),
    (originals_that_cannot_be_read, "originals.db", "originals.db: ", "mv "),
    (store_that_does_not_answer, "store", "can't be used", "start the server at redis://127.0.0.1:"),
    (workspace_that_nobody_can_write, "workspace", "can't be made in /proc", "set HEADROOM_WORKSPACE_DIR"),
    (model_that_is_damaged, "model chopratejas/kompress-v2-base", "can't be run", "headroom models download kompress"),
    (client_that_is_set_up_for_no_proxy, "setup of Claude Code", "nothing listens", "headroom setup claude --undo"),
    (setting_that_is_wrong, "settings", "default_mode", "headroom config"),
    (settings_that_cannot_be_read, "settings", "config.toml", "headroom config"),
    (models_json_that_is_wrong, "settings", "models.json", "headroom config"),
]


def test_a_sound_installation_is_green(sound: Sound, capsys: pytest.CaptureFixture[str]) -> None:
    assert _red(sound, capsys) == {}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that not even root can write is in /proc")
@pytest.mark.parametrize(("plant", "check", "found", "remedy"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_a_fault_is_red_with_its_remedy(
    sound: Sound,
    capsys: pytest.CaptureFixture[str],
    plant: Callable[[Sound], None],
    check: str,
    found: str,
    remedy: str,
) -> None:
    plant(sound)
    capsys.readouterr()
    red = _red(sound, capsys)
    assert list(red) == [check], red
    assert found in red[check][0] and remedy in red[check][1]
    assert "secret" not in str(red)


def test_a_port_that_is_taken_is_red(sound: Sound, capsys: pytest.CaptureFixture[str]) -> None:
    red = _red(sound, capsys, sound.taken)
    assert list(red) == [f"port {sound.taken}"]
    assert f"lsof -i :{sound.taken}" in red[f"port {sound.taken}"][1]


def test_a_mitmproxy_that_is_too_old_is_red(
    sound: Sound, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = sound.home / "site" / "mitmproxy-11.0.2.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: mitmproxy\nVersion: 11.0.2\n")
    monkeypatch.syspath_prepend(str(old.parent))
    red = _red(sound, capsys)
    assert list(red) == ["mitmproxy"]
    assert red["mitmproxy"] == ("11.0.2", "python -m pip install 'mitmproxy>=12.2,<13'")


def test_an_exchange_that_fails_is_red(
    sound: Sound, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    red = _red(sound, capsys, skip=())
    assert list(red) == ["exchange on loopback"]
    assert (
        "/no/such/python" in red["exchange on loopback"][0] and "headroom.demo --keep" in red["exchange on loopback"][1]
    )


def test_a_check_that_itself_fails_is_red_and_the_others_are_made(
    sound: Sound, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> str:
        raise RuntimeError("no idea")

    monkeypatch.setattr("headroom.cli.checks.version", broken)
    assert _red(sound, capsys) == {"versions": ("the check itself failed: RuntimeError: no idea", doctor.REINSTALL)}


def _red(
    sound: Sound, capsys: pytest.CaptureFixture[str], port: int = 0, skip: tuple[str, ...] = ("exchange",)
) -> dict[str, tuple[str, str]]:
    """What is wrong, by check. The exchange, which takes seconds, is made where it is asked for."""
    code = doctor.examine(None, port, True, skip)
    said = json.loads(capsys.readouterr().out)
    red = {one["check"]: (one["found"], one["remedy"]) for one in said["findings"] if not one["ok"]}
    assert code == int(bool(red)) and said["ok"] is not bool(red)
    return red
