"""A real mitmdump as a child process, whose every upstream connection ends at a stand-in on loopback."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "headroom_addon.py"
REDIRECT = ROOT / "tests" / "support" / "redirect.py"


def free_port() -> int:
    """A port on loopback that nothing listens on right now.

    It lies below those that systems give to outgoing connections, so that none of these gets it before it is used.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Mitmdump:
    """``mitmdump -s <each script> -s redirect`` with its own folder for certificates, workspace, HOME and log.

    ``environment`` is added to the child's. Scripts run in the order given. The process and its children end with the
    context. ``program`` may also be mitmweb.
    """

    def __init__(
        self,
        folder: Path,
        upstream_port: int,
        upstream_certificate: Path,
        scripts: Iterable[Path] = (ADDON,),
        *,
        options: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        program: str = "mitmdump",
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.workspace = folder / "workspace"
        self.log_file = folder / "mitmdump.log"
        self._ready = folder / "ready"
        self.certificate = folder / "confdir" / "mitmproxy-ca-cert.pem"
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        settings = [
            f"confdir={folder / 'confdir'}",
            f"ssl_verify_upstream_trusted_ca={upstream_certificate}",
            *options,
        ]
        self._command = [
            str(Path(sys.executable).with_name(program)),
            *("--listen-host", "127.0.0.1", "--listen-port", str(self.port)),
            *(word for script in (*scripts, REDIRECT) for word in ("-s", str(script))),
            *(word for setting in settings for word in ("--set", setting)),
        ]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HEADROOM_")}
        self._environment = {
            **clean,
            "HOME": str(home),
            "HEADROOM_WORKSPACE_DIR": str(self.workspace),
            "STANDIN_PORT": str(upstream_port),
            "STANDIN_READY": str(self._ready),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, seconds: float = 30) -> None:
        """Start, also again after ``stop``; return when it is ready. Raises AssertionError with its log if it ends."""
        self._ready.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + seconds
        while not self._ready.exists():
            assert self.process.poll() is None, f"mitmdump ended with {self.process.returncode}:\n{self.log}"
            if time.monotonic() > end:
                self.stop()
                raise AssertionError(f"mitmdump did not start within {seconds} s:\n{self.log}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and its children; SIGKILL for a crash."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
