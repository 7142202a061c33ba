"""The planner over real markets and pools: what a plan says it earns is what it then earns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.evm import Contract
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import launch
from ringfence.keeper.act.bid import Fees
from tests.support.market import DEPLOYER, KEEPER, USDC, WETH, Market
from tests.support.periphery import Stage, build_stage
from tests.support.planning import Desk, desk_on, prepare, seen


@pytest.fixture(scope="module")
def staged() -> Iterator[tuple[Stage, Contract]]:
    with launch() as engine:
        stage = build_stage(engine)
        yield stage, prepare(stage)


@pytest.fixture
def desk(staged: tuple[Stage, Contract], tmp_path: Path) -> Iterator[Desk]:
    stage, lens = staged
    mark = stage.engine.snapshot()
    with desk_on(stage, lens, tmp_path) as made:
        yield made
    stage.engine.restore(mark)


@pytest.fixture(params=["long", "short"])
def market(request: pytest.FixtureRequest, desk: Desk) -> Market:
    return desk.stage.long if request.param == "long" else desk.stage.short


def test_bids__nothing_due__asks_nothing(desk: Desk, market: Market) -> None:
    desk.open(market)
    plan = desk.plan()
    assert (plan.bids, plan.skipped, desk.watcher.batches) == ((), (), [])


@pytest.mark.parametrize("count", [1, 3])
def test_bids__due__earn_what_the_plan_says(desk: Desk, market: Market, count: int) -> None:
    ids = [desk.open(market, ltv=78 - n) for n in range(count)]
    desk.crash(market)
    plan = desk.plan()
    assert plan.skipped == ()
    [bid], [batch] = plan.bids, plan.batches
    assert [one for _, one in bid.targets] == ids
    before = market.asset.balanceOf(KEEPER)
    receipt = desk.send(bid)
    assert receipt.success
    assert market.asset.balanceOf(KEEPER) - before == batch.profit > 0
    done = receipt.events(desk.stage.liquidator, "FlashLiquidated")
    assert [(e["seized"], e["paid"], e["profit"]) for e in done] == [
        (one.seized, one.paid, one.profit) for one in batch.targets
    ]
    per_ether = batch.market.asset_per_ether
    assert bid.worth == batch.profit * 10**18 // int(per_ether)
    assert receipt.gas_used <= bid.charged <= receipt.gas_used * 21 // 20
    assert bid.charged < bid.gas <= bid.charged * 8 // 5
    assert desk.tick().due == {}


def thin(desk: Desk, dollars: int, ether: int) -> None:
    """The market's one pool at a price, with some ether and its worth in dollars."""
    stage = desk.stage
    stage.move_pool(dollars)
    stage.uniswap.withdraw(1, DEPLOYER)
    amounts = {stage.weth.address: ether, stage.usdc.address: ether * dollars * USDC // WETH}
    stage.uniswap.fund_pool(stage.pool, amounts, DEPLOYER)


def test_bids__two_markets_of_one_pool__one_batch_each(desk: Desk) -> None:
    """At 2,350 the short ones are due; at another price of their own oracle the long ones too."""
    stage = desk.stage
    long, short = desk.open(stage.long), desk.open(stage.short)
    desk.crash(stage.short)
    stage.long.set_price(1_700 * USDC * 10**18)
    plan = desk.plan()
    assert {bid.targets[0][1] for bid in plan.bids} == {long, short}
    assert plan.skipped == ()


def test_bids__thin_pool__the_part_that_earns_most(desk: Desk) -> None:
    market = desk.stage.long
    position = desk.open(market, size=20)
    desk.crash(market)
    thin(desk, 1_700, 100 * WETH)
    plan = desk.plan()
    [bid], [batch] = plan.bids, plan.batches
    [target] = batch.targets
    before = market.asset.balanceOf(KEEPER)
    mark = desk.engine.snapshot()
    assert desk.send(bid).success
    earned = market.asset.balanceOf(KEEPER) - before
    assert earned == batch.profit > 0
    desk.engine.restore(mark)
    for max_repay in (2**127, target.max_repay * 3 // 2, target.max_repay * 2 // 3):
        desk.engine.advance(0)
        order = (position, max_repay, -(10**12))
        path = desk.stage.path(market, to_asset=True)
        market.asset.mint(KEEPER, 10**12)
        market.asset.approve(desk.stage.liquidator, 10**12, sender=KEEPER)
        call = desk.stage.liquidator.liquidate
        other = call.call(market.vault, order, path, KEEPER, sender=KEEPER)
        assert other.profit < earned


def test_bids__no_size_pays__says_how_much_the_best_loses(desk: Desk) -> None:
    market = desk.stage.long
    position = desk.open(market, size=20)
    desk.crash(market)
    thin(desk, 1_600, 100 * WETH)
    plan = desk.plan()
    assert plan.bids == ()
    assert re.fullmatch(
        r"the pool is too thin: the best of \d+ sizes loses [\d.,]+ USDC",
        desk.skipped(plan)[position],
    )


def test_bids__healthy_by_now_or_less_than_thought__dropped_and_the_rest_sent(
    desk: Desk, market: Market
) -> None:
    """The tick says so of one that is not, and of one that has more than it has."""
    good, poor = desk.open(market, ltv=78, size=20), desk.open(market, ltv=77)
    healthy = desk.open(market, ltv=40)
    desk.crash(market)
    tick = desk.tick()
    sight = tick.vaults[address_bytes(market.vault)]
    words = dict(zip(sight.due, sight.words, strict=True))
    assert words.keys() == {good, poor}
    words[healthy] = words[good]
    words[poor] *= 1_000
    desk.fees = Fees(10**12, 0)
    plan = desk.plan(seen(tick, market, due=tuple(words), words=tuple(words.values())))
    assert desk.skipped(plan) == {
        healthy: "it would be healthy",
        poor: "it would fail: profit is below minimum",
    }
    [bid] = plan.bids
    assert bid.targets == ((address_bytes(market.vault), good),)
    assert desk.send(bid).success


def test_bids__gas_dearer_than_the_bonus__says_so(desk: Desk, market: Market) -> None:
    position = desk.open(market)
    desk.crash(market)
    desk.fees = Fees(10**15, 0)
    plan = desk.plan()
    assert plan.bids == ()
    assert desk.skipped(plan)[position].startswith("gas costs more than it earns: ")
    assert len(desk.watcher.batches) <= 2, "nothing is simulated that the plan leaves"
