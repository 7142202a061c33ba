"""`decrease`: collateral is sold to repay debt, and some of it paid out if wanted."""

import pytest

from tests.support.market import (
    CURATOR,
    INCREASE,
    MAX_UINT256,
    OTHER_TRADER,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    WITHDRAW,
    Market,
    position_id,
    reverts,
)
from tests.support.periphery import Stage, add_market, buy, changes_nothing, sell

ID = position_id(TRADER)


def units(stage: Stage, market: Market) -> tuple[int, int]:
    """An ether's worth of collateral and of the asset."""
    return (WETH, 2_000 * USDC) if market is stage.long else (2_000 * USDC, WETH)


def test_decrease__exact_in__sells_that_and_repays_what_it_gives(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market)
    sold = units(stage, market)[0]
    bought = stage.uniswap.quote_sale(stage.path(market, to_asset=True), sold)
    before, wealth, books = market.slot(ID), stage.wealth(TRADER), market.books()
    receipt = stage.decrease(market, 0, sell(stage.path(market, to_asset=True), sold, bought))
    assert receipt.value == (0, 0)
    after = before.collateral - sold, before.scaled_debt - bought, before.last_risk_increase
    assert market.slot(ID) == after
    assert market.books().cash == books.cash + bought
    assert stage.wealth(TRADER) == wealth
    (event,) = receipt.events(stage.router)
    assert event.name == "Decreased"
    assert dict(event.args) == {
        "account": TRADER.address,
        "vault": market.vault.address,
        "position_id": ID,
        "sold": sold,
        "bought": bought,
        "collateral_removed": sold,
        "repaid": bought,
        "collateral_paid": 0,
        "asset_paid": 0,
    }


def test_decrease__exact_out__repays_that_and_sells_what_it_takes(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market)
    repaid = units(stage, market)[1]
    cost = stage.uniswap.quote_purchase(stage.path(market, to_asset=True), repaid)
    before = market.slot(ID)
    receipt = stage.decrease(market, 0, buy(stage.path(market, to_asset=True), repaid, cost))
    assert receipt.value == (0, 0)
    assert market.slot(ID)[:2] == (before.collateral - cost, before.scaled_debt - repaid)


def test_decrease__a_single_unit_bought__repays_it(stage: Stage) -> None:
    stage.open_standard(stage.long)
    before = stage.long.slot(ID)
    swap = buy(stage.path(stage.long, to_asset=True), 1)
    receipt = stage.decrease(stage.long, 0, swap)
    (event,) = receipt.events(stage.router)
    assert event["repaid"] == 1
    assert stage.long.slot(ID).scaled_debt == before.scaled_debt - 1


