"""`headroom dashboard`: where the page is, with what opens it."""

import os
import webbrowser
from urllib.parse import quote

from headroom import paths
from headroom.api.gate import KEY_VARIABLE
from headroom.api.world import content_token
from headroom.cli.output import print_json
from headroom.cli.running import find
from headroom.errors import StorageError


def show(opened: bool, as_json: bool) -> None:
    """Print the address of the running proxy's dashboard, or open it. Raises StorageError where none runs.

    The key stands behind the #, which a browser never sends.
    """
    workspace = paths.workspace_dir()
    running = find(workspace)
    if running is None:
        raise StorageError(f"no proxy runs in {workspace}; `headroom proxy` starts one", {"path": str(workspace)})
    key = os.environ.get(KEY_VARIABLE, "").strip() or content_token(workspace)
    address = f"{running.url}/dashboard#key={quote(key, safe='')}"
    if as_json:
        print_json({"url": address, "opened": opened and webbrowser.open(address)})
    elif not opened or not webbrowser.open(address):
        print(address)
