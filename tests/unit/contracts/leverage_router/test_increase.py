"""`increase`: an open position grows, with more margin or none."""

import pytest

from tests.support.market import REDUCE, TRADER, USDC, WETH, Market, position_id, reverts
from tests.support.periphery import Stage, buy, changes_nothing, sell

ID = position_id(TRADER)


@pytest.mark.parametrize("exact_in", [True, False])
def test_increase__no_margin__levers_up(stage: Stage, market: Market, exact_in: bool) -> None:
    stage.open_standard(market, leverage=2)
    before = market.slot(ID)
    unit, more = (WETH, 2_000 * USDC) if market is stage.long else (2_000 * USDC, WETH)
    if exact_in:
        bought = stage.uniswap.quote_sale(stage.path(market), more)
        receipt = stage.increase(market, 0, sell(stage.path(market), more, bought))
        assert receipt.value == (bought, more)
    else:
        cost = stage.uniswap.quote_purchase(stage.path(market), unit)
        receipt = stage.increase(market, 0, buy(stage.path(market), unit, cost))
        assert receipt.value == (unit, cost)
    added, borrowed = receipt.value
    after = before.collateral + added, before.scaled_debt + borrowed
    assert market.slot(ID)[:2] == after
    (event,) = receipt.events(stage.router)
    assert (event.name, event["margin"]) == ("Increased", 0)
    assert (event["collateral_added"], event["debt_added"]) == receipt.value


def test_increase__interest_has_accrued__debt_grows_by_the_trade_alone(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market, leverage=2)
    market.grow_debt()
    owed = market.vault.position(ID).debt
    more = 100 * USDC if market is stage.long else WETH // 20
    stage.increase(market, 0, sell(stage.path(market), more))
    grown = market.vault.position(ID).debt - owed
    assert 0 <= grown - more <= 2, "RND-2: borrowing added more than its rounding"


def test_increase__ether_as_margin__grows(stage: Stage) -> None:
    stage.open_standard(stage.long)
    before, wealth = stage.long.slot(ID), stage.wealth(TRADER)
    receipt = stage.increase(
        stage.long, WETH, sell(stage.path(stage.long), 2_000 * USDC), value=WETH
    )
    assert stage.long.slot(ID).collateral == before.collateral + receipt.value[0]
    assert stage.wealth(TRADER) == (wealth[0] - WETH, *wealth[1:])


def test_increase__not_open__reverts(stage: Stage, market: Market) -> None:
    with changes_nothing(stage), reverts("position is not open"):
        stage.increase(market, WETH, sell(stage.path(market), WETH))


def test_increase__beyond_the_greatest_leverage__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=3)
    more = 3_000 * USDC if market is stage.long else 3 * WETH // 2
    stage.increase(market, 0, sell(stage.path(market), more))
    with changes_nothing(stage), reverts("LTV is above initial LTV"):
        stage.increase(market, 0, sell(stage.path(market), more))


def test_increase__deadline_passed_or_permission_gone__reverts(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market)
    more = 100 * USDC if market is stage.long else WETH // 20
    swap = sell(stage.path(market), more)
    with changes_nothing(stage), reverts("deadline has passed"):
        stage.increase(market, 0, swap, deadline=stage.engine.timestamp - 1)
    market.vault.set_operator(stage.router, REDUCE, 0, sender=TRADER)
    with changes_nothing(stage), reverts("caller lacks permission"):
        stage.increase(market, 0, swap)
