"""The planner over real markets and pools: what a plan says it earns is what it then earns."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from ringfence.client.abi import interface
from ringfence.evm import Contract, load
from ringfence.evm.abi import address_bytes
from ringfence.keeper.act import simulate
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.policy import GasModel, Policy
from tests.support.market import (
    DEPLOYER,
    KEEPER,
    LENDER,
    MAX_UINT256,
    TRADER,
    USDC,
    WETH,
    Market,
    position_id,
    price_of,
)
from tests.support.periphery import DAI, add_market
from tests.support.planning import Desk, desk, market, seen, staged

__all__ = ["desk", "market", "staged"]


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


def test_bids__risk_rose_in_the_head__simulated_a_second_later(desk: Desk, market: Market) -> None:
    """The very block refuses; the next one, in which the transaction is mined, does not."""
    position = desk.open(market)
    desk.stage.set_price(1_700 if market is desk.stage.long else 2_350)
    assert desk.watcher.head().timestamp == market.slot(position).last_risk_increase
    plan = desk.plan()
    [bid] = plan.bids
    assert desk.send(bid).success


def test_bids__due_again__pools_one_batch_simulation_another(desk: Desk, market: Market) -> None:
    """What a small sale needs: the pools' own maths is enough."""
    desk.open(market, size=1)
    desk.crash(market)
    assert len(desk.plan().bids) == 1
    assert len(desk.plan().bids) == 1
    methods = [[method for method, _ in batch] for batch in desk.watcher.batches]
    assert methods == [["eth_call"] * len(methods[0]), ["eth_simulateV1"]]


@pytest.mark.parametrize("block_gas", [40_000_000, 7_000_000, 1], ids=["one", "two", "three"])
def test_bids__70_due__three_transactions_that_earn_what_the_plan_says(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch, block_gas: int
) -> None:
    """In one simulated block each is exact; of a later one the plan's figure is, to a millionth."""
    monkeypatch.setattr(simulate, "BLOCK_GAS", block_gas)
    ids = [desk.open(market) for _ in range(70)]
    desk.crash(market)
    plan = desk.plan(policy=Policy(targets=32))
    assert [len(bid.targets) for bid in plan.bids] == [32, 32, 6]
    assert sorted(one for bid in plan.bids for _, one in bid.targets) == ids
    blocks = [one for one in desk.watcher.batches if one[0][0] == "eth_simulateV1"]
    assert len(blocks) == {40_000_000: 1, 7_000_000: 2, 1: 3}[block_gas]
    exact = 3 if block_gas == 40_000_000 else 1
    model = GasModel()
    done = desk.mine(plan.bids)
    for number, (bid, batch, one) in enumerate(zip(plan.bids, plan.batches, done, strict=True)):
        profits = {target.position_id: target.profit for target in batch.targets}
        if number < exact:
            assert {number: profit for (_, number), profit in one.profits} == profits
        # It leaves out a second's interest, and the quotes' difference rounds.
        earned = sum(profit for _, profit in one.profits)
        assert abs(earned - batch.profit) <= batch.profit // 10**6
        assert bid.worth <= batch.profit * WETH // int(batch.market.asset_per_ether)
        # The transactions' price is one wei. What only a batch after others is spared is counted;
        # and one that is simulated without the sales before it meets the pool elsewhere.
        spared = 25_000 + (number >= exact) * one.cost // 100
        assert one.cost <= bid.charged <= one.cost + spared
        used = model.charged(len(bid.targets), 1)
        assert used * 4 // 5 <= one.cost <= used * 21 // 20
        assert bid.gas <= model.limit(len(bid.targets), 1)
    assert desk.tick().due == {}


