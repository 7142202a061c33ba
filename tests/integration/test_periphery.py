"""A trader's and a liquidator's day through real Uniswap v3, the same on both engines."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Receipt
from tests.support.market import (
    BOOKS,
    DEPLOYER,
    INCREASE,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    OTHER_TRADER,
    RECEIVER,
    REDUCE,
    TRADER,
    USDC,
    WETH,
    WITHDRAW,
    Slot,
    position_id,
)
from tests.support.periphery import Stage, build_stage, buy, sell

LIQUIDATED, HEALTHY = 1, 2

pytestmark = pytest.mark.engines("in process", "anvil")


@pytest.fixture
def stage(engine: Engine) -> Stage:
    return build_stage(engine)


def holders(stage: Stage) -> list[object]:
    people = (DEPLOYER, LENDER, TRADER, OTHER_TRADER, LIQUIDATOR, RECEIVER)
    return [*people, stage.long.vault, stage.short.vault, *stage.pools, stage.factory]


def check_conserved(stage: Stage, *tokens: Contract) -> None:
    for token in tokens:
        held = sum(token.balanceOf(holder) for holder in holders(stage))
        assert held == token.totalSupply(), f"ISO-2: {token.title} is missing or too many"


def check_isolated(stage: Stage, receipt: Receipt, *touched: int) -> None:
    """The vault's words that changed are these positions' and the books."""
    stage.long.opened[:] = [position_id(TRADER, salt) for salt in range(1, 6)]
    written = stage.long.written(receipt, OTHER_TRADER)
    assert written <= {*touched, BOOKS}, "ISO-1: something else of the vault's changed"
    stage.long.opened.clear()


def test_day__both_directions__books_and_tokens_add_up(stage: Stage) -> None:
    long, short = stage.long, stage.short
    first, second = position_id(TRADER, 1), position_id(TRADER, 2)

    receipt = stage.open(long, WETH, sell(stage.path(long), 6_000 * USDC), value=WETH)
    check_isolated(stage, receipt, first)
    assert long.slot(first)[:2] == receipt.value
    receipt = stage.open(long, WETH, buy(stage.long_path(long), WETH), salt=2)
    check_isolated(stage, receipt, second)
    grant = stage.grant(short, INCREASE | REDUCE | WITHDRAW, signer=OTHER_TRADER)
    permit = stage.permit(stage.usdc, 2_000 * USDC, signer=OTHER_TRADER)
    stage.open(
        short,
        2_000 * USDC,
        sell(stage.path(short), 2 * WETH),
        trader=OTHER_TRADER,
        permit=permit,
        grant=grant,
    )
    receipt = stage.decrease(
        long, WETH // 10, sell(stage.path(long, to_asset=True), WETH // 2), salt=2, native=True
    )
    check_isolated(stage, receipt, second)
    assert receipt.value == (WETH // 10, 0)
    assert stage.holdings() == {}

    stage.set_price(1_700)
    stage.engine.advance(60)
    assert not long.vault.is_healthy(first)
    targets = [(position, MAX_UINT256, 0) for position in (second, first)]
    receipt = stage.liquidator.liquidate_batch(
        long.vault, targets, stage.path(long, to_asset=True), RECEIVER, 1, sender=LIQUIDATOR
    )
    outcomes, profit = receipt.value
    assert [outcome.status for outcome in outcomes] == [HEALTHY, LIQUIDATED]
    assert stage.usdc.balanceOf(RECEIVER) == profit > 0
    check_isolated(stage, receipt, first)
    names = [event.name for event in receipt.events(stage.liquidator)]
    assert names == ["LiquidationSkipped", "FlashLiquidated"]

    before = stage.wealth(OTHER_TRADER)
    paid = stage.close(short, exact_in=False, trader=OTHER_TRADER).value
    assert paid[0] > 2_000 * USDC
    assert stage.wealth(OTHER_TRADER) == (*before[:2], before[2] + paid[0])
    for salt, position in ((1, first), (2, second)):
        receipt = stage.close(long, exact_in=True, salt=salt, native=True)
        assert long.slot(position) == Slot()
        check_isolated(stage, receipt, position)
    for market in (long, short):
        books = market.books()
        assert books.total_scaled_debt == 0
        assert books.cash == market.asset.balanceOf(market.vault)
        assert books.surplus >= 0, "BOOK-3: claims exceed assets"
    assert stage.holdings() == {}
    check_conserved(stage, stage.weth, stage.usdc, stage.dai)
