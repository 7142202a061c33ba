"""Cascades, what a pool bears, outages: against hand-made cases and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.contagion import (
    absorption,
    cascade,
    curve_blocks,
    draw_book,
    eclipse_curve,
    losses,
    outage_curve,
    sudden,
)
from ringfence.risk.coupled.engine import Feed, Keepers, Outage, run
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.liquidations import Terms
from tests.support.coupling import ANSWER, ETHER, LONG, USDC, book, crowd, fall, scene, walk


def test_cascade__one_draws_another__half_of_them_branch() -> None:
    """The second is due only if the market keeps what the first one's sale moves the pool by."""
    held = book(np.array([0.80, 0.785]), np.array([2e6, 1e4]))
    path = np.array([[1.0, 0.92, 0.92, 0.92]])
    found = cascade(scene(held, depth=40_000), path, 1.0)
    assert found.without.liquidated[0] == 1
    assert found.with_feedback.liquidated[0] == 2
    assert found.branching == 0.5
    assert found.with_feedback.pool_low[0] < found.without.pool_low[0]


def test_cascade__calm_or_no_share_kept__no_branching() -> None:
    of = scene(crowd())
    assert cascade(of, np.ones((2, 20)), 1.0).branching == 0
    assert cascade(of, fall(0.2, 30)[None], 0.0).branching == 0


def test_cascade__more_is_kept__more_are_drawn_in() -> None:
    of = scene(crowd(), depth=300)
    path = fall(0.15, 60, 60)[None]
    found = [cascade(of, path, share) for share in (0.0, 0.2, 0.5, 1.0)]
    counts = [one.with_feedback.liquidated[0] for one in found]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    ratios = [one.branching for one in found]
    assert ratios == sorted(ratios)
    assert ratios[-1] < 1


@pytest.mark.parametrize("width", [float("inf"), 1.2])
def test_depth__debt_at_once__the_last_unit_sold_earns_nothing(width: float) -> None:
    pool = Pool.around(2e-9, 1_000 * ETHER, 0.0005, width)
    found = absorption(pool, LONG, 50.0 * ETHER)
    terms = Terms.of(LONG.risk)
    beta = 1 + terms.base_bonus
    cost = pool.price * (1 + terms.base_bonus * terms.reserve_cut) / beta
    sold = found.debt * beta / pool.price

    def earned(amount: float) -> float:
        return -pool.sell(amount).asset - amount * cost

    assert earned(sold) > max(earned(sold * 0.99), earned(sold * 1.01)) > 0
    assert pool.sell(sold).place.root ** 2 == pytest.approx(pool.price * (1 - found.fall))


def test_depth__v2__ltv_is_the_closed_form() -> None:
    """A constant product gives a part 1 / (1 + sold / held) of the price, fee apart."""
    held, sold, fee = 1_000.0 * ETHER, 600.0 * ETHER, 0.003
    found = absorption(Pool.v2(held, 2e-9 * held, fee), LONG, sold)
    kept = sold * (1 - fee)
    expected = kept / (1 + kept / held) / sold / 1.001
    assert found.ltv == pytest.approx(expected, rel=1e-12)
    assert absorption(Pool.v2(held, 2e-9 * held, fee), LONG, ETHER).ltv == 0.86


def test_depth__fee_above_the_bonus__bears_nothing() -> None:
    assert absorption(Pool.around(2e-9, 1e21, 0.01), LONG, 1e20).debt == 0


def test_outage_curve__longer__costs_no_less() -> None:
    of = scene(crowd(), depth=2_000)
    path = sudden(0.35, 60, 240)
    curve = outage_curve(
        of, path, [0, 25, 100, 200, 300], step_seconds=60, start=1, oracle=True, keepers=3
    )
    costs = [one.loss for one in curve]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]
    assert curve[0].loss == float(losses(run(of, path)).mean())


def test_outage_curve__each_thing_cut_off__both_cost_at_least_either() -> None:
    of = scene(crowd(), depth=2_000)
    path = sudden(0.35, 60, 240)

    def cost(*, oracle: bool, keepers: int) -> float:
        [one] = outage_curve(
            of, path, [300], step_seconds=60, start=1, oracle=oracle, keepers=keepers
        )
        return one.loss

    oracle, keepers = cost(oracle=True, keepers=0), cost(oracle=False, keepers=3)
    assert cost(oracle=True, keepers=3) >= max(oracle, keepers)
    assert min(oracle, keepers) > 0


def test_eclipse_curve__others_are_busy__lenders_lose_more() -> None:
    path = sudden(0.35, 20, 120)

    def costs(capacity: int) -> list[float]:
        of = scene(crowd(), depth=50_000, keepers=Keepers(count=2, capacity=capacity))
        curve = eclipse_curve(of, path, [0, 600], step_seconds=60, start=1)
        return [one.cut.loss for one in curve]

    idle, busy = costs(1_000), costs(7)
    assert idle[0] == idle[1] == 0
    assert busy[0] < busy[1]


