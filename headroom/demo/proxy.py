"""A mitmdump with the addon as a child process, with its own certificates and workspace."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from headroom.demo.redirect import READY
from headroom.errors import HeadroomError

_MITMDUMP = "from mitmproxy.tools.main import mitmdump; mitmdump()"
_listening = re.compile(r"listening at \S*:(\d+)").search


class Mitmdump:
    """``mitmdump -s headroom_addon.py`` on a free port while its context lasts; it writes into ``folder`` only.

    ``certificate`` is what a client has to trust, ``workspace`` where the ledger is.
    """

    def __init__(self, folder: Path, upstream_port: int, upstream_certificate: Path) -> None:
        self.workspace = folder / "workspace"
        self.certificate = folder / "confdir" / "mitmproxy-ca-cert.pem"
        self.port = 0
        self._log = folder / "mitmdump.log"
        spec = find_spec("headroom_addon")
        if spec is None or spec.origin is None:
            raise HeadroomError("headroom_addon.py is not installed beside this package", {"module": "headroom_addon"})
        redirect = Path(__file__).with_name("redirect.py")
        settings = (f"confdir={folder / 'confdir'}", f"ssl_verify_upstream_trusted_ca={upstream_certificate}")
        self._command = [
            *(sys.executable, "-c", _MITMDUMP, "--listen-host", "127.0.0.1", "--listen-port", "0"),
            *(word for script in (redirect, spec.origin) for word in ("-s", str(script))),
            *(word for setting in settings for word in ("--set", setting)),
        ]
        own = {key: value for key, value in os.environ.items() if not key.startswith(("HEADROOM_", "MITMPROXY_"))}
        self._environment = {
            **own,
            "HOME": str(folder),
            "HEADROOM_WORKSPACE_DIR": str(self.workspace),
            "HEADROOM_CONFIG_DIR": str(folder / "config"),
            "DEMO_PROVIDER_PORT": str(upstream_port),
            "PYTHONUNBUFFERED": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            # a session of its own: Ctrl-C is for us, and we end it; the pipe ends it if we are killed
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self, seconds: float) -> None:
        """Until it listens. Raises HeadroomError with its log when that takes too long or it ends."""
        assert self._process is not None
        end = time.monotonic() + seconds
        while READY not in (log := self._log.read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > end:
                raise HeadroomError(f"mitmdump did not start:\n{log}", {"command": self._command})
            time.sleep(0.05)
        found = _listening(log)
        assert found is not None, log
        self.port = int(found[1])

    def __exit__(self, *_: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        for how, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return
