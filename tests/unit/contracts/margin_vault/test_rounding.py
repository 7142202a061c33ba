"""Rounding is always against the caller, and splitting an operation never pays (RND-1 to RND-3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    PRICE_SCALE,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    Market,
    Slot,
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


@pytest.mark.parametrize("parts", [(1, 2, 4), (10**18, 1, 10**18 - 1), (7,) * 9])
def test_top_up__split_into_parts__adds_to_the_unit_what_the_whole_adds(
    grown: Market, vault: Contract, parts: tuple[int, ...]
) -> None:
    grown.give(grown.collateral, STRANGER, 10 * WETH)
    mark, held = grown.engine.snapshot(), grown.collateral.balanceOf(STRANGER)
    vault.top_up(ID, sum(parts), sender=STRANGER)
    once = (grown.slot(ID), grown.collateral.balanceOf(STRANGER))
    assert once[1] == held - sum(parts), "RND-3: a top-up costs another sum"
    grown.engine.restore(mark)
    for part in parts:
        vault.top_up(ID, part, sender=STRANGER)
    split = (grown.slot(ID), grown.collateral.balanceOf(STRANGER))
    assert split == once, "RND-3: topping up in parts adds or costs something else"


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("repaid", [1, 2, 999, 1_234_567_891])
def test_close__split_into_steps_of_repaying_and_withdrawing__costs_no_less(
    grown: Market, vault: Contract, steps: int, repaid: int
) -> None:
    """Each step takes out what reduce-only leaves, the last one closes."""

    def held() -> tuple[int, int]:
        return grown.collateral.balanceOf(TRADER), grown.asset.balanceOf(TRADER)

    mark = grown.engine.snapshot()
    vault.close(ID, TRADER, b"", sender=TRADER)
    once = held()
    assert once[0] == 1_000 * WETH
    grown.engine.restore(mark)
    # Without a price: nothing but the reduce-only rule lets the collateral out.
    grown.set_quote(0, 0)
    for _ in range(steps):
        collateral, scaled, _risk = grown.slot(ID)
        out = collateral * (repaid * WAD // grown.books().debt_index) // scaled
        vault.adjust(ID, -out, -repaid, TRADER, b"", sender=TRADER)
    vault.close(ID, TRADER, b"", sender=TRADER)
    split = held()
    assert grown.slot(ID) == Slot()
    assert split[0] == once[0], "RND-3: closing in steps returns other collateral"
    assert split[1] <= once[1], "RND-3: closing in steps costs less"


@pytest.mark.parametrize("ltv", [861, 880, 920, 928, 1_000, 1_500])
@pytest.mark.parametrize(
    "parts",
    [(100 * USDC + 1, 333 * USDC + 7, 1_111 * USDC + 13), (10**9 + 7,) * 5, (10**8 + 1,) * 40],
    ids=["few", "even", "many"],
)
def test_liquidate__in_parts__gains_less_than_a_unit_of_collateral_more(
    grown: Market, vault: Contract, ltv: int, parts: tuple[int, ...]
) -> None:
    """Solvent and insolvent, at a price where a unit of collateral is worth 2 to 4 asset units."""
    grown.give(grown.asset, LIQUIDATOR, 10**15)
    owed = grown.debt(ID)
    # Coarse collateral: rounding a unit of it is worth something.
    slot = grown.slot(ID)._replace(collateral=owed // 3)
    grown.set_slot(ID, slot)
    price = owed * 1_000 // ltv * PRICE_SCALE // slot.collateral
    grown.set_price(price)

    def gained(amounts: tuple[int, ...]) -> tuple[int, int, int]:
        """Collateral seized, assets paid, and debt that all of it repaid (without the cut)."""
        mark = grown.engine.snapshot()
        seized = paid = repaid = 0
        for amount in amounts:
            receipt = vault.liquidate(
                ID, amount, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
            )
            if receipt.success:
                [liquidated] = receipt.events(vault, "Liquidated")
                seized += liquidated["seized"]
                repaid += liquidated["repaid"]
                paid += receipt.value[1]
        grown.engine.restore(mark)
        return seized, paid, repaid

    seized, paid, repaid = gained(parts)
    assert repaid > 0
    whole_seized, whole_paid, _ = gained((repaid,))
    in_parts = seized * price - paid * PRICE_SCALE
    at_once = whole_seized * price - whole_paid * PRICE_SCALE
    assert in_parts < at_once + price, "RND-3: liquidating in parts gains a unit of collateral"


def test_last_lender_and_borrower__leave__nothing_is_owed(grown: Market, vault: Contract) -> None:
    vault.repay(ID, MAX_UINT256, sender=STRANGER)
    vault.adjust(ID, -1_000 * WETH, 0, TRADER, b"", sender=TRADER)
    vault.redeem(grown.shares_of(LENDER), LENDER, LENDER, sender=LENDER)
    books = grown.books()
    assert books.total_shares == 0 == books.total_scaled_debt
    assert books.surplus == books.cash * WAD > 0
    assert vault.totalAssets() == 0
