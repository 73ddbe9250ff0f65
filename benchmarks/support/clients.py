"""A client's connection through a proxy, and what a request took."""

import http.client
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.support.provider import LAST

HOST = "api.anthropic.com"


class Took(NamedTuple):
    """Seconds from the start of a request until the first byte of the answer's body, and until its end."""

    first: float
    whole: float


class Connection:
    """One keep-alive connection to the provider, through a proxy. Raises AssertionError for any other answer than
    the provider's, which ends with ``ends``."""

    def __init__(self, proxy_port: int, certificate: Path, ends: bytes = LAST) -> None:
        self._ends = ends
        self.answer = b""
        """The body of the last one."""
        context = ssl.create_default_context(cafile=str(certificate))
        self._connection = http.client.HTTPSConnection("127.0.0.1", proxy_port, context=context, timeout=60)
        self._connection.set_tunnel(HOST, 443)
        self._connection.connect()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Took:
        began = time.perf_counter()
        self._connection.request("POST", "/v1/messages?beta=true", body, dict(headers))
        answer = self._connection.getresponse()
        start = answer.read1(65536)
        first = time.perf_counter() - began
        rest = answer.read()
        whole = time.perf_counter() - began
        assert answer.status == 200, (answer.status, (start + rest)[:500])
        self.answer = start + rest
        assert self.answer.rstrip().endswith(self._ends), self.answer[-200:]
        return Took(first, whole)

    def close(self) -> None:
        self._connection.close()
