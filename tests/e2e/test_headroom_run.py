"""`headroom run -- claude`: nothing but the command line is set up."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.task import DONE, PROMPT, Project
from tests.e2e.test_claude_code import model
from tests.e2e.world import PATIENT
from tests.support.proxy import REDIRECT, ROOT
from tests.support.standin import StandIn

pytestmark = pytest.mark.e2e


def test_claude_code_does_its_task_behind_headroom_run(commands: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (tmp_path / "home").mkdir()
    with StandIn(tmp_path, model(project)) as provider:
        trust = f"ssl_verify_upstream_trusted_ca={provider.certificate}"
        settings = (f"scripts={REDIRECT}", trust, *PATIENT)
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "headroom.cli.main", "run"),
                *(word for setting in settings for word in ("--set", setting)),
                *("--", str(commands / "claude"), "-p", PROMPT, "--dangerously-skip-permissions"),
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
                "ANTHROPIC_API_KEY": "sk-ant-api03-test",
                "IS_SANDBOX": "1",
                "DISABLE_AUTOUPDATER": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert DONE in ran.stdout and project.is_done
    said = re.search(r"headroom: (\d+) requests, ([\d,]+) of [\d,]+ tokens saved", ran.stderr)
    assert said is not None, ran.stderr
    assert int(said[1]) == len(provider.received)
    assert int(said[2].replace(",", "")) > 5_000
    assert provider.failures == []
