"""The command in a process of its own, with a home of its own, before a stand-in provider."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import Answer
from tests.support.proxy import REDIRECT, ROOT
from tests.support.standin import StandIn

CLIENT = """
import json, sys, httpx
text = "".join(f"line {i} of a long output of {sys.argv[1]} that is said twice\\n" for i in range(200))
call = {"type": "tool_use", "name": "run", "input": {}}
result = {"type": "tool_result", "content": text}
body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [
    {"role": "user", "content": "Run it twice, " + sys.argv[1]},
    {"role": "assistant", "content": [{**call, "id": "toolu_1"}, {**call, "id": "toolu_2"}]},
    {"role": "user", "content": [{**result, "tool_use_id": "toolu_1"}, {**result, "tool_use_id": "toolu_2"}]}]}
for _ in range(int(sys.argv[2])):
    answer = httpx.post("https://api.anthropic.com/v1/messages", json=body, timeout=30)
    print(answer.status_code, answer.json()["content"][0]["text"])
"""
"""A program that knows of no proxy: it asks as often as its second argument says, in the name of its first."""


class Place:
    """``headroom`` runs the command in ``home``; ``options`` send its proxy's connections to ``provider``."""

    def __init__(self, home: Path, provider: StandIn) -> None:
        self.home, self.provider = home, provider
        self.workspace = home / ".headroom"
        self.client = home / "client.py"
        self.client.write_text(CLIENT)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "STANDIN_PORT": str(provider.port),
            "STANDIN_READY": str(home / "ready"),
        }
        trust = f"ssl_verify_upstream_trusted_ca={provider.certificate}"
        self.options = [word for setting in (f"scripts={REDIRECT}", trust) for word in ("--set", setting)]

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "headroom.cli.main", *words]

    def client_command(self, name: str, times: int = 1) -> list[str]:
        return [sys.executable, str(self.client), name, str(times)]

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        settings = {**pipes, "text": True, "cwd": ROOT, "env": self.environment, "start_new_session": True, **options}
        return subprocess.Popen(self.command(*words), **settings)

    def headroom(self, *words: str, said: str = "", code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """What the command says, given ``said`` on its standard input; it ends with ``code``, or anyhow if None."""
        process = self.start(*words)
        out, err = process.communicate(said, timeout=60)
        assert "Traceback" not in err, err
        assert code in (None, process.returncode), f"{process.returncode}\n{out}\n{err}\n{self.log}"
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def run(self, command: Sequence[str], *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`headroom run` before the stand-in."""
        return self.headroom("run", *self.options, *options, "--", *command, code=code)

    @property
    def log(self) -> str:
        file = self.workspace / "logs" / "proxy.log"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "provider"
    folder.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    with StandIn(folder, lambda shape, body: Answer("It ran twice.")) as provider:
        yield Place(home, provider)
    assert provider.failures == []
