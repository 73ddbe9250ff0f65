"""A request that leaves as it came leaves nothing of ours in the provider's cache, and nobody believes that it did."""

import json
import threading

import pytest

from headroom.cache import CacheSettings, RequestFacts, leave, optimize
from headroom.engine import Abandoned, Engine, Mode, RawRequest, Rewrite
from headroom.session.memory import RamMemory
from headroom.session.prefix import Prefixes
from headroom.wire.shapes import read
from headroom.wire.usage import Usage
from tests.cache.programs import MARK, SYSTEM, Json, agent, chat, dumps, marks, text

WROTE = Usage(10, 9000, 0, 0, 1)


class Loop:
    """A plain loop of an SDK before one engine."""

    def __init__(self) -> None:
        self.engine = Engine(RamMemory())

    def send(self, body: Json, mode: Mode = "optimize", betas: str = "", late: bool = False) -> Rewrite:
        verdict = threading.Lock()
        if late:
            verdict.acquire()
        headers = {"user-agent": "Anthropic/Python", "anthropic-beta": betas}
        raw = RawRequest("anthropic", "anthropic", "/v1/messages", headers, dumps(body), host="api.anthropic.com")
        return self.engine.rewrite(raw, mode, verdict=verdict)


def test_a_marked_request_is_expected_to_be_read() -> None:
    loop = Loop()
    loop.send(agent(1))
    assert loop.send(agent(2)).plan.kind == "automatic"
    assert loop.send(agent(3)).plan.expected


def test_a_request_that_could_not_wait_was_not_marked() -> None:
    loop = Loop()
    loop.send(agent(1))
    with pytest.raises(Abandoned):
        loop.send(agent(2), late=True)
    after = loop.send(agent(3))
    assert after.plan.kind == "automatic"
    assert not after.plan.expected
    assert loop.send(agent(4)).plan.expected


def test_a_request_that_the_engine_failed_on_was_not_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    loop.send(agent(1))
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr("headroom.engine.rewriting.splice", lambda body, patches: 1 / 0)
        loop.send(agent(2))
    assert not loop.send(agent(3)).plan.expected


def test_a_refused_request_was_not_marked() -> None:
    loop = Loop()
    loop.send(agent(1))
    refused = loop.send(agent(2)).taken_back("refused with 400")
    assert (refused.plan.kind, refused.plan.patches, refused.saved) == ("", (), {})
    loop.engine.settle(refused, Usage(9000, 0, 0, 0, 1))
    assert not loop.send(agent(3)).plan.expected


def test_what_the_client_marked_itself_is_in_the_original_too() -> None:
    loop, system = Loop(), [text(SYSTEM, cache_control=MARK)]
    loop.send(agent(1, system=system))
    ours = loop.send(agent(2, system=system))
    assert len(ours.plan.patches) == 1
    back = ours.taken_back("refused with 400")
    assert (back.plan.life, back.plan.reach) == ("5m", ours.plan.client_reach)
    assert loop.send(agent(3, system=system)).plan.expected


@pytest.mark.parametrize("mode", ["off", "audit"])
def test_no_other_mode_marks(mode: Mode) -> None:
    loop = Loop()
    for n in range(1, 5):
        sent = loop.send(agent(n), mode)
        assert sent.body == dumps(agent(n))
        assert not sent.plan.expected and sent.plan.life == ""
    assert not loop.send(agent(5)).plan.expected, "nothing was written until now"


def test_a_session_that_is_left_alone_is_not_marked() -> None:
    loop = Loop()
    session = loop.send(agent(1)).identity.session
    loop.engine.leave_alone(session, "refused")
    for n in range(2, 5):
        sent = loop.send(agent(n))
        assert sent.body == dumps(agent(n)) and not sent.plan.expected


def test_switched_off_is_off() -> None:
    loop = Loop()
    loop.engine.cache = CacheSettings(enabled=False)
    for n in range(1, 5):
        assert marks(json.loads(loop.send(agent(n)).body)) == []


def test_an_answer_that_is_read_late_says_nothing_of_the_next_request() -> None:
    loop = Loop()
    loop.send(agent(1))
    second = loop.send(agent(2))
    third = loop.send(agent(3))
    loop.engine.settle(second, WROTE)
    history = third.history
    assert history is not None and history is second.history
    assert history.usage is None
    loop.engine.settle(third, WROTE)
    assert history.usage == WROTE


class TestWhatBroke:
    @pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
    def test_the_tokens_are_those_that_the_provider_counted(self, factor: float) -> None:
        loop = Loop()
        for n in (1, 2):
            sent = loop.send(agent(n))
            loop.engine.settle(sent, Usage(0, round(factor * sent.plan.tokens)))
        broken = loop.send(agent(3, system="It is 10:00. " + SYSTEM)).plan.broken
        assert broken is not None and broken.part == "system"
        behind = len(SYSTEM) + len(dumps(agent(2))) - dumps(agent(2)).index(b'"messages"')
        assert broken.tokens == pytest.approx(factor * behind / 3.6, rel=0.03)

    def test_nothing_is_written_again_of_what_was_never_written(self) -> None:
        loop = Loop()
        loop.send(agent(1))
        broken = loop.send(agent(2, system="It is 10:00. " + SYSTEM)).plan.broken
        assert broken is not None and broken.tokens == 0

    def test_only_what_a_breakpoint_covered_is_written_again(self) -> None:
        loop, system = Loop(), [text(SYSTEM, cache_control=MARK)]
        loop.send(agent(1, system=system))
        broken = loop.send(agent(2, system=[text("Now. " + SYSTEM, cache_control=MARK)])).plan.broken
        assert broken is not None
        assert broken.tokens == pytest.approx(len(SYSTEM) / 3.6, rel=0.03)

    def test_providers_that_cache_by_themselves_do_so_for_minutes(self) -> None:
        for after, again in ((5.0, True), (400.0, False)):
            prefixes = Prefixes()
            tokens = []
            for n, now in ((3, 0.0), (5, after)):
                said = [{"role": "system", "content": f"It is {n} o'clock. " + SYSTEM}, *chat(n)["messages"]]
                layout = read("openai-chat", dumps({"model": "gpt-5", "messages": said}))
                history = prefixes.open("s", layout, now)
                plan = optimize(layout, RequestFacts("api.openai.com", "x", "s", now), history, CacheSettings())
                leave(plan, history, history.sent(now))
                tokens.append(plan.broken.tokens if plan.broken else None)
            assert tokens[0] is None
            assert tokens[1] is not None and bool(tokens[1]) is again

    def test_a_beta_token_that_is_sent_on_breaks_nothing(self) -> None:
        loop = Loop()
        for n, betas in enumerate(("a-2025,b-2025", "b-2025", "", "A-2025"), 1):
            assert loop.send(agent(n), betas=betas).plan.broken is None
        added = loop.send(agent(5), betas="c-2026").plan.broken
        assert added is not None and added.kind == "beta header"
        assert loop.send(agent(6)).plan.broken is None

    def test_a_beta_token_that_is_not_sent_on_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEADROOM_BETA_HEADER_STICKY", "disabled")
        loop = Loop()
        loop.send(agent(1), betas="a-2025")
        dropped = loop.send(agent(2)).plan.broken
        assert dropped is not None and dropped.kind == "beta header"
