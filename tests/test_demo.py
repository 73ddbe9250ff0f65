"""`./dev demo`: a session through a real mitmdump, shown with the ledger's figures."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from headroom.demo.billing import PrefixCache
from headroom.demo.play import Turn, prefixes_kept, stage
from headroom.demo.project import RUNS, Project, text
from headroom.demo.provider import PAUSE
from headroom.demo.session import ANSWERS, MODEL
from headroom.ledger.cost import bill
from headroom.models import price_for

pytestmark = pytest.mark.e2e
DEMO = [sys.executable, "-m", "headroom.demo"]


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> list[Turn]:
    with stage(tmp_path_factory.mktemp("demo")) as running:
        return list(running.play())


def messages(body: bytes) -> list[Any]:
    """The messages of a request, without the breakpoint that moves on with every turn."""
    found = json.loads(body)["messages"]
    for message in found:
        for block in message["content"]:
            block.pop("cache_control", None)
    assert isinstance(found, list)
    return found


def test_every_request_reaches_the_provider_and_the_ledger(turns: list[Turn]) -> None:
    assert len(turns) == len(ANSWERS)
    assert len({turn.row.id for turn in turns}) == len({turn.received.body for turn in turns}) == len(ANSWERS)
    for turn in turns:
        assert (turn.row.status, turn.row.project, turn.row.usage) == (200, "demo", turn.received.usage)
        assert turn.row.outcome in ("rewritten", "unchanged")


def test_no_prefix_breaks(turns: list[Turn]) -> None:
    assert prefixes_kept(turns) == len(turns) - 1
    for earlier, later in pairwise(turns):
        before, after = messages(earlier.received.body), messages(later.received.body)
        assert after[: len(before)] == before


def test_tool_outputs_get_shorter_and_nothing_else_changes(turns: list[Turn]) -> None:
    sent, received = json.loads(turns[-1].sent), json.loads(turns[-1].received.body)
    shorter = 0
    for before, after in zip(sent["messages"], received["messages"], strict=True):
        for block, other in zip(before["content"], after["content"], strict=True):
            if block["type"] == "tool_result":
                shorter += len(block.pop("content")) - len(other.pop("content"))
    assert shorter > 5000
    assert sent == received
    assert all(turn.row.tokens_after <= turn.row.tokens_before for turn in turns)


def test_the_ledger_claims_what_the_originals_would_have_cost_and_no_more(turns: list[Turn]) -> None:
    cache, price = PrefixCache(), price_for("anthropic", MODEL)
    real = claimed = cost = 0.0
    for turn in turns:
        usage, row = turn.received.usage, turn.row
        assert row.cost_usd is not None and row.cost_without_usd is not None
        assert row.cost_usd == pytest.approx(bill(usage, price))
        real += bill(cache.bill(json.loads(turn.sent), usage.output_tokens), price)
        claimed += row.cost_without_usd
        cost += row.cost_usd
    assert 0.98 * real <= claimed <= real and cost < claimed


def test_the_tests_of_the_project_say_what_pytest_says(tmp_path: Path) -> None:
    project, runs = Project(), iter(RUNS)
    for answer in ANSWERS:
        arguments = answer.arguments or {}
        if arguments.get("command", "").startswith("pytest"):
            assert outcomes(really_run(project.files, tmp_path)) == outcomes(text(next(runs))) != []
        elif answer.tool == "Edit":
            project.use(answer.tool, arguments)
    assert next(runs, None) is None


def really_run(files: Mapping[str, str], folder: Path) -> str:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    command = [sys.executable, "-B", "-m", "pytest", "tests", "-v", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60).stdout


def outcomes(output: str) -> list[str]:
    return re.findall(r"^\S+::\S+ (?:PASSED|FAILED)|^\S+\.py:\d+: \w+|\d+ passed", output, re.M)


def test_it_shows_the_session_and_keeps_the_ledger_when_asked(tmp_path: Path) -> None:
    temporary, picture = tmp_path / "tmp", tmp_path / "demo.svg"
    temporary.mkdir()
    command = [*DEMO, "--keep", "--svg", str(picture)]
    run = subprocess.run(command, env=environment(temporary), capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
    assert "\x1b" not in run.stdout
    assert re.search(r"bill +\$0\.\d{4} instead of \$0\.\d{4}: \d+\.\d % less", run.stdout)
    assert f"{len(ANSWERS) - 1} of {len(ANSWERS) - 1} requests read all" in run.stdout
    assert "instead&#160;of&#160;$0." in picture.read_text()
    ledger = next(temporary.glob("*/workspace/ledger.db"))
    assert str(ledger) in run.stdout
    assert not running_in(temporary)


def test_it_ends_cleanly_when_interrupted(tmp_path: Path) -> None:
    def interruptible() -> None:  # where tests run in the background, what they start would not hear of it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipe, own = subprocess.PIPE, environment(tmp_path)
    for pauses in (10, 3, 0):  # on a busy machine the signal can come when the demo has just ended
        demo = subprocess.Popen(DEMO, env=own, stdout=pipe, stderr=pipe, preexec_fn=interruptible)
        end = time.monotonic() + 60
        while not any(tmp_path.glob("*/workspace/ledger.db")):
            assert time.monotonic() < end and demo.poll() is None, "the demo did not begin"
            time.sleep(0.05)
        time.sleep(pauses * PAUSE)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=120)
        if demo.returncode:
            break
    assert (demo.returncode, said) == (130, b"demo: stopped\n")
    assert not any(tmp_path.iterdir())
    assert not running_in(tmp_path)


def environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(temporary)}


def running_in(folder: Path) -> bool:
    """Whether a process has the folder in its command line."""
    return str(folder) in subprocess.run(["ps", "-axww"], capture_output=True, text=True, check=True).stdout
