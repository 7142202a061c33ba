"""The views of ERC-4626: conversions, previews and maxima."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine
from tests.support.market import (
    CASH,
    CURATOR,
    DAY,
    LENDER,
    MAX_CAP,
    MAX_UINT256,
    NOBODY,
    STRANGER,
    USDC,
    WAD,
    WETH,
    YEAR,
    Market,
    deploy_market,
    div_up,
    reverts,
)


@pytest.fixture
def lent_market(market: Market) -> Market:
    """A market whose indices have grown, with interest pending."""
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    market.rate_model.set_rate(10**9)
    market.engine.advance(10 * DAY + 1)
    return market


def test_metadata__as_deployed(market: Market, vault: Contract) -> None:
    assert vault.name() == "Ringfence WETH/USDC"
    assert vault.symbol() == "rfUSDC"
    assert vault.decimals() == market.asset.decimals() == 6
    assert vault.asset() == market.asset.address
    assert vault.totalSupply() == CASH


@pytest.mark.parametrize("amount", [0, 1, 2, 10**6, 123_456_789, 2**104 - 1])
def test_conversions__interest_pending__of_the_accrued_index(
    lent_market: Market, vault: Contract, amount: int
) -> None:
    index = vault.current_balance_sheet().supply_index
    assert index > lent_market.books().supply_index
    assert vault.totalAssets() == vault.totalSupply() * index // WAD
    assert vault.convertToShares(amount) == vault.previewDeposit(amount) == amount * WAD // index
    assert vault.convertToAssets(amount) == vault.previewRedeem(amount) == amount * index // WAD
    assert vault.previewMint(amount) == div_up(amount * index, WAD)
    assert vault.previewWithdraw(amount) == div_up(amount * WAD, index)


@pytest.mark.parametrize("amount", [2, 3, 1_001, 10**9 + 7])
def test_previews__interest_pending__exact(
    lent_market: Market, vault: Contract, amount: int
) -> None:
    engine = lent_market.engine
    lent_market.give(lent_market.asset, LENDER, 10 * amount)
    for name, arguments in (
        ("deposit", (LENDER,)),
        ("mint", (LENDER,)),
        ("withdraw", (LENDER, LENDER)),
        ("redeem", (LENDER, LENDER)),
    ):
        mark = engine.snapshot()
        preview = getattr(vault, f"preview{name.capitalize()}")(amount)
        done = getattr(vault, name)(amount, *arguments, sender=LENDER).value
        assert preview == done, f"RND-1: preview of {name} is not exact"
        engine.restore(mark)


def test_max_deposit__cap__usable_to_the_unit(lent_market: Market, vault: Contract) -> None:
    vault.set_caps(CASH + 50_000 * USDC, MAX_CAP, sender=CURATOR)
    largest = vault.maxDeposit(STRANGER)
    now = vault.current_balance_sheet()
    debt = div_up(now.total_scaled_debt * now.debt_index, WAD)
    assert largest == CASH + 50_000 * USDC - now.cash - debt > 0
    with reverts("supply cap is full"):
        lent_market.deposit(largest + 1, STRANGER)
    lent_market.deposit(largest, STRANGER)
    assert vault.maxDeposit(STRANGER) == 0


def test_max_mint__cap__usable(lent_market: Market, vault: Contract) -> None:
    vault.set_caps(CASH + 50_000 * USDC, MAX_CAP, sender=CURATOR)
    largest = vault.maxMint(STRANGER)
    lent_market.give(lent_market.asset, STRANGER, 10**12)
    with reverts("supply cap is full"):
        vault.mint(largest + 1, STRANGER, sender=STRANGER)
    vault.mint(largest, STRANGER, sender=STRANGER)
    assert vault.maxMint(STRANGER) == 0


def test_max_deposit__shares_near_their_width__usable(engine: Engine) -> None:
    market = deploy_market(engine)
    market.deposit(10**9)
    # After losses that cut the index to its least: many more shares than assets.
    market.set_books(total_shares=2**104 - 1 - 10**6, supply_index=10**12, cash=2**85)
    market.asset.mint(market.vault, 2**85)
    largest = market.vault.maxDeposit(LENDER)
    assert largest == 1
    assert market.deposit(largest) == 10**6
    assert market.vault.maxDeposit(LENDER) == 0 == market.vault.maxMint(LENDER)
    with reverts("books exceed their width"):
        market.deposit(1)


def test_max_deposit__paused_or_cap_passed_by_interest__zero(
    market: Market, vault: Contract
) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    vault.set_caps(CASH, MAX_CAP, sender=CURATOR)
    market.grow_debt()
    assert vault.maxDeposit(LENDER) == vault.maxMint(LENDER) == 0
    vault.set_caps(MAX_CAP, MAX_CAP, sender=CURATOR)
    assert vault.maxDeposit(LENDER) > 0
    vault.pause_new_risk(market.engine.timestamp + 1, sender=CURATOR)
    assert vault.maxDeposit(LENDER) == vault.maxMint(LENDER) == 0


def test_max_withdraw__cash_short__usable_to_the_unit(market: Market, vault: Contract) -> None:
    market.open(1_000 * WETH, CASH - 1_000 * USDC)
    market.grow_debt()
    largest = vault.maxWithdraw(LENDER)
    assert largest == 1_000 * USDC
    with reverts("not enough cash"):
        vault.withdraw(largest + 1, LENDER, LENDER, sender=LENDER)
    vault.withdraw(largest, LENDER, LENDER, sender=LENDER)


def test_max_redeem__cash_short__usable(market: Market, vault: Contract) -> None:
    market.open(1_000 * WETH, CASH - 1_000 * USDC)
    market.grow_debt()
    largest = vault.maxRedeem(LENDER)
    assert vault.previewRedeem(largest) <= 1_000 * USDC
    with reverts("not enough cash"):
        vault.redeem(largest + 2, LENDER, LENDER, sender=LENDER)
    vault.redeem(largest, LENDER, LENDER, sender=LENDER)
    assert market.books().cash <= 1


def test_max_withdraw__cash_enough__all_of_it(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    market.deposit(CASH, STRANGER)
    shares = market.shares_of(STRANGER)
    assert vault.maxRedeem(STRANGER) == shares
    largest = vault.maxWithdraw(STRANGER)
    assert largest == shares * market.books().supply_index // WAD
    with reverts("not enough shares"):
        vault.withdraw(largest + 2, STRANGER, STRANGER, sender=STRANGER)
    vault.withdraw(largest, STRANGER, STRANGER, sender=STRANGER)


def test_max__nobody__zero(vault: Contract) -> None:
    assert vault.maxWithdraw(NOBODY) == vault.maxRedeem(NOBODY) == 0


def test_views__amounts_over_wide__only_conversions_revert(vault: Contract) -> None:
    for view in (vault.maxDeposit, vault.maxMint, vault.maxWithdraw, vault.maxRedeem):
        assert view(LENDER) >= 0, "RND-1: a maximum reverts"
    assert vault.convertToAssets(MAX_UINT256 // WAD) == MAX_UINT256 // WAD
    with reverts(""):
        vault.convertToAssets(MAX_UINT256)


def test_donation__to_the_vault__changes_no_view(lent_market: Market, vault: Contract) -> None:
    position = lent_market.opened[0]

    def views() -> list[object]:
        return [
            vault.totalAssets(),
            vault.totalSupply(),
            vault.convertToAssets(WAD),
            vault.convertToShares(WAD),
            vault.maxDeposit(LENDER),
            vault.maxWithdraw(LENDER),
            vault.current_balance_sheet(),
            vault.position(position),
            vault.ltv(position),
            vault.liquidation_price(position),
            vault.max_borrow(position),
            vault.max_withdraw_collateral(position),
        ]

    before = views()
    lent_market.asset.mint(vault, 10**12)
    lent_market.collateral.mint(vault, 10**21)
    assert views() == before, "BOOK-5: a donation changes a view"


def test_views__a_century_later__answer(lent_market: Market, vault: Contract) -> None:
    lent_market.engine.advance(100 * YEAR)
    assert vault.totalAssets() > CASH
    assert vault.maxWithdraw(LENDER) == lent_market.books().cash
