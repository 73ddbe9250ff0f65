"""What is known of the provider's cache: which request continues which, what is still warm, what comes again."""

import threading

import pytest

from headroom.session.prefix import Prefixes, PrefixHistory
from headroom.session.sameness import continues
from headroom.wire.shapes import read
from headroom.wire.usage import Usage
from tests.cache.programs import MARK, SYSTEM, Json, agent, chat, dumps, layout_of, text

WROTE = Usage(10, 5000, 0, 0, 1)
READ = Usage(10, 100, 0, 5000, 1)
NOTHING = Usage(5000, 0, 0, 0, 1)


class Talk:
    """Opens one history after another, each request with a breakpoint that lives five minutes."""

    def __init__(self, life: float = 300.0) -> None:
        self.prefixes, self.life, self.now = Prefixes(), life, 0.0

    def __call__(
        self, body: Json, after: float = 5.0, usage: Usage | None = WROTE, session: str = "s"
    ) -> PrefixHistory:
        self.now += after
        history = self.prefixes.open(session, layout_of(body), self.now)
        self.was = (history.continued, history.warm_turns(self.now), history.cold(self.now))
        sent = history.sent(self.now)
        history.leaves(sent, self.life, 1000)
        if usage is not None:
            history.answered(sent, usage, False, self.now)
        return history


def test_a_growing_conversation_has_one_history() -> None:
    talk = Talk()
    first = talk(agent(1))
    assert talk.was == (False, 0, True)
    for n in range(2, 6):
        assert talk(agent(n)) is first
        assert talk.was == (True, 2 * n - 3, False)
    assert first.requests == 5


def test_breakpoints_and_bare_strings_make_no_difference() -> None:
    before, after = chat(2), chat(3)
    before["messages"][-1]["content"] = [text(before["messages"][-1]["content"], cache_control=MARK)]
    before["system"] = [text(SYSTEM, cache_control=MARK)]
    after["system"] = [text(SYSTEM)]
    talk = Talk()
    assert talk(before) is talk(after)
    assert talk.was[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["messages"][2]["content"][0].update(is_error=True),
        lambda body: body["messages"][2]["content"].append(text("more")),
        lambda body: body["messages"][2].update(role="assistant"),
        lambda body: body["messages"][1]["content"][1]["input"].update(row=7),
        lambda body: body["messages"][1]["content"].insert(0, {"type": "thinking", "thinking": "a", "signature": "b"}),
    ],
)
def test_any_other_change_is_one(change: object) -> None:
    after = agent(4)
    assert callable(change)
    change(after)
    assert not continues(layout_of(agent(3)), layout_of(after))


def test_a_changed_turn_keeps_what_stands_before_it() -> None:
    talk = Talk()
    talk(agent(5))
    body = agent(6)
    body["messages"][4]["content"][0]["content"] = "[cleared]"
    talk(body)
    assert talk.was == (False, 4, False)


def test_a_changed_system_prompt_keeps_nothing() -> None:
    talk = Talk()
    first = talk(agent(3))
    assert talk(agent(4, system="Now. " + SYSTEM)) is first
    assert talk.was == (False, 0, True)


def test_the_cache_expires() -> None:
    talk = Talk()
    talk(agent(2))
    history = talk(agent(3), after=320)
    assert talk.was == (True, 3, False), "it may be gone, but not surely"
    assert not history.warm(talk.now + 301)
    talk(agent(4), after=331)
    assert talk.was == (True, 0, True)


def test_an_hour_is_an_hour() -> None:
    talk = Talk(life=3600)
    talk(agent(2))
    talk(agent(3), after=3000)
    assert talk.was == (True, 3, False)


def test_nothing_is_warm_of_what_was_never_written() -> None:
    talk = Talk(life=0)
    talk(agent(2), usage=NOTHING)
    talk(agent(3))
    assert talk.was == (True, 0, True)
    talk = Talk()
    talk(agent(2), usage=NOTHING)
    talk(agent(3))
    assert talk.was == (True, 0, True), "the answer said that the breakpoint was ignored"


