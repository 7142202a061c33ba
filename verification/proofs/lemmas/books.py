"""Lemmas on the books through whole entry points: liquidate, adjust, repay, reserve, write-off.

Names: T = total_scaled_debt, D = debt_index, I = supply_index, S = total_shares, c = cash; a dash
means after. W = 1e18. A = c * W + T * D is all that lenders' claims S * I rest on, exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from unittest.mock import patch

from ringfence.math import authority, health, liquidation, vault
from ringfence.math.authority import ANNOUNCED_AT, COLLECTION_DELAY, CURATOR, PENDING_AMOUNT
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import Liquidation
from ringfence.math.position_slot import PositionSlot
from verification.proofs.lemmas.given import (
    BOOKS,
    MIN_AMOUNT,
    MIN_LTV_GAP,
    assets,
    books_of,
    claims,
    open_position,
    sound_books,
)
from verification.proofs.lemmas.proof import (
    Inputs,
    Program,
    Swap,
    Truth,
    all_of,
    implies,
    lemma,
    properties,
    scaling,
)
from verification.proofs.lemmas.symbolic import Number
from verification.proofs.lemmas.vault import NOW, OWNER, POSITION, UnknownVault, call_of, vault_of


@dataclass(frozen=True, slots=True)
class After:
    """What an entry point leaves: the books and the position."""

    sheet: BalanceSheet
    position: PositionSlot


def _given(v: Inputs) -> Iterable[Truth]:
    """Sound books, a position with debt that is part of the total (BOOK-2)."""
    return (
        *sound_books(v),
        *open_position(v),
        v.scaled_debt <= v.total_scaled_debt,
        scaling(v.scaled_debt, v.total_scaled_debt, v.debt_index),
        scaling(0, v.total_shares, v.supply_index),
        scaling(0, v.collateral, v.price),
        v.price >= 1,
        v.amount >= 1,
    )


def _parameters(v: Inputs) -> Iterable[Truth]:
    """Return what the factory demands of the parameters that these entry points read."""
    return (v.min_debt >= MIN_AMOUNT, v.initial_ltv >= MIN_LTV_GAP, v.reserve_target >= 0)


def _entry(act: Callable[[UnknownVault, Inputs], object]) -> Program:
    """Return a program that runs one entry point on a vault with a position that has debt."""

    def run(v: Inputs) -> After:
        market = vault_of(v)
        act(market, v)
        return After(market.sheet, market.fields)

    inputs = f"{BOOKS} collateral scaled_debt price amount min_debt initial_ltv reserve_target"
    return Program(inputs, lambda v: (*_given(v), *_parameters(v)), run)


BORROW = _entry(lambda market, v: market.adjust(call_of(v), POSITION, 0, v.amount, OWNER))
REPAY = _entry(lambda market, v: market.repay(call_of(v), POSITION, v.amount))
FUND = _entry(lambda market, v: market.fund_reserve(call_of(v), v.amount))


def _collect(market: UnknownVault, v: Inputs) -> None:
    words = {CURATOR: OWNER, PENDING_AMOUNT: v.amount, ANNOUNCED_AT: NOW - COLLECTION_DELAY}
    for name, word in words.items():
        market.storage.store((market.address, name), word)
    market.collect_reserve(call_of(v), OWNER)


COLLECT = _entry(_collect)


def _liquidate(v: Inputs) -> After:
    """Run the vault's `liquidate` around any outcome that the maths of liquidations may have."""
    market = vault_of(v)
    moved = Liquidation(v.seized, v.repaid, v.cut, v.retired, 0)
    with patch.object(liquidation, "liquidate", lambda *_figures: moved):
        market.liquidate(call_of(v), POSITION, v.amount, 0, OWNER)
    return After(market.sheet, market.fields)


LIQUIDATE = Program(
    f"{BOOKS} collateral scaled_debt price amount seized repaid cut retired",
    lambda v: (
        *_given(v),
        v.seized >= 0,
        v.seized <= v.collateral,
        v.retired >= 0,
        v.retired <= v.scaled_debt,
        v.repaid >= 0,
        v.cut >= 0,
        scaling(v.retired, v.scaled_debt, v.debt_index),
    ),
    _liquidate,
)

EXAMPLE = {
    "total_shares": 10**7,
    "cash": 9 * 10**6,
    "last_accrual": 0,
    "total_scaled_debt": 10**6,
    "debt_index": 3 * WAD // 2,
    "supply_index": WAD,
    "collateral": 10**6,
    "scaled_debt": 500_000,
    "price": PRICE_SCALE,
    "amount": 100_001,
    "min_debt": 10_000,
    "initial_ltv": 90 * WAD // 100,
    "reserve_target": WAD // 100,
}
SALE = EXAMPLE | {"seized": 10**6, "repaid": 700_000, "cut": 0, "retired": 500_000}
LOSS = SALE | {"repaid": 200_000}


def _kept(_v: Inputs, after: After) -> Truth:
    return all_of(claims(after.sheet) <= assets(after.sheet), after.sheet.cash >= 0)


def _written_off(v: Inputs, after: After, _q: Sequence[Number]) -> Iterable[Truth]:
    """Keep the order of the claims at the index after and before a loss."""
    yield scaling(after.sheet.supply_index, v.supply_index, v.total_shares)


