"""For `headroom doctor`: whether the clients that are set up find the proxy."""

import socket
from pathlib import Path

from headroom.cli.finding import Finding
from headroom.cli.setup.clients import CLIENTS
from headroom.cli.setup.record import Done, record

SECONDS = 1.0


def check() -> list[Finding]:
    """A line for each client that is set up. Raises StorageError."""
    return [_look(name, CLIENTS[name].title, done) for name, done in record().items() if name in CLIENTS and done]


def _look(name: str, title: str, done: list[Done]) -> Finding:
    again, undo = f"headroom setup {name}", f"headroom setup {name} --undo"
    check, port = f"setup of {title}", done[0].port
    gone = next((one.file for one in done if not Path(one.file).is_file()), "")
    if gone:
        return Finding(check, f"{gone} is gone", f"{again}, or {undo}")
    if not CLIENTS[name].through_proxy:
        return Finding(check, "in place")
    if not Path(done[0].certificate).is_file():
        return Finding(check, f"the CA that it was told, {done[0].certificate}, is gone", f"{again}, or {undo}")
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except OSError:
        found = f"it is told to use the proxy at port {port}, where nothing listens: it can't reach its provider"
        return Finding(check, found, f"headroom proxy --port {port}, or {undo}")
    return Finding(check, f"port {port} answers")
