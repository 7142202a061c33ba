"""redeem: shares burnt, assets out."""

from __future__ import annotations

from ringfence.evm import Contract
from tests.support.market import (
    BOOKS,
    CASH,
    CURATOR,
    LENDER,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    reverts,
)

SHARES = 4_000 * USDC


def test_redeem__to_receiver__burns_shares_and_pays(market: Market, vault: Contract) -> None:
    before = market.books()
    receipt = vault.redeem(SHARES, RECEIVER, LENDER, sender=LENDER)
    assert receipt.value == SHARES
    assert market.books() == before._replace(
        total_shares=before.total_shares - SHARES, cash=before.cash - SHARES
    )
    assert market.flows(receipt) == {
        ("asset", vault.address): -SHARES,
        ("asset", RECEIVER): SHARES,
    }
    assert market.written(receipt) == {BOOKS, LENDER.address}
    assert [name for name, _fields in market.events(receipt)] == ["Accrued", "Withdraw", "Transfer"]


def test_redeem__after_interest__assets_round_down(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    expected = SHARES * market.books().supply_index // WAD
    assert vault.previewRedeem(SHARES) == expected == vault.convertToAssets(SHARES) > SHARES
    assert vault.redeem(SHARES, LENDER, LENDER, sender=LENDER).value == expected


def test_redeem__by_spender__takes_allowance(market: Market, vault: Contract) -> None:
    vault.approve(STRANGER, SHARES, sender=LENDER)
    with reverts("not enough allowance"):
        vault.redeem(SHARES + 1, STRANGER, LENDER, sender=STRANGER)
    vault.redeem(SHARES, STRANGER, LENDER, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == 0
    assert market.asset.balanceOf(STRANGER) == SHARES
    with reverts("not enough allowance"):
        vault.redeem(1, STRANGER, LENDER, sender=STRANGER)


def test_redeem__more_than_owned__reverts(market: Market, vault: Contract) -> None:
    with reverts("not enough shares"):
        vault.redeem(CASH + 1, LENDER, LENDER, sender=LENDER)
    assert vault.redeem(CASH, LENDER, LENDER, sender=LENDER).value == CASH
    assert market.books().total_shares == 0 == market.books().cash


def test_redeem__more_than_cash__reverts(market: Market, vault: Contract) -> None:
    market.open(1_000 * WETH, CASH - 10)
    assert vault.maxRedeem(LENDER) == 10
    with reverts("not enough cash"):
        vault.redeem(11, LENDER, LENDER, sender=LENDER)
    assert vault.redeem(10, LENDER, LENDER, sender=LENDER).value == 10


def test_redeem__zero_over_wide_or_to_nobody__reverts(vault: Contract) -> None:
    with reverts("amount is zero"):
        vault.redeem(0, LENDER, LENDER, sender=LENDER)
    for shares in (2**113, MAX_UINT256):
        with reverts("amount exceeds its width"):
            vault.redeem(shares, LENDER, LENDER, sender=LENDER)
    with reverts("receiver is zero"):
        vault.redeem(1, NOBODY, LENDER, sender=LENDER)


def test_redeem__paused__goes_on(market: Market, vault: Contract) -> None:
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    assert vault.redeem(CASH, LENDER, LENDER, sender=LENDER).value == CASH, (
        "LIVE-3: a pause stops lenders"
    )


def test_redeem__shares_worthless__burns_them_for_nothing(market: Market, vault: Contract) -> None:
    market.set_books(supply_index=0)
    assert vault.maxRedeem(LENDER) == vault.maxMint(LENDER) == 0
    assert vault.maxWithdraw(LENDER) == vault.previewRedeem(CASH) == vault.totalAssets() == 0
    assert vault.previewDeposit(USDC) == vault.convertToShares(USDC) == 0
    assert vault.previewMint(USDC) == 0
    assert vault.previewWithdraw(0) >= 0
    assert vault.redeem(CASH, LENDER, LENDER, sender=LENDER).value == 0
    assert market.books().total_shares == 0


def test_redeem__round_trips__never_profit(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    for assets in (2, 3, 1_001, 999_999_999_937):
        market.give(market.asset, STRANGER, assets + 1)
        shares = vault.deposit(assets, STRANGER, sender=STRANGER).value
        back = vault.redeem(shares, STRANGER, STRANGER, sender=STRANGER).value
        assert back <= assets, "RND-1: deposit and redeem profit"
        paid = vault.mint(shares, STRANGER, sender=STRANGER).value
        burnt = vault.withdraw(paid - 1, STRANGER, STRANGER, sender=STRANGER).value
        assert burnt <= shares, "RND-1: shares are missing after a round trip"
        left = market.shares_of(STRANGER)
        assert left * market.books().supply_index < 2 * WAD, "RND-1: a round trip leaves a unit"
        if left:
            vault.redeem(left, STRANGER, STRANGER, sender=STRANGER)
