"""A stand-in provider, a real mitmdump before it, a client, and the ledger: what a test of the addon looks at."""

import contextlib
import itertools
import json
import ssl
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from headroom.ledger import Exchange, Ledger
from tests.support.answers import Answer
from tests.support.coding import Coding
from tests.support.proxy import ADDON, ROOT, Mitmdump
from tests.support.standin import Received, StandIn

MESSAGES = "https://api.anthropic.com/v1/messages"
CONTROL = ROOT / "tests" / "support" / "control.py"
_projects = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and what came of it; ``project`` is the name under which the ledger has it."""

    project: str
    response: httpx.Response


class Stage:
    """``provider`` is the stand-in, ``proxy`` the mitmdump, ``client`` sends through it over HTTP/1.1."""

    def __init__(self, provider: StandIn, proxy: Mitmdump, clients: contextlib.ExitStack) -> None:
        self.provider, self.proxy = provider, proxy
        self._clients = clients
        self.workspace = proxy.workspace
        self.client = self.new_client()

    def new_client(self, **options: Any) -> httpx.Client:
        """Another client with connections of its own, for instance with ``http2=True``."""
        trust = ssl.create_default_context(cafile=str(self.proxy.certificate))
        made = httpx.Client(proxy=self.proxy.url, verify=trust, trust_env=False, **{"timeout": 30, **options})
        return self._clients.enter_context(made)

    def send(
        self,
        body: bytes | Coding,
        headers: Mapping[str, str] | None = None,
        *,
        url: str = MESSAGES,
        client: httpx.Client | None = None,
    ) -> Sent:
        """POST a body, with the headers of its session if it is one, under a project of its own."""
        project = self.new_project()
        content = body.body if isinstance(body, Coding) else body
        own = body.headers if isinstance(body, Coding) else {}
        fields = {"content-type": "application/json", "x-headroom-project": project, **own, **(headers or {})}
        return Sent(project, (client or self.client).post(url, content=content, headers=fields))

    def new_project(self) -> str:
        return f"test-{next(_projects)}"

    @property
    def received(self) -> Received:
        """The last model call that reached the provider."""
        return self.provider.received[-1]

    def control(self, what: str, **values: object) -> httpx.Response:
        """Set ``options`` or ``environment`` of the running proxy, or its ``clock`` (support/control.py)."""
        return self.client.post(f"http://control.test/{what}", content=json.dumps(values))

    def move(self, workspace: Path) -> Path:
        """Let the proxy go on with another workspace: what was open in the old one is written and closed."""
        self.workspace = workspace
        assert self.control("options", headroom_workspace=str(workspace)).status_code == 200
        return workspace

    def row(self, sent: Sent) -> Exchange:
        """The one row of the ledger for a request."""
        (row,) = self.rows(sent.project)
        return row

    def rows(self, project: str, count: int = 1, seconds: float = 30) -> list[Exchange]:
        """The rows of a project, oldest first, as soon as there are ``count`` of them."""
        ledger = Ledger(self.workspace / "ledger.db")
        end = time.monotonic() + seconds
        try:
            while True:
                rows = [row for row in ledger.recent(1000) if row.project == project]
                if len(rows) >= count:
                    return rows[::-1]
                assert time.monotonic() < end, f"{len(rows)} rows and not {count}:\n{self.proxy.log}"
                time.sleep(0.02)
        finally:
            ledger.close()

    def logged(self, text: str, seconds: float = 30) -> str:
        """The first line of the proxy's log with this text, as soon as there is one."""
        end = time.monotonic() + seconds
        while True:
            for line in self.proxy.log.splitlines():
                if text in line:
                    return line
            assert time.monotonic() < end, f"nothing logged with {text!r}:\n{self.proxy.log}"
            time.sleep(0.02)


@contextlib.contextmanager
def stage(
    folder: Path,
    *,
    scripts: Iterable[Path] = (CONTROL, ADDON),
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    provider: StandIn | None = None,
) -> Iterator[Stage]:
    """Start both servers; at the end stop them and look that nothing went wrong in the stand-in.

    A request has five seconds for its rewriting, so that no test hangs on how busy the machine is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        behind = provider or stack.enter_context(StandIn(folder, lambda shape, body: Answer("Done.")))
        proxy = Mitmdump(
            folder,
            behind.port,
            behind.certificate,
            scripts,
            options=["headroom_time_budget=5000", *options],
            environment=environment,
        )
        stack.enter_context(proxy)
        clients = stack.enter_context(contextlib.ExitStack())
        yield Stage(behind, proxy, clients)
    assert behind.failures == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """For a conftest.py: the end of the proxy's log goes into the report of a test that failed."""
    report = yield
    for running in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(running, Stage):
            report.sections.append(("mitmdump", running.proxy.log[-20_000:]))
    return report
