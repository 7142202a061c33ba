"""The planner over real markets and pools: what a plan says it earns is what it then earns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.evm import Contract
from ringfence.evm.anvil import launch
from tests.support.market import KEEPER, Market
from tests.support.periphery import Stage, build_stage
from tests.support.planning import Desk, desk_on, prepare


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
