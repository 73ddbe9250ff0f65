"""The published npm package headroom-ai, from its registry, against a real proxy."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from headroom.ccr.originals import open_originals, original_of
from tests.e2e.npm_clients import ROOT, installed
from tests.support.stage import stage

pytestmark = pytest.mark.e2e
PINNED = Path(__file__).with_name("npm_sdk")
CACHE = ROOT / ".cache" / "npm-sdk"
SUITE = "suite.test.mjs"


def test_the_typescript_sdk_works(tmp_path: Path) -> None:
    installed(PINNED, CACHE)
    shutil.copyfile(PINNED / SUITE, CACHE / SUITE)  # node looks for packages beside the file
    key = "the-key-of-this-proxy"
    with (
        stage(tmp_path / "open") as world,
        stage(tmp_path / "locked", environment={"HEADROOM_API_KEY": key}) as locked,
    ):
        original = original_of("first line\nan error line\nlast line\n", "session-1", "Bash")
        store = open_originals(path=world.workspace / "originals.db")
        store.keep([original])
        store.close()
        ran = subprocess.run(
            ["node", "--test", "--test-reporter=tap", "--test-timeout=20000", SUITE],
            cwd=CACHE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "HEADROOM_BASE_URL": world.proxy.url,
                "LOCKED_URL": locked.proxy.url,
                "LOCKED_KEY": key,
                "HASH": original.hash,
                "UNKNOWN": "0" * 24,
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{world.proxy.log[-5000:]}"
        assert ran.stdout.count("\nok ") == (PINNED / SUITE).read_text().count("\ntest("), ran.stdout
        large = [received for received in world.provider.received if b"server-199" in received.body]
        assert len(large) >= 9
        whole = len('{"id": 199, "name": "server-199", "state": "running"}') * 150
        assert all(len(received.body) < whole for received in large)
