"""Liquidations as a way to make money or trouble: by the owner, in crumbs, over the edge."""

from __future__ import annotations

from random import Random

import pytest

from ringfence.evm import Contract, Engine
from tests.support.market import (
    BOOKS,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    PRICE_SCALE,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    Slot,
    deploy_market,
    div_up,
    price_of,
    reverts,
)

CRUMBS = 40


def is_insolvent(market: Market, slot: Slot, price: int) -> bool:
    """L * beta >= 1, in exact integers."""
    debt = div_up(slot.scaled_debt * market.books().debt_index, WAD)
    value = slot.collateral * price // PRICE_SCALE
    if value == 0:
        return True
    ltv = div_up(debt * WAD, value)
    params = market.params
    beta = min(params.beta_max, WAD + params.base_bonus + ltv - params.liquidation_ltv)
    return ltv * beta >= WAD * WAD


@pytest.fixture
def thin(engine: Engine) -> Market:
    """Two decimals, an odd index, a position of a few ten thousand units: rounding at its worst."""
    market = deploy_market(engine, asset_decimals=2, min_debt=10_000)
    market.deposit(10**7)
    market.set_books(debt_index=1_234_567_890_123_456_789)
    market.give(market.asset, LIQUIDATOR, 10**12)
    market.give(market.asset, STRANGER, 10**12)
    return market


