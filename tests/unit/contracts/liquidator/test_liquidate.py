"""`liquidate`: what is seized is sold and pays for itself, profit to the receiver."""

from fractions import Fraction

import pytest

from ringfence.evm import Receipt, load
from ringfence.evm.uniswap import encode_path
from tests.support.market import (
    BOOKS,
    LIQUIDATOR,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    position_id,
    reverts,
)
from tests.support.periphery import Stage, Swap, fund, sell

LIQUIDATED = 1
ID = position_id(TRADER)


def crash(stage: Stage, market: Market, *, deep: bool = False) -> None:
    """Make a position of four times leverage unhealthy, or insolvent."""
    prices = (1_700, 1_450) if market is stage.long else (2_350, 2_750)
    stage.set_price(prices[deep])
    stage.engine.advance(1)


def liquidate(
    stage: Stage,
    market: Market,
    *,
    position: int = ID,
    max_repay: int = MAX_UINT256,
    min_profit: int = 0,
    path: bytes | None = None,
    receiver: str = RECEIVER,
) -> Receipt:
    receipt: Receipt = stage.liquidator.liquidate(
        market.vault,
        (position, max_repay, min_profit),
        stage.path(market, to_asset=True) if path is None else path,
        receiver,
        sender=LIQUIDATOR,
    )
    return receipt


@pytest.mark.parametrize("deep", [False, True])
def test_liquidate__unhealthy_or_insolvent__profit_is_the_sale_less_the_price(
    stage: Stage, market: Market, deep: bool
) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market, deep=deep)
    preview = market.vault.preview_liquidation(ID, MAX_UINT256)
    paid = preview.repaid + preview.cut
    sale = stage.uniswap.quote_sale(stage.path(market, to_asset=True), preview.seized)
    before, books = market.slot(ID), market.books()
    own = stage.wealth(LIQUIDATOR)
    receipt = liquidate(stage, market)
    assert tuple(receipt.value) == (LIQUIDATED, preview.seized, paid, sale - paid)
    assert market.asset.balanceOf(RECEIVER) == sale - paid > 0
    assert stage.wealth(LIQUIDATOR) == own, "ISO-2: the liquidator's wallet changed"
    assert market.slot(ID).collateral == before.collateral - preview.seized
    assert market.slot(ID).scaled_debt == before.scaled_debt - preview.scaled_retired
    assert (preview.loss > 0) is deep
    assert market.books().cash == books.cash + paid
    (event,) = receipt.events(stage.liquidator)
    assert event.name == "FlashLiquidated"
    assert dict(event.args) == {
        "vault": market.vault.address,
        "position_id": ID,
        "caller": LIQUIDATOR.address,
        "seized": preview.seized,
        "paid": paid,
        "profit": sale - paid,
    }


def test_liquidate__one_of_many__writes_one_slot_and_the_books(
    stage: Stage, market: Market
) -> None:
    ids = [stage.open_standard(market, salt=salt, leverage=4) for salt in (1, 2, 3)]
    crash(stage, market)
    market.opened.extend(ids)
    receipt = liquidate(stage, market, position=ids[1])
    written = market.written(receipt)
    market.opened.clear()
    assert written == {ids[1], BOOKS}, "ISO-1: a liquidation wrote something else"


