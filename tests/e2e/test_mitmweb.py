"""What a user of mitmweb sees, in a real browser: the flow list, the view ``headroom``, the options."""

import re
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from headroom.ccr.originals import hash_of
from tests.support.answers import Answer
from tests.support.chromium import chromium
from tests.support.coding import REFERENCE, Coding
from tests.support.proxy import ADDON, Mitmdump, free_port
from tests.support.standin import StandIn

pytestmark = pytest.mark.e2e

PASSWORD = "for-this-test"
FOUND = "\n".join(f"./packages/part{i // 20}/src/generated/file{i:03}.ts" for i in range(300))


class Web(NamedTuple):
    """A mitmweb with the addon: its proxy, and where its pages are."""

    proxy: Mitmdump
    url: str

    def send(self, coding: Coding) -> None:
        trusted = ssl.create_default_context(cafile=str(self.proxy.certificate))
        with httpx.Client(proxy=self.proxy.url, verify=trusted, trust_env=False) as client:
            answer = client.post("https://api.anthropic.com/v1/messages", content=coding.body, headers=coding.headers)
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder, port = tmp_path_factory.mktemp("mitmweb"), free_port()
    columns = [f"web_columns={name}" for name in ("icon", "path", "comment", "status", "size", "time")]
    options = (
        *columns,
        f"web_port={port}",
        "web_open_browser=false",
        f"web_password={PASSWORD}",
        "headroom_time_budget=10000",
        "headroom_profile=balanced",
    )
    with (
        StandIn(folder, lambda shape, body: Answer("Understood.")) as provider,
        Mitmdump(folder, provider.port, provider.certificate, (ADDON,), options=options, program="mitmweb") as proxy,
    ):
        web = Web(proxy, f"http://127.0.0.1:{port}/?token={PASSWORD}")
        session = Coding()
        web.send(session.read())
        web.send(session.read())
        shell = Coding(tools=[{"name": "Bash", "input_schema": {"type": "object"}}])
        web.send(shell.use("Bash", {"command": "find . -name '*.ts'"}, FOUND))
        yield web


@pytest.fixture
def page(browser: Browser, web: Web) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(web.url)
    yield page
    page.close()


def test_the_flow_list_shows_what_each_request_saved(page: Page) -> None:
    rows = page.locator(".flow-table tbody tr", has_text="api.anthropic.com")

    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(re.compile(r"headroom: [\d,]+ -> [\d,]+ tokens, [\d,]+ saved"))


def test_the_view_shows_each_output_before_and_after(page: Page) -> None:
    page.locator(".flow-table tbody tr", has_text="api.anthropic.com").nth(1).click()
    page.get_by_text("Request", exact=True).first.click()
    shown = page.locator(".contentview")

    expect(shown).to_contain_text("saved")
    expect(shown).to_contain_text("before")
    expect(shown).to_contain_text("def handler_1(request)")
    expect(shown).to_contain_text("after")
    expect(shown).to_contain_text(REFERENCE.strip())


def test_the_view_shows_beside_a_marker_what_was_left_out(page: Page) -> None:
    page.locator(".flow-table tbody tr", has_text="api.anthropic.com").nth(2).click()
    page.get_by_text("Request", exact=True).first.click()
    shown = page.locator(".contentview")

    expect(shown).to_contain_text(f"as it came: headroom retrieve {hash_of(FOUND)}")
    gap = r"marker   \[lines (\d+)-\d+ left out; run it again through sed -n '\d+,\d+p' to see them\]"
    expect(shown).to_contain_text(re.compile(gap))
    found = re.search(gap, shown.inner_text())
    assert found
    first = FOUND.split("\n")[int(found[1]) - 1]
    assert first in shown.inner_text().partition(found[0])[2].partition("before")[0]


def test_the_options_can_be_seen(page: Page) -> None:
    page.get_by_text("Options", exact=True).first.click()
    page.get_by_text("Edit Options").first.click()
    budget = page.locator(".modal-dialog .form-group", has_text="headroom_time_budget")

    expect(budget).to_contain_text("Milliseconds that a request may wait")
    expect(budget.locator("input")).to_have_value("10000")
