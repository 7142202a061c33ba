"""The event-driven engine against one that looks at every position at every step, in Python."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt

import numpy as np
import pytest

from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import Keepers, Outage, Scene, trace
from ringfence.risk.coupled.pool import Pool, move, sell
from ringfence.risk.coupled.steps import Event, Ledger
from ringfence.risk.rules.liquidations import Terms, liquidate
from tests.support.coupling import ANSWER, ETHER, LONG, USDC, book, crowd, fall, scene, walk


def _by_hand(of: Scene, path: Floats, events: Floats) -> list[tuple[int, int, float]]:
    """Step, position and collateral seized, of a v3 pool, gas free.

    What was repaired at one price is equally risky but for rounding: there the engine's choice in
    its `events` is followed.
    """
    chosen = [*events[:, Event.POSITION].astype(int), -1]
    world, terms, pool = of.world(), Terms.of(of.market.risk), of.pool
    place, answer, age, pressure, done = pool.place, of.answer, 0, 1.0, []
    held = [list(one) for one in zip(of.book.collateral, of.book.debt, strict=True)]
    kept = 1 - pool.fee
    for step, relative in enumerate(path):
        moving = relative * pressure
        fair = world.unit * (of.answer * moving)
        if not fair * kept <= place.root**2 <= fair / kept:
            goal = sqrt(fair * kept if place.root**2 < fair else fair / kept)
            target = place.root + of.closed * (goal - place.root)
            place = move(pool.roots, pool.liquidity, pool.fee, place, target).place
        source, age = int(of.answer * moving), age + 1
        if (
            step == 0
            or age >= of.feed.heartbeat
            or (abs(source - answer) >= of.feed.deviation * answer)
        ):
            answer, age = source, 0
        price, before = world.unit * answer, place.root
        while True:
            keys = [owed / put if put else 0.0 for put, owed in held]
            ties = [n for n, key in enumerate(keys) if key >= max(keys) * (1 - 1e-12)]
            i = chosen[len(done)] if chosen[len(done)] in ties else ties[0]
            collateral, debt = held[i]
            if not collateral or debt / collateral <= terms.liquidation_ltv * price:
                break
            whole = liquidate(collateral, debt, price, inf, terms)
            cost = (whole.repaid + whole.cut) / whole.seized
            target = min(sqrt(cost / kept), place.root)
            room = move(pool.roots, pool.liquidity, pool.fee, place, target)
            if -room.asset <= room.collateral * cost:
                break
            best = whole
            if whole.seized > room.collateral:
                size = whole.repaid * room.collateral / whole.seized
                best = liquidate(collateral, debt, price, size, terms)
            place = sell(pool.roots, pool.liquidity, pool.fee, place, best.seized).place
            held[i] = [collateral - best.seized, debt - best.retired]
            if not held[i][1]:
                held[i] = [0.0, 0.0]
            done.append((step, i, best.seized))
        pressure *= 1 + of.impact * ((place.root / before) ** 2 - 1)
    return done


@pytest.mark.parametrize("impact", [0.0, 0.3])
@pytest.mark.parametrize("closed", [1.0, 0.4])
def test_trace__sixty_positions__what_looking_at_all_of_them_finds(
    impact: float, closed: float
) -> None:
    """No debt is so small that a part is refused: every size can be taken."""
    market = replace(LONG, risk=replace(LONG.risk, min_debt=1))
    of = scene(crowd(60), market=market, impact=impact, closed=closed)
    of = replace(of, pool=Pool.around(of.pool.price, 40.0 * ETHER, 0.0005, 3.0))
    path = np.concatenate([fall(0.3, 120), 0.7 * walk(300, 6, 4.0)])
    found = trace(of, path)
    expected = _by_hand(of, path, found.events)
    assert len(expected) > 100
    names = [(int(one[Event.STEP]), int(one[Event.POSITION])) for one in found.events]
    assert names == [one[:2] for one in expected]
    seized = [one[2] for one in expected]
    assert found.events[:, Event.SEIZED] == pytest.approx(np.array(seized), rel=1e-9)


@pytest.mark.parametrize("closed", [1.0, 0.25])
def test_trace__price_jumps__arbitrage_closes_its_share_of_the_gap_to_the_band(
    closed: float,
) -> None:
    of = scene(book(np.array([0.1]), np.array([1e3])), closed=closed)
    of = replace(of, pool=Pool.around(of.pool.price, 100.0 * ETHER, 0.003))
    for ratio in (0.9, 1.1, 1.002):
        ledger = trace(of, np.array([ratio])).ledger[0]
        bound = ratio / 0.997 if ratio < 1 else max(ratio * 0.997, 1.0)
        root = 1 + closed * (sqrt(bound) - 1)
        assert ledger[Ledger.POOL_PRICE] / of.pool.price == pytest.approx(root**2, rel=1e-12)
        assert (ledger[Ledger.TRADERS_COLLATERAL] < 0) == (ratio < 1)
        earned = ledger[Ledger.TRADERS_ASSET] + ledger[Ledger.TRADERS_COLLATERAL] * (
            of.pool.price * ratio
        )
        assert earned >= 0


def test_trace__gas__every_liquidation_pays_its_own() -> None:
    gas = 3.0 * USDC
    of = scene(crowd(), depth=300, keepers=Keepers(gas=gas))
    events = trace(of, fall(0.4, 60, 60)).events
    profit = events[:, Event.BOUGHT] - events[:, Event.REPAID] - events[:, Event.CUT]
    free = trace(replace(of, keepers=Keepers()), fall(0.4, 60, 60))
    assert np.all(profit >= gas)
    assert len(events) < len(free.events)


def test_trace__pool_recovers__what_did_not_pay_is_taken_then() -> None:
    """One sale takes the pool down; the next does not pay until the arbitrageur came back."""
    held = book(np.array([0.8, 0.799]), np.array([50_000.0, 3_000.0]))
    of = scene(held, depth=1_500, keepers=Keepers(gas=8.0 * USDC))
    found = trace(of, np.array([1.0, 0.92, 0.92, 0.92]))
    names = [(int(one[Event.STEP]), int(one[Event.POSITION])) for one in found.events]
    assert names == [(1, 0), (2, 1)]


def test_trace__insolvent__is_cleared_at_a_loss_only_where_that_is_borne() -> None:
    """The pool lags behind: selling all of it gives less than its price."""
    held = book(np.array([0.8]), np.array([100_000.0]))
    path = np.array([1.0, 0.8, 0.8])
    of = scene(held, depth=100, keepers=Keepers())
    careful = trace(of, path).result
    assert 0 < careful.seized[0] < 0.9 * held.collateral[0]
    assert careful.keeper_profit[0] > 0
    bearing = replace(of, keepers=Keepers(most_loss=100_000.0 * USDC))
    found = trace(bearing, path)
    assert found.events[-1, Event.LOSS] > 0
    assert found.result.seized[0] == pytest.approx(held.collateral[0], rel=1e-12)
    assert found.result.keeper_profit[0] < 0
    assert found.result.keeper_profit[0] >= -100_000 * USDC


def test_trace__keepers_cut_off__each_step_takes_what_the_others_can() -> None:
    outage = Outage(1, 5, keepers=2)
    of = scene(crowd(), depth=50_000, keepers=Keepers(count=3, capacity=2), outage=outage)
    steps = trace(of, np.concatenate([[1.0], np.full(12, 0.8)])).events[:, Event.STEP]
    counts = np.bincount(steps.astype(int), minlength=8)
    assert list(counts[:8]) == [0, 2, 2, 2, 2, 2, 6, 6]


def test_trace__short__the_mirrored_market_does_the_same() -> None:
    """The asset's feed rises by what the collateral's fell: the same prices, but for rounding."""
    long = scene(crowd(100), depth=300)
    path = fall(0.3, 60, 20)
    market = replace(LONG, falls=False, still=2_000 * 10**8)
    short = replace(long, market=market, answer=10**8)
    assert short.world().unit / short.answer == pytest.approx(
        long.world().unit * ANSWER, rel=1e-12, abs=0
    )
    one, two = trace(long, path).result, trace(short, 1 / path).result
    assert two.repaid[0] == pytest.approx(one.repaid[0], rel=1e-4)
    assert two.liquidated[0] == one.liquidated[0] > 30
