"""Every exit at once: paused, capped at nothing, without a price and without a rate."""

from __future__ import annotations

import pytest

from ringfence.evm import Engine, load
from tests.support.market import (
    CASH,
    CURATOR,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WEEK,
    WETH,
    Market,
    deploy_market,
    price_of,
)


def unwell(engine: Engine, kind: str) -> tuple[Market, int, int]:
    """A paused market with caps of nothing: with its position in debt, and one without."""
    market = deploy_market(engine, oracle=engine.deploy(load(kind), price_of(2_000)))
    market.deposit(CASH)
    indebted, free = market.open(10 * WETH, 10_000 * USDC), market.open(WETH, salt=2)
    for account in (STRANGER, LIQUIDATOR):
        market.give(market.asset, account, 10**12)
        market.give(market.collateral, account, WETH)
    market.asset.mint(TRADER, 10_000 * USDC)
    engine.advance(1)
    market.vault.set_caps(0, 0, sender=CURATOR)
    market.vault.pause_new_risk(engine.timestamp + WEEK, sender=CURATOR)
    return market, indebted, free


@pytest.mark.parametrize("kind", ["RevertingOracle", "GasBurningOracle"])
def test_exits__paused_capped_and_blind__all_work(engine: Engine, kind: str) -> None:
    market, indebted, free = unwell(engine, kind)
    market.oracle.set_broken(True)
    vault = market.vault
    for name, receipt in {
        "top-up": vault.top_up(indebted, 1, sender=STRANGER, check=False),
        "repay": vault.repay(indebted, USDC, sender=STRANGER, check=False),
        "reduce-only": vault.adjust(
            indebted, -WETH, -2_000 * USDC, TRADER, b"", sender=TRADER, check=False
        ),
        "debt-free exit": vault.close(free, TRADER, b"", sender=TRADER, check=False),
        "withdraw": vault.withdraw(USDC, LENDER, LENDER, sender=LENDER, check=False),
        "redeem": vault.redeem(USDC, LENDER, LENDER, sender=LENDER, check=False),
        "repay all": vault.repay(indebted, MAX_UINT256, sender=STRANGER, check=False),
        "close": vault.close(indebted, TRADER, b"", sender=TRADER, check=False),
    }.items():
        assert receipt.success, f"LIVE-3: paused and blind, {name}: {receipt.revert_reason}"
    assert market.collateral.balanceOf(vault) == 0, "LIVE-6: something cannot be taken out"
    market.check_books()


@pytest.mark.parametrize("kind", ["RevertingOracle", "GasBurningOracle"])
def test_liquidate__paused_and_capped__needs_the_price_alone(engine: Engine, kind: str) -> None:
    market, indebted, _free = unwell(engine, kind)
    # A debt that interest has carried past the bound.
    market.set_books(debt_index=market.books().debt_index * 9 // 5)
    for is_broken in (True, False):
        market.oracle.set_broken(is_broken)
        receipt = market.vault.liquidate(
            indebted, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
        if is_broken:
            assert not receipt.success, "LIVE-1: liquidated without a price"
        else:
            assert receipt.success, f"LIVE-3: a pause stops it: {receipt.revert_reason}"
    market.check_books()


def test_deposit__blind_but_open__works(engine: Engine) -> None:
    oracle = engine.deploy(load("RevertingOracle"), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    oracle.set_broken(True)
    assert market.deposit(USDC) == USDC, "LIVE-1: a deposit asks for a price"
