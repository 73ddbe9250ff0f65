"""What the content view says of the provider's cache."""

import pytest

from addon.rows import describe
from addon.view import render
from headroom.cache import CacheSettings
from headroom.engine import Engine, RawRequest
from headroom.session.memory import RamMemory
from headroom.wire.usage import Usage
from tests.cache.programs import SYSTEM, Json, agent, dumps


@pytest.fixture
def engine() -> Engine:
    return Engine(RamMemory())


def lines(engine: Engine, body: Json) -> list[str]:
    """What the view says of the cache for the next request of a program."""
    headers = {"user-agent": "Anthropic/Python"}
    raw = RawRequest("anthropic", "anthropic", "/v1/messages", headers, dumps(body), host="api.anthropic.com")
    rewrite = engine.rewrite(raw)
    engine.settle(rewrite, Usage(0, rewrite.plan.tokens))
    return [line for line in render(describe(rewrite), raw.body) if line.startswith("cache")]


def test_it_says_what_was_asked_for_and_why(engine: Engine) -> None:
    assert lines(engine, agent(1)) == ["cache   nothing added: 17% chance of a next request in time"]
    (line,) = lines(engine, agent(2))
    assert line.startswith("cache   automatic caching asked for: ") and line.endswith(
        "% chance of a next request in time"
    )


def test_it_says_what_broke_the_prefix(engine: Engine) -> None:
    for n in (1, 2):
        lines(engine, agent(n, system=f"{SYSTEM} It is 10:00."))
    body = agent(3, system=f"{SYSTEM} It is 10:42.")
    line = lines(engine, body)[-1]
    at = dumps(body).index(b"42.")
    assert line.startswith(f"cache   the client changed system at byte {at:,} (a time); about ")
    assert line.endswith(" tokens behind it are billed again")


def test_it_says_what_was_moved(engine: Engine) -> None:
    engine.cache = CacheSettings(stable_prefix=True)
    assert "made stable" in lines(engine, agent(1, system=f"It is 10:00. {SYSTEM}"))[1]
    assert len(lines(engine, agent(1, "Another question"))) == 1
