"""A mitmproxy script: every upstream connection goes to the stand-in on loopback (STANDIN_PORT), nothing leaves it.

Only the socket's address changes: host, SNI and Host header stay the provider's.
"""

import os

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def server_connect(data: ServerConnectionHookData) -> None:
    data.server.address = ("127.0.0.1", int(os.environ["STANDIN_PORT"]))
