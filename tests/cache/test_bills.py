"""When a breakpoint pays, when a longer life does, and what was saved in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.cache.accounting import RelativePrices, cost, saved, without
from headroom.cache.economics import expected_gain, longer_life_pays
from headroom.cache.plan import Plan
from headroom.wire.usage import Usage
from tests.cache.programs import MARK, SYSTEM, Proxy, agent, text

PRICES = RelativePrices()
MINUTE = 60.0


def test_the_break_even_of_a_write_is_a_chance_of_22_percent() -> None:
    assert expected_gain(0, 1000, 0.25 / 1.15) == pytest.approx(0)
    assert expected_gain(0, 1000, 0.21) < 0 < expected_gain(0, 1000, 0.23)
    assert expected_gain(0, 1000, 1.0 / 1.9, "1h") == pytest.approx(0)


def test_what_is_cached_is_worth_a_breakpoint_even_before_the_last_request() -> None:
    assert expected_gain(cached=5000, new=1000, chance=0) == pytest.approx(4500 - 250)


@pytest.mark.parametrize(
    ("gaps", "pays"),
    [
        ([10.0] * 9, False),
        ([10 * MINUTE] * 9, True),
        ([10.0] * 9 + [10 * MINUTE], True),  # 10 % of the gaps, and 0.65 * 1000 / 20000 = 3 % is enough
        ([10.0] * 99 + [10 * MINUTE], False),
        ([90 * MINUTE] * 9, False),
        ([10 * MINUTE] * 2, False),  # too little is known
    ],
)
def test_an_hour_pays_from_a_share_of_long_gaps_on(gaps: list[float], pays: bool) -> None:
    assert longer_life_pays(gaps, cached=20_000, new=1000) is pays


AUTOMATIC = Plan(kind="automatic", tokens=10_000, reach=10_000)


def test_a_first_write_costs_a_quarter() -> None:
    assert saved(AUTOMATIC, Usage(0, 10_000), PRICES) == pytest.approx(-0.25 * 10_000 / 1e6)


def test_a_read_saves_nine_tenths() -> None:
    usage = Usage(0, 1000, 0, 9000, 77)
    assert without(AUTOMATIC, usage) == Usage(10_000, 0, 0, 0, 77)
    assert saved(AUTOMATIC, usage, PRICES) == pytest.approx((10_000 - 1250 - 900) / 1e6)


def test_a_write_for_an_hour_costs_as_much_again() -> None:
    assert saved(AUTOMATIC, Usage(0, 0, 10_000), PRICES) == pytest.approx(-1.0 * 10_000 / 1e6)


def test_what_the_client_marked_itself_is_no_saving_of_ours() -> None:
    plan = Plan(kind="breakpoint", tokens=10_000, reach=10_000, client_reach=6000, client_read=6000)
    usage = Usage(0, 1000, 0, 9000)
    assert without(plan, usage) == Usage(4000, 0, 0, 6000)
    first = Usage(0, 10_000, 0, 0)
    assert without(plan, first) == Usage(4000, 6000, 0, 0)


def test_nothing_was_saved_where_nothing_was_done() -> None:
    for plan in (Plan(), Plan(kind="key"), Plan(reason="short", tokens=5000, client_reach=4000)):
        assert saved(plan, Usage(10, 20, 30, 40, 50), PRICES) == 0


@given(
    st.tuples(*[st.integers(0, 10**6)] * 5),
    st.tuples(*[st.integers(0, 10**6)] * 4),
    st.sampled_from(["automatic", "breakpoint", "key", ""]),
)
def test_no_token_is_lost_or_found_in_the_comparison(
    used: tuple[int, int, int, int, int], sizes: tuple[int, int, int, int], kind: str
) -> None:
    tokens, reach, client, billed = sizes
    plan = Plan(kind=kind, tokens=tokens, client_reach=min(client, tokens), client_read=reach, client_billed=billed)  # type: ignore[arg-type]
    usage = Usage(*used)
    other = without(plan, usage)
    assert other.total_input == usage.total_input
    assert other.output_tokens == usage.output_tokens
    assert min(other.input_tokens, other.cache_write_tokens, other.cache_write_1h_tokens, other.cache_read_tokens) >= 0


def test_an_earlier_bill_tells_what_the_client_reaches() -> None:
    proxy = Proxy()
    system = [text(SYSTEM, cache_control=MARK)]
    proxy.send(agent(1, system=system), usage=Usage(50, 4321, 0, 0, 1))
    plan, _ = proxy.send(agent(2, system=system), usage=Usage(0, 600, 0, 4321, 1))
    assert plan.client_billed == 4321
    assert without(plan, Usage(0, 600, 0, 4321, 1)) == Usage(600, 0, 0, 4321, 1)


def test_the_cost_of_a_bill() -> None:
    assert cost(Usage(100, 100, 100, 100, 999), PRICES) == pytest.approx((100 + 125 + 200 + 10) / 1e6)
