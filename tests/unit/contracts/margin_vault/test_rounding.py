"""Rounding is always against the caller, and splitting an operation never pays (RND-1 to RND-3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    LENDER,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    div_up,
    position_id,
)

ID = position_id(TRADER)
WHOLE = 1_000_000_007
PARTS = (1, 2, 3, 499_999_999, WHOLE - 499_999_999 - 6)


@pytest.fixture
def grown(market: Market) -> Market:
    """Odd indices; lender and trader rich, the trader's position wide open."""
    market.open(1_000 * WETH, 100_000 * USDC)
    market.grow_debt(rate=1_234_567_891, seconds=12_345_678)
    market.asset.mint(TRADER, 10**12)
    market.give(market.asset, STRANGER, 10**12)
    assert market.books().debt_index % 1_000 != 0 != market.books().supply_index % 1_000
    return market


def wealth(market: Market) -> tuple[int, int, int]:
    """What the stranger and the trader hold, in assets, shares and (negative) scaled debt."""
    held = market.asset.balanceOf(STRANGER) + market.asset.balanceOf(TRADER)
    return held, market.shares_of(STRANGER), -market.slot(ID).scaled_debt


SPLITTABLE: dict[str, Callable[[Market, int], object]] = {
    "deposit": lambda m, n: m.vault.deposit(n, STRANGER, sender=STRANGER, check=False),
    "mint": lambda m, n: m.vault.mint(n, STRANGER, sender=STRANGER),
    "withdraw": lambda m, n: m.vault.withdraw(n, STRANGER, STRANGER, sender=STRANGER),
    "redeem": lambda m, n: m.vault.redeem(n, STRANGER, STRANGER, sender=STRANGER),
    "borrow": lambda m, n: m.vault.adjust(ID, 0, n, TRADER, b"", sender=TRADER),
    "repay": lambda m, n: m.vault.repay(ID, n, sender=TRADER),
    "repay through adjust": lambda m, n: m.vault.adjust(ID, 0, -n, TRADER, b"", sender=TRADER),
}


@pytest.mark.parametrize("name", SPLITTABLE)
def test_operation__split_into_parts__never_pays_more_than_at_once(
    grown: Market, name: str
) -> None:
    assert sum(PARTS) == WHOLE
    grown.vault.deposit(10**11, STRANGER, sender=STRANGER)
    operation = SPLITTABLE[name]
    books = grown.books()
    mark = grown.engine.snapshot()
    operation(grown, WHOLE)
    once = wealth(grown)
    grown.engine.restore(mark)
    for part in PARTS:
        operation(grown, part)
    split = wealth(grown)
    assert split[1] <= once[1], f"RND-3: {name} in parts leaves more shares"
    assert split[2] <= once[2], f"RND-3: {name} in parts leaves less debt"
    if split[1:] == once[1:]:
        assert split[0] <= once[0], f"RND-3: {name} in parts pays more"

    # Everything in exact asset units * 1e18.
    def worth(held: tuple[int, int, int]) -> int:
        return held[0] * WAD + held[1] * books.supply_index + held[2] * books.debt_index

    assert worth(split) <= worth(once), f"RND-3: {name} in parts pays more"


@pytest.mark.parametrize("name", SPLITTABLE)
@pytest.mark.parametrize("amount", [1, 2, 7, 10**6, WHOLE])
def test_operation__any_amount__never_lowers_the_reserve(
    grown: Market, name: str, amount: int
) -> None:
    grown.vault.deposit(10**11, STRANGER, sender=STRANGER)
    before, held = grown.books(), wealth(grown)
    SPLITTABLE[name](grown, amount)
    after, holds = grown.books(), wealth(grown)
    assert after.surplus >= before.surplus, f"BOOK-3: {name} lowered the reserve"
    change = (
        (holds[0] - held[0]) * WAD
        + (holds[1] - held[1]) * before.supply_index
        + (holds[2] - held[2]) * before.debt_index
    )
    assert change <= 0, f"RND-1: {name} of {amount} profits"
    assert after.surplus - before.surplus == -change


@pytest.mark.parametrize("amount", [1, 2, 7, 10**6, WHOLE])
def test_borrow_and_repay__in_one_block__costs_at_most_an_index(
    grown: Market, vault: Contract, amount: int
) -> None:
    debt, held = grown.debt(ID), grown.asset.balanceOf(TRADER)
    vault.adjust(ID, 0, amount, TRADER, b"", sender=TRADER)
    vault.adjust(ID, 0, -amount, TRADER, b"", sender=TRADER)
    cost = grown.debt(ID) - debt + held - grown.asset.balanceOf(TRADER)
    assert 0 <= cost <= div_up(grown.books().debt_index, WAD), "RND-2: not within an index"


def test_last_lender_and_borrower__leave__nothing_is_owed(grown: Market, vault: Contract) -> None:
    vault.repay(ID, MAX_UINT256, sender=STRANGER)
    vault.adjust(ID, -1_000 * WETH, 0, TRADER, b"", sender=TRADER)
    vault.redeem(grown.shares_of(LENDER), LENDER, LENDER, sender=LENDER)
    books = grown.books()
    assert books.total_shares == 0 == books.total_scaled_debt
    assert books.surplus == books.cash * WAD > 0
    assert vault.totalAssets() == 0
