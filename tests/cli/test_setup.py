"""`headroom setup`: what is written into clients' files, and that it can be taken back."""

import json
import os
import stat
from pathlib import Path

import pytest

from headroom.cli.setup.clients import CLIENTS
from tests.cli.conftest import Place

CLAUDE = '{\n    "model": "opus",\n    "env": {"A": "1", "HTTPS_PROXY": "http://proxy.example.com:3128"}\n}\n'


@pytest.fixture
def claude(place: Place) -> Path:
    file = place.home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(CLAUDE)
    file.chmod(0o640)
    return file


def test_it_shows_what_changes_and_asks(place: Place, claude: Path) -> None:
    said = place.headroom("setup", "claude", said="n\n").stdout
    assert '+        "HTTPS_PROXY": "http://127.0.0.1:8787",' in said.splitlines()
    assert f"Change {claude}? [y/N]" in said and "stays as it is" in said
    assert claude.read_text() == CLAUDE
    assert place.headroom("setup", "claude", said="", code=1).returncode == 1  # nobody answers
    assert claude.read_text() == CLAUDE


def test_it_changes_its_own_values_keeps_a_copy_and_takes_all_back(place: Place, claude: Path) -> None:
    said = place.headroom("setup", "claude", said="y\n").stdout
    assert "headroom proxy --port 8787" in said
    ca = place.home / ".mitmproxy" / "mitmproxy-ca-cert.pem"
    wanted = {"A": "1", "HTTPS_PROXY": "http://127.0.0.1:8787", "NODE_EXTRA_CA_CERTS": str(ca)}
    assert json.loads(claude.read_text()) == {"model": "opus", "env": wanted} and ca.is_file()
    assert stat.S_IMODE(claude.stat().st_mode) == 0o640
    (backup,) = (place.workspace / "backups").iterdir()
    assert backup.read_text() == CLAUDE and stat.S_IMODE(backup.stat().st_mode) == 0o600

    written = claude.read_text()
    assert "set up already" in place.headroom("setup", "claude", "--yes").stdout
    assert claude.read_text() == written
    place.headroom("setup", "claude", "--yes", "--port", "9999")
    assert json.loads(claude.read_text())["env"]["HTTPS_PROXY"] == "http://127.0.0.1:9999"
    place.headroom("setup", "claude", "--undo", "--yes")
    assert claude.read_text() == CLAUDE
    assert "is not set up" in place.headroom("setup", "claude", "--undo").stdout


def test_what_somebody_wrote_since_stays(place: Place, claude: Path) -> None:
    place.headroom("setup", "claude", "--yes")
    held = json.loads(claude.read_text())
    held["model"] = "sonnet"
    held["env"]["B"] = "2"
    claude.write_text(json.dumps(held))
    place.headroom("setup", "claude", "--undo", "--yes")
    env = {"A": "1", "B": "2", "HTTPS_PROXY": "http://proxy.example.com:3128"}
    assert json.loads(claude.read_text()) == {"model": "sonnet", "env": env}


def test_all_clients_are_set_up_and_nothing_is_left_after_all_is_undone(place: Place) -> None:
    dotfiles = place.home / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "env").write_text("# mine\nA=1")
    (place.home / ".codex").mkdir()
    (place.home / ".codex" / ".env").symlink_to(dotfiles / "env")
    place.headroom("setup", *CLIENTS, "--yes")

    def read(name: str) -> str:
        return (place.home / name).read_text()

    assert read(".codex/.env").startswith(
        "# mine\nA=1\n# >>> headroom\nHTTPS_PROXY=http://127.0.0.1:8787\nSSL_CERT_FILE="
    )
    assert (place.home / ".codex" / ".env").is_symlink()
    assert "\nGOOGLE_GEMINI_BASE_URL=http://127.0.0.1:8787\n" in read(".gemini/.env")
    assert json.loads(read(".gemini/settings.json")) == {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    aider = read(".aider.conf.yml")
    assert "\nopenai-api-base: http://127.0.0.1:8787/v1\n" in aider
    assert "\nset-env:\n  - ANTHROPIC_API_BASE=http://127.0.0.1:8787\n" in aider
    providers = json.loads(read(".config/opencode/opencode.json"))["provider"]
    assert providers["google"]["options"]["baseURL"] == "http://127.0.0.1:8787/v1beta"
    cursor = json.loads(read(".cursor/mcp.json"))["mcpServers"]["headroom"]
    assert cursor["args"] == ["mcp"] and os.access(cursor["command"], os.X_OK)
    listed = json.loads(place.headroom("setup", "--json").stdout)
    assert [one["client"] for one in listed if one["set_up"]] == list(CLIENTS)

    place.headroom("setup", *CLIENTS, "--undo", "--yes")
    assert (dotfiles / "env").read_text() == "# mine\nA=1"
    left = {str(file.relative_to(place.home)) for file in place.home.rglob("*") if not file.is_dir()}
    ours = {name for name in left if name.startswith((".headroom/", ".mitmproxy/"))}
    assert left - ours == {"client.py", "dotfiles/env", ".codex/.env"}
    assert not (place.home / ".gemini").exists() and not (place.home / ".cursor").exists()
    assert not any(one["set_up"] for one in json.loads(place.headroom("setup", "--json").stdout))


@pytest.mark.parametrize(
    ("name", "file", "content", "said"),
    [
        ("claude", ".claude/settings.json", '{"env": {} // mine\n}', "no plain JSON"),
        ("claude", ".claude/settings.json", '{"env": "all"}', "its 'env' is no object"),
        ("codex", ".codex/.env", "export HTTPS_PROXY=http://proxy.example.com\n", "take the line 'export HTTPS_PROXY"),
        ("aider", ".aider.conf.yml", "set-env:\n  - A=1\n", "it says set-env itself"),
        (
            "gemini",
            ".gemini/settings.json",
            '{"security": {"auth": {"selectedType": "oauth-personal"}}}',
            "only its requests with an API key",
        ),
    ],
)
def test_a_file_that_cannot_be_changed_without_harm_stays(
    place: Place, name: str, file: str, content: str, said: str
) -> None:
    path = place.home / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    told = place.headroom("setup", name, "--yes", code=1).stderr
    assert said in told and str(path) in told
    assert path.read_text() == content


def test_a_key_is_in_no_diff(place: Place) -> None:
    place.environment["HEADROOM_API_KEY"] = "a key"
    said = place.headroom("setup", "claude", "--yes").stdout
    assert "a%20key" not in said and "headroom:***@127.0.0.1" in said
    held = json.loads((place.home / ".claude" / "settings.json").read_text())
    assert held["env"]["HTTPS_PROXY"] == "http://headroom:a%20key@127.0.0.1:8787"


def test_a_client_that_cannot_show_a_key_is_not_set_up_for_a_proxy_that_asks_for_one(place: Place) -> None:
    place.environment["HEADROOM_API_KEY"] = "a key"
    said = place.headroom("setup", "gemini", "--yes", code=1).stderr
    assert "Gemini CLI has no way to show a key" in said and not (place.home / ".gemini").exists()
