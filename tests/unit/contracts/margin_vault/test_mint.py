"""mint: shares wanted, assets paid."""

from __future__ import annotations

from ringfence.evm import Contract
from tests.support.market import (
    BOOKS,
    CASH,
    CURATOR,
    DAY,
    LENDER,
    MAX_CAP,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    USDC,
    WAD,
    WETH,
    Market,
    div_up,
    reverts,
)

SHARES = 3_000 * USDC


def test_mint__to_receiver__caller_pays_and_receiver_gets_shares(
    market: Market, vault: Contract
) -> None:
    before = market.books()
    market.give(market.asset, STRANGER, SHARES)
    receipt = vault.mint(SHARES, RECEIVER, sender=STRANGER)
    assert receipt.value == SHARES
    assert market.books() == before._replace(
        total_shares=before.total_shares + SHARES, cash=before.cash + SHARES
    )
    assert market.shares_of(RECEIVER) == SHARES
    assert market.flows(receipt) == {
        ("asset", STRANGER.address): -SHARES,
        ("asset", vault.address): SHARES,
    }
    assert market.written(receipt) == {BOOKS, RECEIVER}
    assert [name for name, _fields in market.events(receipt)] == ["Accrued", "Deposit", "Transfer"]


def test_mint__after_interest__assets_round_up(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    expected = div_up(SHARES * market.books().supply_index, WAD)
    assert vault.previewMint(SHARES) == expected
    market.give(market.asset, LENDER, expected)
    assert vault.mint(SHARES, LENDER, sender=LENDER).value == expected
    market.give(market.asset, LENDER, 2)
    assert vault.mint(1, LENDER, sender=LENDER).value == 2


def test_mint__zero_or_over_wide__reverts(vault: Contract) -> None:
    with reverts("amount is zero"):
        vault.mint(0, LENDER, sender=LENDER)
    for shares in (2**113, MAX_UINT256):
        with reverts("amount exceeds its width"):
            vault.mint(shares, LENDER, sender=LENDER)


def test_mint__receiver_is_zero__reverts(vault: Contract) -> None:
    with reverts("receiver is zero"):
        vault.mint(1, NOBODY, sender=LENDER)


def test_mint__supply_cap__exact(market: Market, vault: Contract) -> None:
    vault.set_caps(CASH + 10, MAX_CAP, sender=CURATOR)
    market.give(market.asset, LENDER, 11)
    assert vault.maxMint(LENDER) == 10
    with reverts("supply cap is full"):
        vault.mint(11, LENDER, sender=LENDER)
    assert vault.mint(10, LENDER, sender=LENDER).value == 10


def test_mint__paused__reverts(market: Market, vault: Contract) -> None:
    vault.pause_new_risk(market.engine.timestamp + DAY, sender=CURATOR)
    market.give(market.asset, LENDER, 1)
    with reverts("new risk is paused"):
        vault.mint(1, LENDER, sender=LENDER)
    market.engine.advance(DAY)
    assert vault.mint(1, LENDER, sender=LENDER).value == 1
