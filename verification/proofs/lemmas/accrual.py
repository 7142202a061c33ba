"""Lemmas on interest: accrual.grow of ringfence/math, hence contracts/modules/accrual.vy.

Names: T = total_scaled_debt, D = debt_index, I = supply_index, S = total_shares, c = cash, all
before; a dash means after. W = 1e18 and P = 1e36. x = rate * elapsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringfence.math import accrual, balance_sheet
from ringfence.math.balance_sheet import MAX_INDEX, BalanceSheet
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from verification.proofs.lemmas.given import (
    BOOKS,
    MAX_RESERVE_FACTOR,
    assets,
    books_of,
    claims,
    sound_books,
)
from verification.proofs.lemmas.proof import (
    Inputs,
    Program,
    Swap,
    Truth,
    all_of,
    lemma,
    properties,
    scaling,
)
from verification.proofs.lemmas.symbolic import Number


def _given(v: Inputs) -> Iterable[Truth]:
    return (
        *sound_books(v),
        v.rate >= 0,
        v.now >= v.last_accrual,
        v.reserve_factor >= 0,
        v.reserve_factor <= MAX_RESERVE_FACTOR,
    )


GROW = Program(
    f"{BOOKS} rate now reserve_factor",
    _given,
    lambda v: accrual.grow(books_of(v), v.rate, v.now, v.reserve_factor),
)
EXAMPLE = {
    "total_shares": 10**6,
    "cash": 0,
    "last_accrual": 0,
    "total_scaled_debt": 10**6,
    "debt_index": WAD,
    "supply_index": WAD,
    "rate": 10**9,
    "now": 10**6,
    "reserve_factor": 0,
}


def _debt_grows(v: Inputs, _after: BalanceSheet, _q: Sequence[Number]) -> Iterable[Truth]:
    """X >= 0, so its powers are, so D * (W + growth) >= D * W."""
    x = v.rate * (v.now - v.last_accrual)
    square, cube = _q[:2]
    return (
        scaling(0, v.rate, v.now - v.last_accrual),
        scaling(0, x, x),
        scaling(0, x * x, x),
        scaling(0, x + square + cube, v.debt_index),
    )


def _claims_grow_less(v: Inputs, after: BalanceSheet, q: Sequence[Number]) -> Iterable[Truth]:
    """With A the assets, u the utilisation, g the index growth and n the lenders' part of it.

    A * u <= W * T * D and g * D <= W * (D' - D) and n <= g * u give A * n <= W * T * W * (D' - D),
    so S * I' * P <= S * I * (P + n) <= A * (P + n) <= P * (A + T * (D' - D)) = P * A'.
    """
    yield from _debt_grows(v, after, q)
    if len(q) == len(["x²", "x³", "D'", "u", "g", "n", "I'"]):
        u, g, n, grown = q[3:]
        a = assets(books_of(v))
        t, d, i, s = v.total_scaled_debt, v.debt_index, v.supply_index, v.total_shares
        yield scaling(0, t, d)
        yield scaling(0, u, g)
        yield scaling(0, g * u, WAD - v.reserve_factor)
        yield scaling(WAD - v.reserve_factor, WAD, g * u)
        yield scaling(u * a, WAD * t * d, g)
        yield scaling(g * d, WAD * (after.debt_index - d), t)
        yield scaling(grown * PRICE_SCALE, i * (PRICE_SCALE + n), s)
        yield scaling(s * i, a, PRICE_SCALE + n)
        yield scaling(n, g * u, a)
        yield scaling(0, n, i)
        yield scaling(after.supply_index, grown, s)


def _falling(stored: BalanceSheet, rate: int, now: int, reserve_factor: int) -> BalanceSheet:
    """Accrue, with the growth of the debt index taken off instead of added."""
    grown = _grow(stored, rate, now, reserve_factor)
    return balance_sheet.BalanceSheet(
        grown.total_shares,
        grown.cash,
        now,
        grown.total_scaled_debt,
        2 * stored.debt_index - grown.debt_index,
        2 * stored.supply_index - grown.supply_index,
    )


def _ignoring_cash(sheet: BalanceSheet) -> int:
    """Return total debt alone, as if all that lenders own were lent out."""
    return sheet.total_scaled_debt * sheet.debt_index


_grow = accrual.grow


@lemma("BOOK-4", GROW, because=_debt_grows, broken=Swap(accrual, "grow", _falling), example=EXAMPLE)
def debt_index_never_falls(v: Inputs, after: BalanceSheet) -> Truth:
    """D' >= D, and D' stays within its 76 bits, for every rate and every time that passes.

    A debt can never shrink by waiting. D' = min(floor(D * (W + growth) / W), 2^76 - 1), and
    growth = x + floor(x² / 2W) + floor(x³ / 6P) is not negative because x is not.
    """
    return all_of(after.debt_index >= v.debt_index, after.debt_index <= MAX_INDEX)


@lemma(
    "BOOK-4",
    GROW,
    because=_claims_grow_less,
    broken=Swap(accrual, "grow", _falling),
    example=EXAMPLE,
)
def supply_index_never_falls_by_accrual(v: Inputs, after: BalanceSheet) -> Truth:
    """I' >= I, and I' stays within its 76 bits: time alone never costs a lender anything.

    The index falls by a socialised loss only, see `liquidation_spends_the_reserve_first`.
    """
    return all_of(after.supply_index >= v.supply_index, after.supply_index <= MAX_INDEX)


@lemma(
    "BOOK-3",
    GROW,
    because=_claims_grow_less,
    broken=Swap(accrual, "scaled_assets", _ignoring_cash),
    example=EXAMPLE | {"cash": 10**6, "total_shares": 2 * 10**6},
)
def accrual_keeps_books(_v: Inputs, after: BalanceSheet) -> Truth:
    """S * I <= c * W + T * D gives S * I' <= c * W + T * D': accrual never promises too much.

    All lenders together are credited no more than all borrowers together are charged, in exact
    products and not only in whole units, because every division of the supply side rounds down.
    The mistake: a utilisation that forgets the cash credits idle money with interest.
    """
    return claims(after) <= assets(after)


LEMMAS = (debt_index_never_falls, supply_index_never_falls_by_accrual, accrual_keeps_books)

PROPERTIES = properties(LEMMAS)
