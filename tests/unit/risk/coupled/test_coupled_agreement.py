"""Whole coupled scenarios: the exact mirror, and the bytecode of vault, Liquidator and Uniswap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import numpy as np
import pytest

from ringfence.evm import InProcessEngine, Reverted
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, WAD
from ringfence.math.liquidation import Liquidation, RiskParams, liquidate
from ringfence.math.position_slot import PositionSlot
from ringfence.math.uniswap import TICK_SPACINGS, range_around
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import SCENARIO, Feed, RankedBook, Scene, Traced, trace
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.coupled.steps import Event, Ledger
from tests.support.coupling import ANSWER, ETHER, LONG, USDC, book, fall, scene
from tests.support.market import LIQUIDATOR, RECEIVER, TRADER, position_id
from tests.support.periphery import Stage, build_stage

LTVS = np.array([0.80, 0.78, 0.715, 0.705, 0.694, 0.60])
DEBTS = np.array([20_000.0, 3_000.0, 90_000.0, 400.0, 50_000.0, 10_000.0])
CRASH = np.concatenate([fall(0.16, 8), fall(0.16, 8)[-1] * np.array([1.01, 0.90, 0.88, 0.93])])
"""Two are due time and again on the way down, others in the jump, some of them insolvent there.

Were two repaired at one price, they would be as risky as each other: which goes first is chance.
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A liquidation in exact units."""

    step: int
    position: int
    moved: Liquidation
    bought: int


def _assert_same(found: Traced, done: list[Done]) -> None:
    """The same positions at the same steps; amounts within the engine's bound of a scenario."""
    names = [(int(one[Event.STEP]), int(one[Event.POSITION])) for one in found.events]
    assert names == [(one.step, one.position) for one in done]
    for event, one in zip(found.events, done, strict=True):
        units = SCENARIO.units
        exact = one.moved
        for column, amount in (
            (Event.REPAID, exact.repaid),
            (Event.CUT, exact.cut),
            (Event.LOSS, exact.loss),
            (Event.BOUGHT, one.bought),
        ):
            assert abs(event[column] - amount) <= SCENARIO.relative * amount + units, (column, one)
        worth = units / event[Event.PRICE]
        assert abs(event[Event.SEIZED] - exact.seized) <= SCENARIO.relative * exact.seized + worth


def _answers(feed: Feed, path: Floats) -> Iterator[int]:
    """What the oracle answers at each step: by itself, in Python."""
    answer, age = ANSWER, 0
    for step, relative in enumerate(path):
        source, age = int(ANSWER * relative), age + 1
        if step == 0 or age >= feed.heartbeat or abs(source - answer) >= feed.deviation * answer:
            answer, age = source, 0
        yield answer


