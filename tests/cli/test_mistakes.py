"""A user's mistake is one line that says what is wrong, whatever the command."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom.cli.main import main

COMMANDS = (
    "stats", "sessions", "show", "show last --json", "originals", "retrieve 000000000000000000000000", "export",
    "export rows.csv", "import rows.csv", "replay rows.jsonl", "memory list", "memory save fact", "memory forget x",
    "setup", "setup claude --yes", "setup claude --undo --yes", "uninstall --yes", "cert", "cert check", "cert where",
    "config", "plugins", "models", "compress rows.csv", "doctor --skip exchange --skip models", "dashboard",
    "proxy --port 0 --set nonsense", "proxy --host example.com", "run", "run -- no-such-command", "nonsense",
    "--nonsense", "stats --by colour", "completion tcsh", "setup nobody", "doctor --port 0",
)  # fmt: skip


def workspace_that_is_a_file(folder: Path, set: Callable[[str, str], None]) -> None:
    (folder / "file").touch()
    set("HEADROOM_WORKSPACE_DIR", str(folder / "file"))


def databases_that_are_none(folder: Path, set: Callable[[str, str], None]) -> None:
    workspace = folder / "workspace"
    workspace.mkdir(mode=0o700)
    for name in ("ledger.db", "originals.db", "memory.db", "blocks.db", "setup.json"):
        (workspace / name).mkdir()
    set("HEADROOM_WORKSPACE_DIR", str(workspace))


def settings_that_cannot_be_read(folder: Path, set: Callable[[str, str], None]) -> None:
    (folder / "config.toml").write_text("x = [\n")
    (folder / "models.json").write_text("[")
    set("HEADROOM_CONFIG_DIR", str(folder))


def store_that_is_none(_: Path, set: Callable[[str, str], None]) -> None:
    set("HEADROOM_STORE_URL", "ftp://nowhere")


@pytest.mark.parametrize(
    "plant", [workspace_that_is_a_file, databases_that_are_none, settings_that_cannot_be_read, store_that_is_none]
)
def test_no_mistake_of_a_user_ends_in_a_traceback(
    plant: Callable[[Path, Callable[[str, str], None]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("no,rows\n1,2\n")
    (tmp_path / "rows.jsonl").write_text("{\n")
    plant(tmp_path, monkeypatch.setenv)
    codes = {}
    for command in COMMANDS:
        monkeypatch.setattr(sys, "argv", ["headroom", *command.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        codes[command] = ended.value.code
        said = capfd.readouterr()
        assert "Traceback" not in said.out + said.err, command
        if ended.value.code == 1 and not said.out:
            assert said.err.startswith("headroom: "), (command, said.err)
    wrong_usage = {"nonsense", "--nonsense", "stats --by colour", "completion tcsh", "setup nobody", "doctor --port 0"}
    assert {command for command in wrong_usage if codes[command] != 2} == set()
    assert codes["run -- no-such-command"] == 127