@lemma(
    "BOOK-3",
    LIQUIDATE,
    because=_written_off,
    broken=Swap(vault, "socialise", lambda sheet: sheet.supply_index),
    example=LOSS,
)
def liquidation_keeps_books(v: Inputs, after: After) -> Truth:
    """Show S * I' <= A' after every liquidation, with or without a loss, in the same call.

    Whatever it seizes and retires of the position, and whatever is paid. The mistake: a loss
    that no index bears.
    """
    return _kept(v, after)


@lemma(
    "BOOK-4",
    LIQUIDATE,
    because=_written_off,
    broken=Swap(vault, "socialise", lambda sheet: sheet.supply_index - 1),
    example=SALE,
)
def liquidation_spends_the_reserve_first(v: Inputs, after: After) -> Truth:
    """Show I' <= I, and I' < I only if S * I > A': lenders lose when the reserve is exhausted.

    And then no more than what is missing: A' < S * (I' + 1). The mistake: an index that falls
    without a loss.
    """
    sheet = after.sheet
    fell = sheet.supply_index < v.supply_index
    return all_of(
        sheet.supply_index <= v.supply_index,
        sheet.debt_index == v.debt_index,
        implies(fell, claims(books_of(v)) > assets(sheet)),
        implies(fell, assets(sheet) < v.total_shares * (sheet.supply_index + 1)),
    )


def _products(v: Inputs, _after: After, q: Sequence[Number]) -> Iterable[Truth]:
    """Keep the order of quotients times the index: what is owed, borrowed or retired."""
    for quotient in q:
        for edge in (-1, v.scaled_debt):
            yield scaling(quotient, edge, v.debt_index)


_scaled_down = health.scaled_down


def _debt_down(scaled_debt: int, debt_index: int) -> int:
    """Return what is owed, rounded down."""
    return scaled_debt * debt_index // WAD


@lemma(
    "BOOK-3",
    BORROW,
    because=_products,
    broken=Swap(health, "scaled_up", _scaled_down),
    example=EXAMPLE | {"total_shares": 10**7 + 500_000},
)
def borrowing_keeps_books(v: Inputs, after: After) -> Truth:
    """Show S * I <= A' and T' - T = n' - n: what leaves as cash comes back as debt, rounded up.

    The mistake: scaled debt rounded down lends out a part of a unit that nobody owes.
    """
    grown = after.position.scaled_debt - v.scaled_debt
    return all_of(
        _kept(v, after),
        after.sheet.total_scaled_debt - v.total_scaled_debt == grown,
        after.sheet.cash == v.cash - v.amount,
    )


@lemma(
    "BOOK-3",
    REPAY,
    because=_products,
    broken=Swap(health, "debt_up", _debt_down),
    example=EXAMPLE | {"total_shares": 10**7 + 500_000},
)
def repaying_keeps_books(v: Inputs, after: After) -> Truth:
    """Show S * I <= A', T - T' = n - n' and 0 <= n' <= n through the whole of `repay`.

    The mistake: what is retired costs a part of a unit less than it is worth.
    """
    left = after.position.scaled_debt
    return all_of(
        _kept(v, after),
        v.total_scaled_debt - after.sheet.total_scaled_debt == v.scaled_debt - left,
        left >= 0,
        left <= v.scaled_debt,
    )


def _given_away(sheet: BalanceSheet, cash: int) -> BalanceSheet:
    """Credit lenders with a gift to the reserve, twice over."""
    gift = 2 * (cash - sheet.cash) * WAD // sheet.total_shares
    return replace(sheet, cash=cash, supply_index=sheet.supply_index + gift)


@lemma(
    "BOOK-3",
    FUND,
    broken=Swap(vault, "replace", _given_away),
    example=EXAMPLE | {"total_shares": 10**7 + 500_000},
)
def funding_keeps_books(v: Inputs, after: After) -> Truth:
    """Show S * I <= A' and that cash alone changes, by the gift.

    The mistake: lenders are credited with twice the gift.
    """
    grown = replace(books_of(v), cash=v.cash + v.amount)
    same = (getattr(after.sheet, name) == getattr(grown, name) for name in BOOKS.split())
    return all_of(_kept(v, after), *same)


def _twice(sheet: BalanceSheet, cash: int) -> BalanceSheet:
    """Take twice out of cash what is collected."""
    return replace(sheet, cash=2 * cash - sheet.cash)


def _reserve_kept(v: Inputs, _after: After, q: Sequence[Number]) -> Iterable[Truth]:
    """Give that what is kept for the debt is not negative."""
    yield scaling(0, -q[0], v.reserve_target)


@lemma(
    "BOOK-3",
    COLLECT,
    because=_reserve_kept,
    broken=Swap(authority, "replace", _twice),
    example=EXAMPLE | {"total_shares": 10**7 + 300_000},
)
def collecting_keeps_books(v: Inputs, after: After) -> Truth:
    """Show S * I <= A' and that cash alone changes: the reserve is paid out, and nothing else.

    The mistake: twice the amount leaves.
    """
    left = replace(books_of(v), cash=v.cash - v.amount)
    same = (getattr(after.sheet, name) == getattr(left, name) for name in BOOKS.split())
    return all_of(_kept(v, after), *same)


LEMMAS = (
    liquidation_keeps_books,
    liquidation_spends_the_reserve_first,
    borrowing_keeps_books,
    repaying_keeps_books,
    funding_keeps_books,
    collecting_keeps_books,
)
PROPERTIES = properties(LEMMAS)
