"""`headroom setup claude`, codex, gemini: the client, started as ever, goes through the proxy, until that is undone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headroom.ledger import Ledger
from tests.cli.conftest import Place
from tests.cli.test_proxy import proxy
from tests.e2e.task import DONE, Project
from tests.e2e.test_headroom_run import CLIENTS
from tests.e2e.world import PATIENT
from tests.support.answers import Answer
from tests.support.standin import StandIn

pytestmark = pytest.mark.e2e


LITELLM = """
import litellm, sys
for model in ("anthropic/claude-sonnet-4-5", "openai/gpt-4o", "gemini/gemini-2.5-flash"):
    said = litellm.completion(model, [{"role": "user", "content": "Hello?"}], api_key="key", max_tokens=20)
    print(model, said.choices[0].message.content)
"""
"""What Aider sends its requests with."""


def test_aider_is_told_base_urls_that_its_library_understands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with StandIn(tmp_path, lambda shape, body: Answer(f"As {shape}.")) as provider:
        place = Place(home, provider)
        with proxy(place, "--port", "0") as running:
            place.headroom("setup", "aider", "--yes", "--port", str(running.port))
            told = (home / ".aider.conf.yml").read_text()
            bases = dict(re.findall(r"  - (\w+)=(\S+)", told))
            bases["OPENAI_API_BASE"] = re.findall(r"openai-api-base: (\S+)", told)[0]  # as Aider itself does it
            ran = subprocess.run(
                [sys.executable, "-c", LITELLM],
                env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **bases},
                capture_output=True,
                text=True,
                timeout=120,
            )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-3:] == [
        "anthropic/claude-sonnet-4-5 As anthropic.",
        "openai/gpt-4o As openai-chat.",
        "gemini/gemini-2.5-flash As gemini.",
    ]
    assert provider.failures == []


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_is_set_up_does_its_task_through_the_proxy(name: str, commands: Path, tmp_path: Path) -> None:
    client, project, home = CLIENTS[name], Project(tmp_path / "project"), tmp_path / "home"
    home.mkdir()
    before = {"claude": (".claude/settings.json", '{"model": "sonnet"}'), "codex": (".codex/.env", "A=1\n")}
    if name in before:
        file = home / before[name][0]
        file.parent.mkdir()
        file.write_text(before[name][1])
    with StandIn(tmp_path, client.model(project)) as provider:
        place = Place(home, provider)
        # hosts that are not ours pass through undecrypted: there the client sees the stand-in's certificate
        place.environment["SSL_CERT_FILE"] = str(provider.certificate)
        patient = [word for setting in PATIENT for word in ("--set", setting)]
        with proxy(place, "--port", "0", *patient) as running:
            place.headroom("setup", name, "--yes", "--port", str(running.port))
            ran = subprocess.run(
                [commands / client.command[0], *client.command[1:]],
                cwd=project.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **client.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
            )
        assert ran.returncode == 0, ran.stdout + ran.stderr + (home / "out").read_text()
        assert DONE in ran.stdout and project.is_done
        place.headroom("setup", name, "--undo", "--yes")
    if name in before:
        assert file.read_text() == before[name][1]
    else:
        assert not (home / ".gemini" / ".env").exists()
        settings = home / ".gemini" / "settings.json"  # where the client itself may have written by now
        assert not settings.exists() or "gemini-api-key" not in settings.read_text()
    ledger = Ledger(place.workspace / "ledger.db")
    assert ledger.totals().tokens_saved > 5_000
    ledger.close()
    assert provider.failures == []