def test_a_conversation_from_before_a_restart_may_be_warm() -> None:
    talk = Talk()
    talk(agent(6))
    assert talk.was == (False, 11, False)


def test_openai_keeps_what_it_wants_to() -> None:
    prefixes = Prefixes()
    for n, (now, cold) in enumerate([(0, True), (7200, False), (7200 + 90_000, True)], 1):
        layout = read("openai-chat", dumps({"messages": chat(n)["messages"]}))
        history = prefixes.open("s", layout, now)
        assert history.cold(now) is cold
        history.answered(history.sent(now), NOTHING, False, now)


def test_a_retry_is_no_second_request() -> None:
    talk = Talk()
    first = talk(agent(1), usage=None)
    assert talk(agent(1)) is first
    assert first.requests == 1
    assert not first.continued
    assert talk(agent(1)) is first
    assert first.requests == 2, "asked again after an answer"


def test_the_same_question_twice_at_once_makes_two_conversations() -> None:
    talk = Talk()
    talk(agent(1))
    one = talk(agent(3))
    body = agent(3)
    body["messages"][1]["content"][0]["text"] = "Which shop?"
    other = talk(body)
    assert other is not one
    assert talk.was == (False, 1, False)
    assert talk(agent(4)) is one


def test_what_was_seen_decides_the_chance() -> None:
    talk = Talk()
    history = talk(agent(1))
    assert history.chance(300, talk.now) == pytest.approx(0.2 / 1.2)
    for n in range(2, 6):
        talk(agent(n))
    assert history.chance(300, talk.now) > 0.9
    for n in range(6, 14):
        talk(agent(n), after=600)
    assert history.chance(300, talk.now) < 0.2, "too little for a write to pay"
    assert history.chance(3600, talk.now) > 0.9


def test_a_request_that_waits_much_longer_than_usual_counts_as_the_last() -> None:
    talk = Talk()
    for number in range(4):
        for n in range(1, 4):
            talk(agent(n, f"Question {number}"))
    soon = talk(agent(1, "One more")).chance(300, talk.now)
    for number in range(12):
        later = talk(agent(1, f"Only this {number}"), after=10).chance(300, talk.now)
    assert later < 0.5 * soon


def test_a_conversation_that_comes_back_after_all_counts_again() -> None:
    talk = Talk()
    history = talk(agent(3))
    body = agent(4)
    body["messages"][2]["content"][0]["content"] = "[cleared]"
    talk(body)
    low = history.chance(300, talk.now)
    assert talk(agent(4)) is history
    assert history.chance(300, talk.now) > low


def test_memory_is_bounded_in_number_and_in_bytes() -> None:
    few = Prefixes(conversations=3)
    kept = [few.open(f"s{n}", layout_of(agent(1, f"Question {n}")), n) for n in range(10)]
    assert few.open("s9", layout_of(agent(2, "Question 9")), 20) is kept[9]
    assert few.open("s0", layout_of(agent(2, "Question 0")), 20) is not kept[0]
    small = Prefixes(held_bytes=3 * len(dumps(agent(1))))
    kept = [small.open(f"s{n}", layout_of(agent(1, f"Question {n}")), n) for n in range(10)]
    assert small.open("s9", layout_of(agent(2, "Question 9")), 20) is kept[9]
    assert small.open("s5", layout_of(agent(2, "Question 5")), 20) is not kept[5]


def test_two_workers_may_use_it_at_once() -> None:
    prefixes = Prefixes(conversations=4)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for n in range(1, 40):
                history = prefixes.open(name, layout_of(agent(1 + n % 5, name)), float(n))
                history.chance(300, float(n))
                history.gaps()
                sent = history.sent(float(n))
                history.leaves(sent, 300, 1000)
                history.answered(sent, READ, True, float(n))
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(f"Question {i % 3}",)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
