"""A mitmproxy script: every upstream connection goes to the stand-in on loopback (STANDIN_PORT), nothing leaves it.

Only the socket's address changes: host, SNI and Host header stay the provider's. It comes last of the scripts and
makes the file STANDIN_READY when all of them have started well.
"""

import asyncio
import os
from pathlib import Path

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def running() -> None:
    # right after this mitmdump looks whether an error was logged since it started, and ends if so
    asyncio.get_running_loop().call_later(0.02, Path(os.environ["STANDIN_READY"]).touch)


def server_connect(data: ServerConnectionHookData) -> None:
    data.server.address = ("127.0.0.1", int(os.environ["STANDIN_PORT"]))
