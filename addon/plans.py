"""What answers say of their users' plans (``headroom.subscription``), read as they pass."""

from collections.abc import Callable

from mitmproxy import http

from headroom.session.identity import lower_headers
from headroom.subscription import USAGE_PATHS, Reading, from_headers, from_usage
from headroom.wire.decoding import UndecodableError, decoder

LARGEST = 65_536
"""Bytes of an answer about usage that are read."""


def reading_of(response: http.Response) -> Reading | None:
    """What the headers of an answer say of a plan."""
    return from_headers(lower_headers(response.headers))


def usage_tap(flow: http.HTTPFlow, found: Callable[[Reading], None]) -> Callable[[bytes], bytes] | None:
    """What reads a copy of the answer to a client's question for its usage; None for any other answer."""
    provider = USAGE_PATHS.get((flow.request.pretty_host, flow.request.path.partition("?")[0]))
    if provider is None or flow.response is None or flow.response.status_code != 200:
        return None
    encoding = flow.response.headers.get("content-encoding", "")
    copy = bytearray()

    def tap(chunk: bytes) -> bytes:
        if chunk:
            copy.extend(chunk[: LARGEST - len(copy)])
        else:
            reading = _read(provider, bytes(copy), encoding)
            if reading is not None:
                found(reading)
        return chunk

    return tap


def _read(provider: str, body: bytes, encoding: str) -> Reading | None:
    try:
        decode = decoder(encoding)
        return from_usage(provider, decode(body) if decode else body)
    except UndecodableError:
        return None