def test_liquidate__two_pools__sells_along_the_route(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    path = stage.long_path(market, to_asset=True)
    preview = market.vault.preview_liquidation(ID, MAX_UINT256)
    profit = stage.uniswap.quote_sale(path, preview.seized) - preview.repaid - preview.cut
    receipt = liquidate(stage, market, path=path)
    assert receipt.value.profit == profit


def test_liquidate__tokens_that_return_nothing__works(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    silent = stage.engine.deploy(load("NoReturnToken"), "USD Coin", "USDC", 6)
    stage.engine.set_code(stage.usdc, stage.engine.code_at(silent))
    before = market.slot(ID)
    preview = market.vault.preview_liquidation(ID, MAX_UINT256)
    sale = stage.uniswap.quote_sale(stage.path(market, to_asset=True), preview.seized)
    receipt = liquidate(stage, market)
    assert receipt.value.profit == sale - preview.repaid - preview.cut
    assert market.slot(ID).scaled_debt == before.scaled_debt - preview.scaled_retired


def test_liquidate__bounded_repayment__takes_no_more(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    most = market.params.min_debt
    preview = market.vault.preview_liquidation(ID, most)
    receipt = liquidate(stage, market, max_repay=most)
    assert receipt.value.paid == preview.repaid + preview.cut
    assert preview.repaid <= most
    assert receipt.value.seized == preview.seized


def test_liquidate__minimum_profit__holds_to_the_unit(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    mark = stage.engine.snapshot()
    profit = liquidate(stage, market).value.profit
    stage.engine.restore(mark)
    before = market.slot(ID)
    with reverts("profit is below minimum"):
        liquidate(stage, market, min_profit=profit + 1)
    assert market.slot(ID) == before
    assert market.asset.balanceOf(RECEIVER) == 0
    liquidate(stage, market, min_profit=profit)
    assert market.asset.balanceOf(RECEIVER) == profit


def make_it_cost(stage: Stage, market: Market) -> int:
    """An insolvent position, a pool that pays 15 % less than the oracle; returns the loss."""
    stage.open_standard(market, leverage=4)
    crash(stage, market, deep=True)
    stage.move_pool(1_450 * 85 // 100 if market is stage.long else 2_750 * 115 // 100)
    preview = market.vault.preview_liquidation(ID, MAX_UINT256)
    sale = stage.uniswap.quote_sale(stage.path(market, to_asset=True), preview.seized)
    loss: int = preview.repaid + preview.cut - sale
    assert loss > 0
    fund(stage.engine, stage.weth, LIQUIDATOR, 10 * WETH)
    stage.usdc.mint(LIQUIDATOR, 20_000 * USDC)
    return loss


@pytest.mark.parametrize("spare", [0, 1_000])
def test_liquidate__insolvent_at_a_loss__caller_pays_the_loss_alone(
    stage: Stage, market: Market, spare: int
) -> None:
    loss = make_it_cost(stage, market)
    market.asset.approve(stage.liquidator, loss + spare, sender=LIQUIDATOR)
    held = market.asset.balanceOf(LIQUIDATOR)
    receipt = liquidate(stage, market, min_profit=-loss - spare)
    assert receipt.value.profit == -loss
    assert market.asset.balanceOf(LIQUIDATOR) == held - loss
    assert market.asset.balanceOf(RECEIVER) == 0
    assert market.slot(ID).word == 0


def test_liquidate__loss_beyond_what_the_caller_pays__reverts(stage: Stage, market: Market) -> None:
    loss = make_it_cost(stage, market)
    market.asset.approve(stage.liquidator, MAX_UINT256, sender=LIQUIDATOR)
    before = market.slot(ID), stage.wealth(LIQUIDATOR)
    for minimum in (1, 0, 1 - loss):
        with reverts("profit is below minimum"):
            liquidate(stage, market, min_profit=minimum)
    assert (market.slot(ID), stage.wealth(LIQUIDATOR)) == before


def test_liquidate__profit_after_paying_a_budget__budget_comes_back(
    stage: Stage, market: Market
) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    fund(stage.engine, stage.weth, LIQUIDATOR, WETH)
    stage.usdc.mint(LIQUIDATOR, USDC)
    market.asset.approve(stage.liquidator, MAX_UINT256, sender=LIQUIDATOR)
    held = market.asset.balanceOf(LIQUIDATOR)
    profit = liquidate(stage, market, min_profit=-USDC).value.profit
    assert market.asset.balanceOf(LIQUIDATOR) == held
    assert market.asset.balanceOf(RECEIVER) == profit


def test_liquidate__budget_not_approved__reverts(stage: Stage) -> None:
    stage.open_standard(stage.long, leverage=4)
    crash(stage, stage.long)
    with reverts("allowance too low"):
        liquidate(stage, stage.long, min_profit=-1)
    with reverts("min_profit exceeds its width"):
        liquidate(stage, stage.long, min_profit=-(2**255))


@pytest.mark.parametrize("position", [ID, position_id(STRANGER, 5)])
def test_liquidate__healthy_or_unknown__reverts(
    stage: Stage, market: Market, position: int
) -> None:
    stage.open_standard(market, leverage=4)
    stage.engine.advance(1)
    with reverts("position is healthy"):
        liquidate(stage, market, position=position)


def test_liquidate__risk_rose_in_this_block__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    stage.set_price(1_700 if market is stage.long else 2_350)
    with reverts("risk rose in this block"):
        liquidate(stage, market)
    stage.engine.advance(1)
    liquidate(stage, market)


def test_liquidate__no_price__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    market.set_quote(0, 0)
    with reverts("price is unusable"):
        liquidate(stage, market)


def test_liquidate__thin_pool__reverts(stage: Stage) -> None:
    market = stage.long
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    pool = stage.uniswap.create_pool(
        stage.weth, stage.usdc, fee=3_000, amounts=(WETH, 1_700 * USDC)
    )
    fund(stage.engine, stage.weth, STRANGER, WETH)
    stage.usdc.mint(STRANGER, 1_700 * USDC)
    amounts = {stage.weth.address: WETH // 10, stage.usdc.address: 170 * USDC}
    thin = pool.path(stage.weth)
    stage.uniswap.fund_pool(pool, amounts, STRANGER, width=Fraction(101, 100))
    with reverts("pool is too thin"):
        liquidate(stage, market, path=thin)
    stage.uniswap.fund_pool(pool, amounts, STRANGER)
    with reverts("profit is below minimum"):
        liquidate(stage, market, path=thin)
    liquidate(stage, market)


def test_liquidate__bad_arguments__reasons(stage: Stage, market: Market) -> None:
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    with reverts("receiver is zero"):
        liquidate(stage, market, receiver=NOBODY)
    with reverts("path is malformed"):
        liquidate(stage, market, path=b"")
    with reverts("path does not fit the tokens"):
        liquidate(stage, market, path=stage.path(market))
    with reverts("pool does not exist"):
        wrong = encode_path((market.collateral, market.asset), (10_000,))
        liquidate(stage, market, path=wrong)
    with reverts("amount is zero"):
        liquidate(stage, market, max_repay=0)
    with reverts("vault is unknown"):
        stage.liquidator.liquidate(STRANGER, (ID, 1, 0), b"", RECEIVER, sender=LIQUIDATOR)


def test_callbacks__strangers_vault_or_pool_outside_a_call__revert(
    stage: Stage, market: Market
) -> None:
    for caller in (STRANGER, LIQUIDATOR, market.vault, stage.pool):
        with reverts("caller is not the vault"):
            stage.liquidator.on_liquidate(ID, 1, 1, b"\x01", sender=caller)
        with reverts("caller is not the pool"):
            stage.liquidator.uniswapV3SwapCallback(-1, 1, b"", sender=caller)
        with reverts("caller is not this contract"):
            stage.liquidator.attempt(market.vault, (ID, 1, 0), sender=caller)


def test_init__registry__is_public(stage: Stage) -> None:
    assert stage.liquidator.registry() == stage.factory.address


def test_liquidate__swap_by_the_trader_first__still_pays_the_vault_in_full(
    stage: Stage, market: Market
) -> None:
    """A sandwiched liquidator earns less; the vault gets the same."""
    stage.open_standard(market, leverage=4)
    crash(stage, market)
    preview = market.vault.preview_liquidation(ID, MAX_UINT256)
    amount = 50 * WETH if market is stage.long else 80_000 * USDC
    market.collateral.approve(stage.uniswap.router, amount, sender=TRADER)
    path = stage.path(market, to_asset=True)
    swap: Swap = sell(path, amount)
    stage.uniswap.sell(TRADER, swap.path, swap.amount)
    cash = market.books().cash
    liquidate(stage, market)
    assert market.books().cash == cash + preview.repaid + preview.cut
