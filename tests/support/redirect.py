"""A mitmproxy script: every upstream connection goes to the stand-in on loopback (STANDIN_PORT), nothing leaves it.

STANDIN_PORTS, ``{"host": port}`` as JSON, has the ports of hosts with a stand-in of their own. Only the socket's
address changes: host, SNI and Host header stay the provider's. It comes last of the scripts and makes the file
STANDIN_READY when all of them have started well.
"""

import asyncio
import json
import os
from pathlib import Path

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def running() -> None:
    # right after this mitmdump looks whether an error was logged since it started, and ends if so
    asyncio.get_running_loop().call_later(0.02, Path(os.environ["STANDIN_READY"]).touch)


def server_connect(data: ServerConnectionHookData) -> None:
    host = data.server.sni or (data.server.address[0] if data.server.address else "")
    ports = json.loads(os.environ.get("STANDIN_PORTS", "{}"))
    data.server.address = ("127.0.0.1", int(ports.get(host) or os.environ["STANDIN_PORT"]))
