"""The real clients from the npm registry, installed once into .cache/npm of this checkout."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path(__file__).with_name("clients")
CACHE = ROOT / ".cache" / "npm"


def installed(pinned: Path = PINNED, cache: Path = CACHE) -> Path:
    """The folder with the commands of the packages that ``pinned`` locks, by default the clients.

    Skips the test where there is no npm; fails when npm does.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: the real clients (Claude Code, Codex, Gemini CLI) come from its registry")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (pinned / "package-lock.json").read_bytes()
        done = cache / "installed.json"
        if not done.exists() or done.read_bytes() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(pinned / name, cache / name)
            command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            run = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=300)
            assert run.returncode == 0, f"npm ci failed:\n{run.stdout}\n{run.stderr}"
            done.write_bytes(wanted)
    return cache / "node_modules" / ".bin"
