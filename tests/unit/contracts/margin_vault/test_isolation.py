"""What others can do to a position, and what a dead oracle leaves working."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Contract, Engine, Receipt, load
from tests.support.market import (
    CASH,
    DAY,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    position_id,
    price_of,
)

Act = Callable[[Market, int], Receipt]
THEIRS = position_id(OTHER_TRADER)


def _adjust(collateral: int, debt: int) -> Act:
    return lambda m, p: m.vault.adjust(
        p, collateral, debt, STRANGER, b"", sender=STRANGER, check=False
    )


BY_OTHERS: dict[str, Act] = {
    "deposit": lambda m, _p: m.vault.deposit(USDC, STRANGER, sender=STRANGER),
    "withdraw": lambda m, _p: m.vault.withdraw(USDC, LENDER, LENDER, sender=LENDER),
    "redeem everything": lambda m, _p: m.vault.redeem(
        m.vault.maxRedeem(LENDER), LENDER, LENDER, sender=LENDER, check=False
    ),
    "repay 1": lambda m, p: m.vault.repay(p, 1, sender=STRANGER),
    "repay 3": lambda m, p: m.vault.repay(p, 3, sender=STRANGER),
    "repay most": lambda m, p: m.vault.repay(p, 9_999 * USDC, sender=STRANGER),
    "repay all": lambda m, p: m.vault.repay(p, MAX_UINT256, sender=STRANGER),
    "top up": lambda m, p: m.vault.top_up(p, 1, sender=STRANGER),
    "accrue": lambda m, _p: m.vault.accrue(sender=STRANGER),
    "fund reserve": lambda m, _p: m.vault.fund_reserve(USDC, sender=STRANGER),
    "donate": lambda m, _p: m.asset.mint(m.vault, 10**12),
    "borrow elsewhere": lambda m, _p: m.vault.adjust(
        THEIRS, 100 * WETH, 50_000 * USDC, OTHER_TRADER, b"", sender=OTHER_TRADER
    ),
    "liquidate": lambda m, p: m.vault.liquidate(
        p, MAX_UINT256, 0, STRANGER, b"", sender=LIQUIDATOR, check=False
    ),
    "add collateral": _adjust(1, 0),
    "withdraw collateral": _adjust(-1, 0),
    "borrow": _adjust(0, USDC),
    "repay through adjust": _adjust(0, -1),
    "delever": _adjust(-1, -USDC),
    "close": lambda m, p: m.vault.close(p, STRANGER, b"", sender=STRANGER, check=False),
}


@pytest.fixture
def on_the_edge(market: Market) -> int:
    """A position at exactly its liquidation price, at grown indices, with interest pending."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.grow_debt()
    market.rate_model.set_rate(10**9)
    market.engine.advance(DAY)
    market.set_price(market.vault.liquidation_price(opened))
    market.opened.append(THEIRS)
    for account in (STRANGER, LIQUIDATOR, OTHER_TRADER):
        market.give(market.asset, account, 10**12)
        market.give(market.collateral, account, 10**21)
    return opened


@pytest.mark.parametrize("name", BY_OTHERS)
def test_others__act_on_a_position_on_the_edge__leave_it_healthy_and_whole(
    market: Market, vault: Contract, on_the_edge: int, name: str
) -> None:
    before = market.slot(on_the_edge)
    assert vault.is_healthy(on_the_edge)
    for _ in range(2):
        BY_OTHERS[name](market, on_the_edge)
        after = market.slot(on_the_edge)
        assert vault.is_healthy(on_the_edge), f"LIQ-2: {name} made a position liquidatable"
        assert after.collateral >= before.collateral, f"ISO-4: {name} lowered the collateral"
        assert after.scaled_debt <= before.scaled_debt, f"ISO-4: {name} raised the debt"
        assert after.last_risk_increase == before.last_risk_increase


