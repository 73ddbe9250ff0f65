"""The dashboard of a real proxy in a real browser."""

import json
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from headroom.api.gate import KEY_VARIABLE
from headroom.api.world import content_token
from headroom.ccr.originals import hash_of, open_originals, original_of
from headroom.ledger import Ledger
from tests.ledger.rows import exchange
from tests.support.answers import Answer
from tests.support.chromium import PATIENCE, chromium
from tests.support.coding import REFERENCE, Coding
from tests.support.proxy import Mitmdump
from tests.support.standin import StandIn

pytestmark = pytest.mark.e2e

DAY = 86400.0
RESET = int(time.time()) + 3 * 3600
ITEMS = json.dumps([{"id": 1000 + i, "name": f"item number {i}", "price": i * 3, "stock": "yes"} for i in range(200)])
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'&lt;'
PATHS = "\n".join(f"./packages/part{i // 20}/src/generated/file{i:03}.ts{HOSTILE * (i == 299)}" for i in range(300))
PLAN = {
    "anthropic-ratelimit-unified-5h-utilization": "0.42",
    "anthropic-ratelimit-unified-5h-reset": str(RESET),
    "anthropic-ratelimit-unified-5h-status": "allowed",
}


@dataclass
class Site:
    """A proxy with a dashboard, what it has seen, and the provider behind it."""

    proxy: Mitmdump
    session: str = ""
    shell: str = ""
    """A session of which something was left out, and given back."""

    @property
    def url(self) -> str:
        return f"{self.proxy.url}/dashboard"

    def send(self, coding: Coding) -> None:
        trusted = ssl.create_default_context(cafile=str(self.proxy.certificate))
        with httpx.Client(proxy=self.proxy.url, verify=trusted, trust_env=False, timeout=30) as client:
            answer = client.post("https://api.anthropic.com/v1/messages", content=coding.body, headers=coding.headers)
        assert answer.status_code == 200

    def wait_for_rows(self, session: str, count: int) -> None:
        """Until so many exchanges of a session are written down: that happens after the answer."""
        end = time.monotonic() + 30
        url = f"{self.proxy.url}/sessions/{session}"
        while len(httpx.get(url, trust_env=False, timeout=30).json()["exchanges"]) < count:
            assert time.monotonic() < end, "the exchanges are not written down"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("dashboard")
    ledger = Ledger(folder / "workspace" / "ledger.db")
    for day in range(4):
        ledger.record(exchange(time=time.time() - day * DAY, session=f"before-{day}"))
    ledger.record(exchange(session="broken", outcome="error", reason="engine: KeyError", status=200, model="gpt-5"))
    ledger.record(exchange(session="refused", outcome="unchanged", reason="overloaded_error", status=529))
    ledger.close()
    options = (
        *("headroom_time_budget=10000", "headroom_budget=10", "headroom_profile=balanced"),
        *("headroom_retrieval=tool", "headroom_tool_profiles=catalogue=normal"),
    )
    with (
        StandIn(folder, lambda shape, body: Answer("Understood.", headers=PLAN)) as provider,
        Mitmdump(folder, provider.port, provider.certificate, options=options) as proxy,
    ):
        made = Site(proxy)
        coding = Coding()
        made.session = coding.session
        made.send(coding.read())
        made.send(coding.read())
        coding.use(f"mcp__{HOSTILE}", {"path": f"/tmp/{HOSTILE}"}, f"{HOSTILE}\n" * 40)
        made.send(coding)
        made.wait_for_rows(coding.session, 3)
        shell = Coding(tools=[{"name": name, "input_schema": {"type": "object"}} for name in ("Bash", "catalogue")])
        made.shell = shell.session
        made.send(shell)
        made.send(shell.use("Bash", {"command": "find . -name '*.ts'"}, PATHS))
        made.send(shell.use("catalogue", {}, ITEMS))
        made.send(shell.use("headroom_retrieve", {"hash": hash_of(ITEMS)}, "No such tool available"))
        made.wait_for_rows(shell.session, 4)
        yield made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", color_scheme="light")
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def open_page(page: Page, site: Site, hash: str = "#/") -> None:
    page.goto(f"{site.url}{hash}")
    expect(page.locator("main h1")).to_be_visible()


