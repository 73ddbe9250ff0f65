"""The proxy of one `headroom run`: a mitmdump on a free port of loopback that ends with whoever started it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from headroom import paths
from headroom.cli import authority
from headroom.cli.mitmdump import WEB, settings_for
from headroom.errors import HeadroomError
from headroom.ledger.totals import Totals
from headroom.wire.usage import Usage

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
END_SECONDS = 15.0
LOG_BYTES = 1_000_000
"""A log that is longer is put aside as proxy.log.1 at the next start."""


class OwnProxy:
    """Runs while its context lasts. ``url`` is its address, ``certificate`` its CA, ``workspace`` its folder, ``log``
    mitmdump's log, ``web`` where mitmweb shows what goes through it, or ""; ``sums`` are what went through it, known
    after the end, or None when it ended badly."""

    def __init__(self, port: int, settings: Sequence[str], web: bool = False) -> None:
        self.log = paths.logs_dir() / "proxy.log"
        self.url = self.web = ""
        self.certificate = self.workspace = Path()
        self.sums: Totals | None = None
        first = (f"web_port={_free_port()}",) if web else ("flow_detail=0",)
        self._settings = [*settings_for(LOOPBACK, port, "owned.py", (*first, *settings)), *([WEB] if web else [])]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        log = _open_log(self.log)
        began = log.tell()
        self._socket, theirs = socket.socketpair()
        self._lines = self._socket.makefile("rb")
        with log, theirs:
            # a session of its own: Ctrl-C is for the client, and the proxy is there until the client has ended
            self._process = subprocess.Popen(
                [sys.executable, "-m", "headroom.cli.mitmdump", *self._settings],
                stdin=theirs.fileno(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        try:
            ready = self._said(START_SECONDS)
            if ready is None:
                raise HeadroomError(
                    f"the proxy did not start: {_why(self.log.read_bytes()[began:])} (its log: {self.log})",
                    {"log": str(self.log)},
                )
        except BaseException:
            self.__exit__()
            raise
        self.url = f"http://{LOOPBACK}:{ready['port']}"
        self.certificate = authority.certificate_path(ready["confdir"])
        self.workspace = Path(ready["workspace"])
        self.web = str(ready["web"])
        return self

    def __exit__(self, *_: object) -> None:
        """End it, when it has written down what went through it."""
        assert self._process is not None
        with contextlib.suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_WR)
        said = self._said(END_SECONDS)
        if said is not None:
            self.sums = Totals(**{**said, "usage": Usage(**said["usage"])})
        self._lines.close()
        self._socket.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _said(self, seconds: float) -> Mapping[str, Any] | None:
        """The next thing that it says; None when it ends or takes too long."""
        self._socket.settimeout(seconds)
        try:
            line = self._lines.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])


def _why(log: bytes) -> str:
    """The error in mitmdump's log of a start: mitmproxy says it again at the end, a wrong setting is said alone."""
    told = log.decode(errors="replace").rpartition("during startup:")[2]
    lines = [line for line in told.splitlines() if line.strip()] or ["it said nothing"]
    return lines[-1 if any(line.startswith("Traceback") for line in lines) else 0]


def _open_log(path: Path) -> IO[bytes]:
    """The log, for its owner only, at its end."""
    try:
        paths.private_dir(path.parent)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.fdopen(os.open(path, flags, 0o600), "ab")
    except OSError as error:
        raise HeadroomError(f"{path} can't be written: {error.strerror}", {"path": str(path)}) from error
    log.seek(0, os.SEEK_END)
    return log
