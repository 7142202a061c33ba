"""Shares made dear by a gift, so that the next lender's assets round down to the attacker's.

Seen: ERC-4626 vaults that price shares by their balance, as OpenZeppelin's guide to ERC-4626
describes; lending markets that were empty, Hundred Finance (April 2023) and others since.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ringfence.evm import Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    USDC,
    WETH,
    Market,
    deploy_market,
    price_of,
)
from tests.unit.contracts.attacks.catalogue import attack

COUNT = "sheet.cash = staticcall IERC20(tokens.ASSET).balanceOf(self)\n        "
ASSETS = "balance_sheet._scaled_assets(sheet)"
SHARES_BY_BALANCE = (
    Break(
        "modules/lender_shares.vy",
        "shares = self._to_shares_down(assets, sheet.supply_index)",
        COUNT + "shares = assets\n        if sheet.total_shares != 0:\n            "
        f"shares = assets * fixed_point.WAD * sheet.total_shares // {ASSETS}",
    ),
    Break(
        "modules/lender_shares.vy",
        "assets = self._to_assets_down(shares, sheet.supply_index)",
        COUNT + f"assets = shares * {ASSETS} // sheet.total_shares // fixed_point.WAD",
    ),
)
"""The textbook's vault: a share is worth its part of what is held and lent."""

SEEN = "OpenZeppelin, ERC-4626 guide: inflation attack; Hundred Finance, April 2023"


class Loot(NamedTuple):
    """What each has more at the end than at the beginning, asset units."""

    attacker: int
    victim: int


def inflate(market: Market, gift: str, first: int) -> Loot:
    """Lend `first` units, make a gift; the next lender brings just less than two shares' worth."""
    vault = market.vault
    market.deposit(first, STRANGER)
    market.give(market.asset, STRANGER, 10**12)
    start = 10**12 + first
    if gift == "transfer":
        market.asset.transfer(vault, 10**11, sender=STRANGER)
    elif gift == "fund_reserve":
        vault.fund_reserve(10**11, sender=STRANGER)
    else:
        _leave_a_cut(market)
        start = market.asset.balanceOf(STRANGER) + market.asset.balanceOf(vault)
    share = market.asset.balanceOf(vault) // first
    victim = 2 * share - 1
    shares = market.deposit(victim)
    vault.redeem(first, STRANGER, STRANGER, sender=STRANGER)
    vault.redeem(shares, LENDER, LENDER, sender=LENDER)
    return Loot(market.asset.balanceOf(STRANGER) - start, market.asset.balanceOf(LENDER) - victim)


def _leave_a_cut(market: Market) -> None:
    """The gift is the reserve's part of a liquidation of one's own, at no loss to anybody."""
    market.vault.fund_reserve(200 * USDC, sender=STRANGER)
    bad = market.open(WETH, 200 * USDC, owner=STRANGER)
    market.engine.advance(1)
    market.set_price(price_of(220))
    market.vault.liquidate(bad, MAX_UINT256, 0, STRANGER, b"", sender=STRANGER)


@pytest.mark.parametrize("gift", ["transfer", "fund_reserve", "cut"])
@pytest.mark.parametrize("first", [1, 2, 1_000])
@attack(
    "share inflation and donation",
    guard="a share is worth the supply index, which no gift moves (lender_shares)",
    breaks=SHARES_BY_BALANCE,
    without="1 unit lent and 100,000 USDC given take 50,000 USDC of the next lender's 200,000",
    here="the next lender gets every unit back, the gift is lost",
    seen=SEEN,
)
def test_deposit__after_a_gift_that_inflates_the_share__gives_all_it_is_worth(
    engine: Engine, broken: Artifact, real: Artifact, gift: str, first: int
) -> None:
    works = inflate(deploy_market(engine, artifact=broken), gift, first)
    assert works.attacker == -works.victim >= USDC // 5, f"the double stands it: {works}"
    fails = inflate(deploy_market(engine, artifact=real), gift, first)
    assert fails.victim == 0, "BOOK-5: a lender lost to a donation"
    assert fails.attacker < 0, "RND-1: the attacker got the donation back"


def sandwich(market: Market) -> Loot:
    """Lend for one block ten times what all others lent, around what fills the reserve."""
    vault = market.vault
    market.deposit(CASH)
    unhealthy = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.set_price(price_of(1_800))
    market.give(market.asset, LIQUIDATOR, CASH)
    market.deposit(10 * CASH, STRANGER)
    vault.liquidate(unhealthy, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    vault.fund_reserve(1_000 * USDC, sender=LIQUIDATOR)
    vault.redeem(market.shares_of(STRANGER), STRANGER, STRANGER, sender=STRANGER)
    return Loot(market.asset.balanceOf(STRANGER) - 10 * CASH, market.books().cash - CASH)


@attack(
    "share inflation and donation",
    guard="what fills the reserve moves no share (balance_sheet, lender_shares)",
    breaks=SHARES_BY_BALANCE,
    without="10 million USDC lent for one block take 912 of a gift of 1,000 USDC and a cut",
    here="the sandwich gets out what it put in",
    seen="sandwiches around harvests of yield vaults",
)
def test_sandwich__around_a_gift_and_a_cut__earns_nothing(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = sandwich(deploy_market(engine, artifact=broken))
    assert works.attacker == 912_440_191, f"the double stands it: {works}"
    fails = sandwich(deploy_market(engine, artifact=real))
    assert fails.attacker == 0, "BOOK-5: a sandwich earned the cut"