def test_it_shows_what_was_saved_and_what_it_cost(page: Page, site: Site) -> None:
    open_page(page, site)
    expect(page.get_by_role("heading", name="What was saved")).to_be_visible()
    page.get_by_role("radio", name="All").check()  # whatever day it is by now
    expect(page.get_by_role("heading", name="All")).to_be_attached()
    for card in ("Net saving", "Billed", "Tokens left out", "Read from the cache", "Requests"):
        expect(page.locator(".card dt", has_text=card).first).to_be_visible()
    expect(page.locator(".card", has_text="Net saving").locator(".value")).to_have_text(re.compile(r"\$\d"))
    for group in ("project", "model", "client", "strategy"):
        expect(page.get_by_role("table", name=f"By {group}")).to_be_visible()
    expect(page.get_by_role("table", name="By strategy")).to_contain_text("repeats")
    expect(page.get_by_role("img", name="Cost with and without headroom")).to_be_visible()
    expect(page.get_by_role("img", name="Tokens read from the provider's cache")).to_be_visible()
    expect(page.locator("meter[aria-label^='Budget for today']")).to_be_attached()


def test_a_period_is_chosen_and_the_sums_are_of_it(page: Page, site: Site) -> None:
    open_page(page, site)
    requests = page.locator(".card", has_text="rewritten").locator(".value")
    today = int(requests.inner_text())
    page.get_by_role("radio", name="All").check()
    expect(requests).not_to_have_text(str(today))
    assert int(requests.inner_text()) > today
    page.get_by_text("The same as a table").click()
    rows = page.get_by_role("table", name="Over time").locator("tbody tr")
    expect(rows.nth(3)).to_be_visible()  # a row for each of the four days


def test_a_bill_that_rose_is_no_saving(page: Page, site: Site) -> None:
    def dearer(route: Route) -> None:
        told = route.fetch()
        data = told.json()
        data["totals"] |= {"cost_usd": 0.51, "cost_without_usd": 0.26, "saved_usd": -0.25}
        route.fulfill(response=told, json=data)

    page.route("**/stats/summary*", dearer)
    open_page(page, site)
    card = page.locator(".card", has_text="Net saving")
    expect(card.locator(".value")).to_have_text("-$0.25")
    expect(card.locator(".more")).to_have_text("-96.2 % of $0.26 without headroom")


def test_a_plans_window_is_shown_as_its_provider_told_it(page: Page, site: Site) -> None:
    open_page(page, site)
    limits = page.get_by_role("region", name="Limits")
    expect(limits).to_contain_text("Claude plan, 5 hours")
    expect(limits).to_contain_text("42 % used")


def test_a_request_appears_while_the_page_is_open(page: Page, site: Site) -> None:
    open_page(page, site)
    expect(page.locator("#connection")).to_have_text("live")
    coding = Coding()
    row = page.get_by_role("table", name="The newest requests").locator("tbody tr", has_text=coding.session[:12])
    expect(row).to_have_count(0)
    site.send(coding.read())
    expect(row).to_have_count(1)
    expect(row).to_contain_text("claude-sonnet-4-5")
    site.send(coding.read())
    expect(row).to_have_count(2)
    expect(row.first).to_contain_text("rewritten")


def test_a_session_is_told_exchange_by_exchange(page: Page, site: Site) -> None:
    open_page(page, site, "#/sessions")
    sessions = page.get_by_role("table", name="The newest sessions")
    expect(sessions.get_by_role("link", name="before-3")).to_be_visible()
    sessions.get_by_role("link", name=site.session).click()
    expect(page.get_by_role("heading", name=f"Session {site.session}")).to_be_focused()
    expect(page.locator(".timeline > li")).to_have_count(3)
    expect(page.locator(".timeline > li").nth(1)).to_contain_text("rewritten")
    expect(page.locator(".timeline > li").nth(1)).to_contain_text(re.compile(r"[\d,]+ → [\d,]+ tokens"))


def test_texts_are_shown_only_with_the_key_before_and_after(page: Page, site: Site) -> None:
    open_page(page, site, f"#/sessions/{site.session}")
    expect(page.locator("pre")).to_have_count(0)
    page.get_by_label("Texts are shown to whoever shows the key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not the key")
    page.get_by_label("Texts are shown to whoever shows the key").fill(content_token(site.proxy.workspace))
    page.keyboard.press("Enter")
    second = page.locator(".timeline > li").nth(1)
    second.locator("summary").first.click()
    second.locator(".block summary").first.click()
    before, after = second.get_by_label("before"), second.get_by_label("after")
    expect(before).to_contain_text("def handler_1(request)")
    expect(after).to_contain_text(REFERENCE.strip())


def test_the_address_with_the_key_opens_the_texts_and_forgets_the_key(page: Page, site: Site) -> None:
    page.goto(f"{site.url}#key={content_token(site.proxy.workspace)}")
    expect(page.get_by_role("heading", name="What was saved")).to_be_visible()
    assert "key" not in page.url
    open_page(page, site, f"#/sessions/{site.session}")
    expect(page.locator("pre").first).to_be_attached()


