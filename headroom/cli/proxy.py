"""`headroom proxy`: mitmdump with the addon, in this process."""

import ipaddress
import os
import queue
import threading
from collections.abc import Sequence

from headroom.api.gate import KEY_VARIABLE
from headroom.cli.mitmdump import run, settings_for
from headroom.errors import StorageError


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; of names only localhost is known to be such."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def set_key(typed: str | None) -> bool:
    """Keep a key that was typed where the addon looks for it; whether there is one now.

    What was typed stays in the list of processes for all to see: the variable is the better place.
    """
    if typed:
        os.environ[KEY_VARIABLE] = typed
    return bool(os.environ.get(KEY_VARIABLE, "").strip())


def serve(host: str, port: int, log_file: str | None, settings: Sequence[str]) -> None:
    """Until it is told to end. Raises HeadroomError, and SystemExit with 1 when it can't listen."""
    if log_file is not None:
        _make_private(log_file)
        settings = (f"headroom_log_file={log_file}", *settings)
    # the lines that mitmdump prints of each flow have its URL, where some clients put their key
    run(settings_for(host, port, "served.py", ("flow_detail=0", *settings)))


def serve_notes(port: int, path: str) -> None:
    """Serve the MCP tools, those for notes included, in a thread of this process, on the port after the proxy's.

    ``path`` is the notes' file, "" the workspace's. Raises ConfigurationError where the port is taken.
    """
    from headroom.cli.store import chosen_store
    from headroom.errors import ConfigurationError
    from headroom.mcp.server import serve_http
    from headroom.mcp.tools import Tools
    from headroom.memory import project_of

    tools = Tools(chosen_store(), True, path, project_of("."))
    said: queue.SimpleQueue[str | ConfigurationError] = queue.SimpleQueue()

    def work() -> None:
        try:
            serve_http(tools, port + 1 if 0 < port < 65535 else 0, os.environ.get(KEY_VARIABLE, "").strip(), said.put)
        except ConfigurationError as error:
            said.put(error)

    threading.Thread(target=work, name="headroom-mcp", daemon=True).start()
    found = said.get()
    if isinstance(found, ConfigurationError):
        raise found
    print(f"MCP tools with notes: {found}", flush=True)


def _make_private(file: str) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(f"--log-file {file} can't be written: {error.strerror}", {"path": file}) from error
