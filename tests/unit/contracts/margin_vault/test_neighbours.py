"""ISO-6: vaults on the same tokens share nothing, whatever happens in the neighbour."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Engine, Receipt, load
from tests.support.market import (
    CASH,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    price_of,
)

CALLS: dict[str, Callable[[Market, int], Receipt]] = {
    "deposit": lambda m, _p: m.vault.deposit(USDC, LENDER, sender=LENDER),
    "withdraw": lambda m, _p: m.vault.withdraw(USDC, LENDER, LENDER, sender=LENDER),
    "borrow": lambda m, p: m.vault.adjust(p, 0, USDC, TRADER, b"", sender=TRADER),
    "top up": lambda m, p: m.vault.top_up(p, 1, sender=TRADER),
    "repay": lambda m, p: m.vault.repay(p, USDC, sender=TRADER),
    "close": lambda m, p: m.vault.close(p, TRADER, b"", sender=TRADER),
    "accrue": lambda m, _p: m.vault.accrue(),
    "fund reserve": lambda m, _p: m.vault.fund_reserve(1, sender=LENDER),
}


@pytest.fixture
def vaults(engine: Engine) -> tuple[Market, Market, int]:
    """Two vaults on one pair of tokens, and the same position's id in each."""
    oracle = engine.deploy(load("RevertingOracle"), price_of(2_000))
    first = deploy_market(engine, oracle=oracle)
    second = deploy_market(engine, collateral=first.collateral, asset=first.asset)
    for market in (first, second):
        market.deposit(CASH)
        position = market.open(10 * WETH, 10_000 * USDC)
        for account in (LENDER, TRADER, LIQUIDATOR):
            market.give(market.asset, account, CASH)
            market.give(market.collateral, account, WETH)
    engine.advance(1)
    return first, second, position


@pytest.mark.parametrize("name", CALLS)
def test_call__in_one_vault__writes_no_word_of_the_other(
    vaults: tuple[Market, Market, int], name: str
) -> None:
    first, second, position = vaults
    first.oracle.set_broken(True)
    first.rate_model.set_rate(MAX_UINT256)
    receipt = CALLS[name](second, position)
    assert second.vault.address in receipt.state_diff
    assert first.vault.address not in receipt.state_diff, f"ISO-6: {name} changed another vault"


def test_liquidate__the_same_id_elsewhere__stays_as_it_is(
    vaults: tuple[Market, Market, int],
) -> None:
    first, second, position = vaults
    second.set_price(price_of(1_100))
    receipt = second.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert first.vault.address not in receipt.state_diff, "ISO-6: a liquidation reached further"
    assert first.vault.is_healthy(position), "ISO-6: a price reached another vault"