def test_markup_in_a_tools_output_stays_text(page: Page, site: Site) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(f"{site.url}#key={content_token(site.proxy.workspace)}")
    expect(page.get_by_role("heading", name="What was saved")).to_be_visible()
    open_page(page, site, f"#/sessions/{site.session}")
    last = page.locator(".timeline > li").nth(2)
    last.locator(".block summary").first.click()
    expect(last.get_by_label("before")).to_contain_text(HOSTILE)
    expect(last.locator("strong")).to_contain_text("<img src=x")
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.hacked") is None
    assert wrong == []


def test_no_other_script_is_run_and_nothing_is_loaded_from_elsewhere(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, site)
    blocked = page.evaluate(
        """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.violatedDirective));
            const script = document.createElement("script");
            try { script.textContent = "window.hacked = 1"; } catch (error) { done(String(error)); return; }
            document.body.append(script);
        })"""
    )
    assert "script" in blocked.lower()
    assert page.evaluate("window.hacked") is None
    inner = "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } }"
    assert page.evaluate(inner) is True  # trusted types: no text becomes markup
    assert asked and all(url.startswith(site.proxy.url) for url in asked)


def test_it_can_be_used_with_the_keyboard_alone(page: Page, site: Site) -> None:
    open_page(page, site)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="Today")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="7 days")).to_be_checked()
    page.locator(".brand").focus()
    for name in ("Overview", "Sessions"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("navigation").get_by_role("link", name=name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sessions")).to_be_focused()
    expect(page.get_by_role("link", name="Sessions")).to_have_attribute("aria-current", "page")
    page.keyboard.press("Tab")  # the table, which can be scrolled
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("^Session "))).to_be_focused()


