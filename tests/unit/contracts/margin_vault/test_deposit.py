"""deposit: assets in, shares out."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine
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
    deploy_market,
    reverts,
)

ASSETS = 5_000 * USDC


def test_deposit__first__shares_equal_assets(engine: Engine) -> None:
    market = deploy_market(engine)
    assert market.deposit(ASSETS) == ASSETS
    books = market.books()
    assert books.words == (ASSETS << 152 | ASSETS << 40 | engine.timestamp, WAD << 76 | WAD)
    assert market.vault.totalAssets() == ASSETS


def test_deposit__to_receiver__caller_pays_and_receiver_gets_shares(
    market: Market, vault: Contract
) -> None:
    before = market.books()
    market.give(market.asset, STRANGER, ASSETS)
    receipt = vault.deposit(ASSETS, RECEIVER, sender=STRANGER)
    assert receipt.value == ASSETS
    assert market.shares_of(RECEIVER) == ASSETS == vault.balanceOf(RECEIVER)
    assert market.books() == before._replace(
        total_shares=before.total_shares + ASSETS, cash=before.cash + ASSETS
    )
    assert market.flows(receipt) == {
        ("asset", STRANGER.address): -ASSETS,
        ("asset", vault.address): ASSETS,
    }
    assert market.written(receipt) == {BOOKS, RECEIVER}
    assert market.events(receipt) == [
        market.accrued(),
        (
            "Deposit",
            {
                "sender": STRANGER.address,
                "owner": RECEIVER,
                "assets": ASSETS,
                "shares": ASSETS,
            },
        ),
        ("Transfer", {"sender": NOBODY, "receiver": RECEIVER, "value": ASSETS}),
    ]


def test_deposit__after_interest__shares_round_down(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    books = market.books()
    assert books.supply_index > WAD
    expected = ASSETS * WAD // books.supply_index
    assert vault.previewDeposit(ASSETS) == expected == vault.convertToShares(ASSETS)
    assert market.deposit(ASSETS) == expected
    assert market.books().supply_index == books.supply_index


def test_deposit__interest_pending__accrues_first(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.rate_model.set_rate(10**9)
    market.engine.advance(30 * DAY)
    expected = vault.previewDeposit(ASSETS)
    now = vault.current_balance_sheet()
    assert market.deposit(ASSETS) == expected < ASSETS
    books = market.books()
    assert (books.debt_index, books.supply_index) == (now.debt_index, now.supply_index)
    assert books.last_accrual == market.engine.timestamp


def test_deposit__zero_assets__reverts(market: Market, vault: Contract) -> None:
    with reverts("amount is zero"):
        vault.deposit(0, LENDER, sender=LENDER)
    assert market.deposit(1) == 1


def test_deposit__too_little_for_a_share__reverts(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    market.grow_debt()
    market.give(market.asset, STRANGER, 2)
    assert vault.previewDeposit(1) == 0
    with reverts("amount is zero"):
        vault.deposit(1, STRANGER, sender=STRANGER)
    assert vault.deposit(2, STRANGER, sender=STRANGER).value == 1


def test_deposit__receiver_is_zero__reverts(market: Market, vault: Contract) -> None:
    market.give(market.asset, STRANGER, 1)
    with reverts("receiver is zero"):
        vault.deposit(1, NOBODY, sender=STRANGER)


@pytest.mark.parametrize("assets", [2**113, MAX_UINT256])
def test_deposit__over_wide__reverts(vault: Contract, assets: int) -> None:
    with reverts("amount exceeds its width"):
        vault.deposit(assets, LENDER, sender=LENDER)
    with reverts("supply cap is full"):
        vault.deposit(2**113 - 1, LENDER, sender=LENDER)


def test_deposit__widest__fills_the_vault(engine: Engine) -> None:
    market = deploy_market(engine)
    with reverts("supply cap is full"):
        market.deposit(2**104)
    assert market.deposit(MAX_CAP) == MAX_CAP
    assert market.books().cash == MAX_CAP
    assert market.vault.maxDeposit(LENDER) == 0
    with reverts("supply cap is full"):
        market.deposit(1)


def test_deposit__supply_cap__counts_cash_and_debt(market: Market, vault: Contract) -> None:
    market.open(100 * WETH, 100_000 * USDC)
    vault.set_caps(CASH + 10, MAX_CAP, sender=CURATOR)
    with reverts("supply cap is full"):
        market.deposit(11)
    assert market.deposit(10) == 10


def test_deposit__paused__reverts_until_the_pause_ends(market: Market, vault: Contract) -> None:
    vault.pause_new_risk(market.engine.timestamp + DAY, sender=CURATOR)
    with reverts("new risk is paused"):
        market.deposit(1)
    market.engine.advance(DAY - 1)
    with reverts("new risk is paused"):
        market.deposit(1)
    market.engine.advance(1)
    assert market.deposit(1) == 1


def test_deposit__balance_or_allowance_too_small__reverts(market: Market, vault: Contract) -> None:
    market.asset.mint(STRANGER, 5)
    market.asset.approve(vault, 4, sender=STRANGER)
    with reverts("allowance too low"):
        vault.deposit(5, STRANGER, sender=STRANGER)
    market.asset.approve(vault, 6, sender=STRANGER)
    with reverts("balance too low"):
        vault.deposit(6, STRANGER, sender=STRANGER)
    assert vault.deposit(5, STRANGER, sender=STRANGER).value == 5


def test_deposit__supply_index_near_zero__refused_while_every_view_answers(
    market: Market, vault: Contract
) -> None:
    market.set_books(supply_index=10**12 - 1)
    with reverts("supply index is too low"):
        market.deposit(USDC)
    with reverts("supply index is too low"):
        vault.mint(USDC, LENDER, sender=LENDER)
    assert vault.maxDeposit(LENDER) == vault.maxMint(LENDER) == 0
    assert vault.totalAssets() == CASH * (10**12 - 1) // WAD
    assert vault.maxWithdraw(LENDER) == vault.totalAssets()
    assert vault.maxRedeem(LENDER) == CASH
    market.set_books(supply_index=10**12)
    assert market.deposit(USDC) == USDC * 10**6
