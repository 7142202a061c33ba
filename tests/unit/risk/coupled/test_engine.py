"""The coupled engine: nothing is made or lost, and each part of it acts as it should."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from ringfence.math.health import is_healthy, value_down
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import (
    Feed,
    Keepers,
    Outage,
    RankedBook,
    Scene,
    Traced,
    exact_keys,
    run,
    trace,
)
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.coupled.steps import Event, Ledger
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.market import RiskMarket
from tests.support.coupling import ETHER, LONG, USDC, crowd, fall, scene, walk

WIDE = Pool.v3(
    [(-230_000, -170_000, 2 * 10**17), (-203_000, -198_000, 10**18), (-200_700, -199_900, 10**19)],
    3543191142285914205922034,
    500,
    sells_0=True,
)
"""At 2,000 USDC a WETH: three ranges, one within the other."""


def _assert_conserved(found: Traced, of: Scene) -> None:
    """Tokens at every step, exactly but for rounding; and value at each step's fair price."""
    ledger = found.ledger.T
    collateral, debt = of.book.collateral.sum(), of.book.debt.sum()
    tokens = ledger[Ledger.POOL_COLLATERAL] + ledger[Ledger.TRADERS_COLLATERAL]
    assert np.allclose(tokens, ledger[Ledger.SEIZED], rtol=0, atol=1e-12 * collateral)
    paid = ledger[Ledger.REPAID] + ledger[Ledger.CUT]
    assets = ledger[Ledger.POOL_ASSET] + ledger[Ledger.TRADERS_ASSET] + ledger[Ledger.KEEPERS]
    assert np.allclose(assets, -paid, rtol=0, atol=1e-12 * debt)
    # The vault's books: what debt went was paid, or the reserve's or the lenders' loss.
    lost = ledger[Ledger.RESERVE_USED] + ledger[Ledger.LENDER_LOSS]
    assert np.allclose(
        ledger[Ledger.RETIRED], ledger[Ledger.REPAID] + lost, rtol=0, atol=1e-12 * debt
    )
    reserve = of.reserve + ledger[Ledger.CUT] - ledger[Ledger.RESERVE_USED]
    assert np.allclose(ledger[Ledger.RESERVE], reserve, rtol=0, atol=1e-12 * debt)
    assert np.all(ledger[Ledger.RESERVE] >= 0)
    # Value: what borrowers, lenders, reserve, keepers, traders and pool gain adds up to nothing.
    price = ledger[Ledger.PRICE]
    borrowers = ledger[Ledger.RETIRED] - ledger[Ledger.SEIZED] * price
    lenders = -ledger[Ledger.LENDER_LOSS]
    traders = ledger[Ledger.TRADERS_COLLATERAL] * price + ledger[Ledger.TRADERS_ASSET]
    pool = ledger[Ledger.POOL_COLLATERAL] * price + ledger[Ledger.POOL_ASSET]
    gains = borrowers + lenders + ledger[Ledger.RESERVE] - of.reserve + ledger[Ledger.KEEPERS]
    assert np.allclose(gains + traders + pool, 0, atol=1e-11 * debt)


@pytest.mark.parametrize("impact", [0.0, 0.5])
@pytest.mark.parametrize("pool", ["v2", "v3"])
@pytest.mark.parametrize("path", [fall(0.35, 90, 60), walk(1_440, 5, 5.0), walk(1_440, 4, 8.0)])
def test_run__any_path__tokens_and_value_are_conserved_at_every_step(
    pool: str, impact: float, path: Floats
) -> None:
    of = scene(crowd(), depth=300, impact=impact, keepers=Keepers(gas=USDC, most_loss=1e4 * USDC))
    of = replace(of, reserve=1_000.0 * USDC, pool=WIDE if pool == "v3" else of.pool)
    found = trace(of, path)
    assert len(found.events) > 20
    _assert_conserved(found, of)


def test_trace__v3__pool_holds_what_its_curve_says_and_the_fees() -> None:
    """The ledger against the curve at the pool's last price: the record is not its own witness."""
    of = replace(scene(crowd()), pool=WIDE)
    last = trace(of, walk(300, 9, 4.0)).ledger[-1]
    root = np.sqrt(last[Ledger.POOL_PRICE])
    at = int(np.searchsorted(WIDE.roots, root, side="right")) - 1
    after = replace(WIDE, place=type(WIDE.place)(float(root), at)).holdings()
    gained = last[Ledger.POOL_COLLATERAL], last[Ledger.POOL_ASSET]
    before = WIDE.holdings()
    for held, start, flow in zip(after, before, gained, strict=True):
        fees = start + flow - held
        assert 0 < fees < 0.01 * start


