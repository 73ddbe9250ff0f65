"""The proxy that `headroom proxy` runs in a workspace: a file says where, while the proxy holds a lock on it."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from headroom.paths import private_dir

LOCK_SECONDS = 1.0
"""Whoever looks holds a lock for a moment, too."""


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that runs: process, address, and mitmproxy's folder with the CA."""

    pid: int
    host: str
    port: int
    confdir: str

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def state_file(workspace: Path) -> Path:
    return workspace / "proxy.json"


def find(workspace: Path) -> Running | None:
    """The proxy that runs in a workspace; a file that a dead one left counts for nothing."""
    try:
        handle = os.open(state_file(workspace), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return Running(**json.loads(os.read(handle, 10_000)))
        except (ValueError, TypeError):  # it is just being written
            return None
    else:
        return None
    finally:
        os.close(handle)


def announce(workspace: Path, proxy: Running) -> int | None:
    """Say that ``proxy``, this process, runs, until the handle that is returned is closed.

    None when another one has said so before. Raises OSError or StorageError.
    """
    path = state_file(workspace)
    private_dir(workspace)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(handle)
                return None
            time.sleep(0.02)
    os.fchmod(handle, 0o600)
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(asdict(proxy)).encode())
    return handle
