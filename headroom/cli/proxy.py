"""`headroom proxy`: mitmdump with the addon, in this process."""

import ipaddress
import os
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


def _make_private(file: str) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(f"--log-file {file} can't be written: {error.strerror}", {"path": file}) from error