class _Mirror:
    """A v2 pool and a book in whole units; what traders do to the pool is told."""

    def __init__(self, of: Scene) -> None:
        depth, root = of.pool.liquidity[0], of.pool.place.root
        self.x, self.y = int(depth / root), int(depth * root)
        self.parts = 0
        self.slots = [
            PositionSlot(int(collateral), int(debt), 0)
            for collateral, debt in zip(of.book.collateral, of.book.debt, strict=True)
        ]

    def give(self, amount: int) -> int:
        kept = amount * 9_995
        return kept * self.y // (self.x * 10_000 + kept)

    def sell(self, amount: int) -> int:
        gave = self.give(amount)
        self.x, self.y = self.x + amount, self.y - gave
        return gave

    def trade(self, collateral: float, asset: float) -> None:
        """Check a trade of the engine's against the pool's own maths, and make it."""
        if collateral > 0:
            assert self.sell(round(collateral)) == pytest.approx(-asset, rel=1e-9, abs=2)
        elif asset > 0:
            self.x, self.y = self.y, self.x
            assert self.sell(round(asset)) == pytest.approx(-collateral, rel=1e-9, abs=1e9)
            self.x, self.y = self.y, self.x

    def keep(self, step: int, price: int, sizes: dict[tuple[int, int], float]) -> Iterator[Done]:
        """Liquidate what is due and pays, riskiest first, to `sizes` where the whole does not."""
        order = sorted(
            range(len(self.slots)),
            key=lambda i: Fraction(-self.slots[i].scaled_debt, max(self.slots[i].collateral, 1)),
        )
        for i in order:
            slot = self.slots[i]
            if not slot.scaled_debt:
                continue
            try:
                moved = liquidate(slot, WAD, price, MAX_UINT256, LONG.risk)
            except RevertError:
                continue
            size = sizes.get((step, i))
            if size is not None and size < 0.999_999 * moved.repaid:
                self._assert_best(slot, price, int(size))
                self.parts += 1
                moved = liquidate(slot, WAD, price, int(size), LONG.risk)
            elif self.give(moved.seized) <= moved.repaid + moved.cut:
                assert size is None
                continue
            left = slot.scaled_debt - moved.scaled_retired
            self.slots[i] = PositionSlot(slot.collateral - moved.seized, left, 0)
            yield Done(step, i, moved, self.sell(moved.seized))

    def _assert_best(self, slot: PositionSlot, price: int, size: int) -> None:
        """No size nearby earns more, in exact units."""

        def earned(most: int) -> int:
            moved = liquidate(slot, WAD, price, most, LONG.risk)
            return self.give(moved.seized) - moved.repaid - moved.cut

        best = earned(size)
        assert best > 0
        for other in (size * 9 // 10, size * 99 // 100, size * 101 // 100, size * 11 // 10):
            assert earned(other) <= best + 2


@pytest.mark.parametrize("depth", [5_000, 60])
def test_trace__six_positions__the_mirrors_liquidations_step_by_step(depth: int) -> None:
    """A deep pool takes every whole; a thin one the best size, or none."""
    of = scene(book(LTVS, DEBTS), depth=depth)
    found = trace(of, CRASH)
    mirror, done = _Mirror(of), []
    sizes = {
        (int(one[Event.STEP]), int(one[Event.POSITION])): float(one[Event.REPAID])
        for one in found.events
    }
    traders = np.diff(
        found.ledger[:, [Ledger.TRADERS_COLLATERAL, Ledger.TRADERS_ASSET]], axis=0, prepend=0
    )
    for step, answer in enumerate(_answers(of.feed, CRASH)):
        assert found.ledger[step, Ledger.ANSWER] == answer
        mirror.trade(*(float(-one) for one in traders[step]))
        done += mirror.keep(step, LONG.price(answer), sizes)
    _assert_same(found, done)
    assert any(one.moved.loss for one in done)
    assert len(done) > 6
    assert (mirror.parts > 0) == (depth == 60)


class _Chain:
    """The stage's long market and pool, its own positions, and a keeper that tries everything."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.market, self.pool = stage, stage.long, stage.pool
        held = book(LTVS, DEBTS)
        self.ids = [position_id(TRADER, 100 + i) for i in range(len(held.debt))]
        stage.fund(TRADER, weth=int(held.collateral.sum()))
        stage.weth.approve(self.market.vault, MAX_UINT256, sender=TRADER)
        for one, collateral, debt in zip(self.ids, held.collateral, held.debt, strict=True):
            order = one, int(collateral), int(debt), TRADER, b""
            self.market.vault.adjust(*order, sender=TRADER)
        stage.engine.advance(12)

    def scene(self) -> Scene:
        """What stands on the chain, for the engine."""
        slots = [self.market.slot(one) for one in self.ids]
        held = RankedBook.of(
            np.array([float(one.collateral) for one in slots]),
            np.array([float(one.scaled_debt) for one in slots]),
        )
        assert list(held.order) == list(range(len(slots)))
        root = self.pool.sqrt_price
        ends = range_around(root, TICK_SPACINGS[self.pool.fee], Fraction(2**256))
        liquidity = int(self.pool.contract.liquidity())
        sells_0 = self.pool.token_0.address == self.stage.weth.address
        pool = Pool.v3([(*ends, liquidity)], root, self.pool.fee, sells_0=sells_0)
        rules = self.market.params._asdict()
        risk = RiskParams(**{one.name: rules[one.name] for one in fields(RiskParams)})
        reserve = self.market.books().surplus / WAD
        return Scene(replace(LONG, risk=risk), ANSWER, held, pool, reserve=reserve)

    def claims(self) -> float:
        """What lenders are owed, asset units."""
        books = self.market.books()
        return books.total_shares * books.supply_index / WAD

    def arbitrage(self, fair: float) -> None:
        """Bring the pool to the nearer end of the band about a price, units for units."""
        price, kept = float(self.pool.price_of(self.stage.weth)), 1 - self.pool.fee / 10**6
        if fair * kept <= price <= fair / kept:
            return
        goal = Fraction(fair * kept if price < fair else fair / kept)
        self.stage.move_pool(goal * ETHER / USDC)

    def keep(self, step: int) -> Iterator[Done]:
        """Try every position, riskiest first; the contracts say which ones can go."""
        slots = [self.market.slot(one) for one in self.ids]
        order = sorted(
            (i for i, slot in enumerate(slots) if slot.collateral),
            key=lambda i: Fraction(-slots[i].scaled_debt, slots[i].collateral),
        )
        path = self.stage.path(self.market, to_asset=True)
        for i in order:
            try:
                preview = self.market.vault.preview_liquidation(self.ids[i], MAX_UINT256)
                target = (self.ids[i], MAX_UINT256, 0)
                receipt = self.stage.liquidator.liquidate(
                    self.market.vault, target, path, RECEIVER, sender=LIQUIDATOR
                )
            except Reverted:
                continue
            assert receipt.value.seized == preview.seized
            moved = Liquidation(*(int(one) for one in preview))
            yield Done(step, i, moved, int(receipt.value.paid) + int(receipt.value.profit))


def test_trace__six_positions__the_bytecodes_liquidations_step_by_step(
    in_process: InProcessEngine,
) -> None:
    """Vault, Liquidator and Uniswap v3 as they are deployed; a keeper that tries everything."""
    chain = _Chain(build_stage(in_process))
    of, claims = chain.scene(), chain.claims()
    found, done = trace(of, CRASH), []
    unit = of.world().unit
    for step, answer in enumerate(_answers(of.feed, CRASH)):
        chain.arbitrage(unit * ANSWER * CRASH[step])
        chain.market.set_price(LONG.price(answer))
        chain.stage.engine.advance(12)
        done += chain.keep(step)
        at = float(chain.pool.price_of(chain.stage.weth))
        assert found.ledger[step, Ledger.POOL_PRICE] == pytest.approx(at, rel=SCENARIO.relative)
    _assert_same(found, done)
    assert any(one.moved.loss for one in done)
    assert len(done) > 6
    lost, left = found.result.lender_loss[0], found.result.reserve[0]
    assert lost > 0
    # The supply index is rounded down, by less than a unit of its last place at each loss.
    slack = SCENARIO.units + len(done) * chain.market.books().total_shares / WAD
    assert claims - chain.claims() == pytest.approx(lost, rel=SCENARIO.relative, abs=slack)
    assert chain.market.books().surplus / WAD == pytest.approx(left, rel=1e-9, abs=slack)