@pytest.mark.parametrize("distance", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("crumb", [2, 3, 7, 101])
def test_liquidate__in_crumbs_on_the_edge_of_solvency__never_falls_over_it(
    thin: Market, distance: int, crumb: int
) -> None:
    """Each crumb must leave the next one solvent, or lenders pay for what was not their loss."""
    position = thin.open(10**18)
    thin.set_slot(position, Slot(10**18, 30_001, 0))
    debt = thin.debt(position)
    thin.engine.advance(1)
    # The lowest price at which it is solvent, and a few units above.
    value = debt * thin.params.beta_max // WAD - 5
    while is_insolvent(thin, thin.slot(position), value * 10**18):
        value += 1
    price = (value + distance) * 10**18
    thin.set_price(price)
    supply_index = thin.books().supply_index
    crumbs = 0
    for _ in range(CRUMBS):
        before = thin.slot(position)
        receipt = thin.vault.liquidate(
            position, crumb, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
        if not receipt.success:
            break
        crumbs += 1
        after = thin.slot(position)
        assert not is_insolvent(thin, after, price), "LIQ-4: crumbs made a position insolvent"
        assert after.scaled_debt * before.collateral < before.scaled_debt * after.collateral, (
            "LIQ-4: scaled debt over collateral did not fall"
        )
        assert thin.books().supply_index == supply_index, "LIQ-4: a loss was booked"
    assert crumbs == CRUMBS
    thin.check_books()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dollars", [1_800, 1_700, 1_600, 1_200])
def test_liquidate__split_at_random_with_repayments_between__earns_no_more_than_at_once(
    market: Market, vault: Contract, seed: int, dollars: int
) -> None:
    position = market.open(WETH, 1_600 * USDC)
    market.grow_debt(rate=1_234_567_891, seconds=1_234_567)
    market.give(market.asset, LIQUIDATOR, 10**12)
    price = price_of(dollars)
    market.set_price(price)

    def wealth() -> int:
        """In asset units * 1e36, at the price."""
        held = market.collateral.balanceOf(LIQUIDATOR) * price
        return market.asset.balanceOf(LIQUIDATOR) * PRICE_SCALE + held

    start, mark = wealth(), market.engine.snapshot()
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    once = wealth() - start
    market.engine.restore(mark)
    rng = Random(seed)
    for _ in range(12):
        amount = rng.choice((rng.randrange(1, 10**4), rng.randrange(1, 10**9), MAX_UINT256))
        if rng.random() < 0.2:
            vault.repay(position, rng.randrange(1, 10**6), sender=LIQUIDATOR)
        vault.liquidate(position, amount, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False)
    assert wealth() - start <= once, "RND-3: liquidating in parts pays more"


@pytest.mark.parametrize("dollars", [1_800, 1_600, 1_000])
def test_liquidate__by_the_owner_of_its_own__saves_nothing_a_stranger_would_not_get(
    market: Market, vault: Contract, dollars: int
) -> None:
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.give(market.asset, TRADER, 10**10)
    market.give(market.asset, LIQUIDATOR, 10**10)
    market.set_price(price_of(dollars))
    mark = market.engine.snapshot()
    others = vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    words, books = market.slot(position), market.books()
    market.engine.restore(mark)
    own = vault.liquidate(position, MAX_UINT256, 0, TRADER, b"", sender=TRADER)
    assert own.value == others.value
    assert (market.slot(position), market.books()) == (words, books)
    assert market.written(own) == {BOOKS, position}, "ISO-1: another word changed"


def test_liquidate__in_the_transaction_that_opened_it__is_refused_at_any_price(
    market: Market, vault: Contract
) -> None:
    """A price that falls within the block cannot be used by who saw it coming."""
    position = market.open(WETH, 1_600 * USDC)
    market.give(market.asset, LIQUIDATOR, 10**10)
    for dollars in (1_800, 1_000, 1):
        market.set_price(price_of(dollars))
        with reverts("risk rose in this block"):
            vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)


def test_liquidate__lender_leaves_before_and_comes_back_after__gains_no_shares(
    market: Market, vault: Contract
) -> None:
    """A loss that is pending can be fled, but coming back buys shares at their worth, not more."""
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.deposit(CASH_OF_STRANGER, STRANGER)
    market.give(market.asset, LIQUIDATOR, 10**10)
    market.set_price(price_of(1_000))
    leaving = market.shares_of(STRANGER)
    vault.redeem(leaving, STRANGER, STRANGER, sender=STRANGER)
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    vault.deposit(CASH_OF_STRANGER, STRANGER, sender=STRANGER)
    worth = vault.convertToAssets(market.shares_of(STRANGER))
    assert worth <= CASH_OF_STRANGER, "RND-1: coming back paid"
    assert market.books().surplus >= 0, "BOOK-3"
    assert vault.convertToAssets(market.shares_of(LENDER)) > 0


CASH_OF_STRANGER = 500_000 * USDC


def test_borrower__leaves_the_loss_and_buys_back_cheaply__pays_what_anyone_would(
    market: Market, vault: Contract
) -> None:
    """Insolvent, the owner liquidates himself: worth V for V / beta and the cut, like anybody."""
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.give(market.asset, TRADER, 10**10)
    market.set_price(price_of(1_000))
    seized, paid = vault.liquidate(position, MAX_UINT256, 0, TRADER, b"", sender=TRADER).value
    assert seized == WETH
    assert paid * market.params.beta_max >= 1_000 * USDC * WAD, "LIQ-6: sold below V / beta_max"
    assert market.slot(position) == Slot()
    vault.close(position, TRADER, b"", sender=TRADER)
    assert market.collateral.balanceOf(TRADER) == WETH


@pytest.mark.parametrize("times", [1, 3, 100], ids="index of {}".format)
@pytest.mark.parametrize("extra", [0, 1, 7, 31])
def test_liquidate__unhealthy_by_a_unit_with_the_target_close__is_never_too_small_to_be_done(
    engine: Engine, times: int, extra: int
) -> None:
    """A repair of less than a scaled unit would leave a position that nobody could liquidate."""
    gap = WAD // 200
    market = deploy_market(
        engine, asset_decimals=2, min_debt=10_000, target_ltv=86 * WAD // 100 - gap
    )
    market.deposit(10**7)
    market.give(market.asset, LIQUIDATOR, 10**9)
    position = market.open(WETH)
    index = times * WAD + WAD // 2 + 1
    market.set_books(debt_index=index)
    market.set_slot(position, Slot(WETH, div_up(10_000 * WAD, index) + extra, 0))
    debt = market.debt(position)
    value = (debt * WAD - 1) // market.params.liquidation_ltv
    market.set_price(value * 10**18 + 10**18 - 1)
    market.engine.advance(1)
    assert not market.vault.is_healthy(position)
    receipt = market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    assert receipt.success, f"LIVE-4: unhealthy, and {receipt.revert_reason}"
    market.check_books()
