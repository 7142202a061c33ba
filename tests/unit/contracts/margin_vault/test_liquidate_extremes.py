"""liquidate and the health views at the widest operands and at real pairs' prices."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    LIQUIDATOR,
    MAX_INDEX,
    MAX_UINT256,
    PRICE_SCALE,
    RECEIVER,
    WAD,
    Market,
    Slot,
    deploy_market,
    div_up,
    expect_liquidation,
    reverts,
)

WIDEST_COLLATERAL = 2**112 - 1
WIDEST_DEBT = 2**104 - 1
# Repayments must fit cash, 112 bits: index and scaled debt cannot both be at their width.
SLOTS = {
    "all wide": (WIDEST_COLLATERAL, WIDEST_DEBT, 200 * WAD),
    "index at its width": (WIDEST_COLLATERAL, WIDEST_DEBT >> 9, MAX_INDEX),
    "one unit of collateral": (1, WIDEST_DEBT, 200 * WAD),
    "few units of collateral": (1_000, WIDEST_DEBT >> 9, MAX_INDEX),
    "no interest yet": (WIDEST_COLLATERAL, WIDEST_DEBT, WAD),
    "USDC/WETH": (10_000 * 10**6, 4 * 10**18, 105 * WAD // 100),
    "USDC/DAI": (10**12, 9 * 10**23, 105 * WAD // 100),
    "WBTC/SHIB": (3 * 10**8, 3 * 10**28, 105 * WAD // 100),
    "SHIB/WBTC": (10**28, 7 * 10**7, 105 * WAD // 100),
}
"""Collateral, scaled debt and debt index."""


def price_at(slot: Slot, debt_index: int, ltv: int) -> int:
    """The smallest price at which debt / value is at most `ltv` in percent."""
    debt = div_up(slot.scaled_debt * debt_index, WAD)
    return div_up(div_up(debt * 100, ltv) * PRICE_SCALE, slot.collateral)


@pytest.fixture(params=SLOTS)
def wide(request: pytest.FixtureRequest, market: Market) -> tuple[Market, int, Slot, int]:
    """A market whose books and one position are written at their width."""
    vault = deploy_market(market.engine, min_debt=10_000)
    collateral, scaled_debt, debt_index = SLOTS[request.param]
    vault.collateral.mint(vault.vault, collateral)
    vault.set_books(debt_index=debt_index)
    position = vault.open(1)
    slot = Slot(collateral, scaled_debt, 0)
    vault.set_slot(position, slot)
    vault.give(vault.asset, LIQUIDATOR, 2**120)
    vault.engine.advance(1)
    return vault, position, slot, debt_index


@pytest.mark.parametrize("ltv", [87, 90, 92, 93, 100, 150, 250, 10**9])
def test_liquidate__widest_operands__as_in_unbounded_integers(
    wide: tuple[Market, int, Slot, int], ltv: int
) -> None:
    market, position, slot, index = wide
    vault = market.vault
    price = price_at(slot, index, ltv)
    debt = div_up(slot.scaled_debt * index, WAD)
    market.set_price(price)
    for max_repay in (MAX_UINT256, debt // 3):
        mark = market.engine.snapshot()
        expected = expect_liquidation(slot, index, price, max_repay, market.params)
        left = Slot(
            slot.collateral - expected.seized, slot.scaled_debt - expected.scaled_retired, 0
        )
        if expected.seized:
            assert tuple(vault.preview_liquidation(position, max_repay)) == expected
            receipt = vault.liquidate(position, max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR)
            assert receipt.value == (expected.seized, expected.paid)
            assert market.slot(position) == (left if left.collateral else Slot())
            if expected.loss == 0:
                assert left.scaled_debt * slot.collateral < slot.scaled_debt * left.collateral, (
                    "LIQ-4: scaled debt over collateral does not fall"
                )
            market.check_books()
        market.engine.restore(mark)


def test_views__widest_operands__as_in_unbounded_integers(
    wide: tuple[Market, int, Slot, int],
) -> None:
    market, position, slot, index = wide
    vault = market.vault
    debt = div_up(slot.scaled_debt * index, WAD)
    lltv = market.params.liquidation_ltv
    trigger = div_up(div_up(debt * WAD, lltv) * PRICE_SCALE, slot.collateral)
    assert vault.position(position).debt == debt
    assert vault.liquidation_price(position) == trigger
    market.set_price(trigger)
    value = slot.collateral * trigger // PRICE_SCALE
    assert vault.ltv(position) == div_up(debt * WAD, value) <= lltv
    with reverts("position is healthy"):
        vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    market.set_price(trigger - 1)
    assert not vault.is_healthy(position)
    vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    market.check_books()


@pytest.mark.parametrize("price", [2**255, MAX_UINT256, MAX_UINT256 // WIDEST_COLLATERAL + 1])
def test_views__value_beyond_256_bits__is_healthy(
    market: Market, vault: Contract, price: int
) -> None:
    position = market.open(1)
    market.set_slot(position, Slot(WIDEST_COLLATERAL, WIDEST_DEBT, 0))
    market.collateral.mint(vault, WIDEST_COLLATERAL)
    market.engine.advance(1)
    market.set_price(price)
    assert vault.is_healthy(position)
    assert vault.ltv(position) == div_up(WIDEST_DEBT * WAD, MAX_UINT256 // PRICE_SCALE)
    assert vault.max_withdraw_collateral(position) > 0
    with reverts("position is healthy"):
        vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