@pytest.mark.parametrize("exact_in", [True, False])
def test_decrease__withdrawal__is_paid_to_the_trader(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    stage.open_standard(market)
    collateral, asset = units(stage, market)
    path = stage.path(market, to_asset=True)
    swap = sell(path, collateral) if exact_in else buy(path, asset)
    before, held = market.slot(ID), market.collateral.balanceOf(TRADER)
    receipt = stage.decrease(market, collateral // 4, swap)
    (event,) = receipt.events(stage.router)
    assert receipt.value == (collateral // 4, 0)
    assert market.collateral.balanceOf(TRADER) == held + collateral // 4
    removed = event["sold"] + collateral // 4
    assert event["collateral_removed"] == before.collateral - market.slot(ID).collateral == removed
    assert event["repaid"] == before.scaled_debt - market.slot(ID).scaled_debt
    assert market.vault.ltv(ID) <= market.params.initial_ltv


def test_decrease__withdrawal_of_ether__comes_unwrapped(stage: Stage) -> None:
    stage.open_standard(stage.long)
    wealth = stage.wealth(TRADER)
    swap = sell(stage.path(stage.long, to_asset=True), WETH)
    stage.decrease(stage.long, WETH // 4, swap, native=True)
    assert stage.wealth(TRADER) == (wealth[0] + WETH // 4, *wealth[1:])


def test_decrease__more_than_the_debt__rest_is_paid_in_the_asset(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market, leverage=2)
    collateral, asset = units(stage, market)
    before, held = market.slot(ID), market.asset.balanceOf(TRADER)
    sold = collateral * 3 // 2
    bought = stage.uniswap.quote_sale(stage.path(market, to_asset=True), sold)
    receipt = stage.decrease(market, 0, sell(stage.path(market, to_asset=True), sold))
    assert receipt.value == (0, bought - asset)
    assert market.asset.balanceOf(TRADER) == held + bought - asset
    assert market.slot(ID)[:2] == (before.collateral - sold, 0)


def test_decrease__rest_in_ether__comes_unwrapped(stage: Stage) -> None:
    stage.open_standard(stage.short, leverage=2)
    wealth = stage.wealth(TRADER)
    swap = sell(stage.path(stage.short, to_asset=True), 3_000 * USDC)
    receipt = stage.decrease(stage.short, 0, swap, native=True)
    assert receipt.value[1] > 0
    assert stage.wealth(TRADER) == (wealth[0] + receipt.value[1], *wealth[1:])


def test_decrease__down_to_less_than_min_debt__stops_there_and_pays_the_rest(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market, leverage=2)
    asset = units(stage, market)[1]
    amount = asset - 1
    receipt = stage.decrease(market, 0, buy(stage.path(market, to_asset=True), amount))
    assert receipt.value == (0, market.params.min_debt - 1)
    assert market.slot(ID).scaled_debt == market.params.min_debt


def test_decrease__unhealthy_and_without_a_price__still_deleverages(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market, leverage=4)
    stage.set_price(1_700 if market is stage.long else 2_300)
    assert not market.vault.is_healthy(ID)
    ltv = market.vault.ltv(ID)
    market.set_quote(0, 0)
    sold = units(stage, market)[0]
    stage.decrease(market, 0, sell(stage.path(market, to_asset=True), sold))
    stage.set_oracles(1_700 if market is stage.long else 2_300)
    assert market.vault.ltv(ID) < ltv


def test_decrease__two_pools__exact_either_way(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    collateral, asset = units(stage, market)
    path = stage.long_path(market, to_asset=True)
    before = market.slot(ID)
    bought = stage.uniswap.quote_sale(path, collateral // 2)
    stage.decrease(market, 0, sell(path, collateral // 2, bought))
    sold = stage.uniswap.quote_purchase(path, asset // 2)
    stage.decrease(market, 0, buy(path, asset // 2, sold))
    assert market.slot(ID)[:2] == (
        before.collateral - collateral // 2 - sold,
        before.scaled_debt - bought - asset // 2,
    )


def test_decrease__slippage_above_the_limit__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    collateral, asset = units(stage, market)
    path = stage.path(market, to_asset=True)
    bought = stage.uniswap.quote_sale(path, collateral)
    with changes_nothing(stage), reverts("bought is below the limit"):
        stage.decrease(market, 0, sell(path, collateral, bought + 1))
    sold = stage.uniswap.quote_purchase(path, asset)
    with changes_nothing(stage), reverts("sold is above the limit"):
        stage.decrease(market, 0, buy(path, asset, sold - 1))


def test_decrease__more_collateral_than_there_is__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    path, collateral = stage.path(market, to_asset=True), market.slot(ID).collateral
    sold = units(stage, market)[0]
    for withdrawal, amount in ((0, collateral + 1), (collateral - sold + 1, sold)):
        with changes_nothing(stage), reverts("not enough collateral"):
            stage.decrease(market, withdrawal, sell(path, amount))
    for withdrawal in (2**255 - 1, 2**255, MAX_UINT256):
        with changes_nothing(stage), reverts("amount exceeds its width"):
            stage.decrease(market, withdrawal, sell(path, sold))


def test_decrease__withdrawal_leaves_too_little__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    collateral = units(stage, market)[0]
    path = stage.path(market, to_asset=True)
    with changes_nothing(stage), reverts("LTV is above initial LTV"):
        stage.decrease(market, collateral, sell(path, collateral // 10))


def test_decrease__paused_or_deadline_passed_or_not_open__reason(
    stage: Stage, market: Market
) -> None:
    swap = sell(stage.path(market, to_asset=True), units(stage, market)[0])
    with changes_nothing(stage), reverts("position is not open"):
        stage.decrease(market, 0, swap)
    stage.open_standard(market)
    with changes_nothing(stage), reverts("deadline has passed"):
        stage.decrease(market, 0, swap, deadline=stage.engine.timestamp - 1)
    market.vault.pause_new_risk(stage.engine.timestamp + 60, sender=CURATOR)
    stage.decrease(market, 0, swap)


def test_decrease__native_without_weth__reverts(stage: Stage) -> None:
    market = add_market(stage, stage.dai, stage.usdc)
    stage.dai.mint(TRADER, 10**22)
    stage.dai.approve(market.vault, 10**22, sender=TRADER)
    market.vault.adjust(ID, 10**22, 0, TRADER, b"", sender=TRADER)
    swap = sell(stage.path(stage.long, to_asset=True), WETH)
    with changes_nothing(stage), reverts("neither token is WETH"):
        stage.decrease(market, 0, swap, native=True)


@pytest.mark.parametrize(
    ("permissions", "reason"),
    [
        (0, "caller lacks permission"),
        (INCREASE, "caller lacks permission"),
        (REDUCE, "operator loss bound exceeded"),
    ],
)
def test_decrease__router_may_not_withdraw__reverts(
    stage: Stage, market: Market, permissions: int, reason: str
) -> None:
    stage.open_standard(market)
    market.vault.set_operator(stage.router, permissions, 0, sender=TRADER)
    collateral = units(stage, market)[0]
    swap = sell(stage.path(market, to_asset=True), collateral)
    with changes_nothing(stage), reverts(reason):
        stage.decrease(market, collateral // 4, swap)


def test_decrease__router_may_reduce_at_a_bounded_loss__holds_it_to_that(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market)
    stage.move_pool(2_000)
    swap = sell(stage.path(market, to_asset=True), units(stage, market)[0])
    market.vault.set_operator(stage.router, REDUCE, 1, sender=TRADER)
    with changes_nothing(stage), reverts("operator loss bound exceeded"):
        stage.decrease(market, 0, swap)
    market.vault.set_operator(stage.router, REDUCE, 50, sender=TRADER)
    stage.decrease(market, 0, swap)


def test_decrease__grant_in_the_same_call__works_for_a_new_user(
    stage: Stage, market: Market
) -> None:
    collateral, asset = units(stage, market)
    opened = position_id(OTHER_TRADER)
    market.collateral.approve(market.vault, 2 * collateral, sender=OTHER_TRADER)
    market.vault.adjust(opened, 2 * collateral, asset, OTHER_TRADER, b"", sender=OTHER_TRADER)
    grant = stage.grant(market, REDUCE | WITHDRAW, signer=OTHER_TRADER)
    swap = buy(stage.path(market, to_asset=True), asset)
    stage.decrease(market, 0, swap, grant=grant, trader=OTHER_TRADER)
    assert market.slot(opened).scaled_debt == 0


def test_decrease__stranger__reaches_no_position_but_his_own(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    swap = sell(stage.path(market, to_asset=True), units(stage, market)[0])
    with changes_nothing(stage, STRANGER), reverts("position is not open"):
        stage.decrease(market, 0, swap, trader=STRANGER)