CONTRAST = """(selector) => {
    const light = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const element = document.querySelector(selector);
    let behind = element;
    while (/, 0\\)$|transparent/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_systems_colours_and_can_be_read_in_both(browser: Browser, site: Site, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    open_page(page, site)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", ground)[0])
    assert red < 60 if scheme == "dark" else red > 200
    for selector in (".card .value", ".card .more", "nav a", "thead th", "tbody td", ".outcome.rewritten", "main a"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    context.close()


def test_the_other_colours_are_chosen_and_stay_chosen(page: Page, site: Site) -> None:
    open_page(page, site)
    page.get_by_role("button", name="Switch to dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()


def with_key(page: Page, site: Site, hash: str) -> None:
    page.goto(f"{site.url}#key={content_token(site.proxy.workspace)}")
    expect(page.get_by_role("heading", name="What was saved")).to_be_visible()
    open_page(page, site, hash)


def test_a_marker_leads_to_its_original_and_back(page: Page, site: Site) -> None:
    with_key(page, site, f"#/sessions/{site.shell}")
    third = page.locator(".timeline > li").nth(2)
    third.locator("summary").first.click()
    third.locator(".block summary").first.click()
    after = third.get_by_label("after")
    expect(after).to_contain_text(
        re.compile(rf"\[200 items compressed to \d+\. Retrieve more: hash={hash_of(ITEMS)}\]")
    )
    after.get_by_role("link", name=f"original {hash_of(ITEMS)}").click()
    expect(page.get_by_role("heading", name=f"Original {hash_of(ITEMS)}")).to_be_focused()
    expect(page.get_by_label("the original", exact=True)).to_have_text(ITEMS)
    expect(page.locator("main")).to_contain_text("200 items")
    expect(page.locator("main")).to_contain_text(f"headroom retrieve {hash_of(ITEMS)}")
    page.go_back()
    expect(page.get_by_role("heading", name=f"Session {site.shell}")).to_be_visible()


def test_what_a_shell_can_print_again_and_what_was_given_back_lead_to_their_originals(page: Page, site: Site) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    with_key(page, site, f"#/sessions/{site.shell}")
    for number, text in ((3, ITEMS), (1, PATHS)):
        one = page.locator(".timeline > li").nth(number)
        if number != 3:  # the newest is open
            one.locator("summary").first.click()
        one.locator(".block summary").first.click()
        one.get_by_role("link", name=f"original {hash_of(text)}").first.click()
        expect(page.get_by_role("heading", name=f"Original {hash_of(text)}")).to_be_visible()
        assert page.get_by_label("the original", exact=True).text_content() == text
        page.go_back()
        expect(page.get_by_role("heading", name=f"Session {site.shell}")).to_be_visible()
    assert page.locator("main img, main script").count() == 0  # what stands in a path stays text
    assert page.evaluate("window.hacked") is None
    assert wrong == []


def test_an_original_is_asked_for_when_it_is_opened_and_is_not_told_to_whoever_has_no_key(
    page: Page, site: Site
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, site, f"#/sessions/{site.shell}")
    third = page.locator(".timeline > li").nth(2)
    third.locator("summary").first.click()
    expect(third.locator(".block")).to_contain_text(f"{hash_of(ITEMS)[:6]}…")
    assert hash_of(ITEMS) not in page.content()
    assert page.get_by_role("link", name="original").count() == 0
    with_key(page, site, f"#/sessions/{site.shell}")
    assert not any("/v1/retrieve" in url for url in asked)


def test_a_large_original_is_shown_whole_when_that_is_asked_for(page: Page, site: Site) -> None:
    store = open_originals(path=site.proxy.workspace / "originals.db")
    original = original_of("".join(f"line {n:06}\n" for n in range(20_000)), "session-8", "Bash", "make")
    store.keep([original])
    store.close()
    with_key(page, site, f"#/originals/{original.hash}")
    text = page.get_by_label("the original", exact=True)
    assert len(text.text_content() or "") == 100_000
    page.get_by_role("button", name="Show all 240,000 characters").click()
    expect(page.get_by_role("button", name="Show all")).to_have_count(0)
    assert text.text_content() == original.text


def test_an_original_that_was_never_kept_is_told_as_such(page: Page, site: Site) -> None:
    open_page(page, site, f"#/originals/{'0' * 24}")
    expect(page.get_by_role("alert")).to_contain_text("was ever kept here")
    expect(page.locator("#connection")).to_have_text("live")
    open_page(page, site, "#/originals/nonsense")
    expect(page.get_by_role("alert")).to_contain_text("24 hex digits")


def test_what_was_given_back_is_listed(page: Page, site: Site) -> None:
    store = open_originals(path=site.proxy.workspace / "originals.db")
    original = original_of("all that it was\n" * 20, "session-7", "Bash", "ls")
    store.keep([original])
    store.close()
    answer = httpx.post(f"{site.proxy.url}/v1/retrieve", json={"hash": original.hash}, trust_env=False, timeout=30)
    assert answer.status_code == 200
    open_page(page, site, "#/retrievals")
    expect(page.get_by_role("table", name="Retrievals")).to_contain_text(f"{original.hash[:6]}…")
    assert original.hash not in page.content()
    page.get_by_label("Originals are shown to whoever shows the key").fill(content_token(site.proxy.workspace))
    page.keyboard.press("Enter")
    row = page.get_by_role("table", name="Retrievals").locator("tbody tr", has_text=original.hash)
    expect(row).to_have_count(1)
    expect(row).to_contain_text("asked for over HTTP")
    expect(row).to_contain_text("Bash")
    row.get_by_role("link", name=original.hash).click()
    expect(page.get_by_label("the original", exact=True)).to_contain_text("all that it was")


def test_what_went_wrong_is_listed_with_its_reason(page: Page, site: Site) -> None:
    open_page(page, site, "#/troubles")
    rows = page.get_by_role("table", name="Requests in trouble").locator("tbody tr")
    expect(rows.filter(has_text="broken")).to_contain_text("engine: KeyError")
    expect(rows.filter(has_text="refused")).to_contain_text("529")
    expect(page.get_by_role("table", name="Reasons")).to_be_visible()


def test_a_proxy_that_is_gone_is_told_and_tried_again(page: Page, site: Site) -> None:
    open_page(page, site)
    page.route("**/sessions?*", lambda route: route.abort())
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    page.unroute("**/sessions?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()


def test_a_narrow_screen_is_not_scrolled_sideways(browser: Browser, site: Site) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    for hash in (
        "#/",
        "#/sessions",
        f"#/sessions/{site.session}",
        f"#/originals/{hash_of(PATHS)}",
        "#/retrievals",
        "#/troubles",
    ):
        open_page(page, site, hash)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, hash
    context.close()


def test_a_proxy_with_a_key_asks_for_it(page: Page, tmp_path: Path) -> None:
    environment = {KEY_VARIABLE: "a-key-of-ours"}
    with (
        StandIn(tmp_path, lambda shape, body: Answer("Understood.")) as provider,
        Mitmdump(tmp_path, provider.port, provider.certificate, environment=environment) as proxy,
    ):
        page.goto(f"{proxy.url}/dashboard")
        expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
        page.get_by_label("This proxy asks for its key").fill("a-key-of-ours")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", name="What was saved")).to_be_visible()
        expect(page.get_by_text("No request has come through yet.")).to_be_visible()
