"""Takes the pictures of docs/dashboard.md: a week that is made up, and one real session through a real proxy.

python -m tests.e2e.dashboard_pictures
"""

import math
import random
import ssl
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from headroom.api.world import content_token
from headroom.ledger import Ledger
from headroom.wire.usage import Usage
from tests.ledger.rows import exchange
from tests.support.answers import Answer
from tests.support.chromium import PATIENCE, chromium
from tests.support.coding import Coding, source
from tests.support.proxy import ROOT, Mitmdump
from tests.support.standin import StandIn

IMAGES = ROOT / "docs" / "images"
PROJECTS = ("shop", "billing", "website")
AGENTS = (
    ("claude-code", "claude-sonnet-4-5", "anthropic"),
    ("codex", "gpt-5", "openai"),
    ("gemini", "gemini-2.5-pro", "gemini"),
)
PLAN = {
    "anthropic-ratelimit-unified-5h-utilization": "0.42",
    "anthropic-ratelimit-unified-5h-reset": str(int(time.time()) + 2 * 3600 + 900),
    "anthropic-ratelimit-unified-7d-utilization": "0.23",
    "anthropic-ratelimit-unified-7d-reset": str(int(time.time()) + 4 * 86400),
}


def fill(ledger: Ledger) -> None:
    """A week of three agents at work."""
    chance = random.Random(8)
    now = time.time()
    for number in range(700):
        at = now - 7 * 86400 * (1 - number / 700)
        hour = time.localtime(at).tm_hour
        if chance.random() > 0.25 + 0.7 * math.exp(-(((hour - 14) / 5) ** 2)):
            continue
        client, model, provider = AGENTS[chance.choices(range(3), (6, 3, 1))[0]]
        before = chance.randint(20_000, 120_000)
        saved = int(before * chance.uniform(0.05, 0.4))
        read, new = int(0.85 * (before - saved)), int(0.15 * (before - saved))
        cost = (read * 0.3 + new * 3.75 + 900 * 15) / 1e6
        parts = {"repeats": 0.55, "terminal": 0.15, "json": 0.2, "line-numbers": 0.1}
        ledger.record(
            exchange(
                time=at,
                session=f"session-{number // 25:02d}",
                project=chance.choice(PROJECTS),
                client=client,
                model=model,
                provider=provider,
                tokens_before=before,
                tokens_after=before - saved,
                saved_by_strategy={name: int(saved * part) for name, part in parts.items()},
                usage=Usage(0, new, 0, read, 900),
                cost_usd=cost,
                input_cost_usd=cost - 0.0135,
                cost_without_usd=cost + saved * 0.15 * 3.75 / 1e6 + saved * 0.85 * 0.3 / 1e6,
                rewrite_ms=chance.uniform(1, 12),
            )
        )
    ledger.record(
        exchange(session="session-27", outcome="passed", reason="time budget of 250 ms exceeded", time=now - 900)
    )
    ledger.record(
        exchange(session="session-26", outcome="unchanged", reason="overloaded_error", status=529, time=now - 4000)
    )


def coding(proxy: Mitmdump) -> Coding:
    session = Coding()
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    rows = "\n".join(f"tests/test_orders.py::test_order_{n} PASSED [{n:3} %]" for n in range(1, 90))
    steps: tuple[tuple[str, dict[str, str], str], ...] = (
        ("Read", {"file_path": "/app/orders.py"}, source("orders", 40)),
        ("Bash", {"command": "pytest -v"}, f"{rows}\nFAILED tests/test_orders.py::test_total - assert 3 == 4"),
        ("Read", {"file_path": "/app/orders.py"}, source("orders", 40)),
        ("Bash", {"command": "pytest -v"}, f"{rows}\n90 passed in 1.31s"),
    )
    for step in steps:
        session.use(*step)
        with httpx.Client(proxy=proxy.url, verify=trusted, trust_env=False, timeout=30) as client:
            client.post("https://api.anthropic.com/v1/messages", content=session.body, headers=session.headers)
    return session


def show(page: Page, url: str, hash: str) -> None:
    page.goto(f"{url}/dashboard{hash}")
    expect(page.locator("main h1")).to_be_visible()
    page.wait_for_load_state("load")


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    ledger = Ledger(folder / "workspace" / "ledger.db")
    fill(ledger)
    ledger.close()
    options = ("headroom_time_budget=10000", "headroom_budget=25")
    with (
        StandIn(folder, lambda shape, body: Answer("Understood.", headers=PLAN)) as provider,
        Mitmdump(folder, provider.port, provider.certificate, options=options) as proxy,
        chromium() as browser,
    ):
        session = coding(proxy)
        time.sleep(1)
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": 1280, "height": 860},
                color_scheme="dark" if scheme == "dark" else "light",
                locale="en-GB",
            )
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            show(page, proxy.url, f"#key={content_token(proxy.workspace)}")
            page.get_by_role("radio", name="7 days").check()
            expect(page.get_by_role("heading", name="7 days")).to_be_attached()
            page.screenshot(path=IMAGES / f"dashboard-{scheme}.png")
            if scheme == "light":
                show(page, proxy.url, f"#/sessions/{session.session}")
                third = page.locator(".timeline > li").nth(2)
                third.locator("summary").first.click()
                third.locator(".block summary").first.click()
                page.locator(".timeline > li").nth(3).locator("summary").first.click()
                page.screenshot(path=IMAGES / "dashboard-session.png")
            context.close()


if __name__ == "__main__":
    main()
