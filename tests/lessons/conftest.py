"""One real mitmdump for all lessons; its log is shown when one fails."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.support.answers import Answer
from tests.support.certificates import Authority
from tests.support.stage import Stage, stage
from tests.support.stage import pytest_runtest_makereport as pytest_runtest_makereport
from tests.support.upstream import Upstream, read_head


@dataclass(slots=True)
class Raw:
    """A provider and a foreign host whose connections a test serves byte by byte."""

    provider = "raw.test"
    foreign = "foreign.test"
    heads: list[bytes] = field(default_factory=list)
    serve: Callable[[socket.socket], None] = lambda _: None

    def __call__(self, connection: socket.socket) -> None:
        head = read_head(connection)
        self.heads.append(head)
        length = next(
            (int(v) for k, _, v in (h.partition(b":") for h in head.lower().split(b"\r\n")) if k == LENGTH), 0
        )
        while length > 0:
            length -= len(connection.recv(min(length, 65536)))
        self.serve(connection)


LENGTH = b"content-length"


@pytest.fixture(scope="session")
def raw() -> Raw:
    return Raw()


@pytest.fixture(scope="session")
def shared(raw: Raw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("lessons")
    with Upstream(raw, Authority(folder).server_context()) as server:
        ports = json.dumps({Raw.provider: server.port, Raw.foreign: server.port})
        options = [f"headroom_hosts={Raw.provider}=anthropic,compatible.test=anthropic", "ssl_insecure=true"]
        with stage(folder / "stage", options=options, environment={"STANDIN_PORTS": ports}) as running:
            yield running


@pytest.fixture
def on(shared: Stage, raw: Raw) -> Stage:
    shared.provider.script = lambda shape, body: Answer("Done.")
    shared.provider.received.clear()
    raw.heads.clear()
    return shared
