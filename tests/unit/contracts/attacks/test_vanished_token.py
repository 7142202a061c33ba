"""A token that passes the factory's probe and is gone: nothing may come in for nothing.

A contract that is created and destroyed in one transaction leaves no code (EIP-6780), and can be
created again later at the same address: what was "moved" in between would be collateral and cash
that never existed, in a vault that the registry knows.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Contract, Engine, Receipt
from tests.support.factory import Draft, deploy_factory, make_draft
from tests.support.market import (
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    Slot,
    position_id,
    price_of,
)

Entry = Callable[[Market], Receipt]
ID = position_id(TRADER)

FOR_NOTHING: dict[str, tuple[str, Entry]] = {
    "open": (
        "collateral",
        lambda m: m.vault.adjust(
            position_id(STRANGER), 2**111, 0, STRANGER, b"", sender=STRANGER, check=False
        ),
    ),
    "top up": ("collateral", lambda m: m.vault.top_up(ID, 2**111, sender=STRANGER, check=False)),
    "deposit": ("asset", lambda m: m.vault.deposit(10**12, LENDER, sender=LENDER, check=False)),
    "mint": ("asset", lambda m: m.vault.mint(10**12, LENDER, sender=LENDER, check=False)),
    "fund the reserve": (
        "asset",
        lambda m: m.vault.fund_reserve(10**12, sender=STRANGER, check=False),
    ),
    "repay": ("asset", lambda m: m.vault.repay(ID, MAX_UINT256, sender=TRADER, check=False)),
    "close": ("asset", lambda m: m.vault.close(ID, TRADER, b"", sender=TRADER, check=False)),
    "liquidate": (
        "asset",
        lambda m: m.vault.liquidate(
            ID, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        ),
    ),
    "withdraw collateral": (
        "collateral",
        lambda m: m.vault.adjust(
            position_id(TRADER, 2), -WETH, 0, TRADER, b"", sender=TRADER, check=False
        ),
    ),
    "redeem": ("asset", lambda m: m.vault.redeem(1, LENDER, LENDER, sender=LENDER, check=False)),
}


@pytest.mark.parametrize("name", FOR_NOTHING)
def test_every_payment__in_a_token_without_code__reverts_and_writes_nothing(
    market: Market, vault: Contract, name: str
) -> None:
    market.open(WETH, 1_600 * USDC)
    market.open(WETH, salt=2)
    market.engine.advance(1)
    market.set_price(price_of(1_800))
    side, entry = FOR_NOTHING[name]
    token: Contract = getattr(market, side)
    for account in (STRANGER, LENDER, TRADER, LIQUIDATOR):
        market.give(token, account, 2**112)
    books, slots = market.books(), [market.slot(one) for one in market.opened]
    mark = market.engine.snapshot()
    market.engine.set_code(token, b"")
    receipt = entry(market)
    assert not receipt.success, f"BOOK-1: {name} moved nothing and succeeded"
    assert market.books() == books
    assert [market.slot(one) for one in market.opened] == slots
    assert market.slot(position_id(STRANGER)) == Slot(), "BOOK-1: collateral out of nothing"
    # With its code the same call goes through: the token is what it refused.
    market.engine.restore(mark)
    receipt = entry(market)
    assert receipt.success, receipt.revert_reason
    market.engine.restore(mark)


@pytest.fixture
def draft(engine: Engine) -> Draft:
    return make_draft(engine, deploy_factory(engine))


@pytest.mark.parametrize("side", ["collateral", "asset"])
def test_create_vault__token_gone_before_it__reverts(draft: Draft, side: str) -> None:
    draft.engine.set_code(getattr(draft, side), b"")
    draft.refuses("token is missing")