def test_eclipse_curve__others_go_on__it_misses_its_share_and_its_calls_fail() -> None:
    """Ten fall due at once, in the step in which one of two keepers stops seeing heads."""
    held = book(np.full(10, 0.79), np.full(10, 1e4))
    path = np.array([[1.0, 1.0, 0.9, 0.9, 0.9, 0.9]])
    of = scene(held, depth=50_000, keepers=Keepers(count=2, capacity=4, gas=3.0 * USDC))
    whole = run(of, path)
    none, long = eclipse_curve(of, path, [0, 20], step_seconds=60, start=2)
    assert (none.missed, none.missed_profit, none.failed, none.burned) == (0, 0, 0, 0)
    assert (whole.liquidations[0], long.cut.liquidations) == (10, 10)
    # Alone it would have had room for four of the ten; by lot it had five, and has none.
    assert (long.failed, long.missed) == (4, 5)
    assert long.missed_profit == pytest.approx(whole.keeper_profit[0] / 2, rel=1e-12)
    assert long.missed_profit > 0
    assert long.burned == 4 * 3.0 * USDC
    assert long.burned_again == 4 * long.burned
    # A head that froze before the fall shows nothing due: it sends nothing, and misses the same.
    [early] = eclipse_curve(of, path, [30], step_seconds=60, start=1)
    assert (early.failed, early.burned_again, early.missed) == (0, 0, 5)
    # Cut off for one step only, it has its share of what the other could not do: two of the ten.
    [short] = eclipse_curve(of, path, [5], step_seconds=60, start=2)
    assert short.missed == 5 - (10 - 4) / 2


def test_eclipse_curve__no_other_keeper__misses_all_and_nobody_is_first() -> None:
    held = book(np.full(10, 0.79), np.full(10, 1e4))
    path = np.array([[1.0, 0.9, 0.9]])
    of = scene(held, depth=50_000, keepers=Keepers(count=1, gas=3.0 * USDC))
    [alone] = eclipse_curve(of, path, [10], step_seconds=60, start=1)
    assert (alone.missed, alone.cut.liquidations) == (10, 0)
    assert (alone.failed, alone.burned_again) == (0, 0)


def test_run__oracle_out_until_stale__nothing_is_liquidated_at_the_old_answer() -> None:
    """At the old answer all are healthy; back again, the oracle answers and all go."""
    held = book(np.array([0.8]), np.array([1e4]))
    path = np.concatenate([[1.0], np.full(20, 0.9)])
    feed = Feed(heartbeat=5, max_age=6)
    of = scene(held, feed=feed, outage=Outage(1, 10, oracle=True))
    assert run(of, path[None, :11]).liquidations[0] == 0
    assert run(of, path[None]).liquidations[0] == 1
    # Past its trigger already when the oracle goes: liquidated while the answer is fresh.
    slow = replace(of, outage=Outage(2, 18, oracle=True, keepers=3))
    assert run(slow, path[None, :3]).liquidations[0] == 1
    down = np.array([[1.0, 0.9, *[0.9] * 20]])
    dead = scene(held, feed=feed, outage=Outage(2, 30, oracle=True), keepers=Keepers(capacity=0))
    assert run(dead, down).liquidations[0] == 0


def test_draw_book__same_seed__same_bytes_within_the_market() -> None:
    one, two = (
        draw_book(np.random.default_rng(3), LONG, ANSWER, count=1_000, debt=1e6 * USDC)
        for _ in "ab"
    )
    assert one.debt.tobytes() == two.debt.tobytes()
    ltvs = one.debt / one.collateral / 2e-9
    assert np.all((ltvs > 0.333) & (ltvs < 0.8 + 1e-12))
    assert one.debt.min() >= LONG.risk.min_debt
    assert one.debt.sum() == pytest.approx(1e6 * USDC, rel=1e-12)


def test_draw_book__more_than_the_debt_carries__is_refused() -> None:
    def draw(count: int, debt: float) -> float:
        rng = np.random.default_rng(1)
        return float(draw_book(rng, LONG, ANSWER, count=count, debt=debt).debt.sum())

    assert draw(10, 1_000.0 * USDC) == 1_000 * USDC
    with pytest.raises(RiskError, match=r"11 positions owe 1,100 at least, .* 1,000; pass fewer"):
        draw(11, 1_000.0 * USDC)


def test_losses__reserve_that_is_left__pays_for_bad_debt() -> None:
    """Keepers that can send nothing leave an insolvent position; clearing it pays a bonus too."""
    held = book(np.array([0.8]), np.array([1e4]))
    path = sudden(0.5, 1, 3)
    poor = scene(held, keepers=Keepers(capacity=0))
    owed = 1e4 * USDC - 1e4 / 0.8 * 0.5 * USDC / (LONG.risk.beta_max / WAD)
    assert run(poor, path).bad_debt[0] == pytest.approx(owed, rel=1e-12)
    assert losses(run(poor, path))[0] == pytest.approx(owed, rel=1e-12)
    assert losses(run(replace(poor, reserve=owed / 2), path))[0] == pytest.approx(owed / 2)


def test_sudden_and_outage_curve__senseless__risk_error() -> None:
    with pytest.raises(RiskError, match="pass a part of one"):
        sudden(1.2, 5, 10)
    of, still = scene(crowd(5)), walk(5, 1)[None]
    with pytest.raises(RiskError, match="cut something off"):
        outage_curve(of, still, [1], step_seconds=60, start=0, oracle=False, keepers=0)
    with pytest.raises(RiskError, match="steps are 0 s"):
        outage_curve(of, still, [1], step_seconds=0, start=0, oracle=True, keepers=0)


def test_curve_blocks__most__halves_of_it_and_none() -> None:
    assert curve_blocks(300) == [0, 1, 2, 4, 9, 18, 37, 75, 150, 300]
