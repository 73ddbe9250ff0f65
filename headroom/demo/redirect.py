"""A mitmproxy script: every upstream connection goes to the stand-in at DEMO_PROVIDER_PORT, so nothing leaves loopback.

Only the socket's address changes: host, SNI and Host header stay the provider's.
"""

import asyncio
import os
import signal
import sys
import threading
from typing import Any

READY = "the demo may begin"


def running() -> None:
    """mitmproxy calls this when the port is open, and ends right after it if a script could not start."""
    asyncio.get_running_loop().call_later(0.05, print, READY)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def server_connect(data: Any) -> None:
    data.server.address = ("127.0.0.1", int(os.environ["DEMO_PROVIDER_PORT"]))


def _end_with_parent() -> None:
    sys.stdin.read()  # a pipe that nobody writes to; it closes when the demo ends, however it does
    os.kill(os.getpid(), signal.SIGTERM)
