"""A mitmproxy script: every upstream connection goes to the stand-in on loopback (STANDIN_PORT), nothing leaves it.

STANDIN_PORTS, ``{"host": port}`` as JSON, has the ports of hosts with a stand-in of their own. Only the socket's
address changes: host, SNI and Host header stay the provider's, and mitmproxy's own picture of the connection, by which
it is used again. It comes last of the scripts and makes the file STANDIN_READY when all of them have started well.
"""

import asyncio
import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import Any

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def running() -> None:
    loop = asyncio.get_running_loop()
    setattr(loop, "getaddrinfo", _stand_in)  # noqa: B010
    # right after this mitmdump looks whether an error was logged since it started, and ends if so
    loop.call_later(0.02, Path(os.environ["STANDIN_READY"]).touch)


async def _stand_in(host: str, port: int, **_: Any) -> list[Any]:
    """What the name of any host resolves to, port included."""
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", _port(host)))]


def server_connect(data: ServerConnectionHookData) -> None:
    """Addresses in numbers are not resolved."""
    host = data.server.address[0] if data.server.address else ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    data.server.address = ("127.0.0.1", _port(data.server.sni or host))


def _port(host: str) -> int:
    return int(json.loads(os.environ.get("STANDIN_PORTS", "{}")).get(host) or os.environ["STANDIN_PORT"])
