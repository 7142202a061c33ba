"""The two storage words of a vault's books; mirrors contracts/modules/balance_sheet.vy.

Bits of word 1: total shares 255..152, cash 151..40, last accrual 39..0. Bits of word 2: total
scaled debt 255..152, debt index 151..76, supply index 75..0.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import WAD, div_up

MAX_SHARES = 2**104 - 1
MAX_ASSETS = 2**104
"""Gifts, deposits and borrowing stop here, asset units: cash has 256-fold room for interest."""

MAX_INDEX = 2**76 - 1
MAX_CASH = 2**112 - 1
MAX_TIME = 2**40 - 1


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """Shares, asset units, unix seconds; scaled asset units, and two indices scaled 1e18."""

    total_shares: int
    cash: int
    last_accrual: int
    total_scaled_debt: int
    debt_index: int
    supply_index: int


def pack(sheet: BalanceSheet) -> tuple[int, int]:
    """Return the two words of the books; raise RevertError when a field exceeds its width.

    >>> unpack(*pack(BalanceSheet(1, 2, 3, 4, 5, 6))) == BalanceSheet(1, 2, 3, 4, 5, 6)
    True
    """
    if (
        sheet.total_shares > MAX_SHARES
        or sheet.cash > MAX_CASH
        or sheet.last_accrual > MAX_TIME
        or sheet.total_scaled_debt > MAX_SHARES
        or sheet.debt_index > MAX_INDEX
        or sheet.supply_index > MAX_INDEX
    ):
        raise RevertError("books exceed their width")
    return (
        sheet.total_shares << 152 | sheet.cash << 40 | sheet.last_accrual,
        sheet.total_scaled_debt << 152 | sheet.debt_index << 76 | sheet.supply_index,
    )


def unpack(word_1: int, word_2: int) -> BalanceSheet:
    """Return the fields of the books' two words."""
    return BalanceSheet(
        total_shares=word_1 >> 152,
        cash=word_1 >> 40 & MAX_CASH,
        last_accrual=word_1 & MAX_TIME,
        total_scaled_debt=word_2 >> 152,
        debt_index=word_2 >> 76 & MAX_INDEX,
        supply_index=word_2 & MAX_INDEX,
    )


def scaled_assets(sheet: BalanceSheet) -> int:
    """Return cash and total debt, exact, asset units * 1e18."""
    return sheet.cash * WAD + sheet.total_scaled_debt * sheet.debt_index


def scaled_claims(sheet: BalanceSheet) -> int:
    """Return what lenders are owed, exact, asset units * 1e18."""
    return sheet.total_shares * sheet.supply_index


def reserve_down(sheet: BalanceSheet) -> int:
    """Return cash and total debt above the claims, asset units; never negative (BOOK-3)."""
    return (scaled_assets(sheet) - scaled_claims(sheet)) // WAD


def total_debt_up(sheet: BalanceSheet) -> int:
    """Return what all borrowers owe, asset units."""
    return div_up(sheet.total_scaled_debt * sheet.debt_index, WAD)


def check_room(sheet: BalanceSheet) -> None:
    """Raise RevertError when cash and total debt exceed MAX_ASSETS."""
    if sheet.cash + total_debt_up(sheet) > MAX_ASSETS:
        raise RevertError("vault is full")


def socialise(sheet: BalanceSheet) -> int:
    """Return the supply index, 1e18, that the books can bear (BOOK-4).

    Unchanged while the reserve lasts, otherwise assets over shares.
    """
    assets = scaled_assets(sheet)
    if scaled_claims(sheet) <= assets:
        return sheet.supply_index
    return assets // sheet.total_shares


def claims_lost_up(sheet: BalanceSheet, supply_index: int) -> int:
    """Return what lenders lose when the supply index falls to `supply_index`, asset units."""
    return div_up(sheet.total_shares * (sheet.supply_index - supply_index), WAD)
