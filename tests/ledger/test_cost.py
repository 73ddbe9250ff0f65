from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headroom.ledger.cost import bill, input_bill, unread, without
from headroom.models import Price
from headroom.wire.usage import Usage

SONNET = Price(3, 15, 0.3, 3.75, 6, longer=((200_000, Price(6, 22.5, 0.6, 7.5, 12)),))
GPT = Price(1.25, 10, 0.125, 1.25, 1.25)
TOKENS = st.integers(0, 400_000)
USAGES = st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, st.integers(0, 60_000))
SAVED = st.floats(0, 1e6)
PRICES = st.sampled_from([SONNET, GPT, Price(0, 0, 0, 0, 0), Price(150, 600, 150, 150, 150)])


def dearest(price: Price, usage: Usage) -> float:
    at = price.at(usage.total_input)
    return max(at.input, at.cache_read, at.cache_write, at.cache_write_1h)


def test_a_bill_is_each_kind_of_token_at_its_price() -> None:
    usage = Usage(1_000, 2_000, 3_000, 100_000, 500)
    assert bill(usage, SONNET) == pytest.approx((3_000 + 7_500 + 18_000 + 30_000 + 7_500) / 1e6)
    assert input_bill(usage, SONNET) == pytest.approx((3_000 + 7_500 + 18_000 + 30_000) / 1e6)


def test_a_request_above_the_threshold_is_billed_at_the_higher_price_as_a_whole() -> None:
    short, long = Usage(0, 0, 0, 200_000, 1_000), Usage(1, 0, 0, 200_000, 1_000)
    assert bill(short, SONNET) == pytest.approx((60_000 + 15_000) / 1e6)
    assert bill(long, SONNET) == pytest.approx((6 + 120_000 + 22_500) / 1e6)


def test_a_token_that_would_have_been_read_for_a_tenth_saves_a_tenth() -> None:
    usage = Usage(0, 1_000, 0, 50_000, 100)
    assert without(usage, SONNET, 10_000, 0) - bill(usage, SONNET) == pytest.approx(10_000 * 0.3 / 1e6)


def test_a_token_saved_in_what_is_written_saves_the_price_of_a_write() -> None:
    for usage, price in ((Usage(0, 1_000, 0, 50_000, 1), 3.75), (Usage(0, 0, 1_000, 50_000, 1), 6.0)):
        assert without(usage, SONNET, 0, 10_000) - bill(usage, SONNET) == pytest.approx(10_000 * price / 1e6)


def test_a_token_saved_where_nothing_is_cached_saves_the_plain_price() -> None:
    usage = Usage(20_000, 0, 0, 0, 100)
    assert without(usage, SONNET, 0, 10_000) - bill(usage, SONNET) == pytest.approx(10_000 * 3 / 1e6)


def test_a_token_saved_beside_written_and_plain_ones_saves_their_mean() -> None:
    usage = Usage(1_000, 1_000, 0, 0, 100)
    assert without(usage, SONNET, 0, 1_000) - bill(usage, SONNET) == pytest.approx(1_000 * (3 + 3.75) / 2 / 1e6)


def test_with_nothing_billed_as_new_a_saved_token_counts_as_a_read() -> None:
    usage = Usage(0, 0, 0, 50_000, 100)
    assert without(usage, SONNET, 0, 10_000) - bill(usage, SONNET) == pytest.approx(10_000 * 0.3 / 1e6)


def test_a_longer_price_that_only_the_original_had_reached_is_not_claimed() -> None:
    usage = Usage(0, 0, 0, 199_999, 0)
    assert without(usage, SONNET, 10_000, 0) == pytest.approx((199_999 + 10_000) * 0.3 / 1e6)


def test_tokens_that_were_not_read_because_of_us_are_a_loss() -> None:
    usage = Usage(0, 50_000, 0, 10_000, 100)
    assert without(usage, SONNET, 0, 1_000, 40_000) < bill(usage, SONNET)
    assert bill(usage, SONNET) - without(usage, SONNET, 0, 0, 40_000) == pytest.approx(40_000 * (3.75 - 0.3) / 1e6)


def test_no_more_can_have_gone_unread_than_was_billed_as_new() -> None:
    usage = Usage(0, 1_000, 0, 10_000, 100)
    assert without(usage, SONNET, 0, 0, 1e9) == pytest.approx(11_000 * 0.3 / 1e6 + 100 * 15 / 1e6)


def test_what_a_client_changed_costs_a_write_instead_of_a_read() -> None:
    usage = Usage(0, 50_000, 0, 10_000, 100)
    assert unread(usage, SONNET, 40_000) == pytest.approx(40_000 * (3.75 - 0.3) / 1e6)
    assert unread(usage, SONNET, 90_000) == pytest.approx(50_000 * (3.75 - 0.3) / 1e6)
    assert unread(Usage(0, 0, 0, 10_000, 0), SONNET, 1_000) == 0
    assert unread(usage, replace(SONNET, assumed=True), 40_000) == 0


@given(USAGES, PRICES, SAVED, SAVED)
def test_never_more_is_claimed_than_the_saved_tokens_at_the_dearest_price(
    usage: Usage, price: Price, cached: float, new: float
) -> None:
    claimed = without(usage, price, cached, new) - bill(usage, price)
    assert -1e-9 <= claimed <= (cached + new) * dearest(price, usage) / 1e6 + 1e-9


@given(USAGES, PRICES)
def test_nothing_saved_costs_the_same(usage: Usage, price: Price) -> None:
    assert without(usage, price, 0, 0) == bill(usage, price)


@given(USAGES, PRICES, SAVED, SAVED, SAVED, SAVED)
def test_more_saved_tokens_never_save_less(
    usage: Usage, price: Price, cached: float, new: float, more_cached: float, more_new: float
) -> None:
    less = without(usage, price, cached, new)
    assert without(usage, price, cached + more_cached, new + more_new) >= less - 1e-9


@given(USAGES, PRICES, SAVED, SAVED, SAVED, SAVED)
def test_more_unread_tokens_never_save_more(
    usage: Usage, price: Price, cached: float, new: float, unread: float, more: float
) -> None:
    assert without(usage, price, cached, new, unread + more) <= without(usage, price, cached, new, unread) + 1e-9


@given(USAGES, SAVED, SAVED)
def test_a_saved_token_is_never_worth_more_in_the_cached_part_than_behind_it(
    usage: Usage, cached: float, new: float
) -> None:
    assume(cached + new > 0)
    total = cached + new
    all_read, mixed, all_new = (
        without(usage, SONNET, total, 0),
        without(usage, SONNET, cached, new),
        without(usage, SONNET, 0, total),
    )
    assert all_read - 1e-9 <= mixed <= all_new + 1e-9


@given(USAGES, SAVED, SAVED)
def test_at_a_price_that_nobody_states_nothing_is_claimed(usage: Usage, cached: float, new: float) -> None:
    assumed = replace(SONNET, assumed=True)
    assert without(usage, assumed, cached, new) == bill(usage, assumed) == bill(usage, SONNET)
