"""What has gone wrong elsewhere after a proxy was removed."""

import ssl
from pathlib import Path

import httpx

from tests.support.coding import Coding
from tests.support.proxy import ADDON
from tests.support.stage import stage


def test_it_was_still_active_after_it_had_been_removed(tmp_path: Path) -> None:
    """headroomlabs-ai/headroom #2340: nothing is written but the workspace, and mitmproxy's own folder with its CA.
    Without the proxy the same client reaches the provider as before."""
    with stage(tmp_path, scripts=[ADDON]) as on:
        session = Coding().read().read()
        on.row(on.send(session))
        on.proxy.stop()
        home = tmp_path / "home"
        assert list(home.rglob("*")) == []
        made = {file.name for file in tmp_path.iterdir()}
        known = {"home", "workspace", "confdir", "mitmdump.log", "authority.pem"}
        assert {name for name in made - known if not name.startswith(("server-", "ready"))} == set()

        direct = httpx.Client(verify=ssl.create_default_context(cafile=str(on.provider.certificate)), trust_env=False)
        with direct:
            url = f"https://localhost:{on.provider.port}/v1/messages"
            assert direct.post(url, content=session.body, headers=session.headers).status_code == 200
        assert on.received.body == session.body
