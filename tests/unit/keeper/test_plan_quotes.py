"""What a plan wants quoted, and what it makes of a few quotes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ringfence.keeper.act.plan import plan, wanted
from ringfence.math.fixed_point import WAD
from ringfence.math.uniswap import PoolState
from tests.unit.keeper.test_plan import (
    FEES,
    NEVER_LOSES,
    THIN,
    market,
    pool_at,
    position,
    reasons,
    sales,
)


def test_wanted__nothing_that_can_be_liquidated__nothing() -> None:
    """A book that lags may say so; the pool is empty on top."""
    empty = sales(pool_at(1_800, liquidity=0))
    healthy = market(position(1, 100), sales=(empty,))
    assert wanted([healthy], NEVER_LOSES) == {}
    assert reasons(plan([healthy], FEES, NEVER_LOSES)) == {
        1: "it cannot be liquidated at this price"
    }


def test_wanted__within_the_tick_spacing__nothing() -> None:
    assert wanted([market(position(1, 1_590))], NEVER_LOSES) == {}


def sum_of(due: Sequence[tuple[int, int]]) -> int:
    batches = plan([market(*due)], FEES, NEVER_LOSES).batches
    return sum(target.seized for batch in batches for target in batch.targets)


@pytest.mark.parametrize("count", [1, 2, 7, 200])
def test_wanted__beyond__sums_and_halves_and_a_guess_but_never_many(count: int) -> None:
    due = [position(n, 1_600) for n in range(count)]
    shallow = sales(pool_at(1_800, liquidity=THIN))
    [amounts] = wanted([market(*due, sales=(shallow,))], NEVER_LOSES).values()
    total = sum_of(due)
    assert amounts[-1] == total
    assert {total // count * n for n in range(1, min(count, 24) + 1)} <= {*amounts} or count > 24
    assert total // 2 in amounts
    assert amounts == sorted({*amounts})
    assert len(amounts) <= 70


def test_give__between_two_quotes__never_more_than_a_concave_sale_gives() -> None:
    pool = pool_at(1_800, liquidity=10**17)
    whole = [n * WAD // 100 for n in range(1, 20)]
    gave = {amount: pool.sell(amount, zero_for_one=True) for amount in whole}
    assert None not in gave.values()
    blind = PoolState(pool.sqrt_price, pool.tick, 0, pool.fee)
    few = sales(blind, quotes={one: gave[one] for one in whole[::6]})
    for amount, exact in gave.items():
        told = few.give(amount)
        assert told is not None
        assert exact is not None
        assert told <= exact
        assert (told == exact) == (amount in few.amounts)
    assert few.give(whole[18] + 1) is None
