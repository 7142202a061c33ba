"""fund_reserve: a gift that takes losses before lenders do."""

from __future__ import annotations

from ringfence.evm import Contract
from tests.support.market import (
    BOOKS,
    CURATOR,
    DAY,
    LENDER,
    MAX_UINT256,
    STRANGER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    reverts,
)

GIFT = 500 * USDC


def test_fund_reserve__by_anyone__raises_the_reserve_alone(market: Market, vault: Contract) -> None:
    market.give(market.asset, STRANGER, GIFT)
    before = market.books()
    receipt = vault.fund_reserve(GIFT, sender=STRANGER)
    assert market.books() == before._replace(cash=before.cash + GIFT)
    assert market.books().surplus == GIFT * WAD
    assert market.written(receipt) == {BOOKS}
    assert market.flows(receipt) == {
        ("asset", STRANGER.address): -GIFT,
        ("asset", vault.address): GIFT,
    }
    assert market.events(receipt) == [
        market.accrued(),
        ("ReserveFunded", {"caller": STRANGER.address, "amount": GIFT}),
    ]


def test_fund_reserve__lenders__get_none_of_it(market: Market, vault: Contract) -> None:
    market.give(market.asset, STRANGER, GIFT)
    before = vault.totalAssets(), vault.convertToAssets(WAD), vault.maxWithdraw(LENDER)
    vault.fund_reserve(GIFT, sender=STRANGER)
    after = vault.totalAssets(), vault.convertToAssets(WAD), vault.maxWithdraw(LENDER)
    assert after == before


def test_fund_reserve__interest_pending__accrues_first(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.give(market.asset, STRANGER, GIFT)
    market.rate_model.set_rate(10**9)
    market.engine.advance(DAY)
    now = vault.current_balance_sheet()
    vault.fund_reserve(GIFT, sender=STRANGER)
    books = market.books()
    assert (books.debt_index, books.supply_index) == (now.debt_index, now.supply_index)


def test_fund_reserve__zero_or_over_wide__reverts(market: Market, vault: Contract) -> None:
    market.give(market.asset, STRANGER, 2**105)
    with reverts("amount is zero"):
        vault.fund_reserve(0, sender=STRANGER)
    for amount in (2**113, MAX_UINT256):
        with reverts("amount exceeds its width"):
            vault.fund_reserve(amount, sender=STRANGER)
    room = 2**104 - market.books().cash
    with reverts("vault is full"):
        vault.fund_reserve(room + 1, sender=STRANGER)
    vault.fund_reserve(room, sender=STRANGER)
    assert market.books().cash == 2**104


def test_fund_reserve__balance_too_small__reverts(market: Market, vault: Contract) -> None:
    market.asset.mint(STRANGER, 4)
    with reverts("balance too low"):
        vault.fund_reserve(5, sender=STRANGER)
    vault.fund_reserve(4, sender=STRANGER)


def test_fund_reserve__paused_and_caps_at_zero__works(market: Market, vault: Contract) -> None:
    market.give(market.asset, STRANGER, GIFT)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_caps(0, 0, sender=CURATOR)
    vault.fund_reserve(GIFT, sender=STRANGER)
    assert market.books().surplus == GIFT * WAD