def test_run__events__add_up_to_the_totals_and_to_each_position() -> None:
    of = scene(crowd(), depth=300, keepers=Keepers(most_loss=1e4 * USDC))
    found = trace(of, fall(0.4, 60, 30))
    events, result = found.events, found.result
    assert events[:, Event.SEIZED].sum() == pytest.approx(result.seized[0], rel=1e-12)
    assert events[:, Event.REPAID].sum() == pytest.approx(result.repaid[0], rel=1e-12)
    lost = result.lender_loss[0] + result.reserve_used[0]
    assert events[:, Event.LOSS].sum() == pytest.approx(lost, rel=1e-12)
    assert len(events) == result.liquidations[0] > result.liquidated[0]
    assert len(set(events[:, Event.POSITION])) == result.liquidated[0]
    taken = np.bincount(
        events[:, Event.POSITION].astype(int), events[:, Event.SEIZED], len(of.book.collateral)
    )
    assert np.all(taken <= of.book.collateral * (1 + 1e-12)), "ISO-2: more than was put in"


def test_run__many_paths__each_as_by_itself() -> None:
    of = scene(crowd(), depth=500, impact=0.3)
    paths = np.array([walk(200, seed, 5.0) for seed in range(8)])
    together = run(of, paths)
    for i, path in enumerate(paths):
        alone = trace(of, path).result
        for one in fields(alone):
            assert getattr(together, one.name)[i] == getattr(alone, one.name)[0]
    assert len(set(together.liquidations)) > 3


def test_run__price_stays__nothing_happens() -> None:
    of = scene(crowd())
    result = run(of, np.ones((1, 100)))
    assert result.liquidations[0] == result.bad_debt[0] == 0
    assert result.pool_low[0] == of.pool.price


def _trigger(market: RiskMarket, collateral: int, debt: int) -> int:
    """The last answer at which the contract has a position healthy, by bisection."""

    def healthy(answer: int) -> bool:
        worth = value_down(collateral, market.price(answer))
        return is_healthy(debt, worth, market.risk.liquidation_ltv)

    low, high = (1, 10**16) if market.falls else (10**16, 1)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if healthy(middle) else (middle, high)
    return high


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("falls", [True, False])
def test_run__trigger_and_the_next_answer__due_where_the_contract_says(
    falls: bool, exact: bool
) -> None:
    """Exact keys: to the answer. Others: within two asset units of the debt."""
    rng = np.random.default_rng(8)
    market = LONG if falls else replace(LONG, falls=False, still=2_000 * 10**8)
    first = 2_000 * 10**8 if falls else 10**8
    deep = scene(crowd(1), depth=1e6, feed=Feed(deviation=0.0)).pool
    worse = -1 if falls else 1
    for _ in range(200):
        debt = int(rng.lognormal(5, 1) * USDC) + 100 * USDC
        collateral = int(debt / rng.uniform(0.4, 0.8) / 2_000 / USDC * ETHER)
        trigger = _trigger(market, collateral, debt)
        slack = 0 if exact else int(2 / debt * trigger) + 1
        key = exact_keys(market, np.array([trigger])) if exact else None
        held = RankedBook.of(np.array([float(collateral)]), np.array([float(debt)]), key)
        of = Scene(market, first, held, deep, feed=Feed(deviation=0.0))
        for answer, due in ((trigger - worse * slack, 0), (trigger + worse * (1 + slack), 1)):
            path = np.array([1.0, (answer + 0.5) / first])
            found = trace(of, path, most_events=2)
            assert found.ledger[-1, Ledger.ANSWER] == answer
            assert found.result.liquidations[0] == due


def test_run__unknown_size__risk_error() -> None:
    with pytest.raises(RiskError, match="all above 0"):
        RankedBook.of(np.array([1.0]), np.array([0.0]))
    with pytest.raises(RiskError, match="above 0; there is one that is not"):
        run(scene(crowd(5)), np.array([[1.0, np.nan]]))
    with pytest.raises(RiskError, match="both are parts of one"):
        scene(crowd(5), impact=2.0)
    with pytest.raises(RiskError, match="3 keepers"):
        scene(crowd(5), outage=Outage(0, 1, keepers=4))


def test_scene__market_of_usdc__price_is_the_contracts() -> None:
    world = scene(crowd(5)).world()
    assert world.unit * world.answer == pytest.approx(2_000 * USDC / ETHER, rel=1e-15)
    assert LONG.price(world.answer) == 2_000 * 10**24
