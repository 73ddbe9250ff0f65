"""TypeScript SDK Configuration: what the SDK's defaults and settings meet here.

The published package itself is run against a proxy in tests/e2e/test_npm_sdk.py: its variables, its constructor.
"""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from headroom.api.app import make_app
from headroom.api.gate import KEY_VARIABLE, Asked, refusal
from headroom.cli.commands.serving import proxy
from tests.api.conftest import Place
from tests.contract.programs import large_conversation


def test_headroom_base_url_is_http_localhost_8787_by_default_where_the_proxy_listens_by_default() -> None:
    defaults = {option.name: option.default for option in proxy.params}
    assert (defaults["port"], defaults["host"]) == (8787, "127.0.0.1")
    assert refusal(Asked("POST", "/v1/compress", "localhost", 8787, {}), "", ()) is None


@pytest.mark.parametrize(("shown", "status"), [("your-api-key", None), ("another", 401), ("", 401)])
def test_headroom_api_key_is_the_key_that_the_sdk_authenticates_with(shown: str, status: int | None) -> None:
    assert KEY_VARIABLE == "HEADROOM_API_KEY"
    headers = {"authorization": f"Bearer {shown}"} if shown else {}
    refused = refusal(Asked("POST", "/v1/compress", "localhost", 8787, headers), "your-api-key", ())
    assert (refused.status if refused else None) == status


def test_headroom_api_key_has_no_default_and_without_one_nobody_is_asked() -> None:
    assert refusal(Asked("POST", "/v1/compress", "localhost", 8787, {}), "", ()) is None


def test_what_the_sdk_asks_for_is_answered(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with TestClient(make_app(place), base_url="http://localhost:8787") as client:
        said = client.post("/v1/compress", json={"model": "gpt-4o", "messages": large_conversation()}).json()
    place.ledger.close()
    place.originals.close()
    assert 0 < said["tokens_after"] < said["tokens_before"] and len(said["messages"]) == len(large_conversation())