def thin(desk: Desk, dollars: int, ether: int, width: Fraction = Fraction(2**256)) -> None:
    """The market's one pool at a price, with some ether and its worth in dollars."""
    stage = desk.stage
    stage.move_pool(dollars)
    stage.uniswap.withdraw(1, DEPLOYER)
    amounts = {stage.weth.address: ether, stage.usdc.address: ether * dollars * USDC // WETH}
    stage.uniswap.fund_pool(stage.pool, amounts, DEPLOYER, width=width)


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


def test_bids__pool_runs_dry__a_part_that_it_can_take(desk: Desk) -> None:
    """All its liquidity is within a hundredth of the price: the quoter answers for half a sale."""
    market = desk.stage.long
    desk.open(market, size=20)
    desk.crash(market)
    thin(desk, 1_700, 4 * WETH, width=Fraction(101, 100))
    plan = desk.plan()
    [bid], [batch] = plan.bids, plan.batches
    assert None in batch.sales.quotes.values()
    assert WETH < batch.targets[0].seized < 4 * WETH
    before = market.asset.balanceOf(KEEPER)
    assert desk.send(bid).success
    assert market.asset.balanceOf(KEEPER) - before == batch.profit > 0


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


# Losses


def crash_below_the_oracle(desk: Desk) -> None:
    """The oracle says 1,400, at which three quarters of 2,000 are insolvent; the pool 1,250."""
    desk.crash(desk.stage.long, long=1_250)
    desk.stage.long.set_price(1_400 * USDC * 10**18)


def test_bids__insolvent_at_a_loss__what_the_policy_bears_is_what_it_costs(desk: Desk) -> None:
    market, liquidator = desk.stage.long, desk.stage.liquidator
    position = desk.open(market)
    crash_below_the_oracle(desk)
    reason = desk.skipped(desk.plan())[position]
    assert re.fullmatch(
        r"insolvent: would lose [\d.]+ USDC, gas included, .* allows 0 USDC", reason
    )
    policy = Policy(most_loss=WETH // 10)
    refused = desk.plan(policy=policy)
    assert refused.bids == ()
    assert desk.skipped(refused)[position].startswith("its transaction would fail: ")
    market.asset.mint(KEEPER, 140 * USDC)
    market.asset.approve(liquidator, 140 * USDC, sender=KEEPER)
    others, dollars = desk.stage.short.vault, frozenset([address_bytes(market.asset)])
    borne = replace(policy, borne=frozenset([address_bytes(others)]), assets=dollars)
    assert desk.skipped(desk.plan(policy=borne))[position] == reason, "another's losses are borne"
    assert asyncio.run(desk.planner.bearable(desk.watcher.head(), desk.tick())).keys() == {
        address_bytes(desk.stage.weth)
    }
    plan = desk.plan(policy=policy)
    [bid], [batch] = plan.bids, plan.batches
    assert 0 < bid.worth < WETH // 10
    assert desk.send(bid).success
    assert market.asset.balanceOf(KEEPER) - 140 * USDC == batch.profit < 0
    assert market.slot(position).word == 0


# Pairs without ether


def due_dollars(desk: Desk, collateral: Contract, asset: Contract) -> tuple[Market, int]:
    """A market at par with one position of 10,000 against 7,900, due since the oracle fell."""
    stage = desk.stage
    made = add_market(stage, collateral, asset)
    one, other = 10 ** collateral.decimals(), 10 ** asset.decimals()
    asset.mint(LENDER, 100_000 * other)
    asset.approve(made.vault, MAX_UINT256, sender=LENDER)
    made.vault.deposit(100_000 * other, LENDER, sender=LENDER)
    collateral.mint(TRADER, 10_000 * one)
    collateral.approve(made.vault, MAX_UINT256, sender=TRADER)
    position = position_id(TRADER, 7)
    made.vault.adjust(position, 10_000 * one, 7_900 * other, TRADER, b"", sender=TRADER)
    made.set_price(price_of(91, collateral.decimals(), asset.decimals()) // 100)
    desk.engine.advance(12)
    collateral.mint(TRADER, 0)
    return made, position


@pytest.mark.parametrize("direct", [True, False])
def test_bids__no_ether_in_the_pair__gas_by_its_pool_and_a_way_through_weth(
    desk: Desk, direct: bool
) -> None:
    stage = desk.stage
    market, _ = due_dollars(desk, stage.usdc, stage.dai)
    if not direct:
        stage.uniswap.withdraw(3, DEPLOYER)
    plan = desk.plan()
    [bid], [batch] = plan.bids, plan.batches
    assert batch.sales.route.fees == ((100,) if direct else (500, 3_000))
    # 2,000 DAI and the fee of the one pool with WETH.
    assert batch.market.asset_per_ether == pytest.approx(2_000 * DAI / 0.997, rel=1e-5)
    before = market.asset.balanceOf(KEEPER)
    receipt = desk.send(bid)
    assert receipt.success
    assert market.asset.balanceOf(KEEPER) - before == batch.profit > 0
    assert receipt.gas_used <= bid.charged <= receipt.gas_used * 21 // 20


def test_bids__no_pool_for_gas__by_hand_or_not_at_all(desk: Desk) -> None:
    stage = desk.stage
    other = stage.engine.deploy(load("TestToken"), "Other", "OTH", 18)
    _, position = due_dollars(desk, stage.usdc, other)
    price = (
        "gas has no price in the asset: no pool sells WETH for it, and no price was given by hand"
    )
    assert desk.skipped(desk.plan()) == {position: price}
    desk.give_price(other, 2_000 * DAI)
    assert desk.skipped(desk.plan()) == {position: "no pool trades the pair"}


def test_bids__pools__looked_for_once_and_again_after_a_while(desk: Desk) -> None:
    stage = desk.stage
    desk.open(stage.long)
    desk.crash(stage.long)

    get_pool = "0x" + interface("UniswapV3Factory").function("getPool", 3).selector.hex()

    def sold_at() -> tuple[int, bool]:
        """The fee of the pool that is sold to, and whether pools were looked for."""
        [batch] = desk.plan().batches
        asked = [
            params[0]["data"]
            for batch in desk.watcher.batches
            for method, params in batch
            if method == "eth_call"
        ]
        return batch.sales.route.fees[0], any(data.startswith(get_pool) for data in asked)

    assert sold_at() == (500, True)
    better = (WETH, 2_000 * USDC)
    pool = stage.uniswap.create_pool(stage.weth, stage.usdc, fee=3_000, amounts=better)
    stage.fund(DEPLOYER, weth=100 * WETH, usdc=200_000 * USDC)
    amounts = {stage.weth.address: 100 * WETH, stage.usdc.address: 200_000 * USDC}
    stage.uniswap.fund_pool(pool, amounts, DEPLOYER)
    assert sold_at() == (500, False)
    desk.watcher.node.call("anvil_mine", hex(300))
    assert sold_at() == (3_000, True)
