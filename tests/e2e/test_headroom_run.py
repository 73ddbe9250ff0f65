"""`headroom run -- claude`, codex, gemini: nothing but the command line is set up."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import test_claude_code, test_codex, test_gemini_cli
from tests.e2e.task import DONE, PROMPT, Project
from tests.e2e.world import PATIENT
from tests.support.proxy import REDIRECT, ROOT
from tests.support.standin import Script, StandIn

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Client:
    """A real client: how it is told a task, its keys and wishes, and the model that does the task with its tools."""

    command: tuple[str, ...]
    environment: dict[str, str]
    model: Callable[[Project], Script]


CLIENTS = {
    "claude": Client(
        ("claude", "-p", PROMPT, "--dangerously-skip-permissions"),
        {"ANTHROPIC_API_KEY": "sk-ant-api03-test", "IS_SANDBOX": "1", "DISABLE_AUTOUPDATER": "1"},
        test_claude_code.model,
    ),
    "codex": Client(
        ("codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT),
        {"CODEX_API_KEY": "sk-test", "OPENAI_API_KEY": "sk-test"},
        lambda _: test_codex.model(),
    ),
    "gemini": Client(
        ("gemini", "--yolo", "--skip-trust", "-p", PROMPT),
        {"GEMINI_API_KEY": "test", "GEMINI_TELEMETRY_ENABLED": "false"},
        test_gemini_cli.model,
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_does_its_task_behind_headroom_run(name: str, commands: Path, tmp_path: Path) -> None:
    client, project = CLIENTS[name], Project(tmp_path / "project")
    (tmp_path / "home").mkdir()
    with StandIn(tmp_path, client.model(project)) as provider:
        trust = f"ssl_verify_upstream_trusted_ca={provider.certificate}"
        settings = (f"scripts={REDIRECT}", trust, *PATIENT)
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "headroom.cli.main", "run"),
                *(word for setting in settings for word in ("--set", setting)),
                *("--", str(commands / client.command[0]), *client.command[1:]),
            ],
            cwd=project.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path / "home"),
                "LANG": "C.UTF-8",
                "PYTHONPATH": str(ROOT),
                "STANDIN_PORT": str(provider.port),
                "STANDIN_READY": str(tmp_path / "ready"),
                # hosts that are not ours pass through undecrypted: there the client sees the stand-in's certificate
                "NODE_EXTRA_CA_CERTS": str(provider.certificate),
                "SSL_CERT_FILE": str(provider.certificate),
                **client.environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert DONE in ran.stdout and project.is_done
    said = re.search(r"headroom: (\d+) requests, ([\d,]+) of [\d,]+ tokens saved", ran.stderr)
    assert said is not None, ran.stderr
    assert int(said[1]) == len(provider.received)
    assert int(said[2].replace(",", "")) > 5_000
    assert provider.failures == []
