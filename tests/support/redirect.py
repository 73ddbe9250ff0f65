"""A mitmproxy script: every upstream connection goes to a stand-in on loopback, nothing leaves it.

STANDIN_PORT is the port for all hosts but those of STANDIN_PORTS, ``{"host": port}`` as JSON. Only the socket's address
changes: host, SNI and Host header stay the provider's.
"""

import json
import os

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def server_connect(data: ServerConnectionHookData) -> None:
    host = data.server.sni or (data.server.address[0] if data.server.address else "")
    ports = json.loads(os.environ.get("STANDIN_PORTS", "{}"))
    data.server.address = ("127.0.0.1", int(ports.get(host) or os.environ["STANDIN_PORT"]))
