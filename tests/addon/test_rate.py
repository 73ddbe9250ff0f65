"""How often one address may ask the proxy itself."""

import json
from types import SimpleNamespace

from mitmproxy import http
from mitmproxy.test import tflow

from addon.direct import Direct
from headroom.api.gate import Rate


def test_whoever_asks_the_api_too_often_has_to_wait_and_model_calls_do_not_count() -> None:
    settings = SimpleNamespace(api_hosts=frozenset(), api_key="")
    direct = Direct(lambda: SimpleNamespace(settings=settings))  # type: ignore[arg-type, return-value]
    direct._rate = Rate(rate=0.001, burst=2)

    def ask(path: str) -> http.HTTPFlow:
        flow = tflow.tflow(req=http.Request.make("GET", f"http://127.0.0.1:8080{path}"))
        flow.client_conn.sockname = ("127.0.0.1", 8080)
        direct.request_headers(flow)
        return flow

    assert [ask("/stats").response for _ in range(2)] == [None, None]
    for _ in range(5):
        assert ask("/v1/models").request.host == "api.openai.com"
    refused = ask("/stats").response
    assert refused is not None and refused.status_code == 429 and refused.headers["retry-after"] == "1"
    assert json.loads(refused.content or b"")["error"]["type"] == "rate_limit_error"
