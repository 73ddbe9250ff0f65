"""The benchmark's least cost: what no rule for breakpoints can be below."""

from itertools import pairwise

import pytest

from benchmarks.caching import MARK, Program, Provider, least, made_up, marked_at_system


def test_with_short_gaps_each_token_is_written_once_and_read_after_that() -> None:
    without, _ = Program().talk(made_up(4, 1, 3), "s")
    new = [without[0], *(later - earlier for earlier, later in pairwise(without))]
    expected = sum(1.25 * size + 0.1 * size * (2 - number) for number, size in enumerate(new[:3])) + sum(
        [0.1 * new[0], 0.1 * new[1], 0.1 * new[2], new[3]]
    )
    assert least(made_up(4, 1, 3)) == pytest.approx(expected, rel=0.001)


def test_with_gaps_beyond_the_life_of_an_entry_nothing_is_written() -> None:
    without, _ = Program().talk(made_up(4, 600, 3), "s")
    assert least(made_up(4, 600, 3)) == pytest.approx(sum(without))


@pytest.mark.parametrize("gap", [1.0, 240.0, 600.0])
@pytest.mark.parametrize("requests", [1, 2, 3, 7])
def test_the_optimizer_is_never_below_it(requests: int, gap: float) -> None:
    _, having = Program().talk(made_up(requests, gap, 5), "s")
    assert sum(having) >= least(made_up(requests, gap, 5)) - 1


def test_a_request_does_not_read_what_it_writes_itself() -> None:
    _, body = next(marked_at_system(made_up(1, 1, 3)))
    bill = Provider().bill({**body, "cache_control": MARK}, 0.0)
    assert (bill.cache_read_tokens, bill.input_tokens) == (0, 0)
