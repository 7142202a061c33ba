"""Tokens of all kinds: decimals, no return value, false for failure."""

from __future__ import annotations

import itertools

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    RECEIVER,
    STRANGER,
    TRADER,
    Market,
    Slot,
    as_int,
    deploy_market,
    div_up,
    mapping_slot,
    price_of,
    reverts,
    token_slot,
)

DECIMALS = list(itertools.product((2, 6, 8, 18), repeat=2))


def full_life(market: Market, collateral_unit: int, asset_unit: int) -> None:
    """Lend, open, top up, repay, delever, liquidate, close, withdraw: books sound at each step."""
    vault, price = market.vault, 2_000 * 10**36 * asset_unit // collateral_unit
    market.deposit(1_000_000 * asset_unit)
    first = market.open(10 * collateral_unit, 12_000 * asset_unit)
    second = market.open(5 * collateral_unit, 8_000 * asset_unit, salt=2)
    market.grow_debt(seconds=86_400)
    market.give(market.collateral, STRANGER, collateral_unit)
    vault.top_up(first, collateral_unit, sender=STRANGER)
    market.give(market.asset, TRADER, 100_000 * asset_unit)
    assert vault.repay(first, 1_000 * asset_unit, sender=TRADER).value > 0
    half = market.slot(first).collateral // 2
    vault.adjust(first, -half, -div_up(market.debt(first), 2), TRADER, b"", sender=TRADER)
    market.check_books()
    market.set_price(price * 9 // 10)
    market.give(market.asset, LIQUIDATOR, 100_000 * asset_unit)
    receipt = vault.liquidate(second, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert market.collateral.balanceOf(RECEIVER) == receipt.value[0] > 0
    assert vault.ltv(second) <= market.params.target_ltv
    market.check_books()
    for position in (first, second):
        vault.close(position, TRADER, b"", sender=TRADER)
        assert market.slot(position) == Slot()
    vault.redeem(market.shares_of(LENDER), LENDER, LENDER, sender=LENDER)
    assert market.asset.balanceOf(LENDER) >= 1_000_000 * asset_unit
    assert market.collateral.balanceOf(vault) == 0
    assert market.asset.balanceOf(vault) == market.books().cash
    assert market.books().total_shares == 0 == market.books().total_scaled_debt
    market.check_books()


@pytest.mark.parametrize(("collateral_decimals", "asset_decimals"), DECIMALS)
def test_full_life__any_decimals__books_stay_sound(
    engine: Engine, collateral_decimals: int, asset_decimals: int
) -> None:
    market = deploy_market(
        engine,
        collateral_decimals=collateral_decimals,
        asset_decimals=asset_decimals,
        min_debt=100 * 10**asset_decimals,
    )
    full_life(market, 10**collateral_decimals, 10**asset_decimals)


def token_of(engine: Engine, kind: str, decimals: int) -> Contract:
    return engine.deploy(load(kind), kind, "TKN", decimals)


def test_full_life__tokens_that_return_nothing__books_stay_sound(engine: Engine) -> None:
    market = deploy_market(
        engine,
        collateral=token_of(engine, "NoReturnToken", 18),
        asset=token_of(engine, "NoReturnToken", 6),
    )
    full_life(market, 10**18, 10**6)


def test_full_life__tokens_that_return_false_only_on_failure__books_stay_sound(
    engine: Engine,
) -> None:
    market = deploy_market(
        engine,
        collateral=token_of(engine, "FalseReturningToken", 18),
        asset=token_of(engine, "FalseReturningToken", 6),
    )
    full_life(market, 10**18, 10**6)


def test_pull__token_returns_false__reverts(engine: Engine) -> None:
    market = deploy_market(
        engine,
        collateral=token_of(engine, "FalseReturningToken", 18),
        asset=token_of(engine, "FalseReturningToken", 6),
    )
    market.deposit(10**12)
    position = market.open(10**18, 10**9)
    market.asset.transfer(RECEIVER, 10**9, sender=TRADER)
    market.collateral.approve(market.vault, MAX_UINT256, sender=TRADER)
    vault = market.vault
    for name, arguments in (
        ("deposit", (1, TRADER)),
        ("mint", (1, TRADER)),
        ("adjust", (position, 1, 0, TRADER, b"")),
        ("adjust", (position, 0, -1, TRADER, b"")),
        ("top_up", (position, 1)),
        ("repay", (position, 1)),
        ("close", (position, TRADER, b"")),
        ("fund_reserve", (1,)),
    ):
        with reverts("transfer failed"):
            getattr(vault, name)(*arguments, sender=TRADER)
    engine.advance(1)
    market.set_price(price_of(1_100))
    with reverts("transfer failed"):
        vault.liquidate(position, MAX_UINT256, 0, TRADER, b"", sender=TRADER)


def test_push__token_returns_false__reverts(engine: Engine) -> None:
    market = deploy_market(
        engine,
        collateral=token_of(engine, "FalseReturningToken", 18),
        asset=token_of(engine, "FalseReturningToken", 6),
    )
    market.deposit(10**12)
    position = market.open(10**18)
    for token in (market.collateral, market.asset):
        base = token_slot("FalseReturningToken", "balanceOf")
        engine.set_storage(token, mapping_slot(base, as_int(market.vault)), 0)
    vault = market.vault
    for sender, name, arguments in (
        (LENDER, "withdraw", (1, LENDER, LENDER)),
        (LENDER, "redeem", (1, LENDER, LENDER)),
        (TRADER, "adjust", (position, -1, 0, TRADER, b"")),
        (TRADER, "adjust", (position, 0, 10**9, TRADER, b"")),
        (TRADER, "close", (position, TRADER, b"")),
    ):
        with reverts("transfer failed"):
            getattr(vault, name)(*arguments, sender=sender)
