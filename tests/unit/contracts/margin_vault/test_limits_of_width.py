"""The last unit within a width, and the first beyond it, where the vault stands close to one."""

from __future__ import annotations

from ringfence.evm import Contract, Engine
from tests.support.market import (
    GUARDIAN,
    LENDER,
    LIQUIDATOR,
    MAX_CAP,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    deploy_market,
    price_of,
    reverts,
)


def test_fund_reserve__debt_takes_part_of_the_room__counts_it(
    market: Market, vault: Contract
) -> None:
    market.open(WETH, 1_000 * USDC)
    market.give(market.asset, STRANGER, 2**105)
    books = market.books()
    room = 2**104 - books.cash - books.total_debt
    with reverts("vault is full"):
        vault.fund_reserve(room + 1, sender=STRANGER)
    vault.fund_reserve(room, sender=STRANGER)
    assert market.books().cash == 2**104 - 1_000 * USDC


def test_max_deposit__shares_at_half_price__stops_at_their_width(
    market: Market, vault: Contract
) -> None:
    market.set_books(total_shares=0, cash=0, supply_index=WAD // 2)
    market.give(market.asset, LENDER, 2**104)
    most = vault.maxDeposit(LENDER)
    assert most == (2**104 - 1) // 2, "RND-1: maxDeposit is not the last amount whose shares fit"
    with reverts("books exceed their width"):
        vault.deposit(most + 1, LENDER, sender=LENDER)
    assert vault.deposit(most, LENDER, sender=LENDER).value == 2**104 - 2


def test_pause_new_risk__time_of_40_bits__fits_the_word(market: Market, vault: Contract) -> None:
    market.engine.advance(2**39)
    until = market.engine.timestamp + 60
    vault.pause_new_risk(until, sender=GUARDIAN)
    assert until >> 39 == 1
    assert market.limits() == (MAX_CAP, MAX_CAP, until)


def test_liquidate__rest_would_be_dust__takes_a_debt_beyond_1e18_whole(engine: Engine) -> None:
    market = deploy_market(
        engine,
        collateral_decimals=6,
        asset_decimals=18,
        price=5 * 10**44,
        min_debt=3 * WETH,
    )
    market.deposit(100 * WETH)
    opened = market.open(10_000 * USDC, 4 * WETH, owner=TRADER)
    market.engine.advance(1)
    market.set_price(4_600 * price_of(1, 6, 18) // 10**7)
    market.give(market.asset, LIQUIDATOR, 10 * WETH)
    receipt = market.vault.liquidate(opened, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    (event,) = receipt.events(market.vault)
    assert event["repaid"] == 4 * WETH
    assert market.slot(opened).scaled_debt == 0, "LIQ-6: dust is left"


def test_init__caps_that_differ__are_each_where_they_belong(engine: Engine) -> None:
    market = deploy_market(engine, supply_cap=MAX_CAP, debt_cap=7)
    assert market.limits() == (MAX_CAP, 7, 0)
    assert market.vault.current_limits() == (MAX_CAP, 7, 0)
