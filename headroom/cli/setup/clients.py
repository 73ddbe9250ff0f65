"""What each client is told, and where: its own file of settings."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headroom.cli.setup.edits import Edit, JsonEdit, LinesEdit


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy will be, with the key that it asks for; the CA, and it with all other authorities in a file."""

    port: int
    key: str
    certificate: Path
    bundle: Path

    @property
    def url(self) -> str:
        """For HTTPS_PROXY."""
        from headroom.cli.environment import with_key

        return with_key(self.base, self.key)

    @property
    def base(self) -> str:
        """As a base URL."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Part:
    """A file, and what is written there."""

    file: Callable[[], Path]
    edit: Callable[[Proxy], Edit]


@dataclass(frozen=True, slots=True)
class Client:
    """A client's files, and what its user has to know."""

    name: str
    title: str
    parts: tuple[Part, ...]
    note: str = ""
    through_proxy: bool = True
    """Whether its requests go through the proxy from then on."""
    shows_key: bool = True
    """Whether it can show the key that a proxy asks for: by a base URL none can."""


def _home(variable: str, folder: str) -> Path:
    """A client's own folder: what its variable says, else the one in the home folder."""
    return Path(os.environ.get(variable) or f"~/{folder}").expanduser()


def _command() -> str:
    """The `headroom` that runs now, for clients that start it themselves."""
    beside = Path(sys.executable).with_name("headroom")
    return str(beside) if beside.is_file() else shutil.which("headroom") or "headroom"


def _claude(proxy: Proxy) -> Edit:
    return JsonEdit({("env", "HTTPS_PROXY"): proxy.url, ("env", "NODE_EXTRA_CA_CERTS"): str(proxy.certificate)})


def _codex(proxy: Proxy) -> Edit:
    lines = (f"HTTPS_PROXY={proxy.url}", f"SSL_CERT_FILE={proxy.bundle}")
    return LinesEdit(lines, ("HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"))


def _gemini(proxy: Proxy) -> Edit:
    return LinesEdit((f"GOOGLE_GEMINI_BASE_URL={proxy.base}",), ("GOOGLE_GEMINI_BASE_URL",))


def _gemini_key(_: Proxy) -> Edit:
    """With another base URL the client does not guess any more that an API key is used."""
    why = "only its requests with an API key can go through headroom"
    return JsonEdit({("security", "auth", "selectedType"): "gemini-api-key"}, why)


def _aider(proxy: Proxy) -> Edit:
    lines = (
        f"openai-api-base: {proxy.base}/v1",
        "set-env:",
        f"  - ANTHROPIC_API_BASE={proxy.base}",
        f"  - GEMINI_API_BASE={proxy.base}/v1beta",
    )
    return LinesEdit(lines, ("openai-api-base", "set-env"))


def _opencode(proxy: Proxy) -> Edit:
    ends = {"anthropic": "/v1", "openai": "/v1", "google": "/v1beta"}
    return JsonEdit({("provider", name, "options", "baseURL"): f"{proxy.base}{end}" for name, end in ends.items()})


def _cursor(_: Proxy) -> Edit:
    return JsonEdit({("mcpServers", "headroom"): {"command": _command(), "args": ["mcp"]}})


CLIENTS: Mapping[str, Client] = {
    client.name: client
    for client in (
        Client(
            "claude",
            "Claude Code",
            (Part(lambda: _home("CLAUDE_CONFIG_DIR", ".claude") / "settings.json", _claude),),
        ),
        Client("codex", "Codex", (Part(lambda: _home("CODEX_HOME", ".codex") / ".env", _codex),)),
        Client(
            "gemini",
            "Gemini CLI",
            (
                Part(lambda: _home("GEMINI_CLI_HOME", "") / ".gemini" / "settings.json", _gemini_key),
                Part(lambda: _home("GEMINI_CLI_HOME", "") / ".gemini" / ".env", _gemini),
            ),
            "It reads one .env only: a project's own .gemini/.env or .env takes the place of this one there.",
            shows_key=False,
        ),
        Client("aider", "Aider", (Part(lambda: Path("~/.aider.conf.yml").expanduser(), _aider),), shows_key=False),
        Client(
            "opencode",
            "OpenCode",
            (Part(lambda: _home("XDG_CONFIG_HOME", ".config") / "opencode" / "opencode.json", _opencode),),
            shows_key=False,
        ),
        Client(
            "cursor",
            "Cursor",
            (Part(lambda: Path("~/.cursor/mcp.json").expanduser(), _cursor),),
            "Cursor's requests go to its own servers, also with a key of yours, so no proxy on this machine sees them: "
            "what it gets is headroom's tools, by MCP.",
            through_proxy=False,
        ),
    )
}