@pytest.mark.parametrize("name", BY_OTHERS)
def test_others__act_on_a_debt_free_position__leave_it_whole(
    market: Market, vault: Contract, on_the_edge: int, name: str
) -> None:
    free = market.open(WETH, salt=9)
    market.engine.advance(1)
    market.set_price(1)
    before = market.slot(free)
    if name == "borrow elsewhere":
        market.set_price(price_of(2_000))
    BY_OTHERS[name](market, free)
    assert market.slot(free).collateral >= before.collateral, f"ISO-5: {name} took collateral"
    assert market.slot(free).scaled_debt == 0, f"ISO-4: {name} raised the debt"


@pytest.mark.parametrize("name", BY_OTHERS)
def test_others__spend_only_their_own_tokens(
    market: Market, vault: Contract, on_the_edge: int, name: str
) -> None:
    market.asset.approve(vault, MAX_UINT256, sender=TRADER)
    market.collateral.approve(vault, MAX_UINT256, sender=TRADER)
    market.collateral.mint(TRADER, WETH)
    receipt = BY_OTHERS[name](market, on_the_edge)
    moved = {account for _token, account in market.flows(receipt)}
    assert TRADER.address not in moved, f"ISO-2: {name} spent the trader's tokens"


def test_liquidations__of_all_kinds__never_take_more_than_was_put_in(
    market: Market, vault: Contract
) -> None:
    position = market.open(10 * WETH, 10_000 * USDC)
    market.give(market.asset, LIQUIDATOR, 10**12)
    market.engine.advance(1)
    taken = 0
    for price in (1_160, 1_120, 1_100, 1_000, 500):
        market.set_price(price_of(price))
        for max_repay in (300 * USDC, MAX_UINT256):
            receipt = vault.liquidate(
                position, max_repay, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
            )
            if receipt.success:
                taken += receipt.value[0]
                assert market.slot(position).collateral == 10 * WETH - taken
    assert 0 < taken <= 10 * WETH, "ISO-2: more was taken than put in"


@pytest.mark.parametrize("kind", ["RevertingOracle", "GasBurningOracle", "SettableOracle"])
def test_oracle_dead__lenders_and_exits__go_on(engine: Engine, kind: str) -> None:
    prices = (price_of(2_000),) * (2 if kind == "SettableOracle" else 1)
    oracle = engine.deploy(load(kind), *prices)
    market = deploy_market(engine, oracle=oracle)
    market.deposit(CASH)
    position = market.open(10 * WETH, 10_000 * USDC)
    free = market.open(WETH, salt=2)
    market.give(market.asset, STRANGER, 10**12)
    market.give(market.collateral, STRANGER, WETH)
    market.asset.mint(TRADER, 10_000 * USDC)
    engine.advance(DAY)
    if kind == "SettableOracle":
        oracle.set_quote(0, 0)
    else:
        oracle.set_broken(True)
    vault = market.vault
    assert market.deposit(USDC, STRANGER) == USDC, "LIVE-1: deposit needs the oracle"
    vault.withdraw(USDC, LENDER, LENDER, sender=LENDER)
    vault.redeem(USDC, LENDER, LENDER, sender=LENDER)
    vault.top_up(position, 1, sender=STRANGER)
    vault.repay(position, USDC, sender=STRANGER)
    vault.adjust(position, -WETH, -2_000 * USDC, TRADER, b"", sender=TRADER)
    vault.adjust(free, -WETH, 0, TRADER, b"", sender=TRADER)
    for attempt in (
        vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER, check=False),
        vault.adjust(position, -1, 0, TRADER, b"", sender=TRADER, check=False),
        vault.liquidate(position, 1, 0, STRANGER, b"", sender=STRANGER, check=False),
    ):
        assert not attempt.success, "LIVE-1: risk or a liquidation without a price"
        reasons = {"SettableOracle": "price is unusable", "RevertingOracle": "oracle is broken"}
        assert attempt.revert_reason == reasons.get(kind, attempt.revert_reason)
    vault.close(position, TRADER, b"", sender=TRADER)
    market.check_books()
