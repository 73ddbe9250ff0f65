"""The script that headroom is compared with: it does nothing but let answers stream, as headroom does."""

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    assert flow.response is not None
    flow.response.stream = True
