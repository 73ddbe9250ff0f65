"""A mitmproxy script for the proxy of one `headroom run`, which holds the other end of its standard input, a socket.

It says there when the proxy listens, ends the proxy when the other end is closed, however that came about, and leaves
the sums of what went through: one JSON object a line.
"""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from headroom import paths
from headroom.ledger import Ledger


class Owned:
    def __init__(self) -> None:
        self._owner = socket.socket(fileno=os.dup(0))
        self._ledger: Ledger | None = None

    def load(self, _: Loader) -> None:
        ctx.master.addons.get("errorcheck").repeat_errors_on_stderr = True
        threading.Thread(target=self._end_with_owner, daemon=True).start()

    def headroom_ready(self) -> None:
        self._ledger = ctx.master.addons.get("headroomaddon").exchanges.ledger
        _, port, *_ = ctx.master.addons.get("proxyserver").listen_addrs()[0]
        self._say(
            {
                "port": port,
                "confdir": str(Path(ctx.options.confdir).expanduser()),
                "workspace": str(paths.workspace_dir(ctx.options.headroom_workspace or None)),
                "web": getattr(ctx.master, "web_url", ""),
            }
        )

    def done(self) -> None:
        """Comes after the addon's own: every exchange is in the ledger."""
        if self._ledger is not None:
            self._say(asdict(self._ledger.recorded))

    def _say(self, what: Mapping[str, object]) -> None:
        with contextlib.suppress(OSError):  # nobody is there any more
            self._owner.sendall(json.dumps(what).encode() + b"\n")

    def _end_with_owner(self) -> None:
        with contextlib.suppress(OSError):
            while self._owner.recv(1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)


addons = [Owned()]
