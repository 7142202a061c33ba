"""Lemmas on borrowing, repaying and reduce-only: health and positions of ringfence/math.

Names: n = scaled_debt, i = debt_index, C = collateral; a dash means after. W = 1e18.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringfence.math import health, positions
from ringfence.math.fixed_point import WAD
from ringfence.math.position_slot import PositionSlot
from verification.proofs.lemmas.given import MIN_AMOUNT, open_position
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


def _given(v: Inputs) -> Iterable[Truth]:
    return (*open_position(v), v.amount >= 0, v.min_debt >= MIN_AMOUNT)


REPAY = Program(
    "collateral scaled_debt debt_index amount min_debt",
    _given,
    lambda v: health.repay_amounts(v.scaled_debt, v.debt_index, v.amount, v.min_debt),
)
EXAMPLE = {
    "collateral": 1,
    "scaled_debt": 10**6,
    "debt_index": 3 * WAD // 2,
    "amount": 100_001,
    "min_debt": 10_000,
}


def _products(v: Inputs, _out: object, q: Sequence[Number]) -> Iterable[Truth]:
    """Give the order of every quotient, times the index, against 0 and the whole debt."""
    for quotient in q:
        yield scaling(quotient, -1, v.debt_index)
        yield scaling(quotient, v.scaled_debt, v.debt_index)


_scaled_down, _debt_up = health.scaled_down, health.debt_up


def _one_more(scaled_debt: int, debt_index: int) -> int:
    """Return what is owed, and 10,000 units more."""
    return _debt_up(scaled_debt, debt_index) + 10_000


@lemma(
    "BOOK-3",
    REPAY,
    because=_products,
    broken=Swap(health, "scaled_down", health.scaled_up),
    example=EXAMPLE,
)
def repayment_costs_what_it_retires(v: Inputs, out: tuple[int, int]) -> Truth:
    """Show 0 <= x <= n, paid * W >= x * i and paid <= amount: BOOK-3 and ISO-2 of a repayment.

    Cash grows by no less than total debt falls, and nobody pays more than was offered.
    The mistake: what is retired rounded up asks for a unit more than was offered.
    """
    retired, paid = out
    return all_of(
        retired >= 0,
        retired <= v.scaled_debt,
        paid * WAD >= retired * v.debt_index,
        paid <= v.amount,
    )


@lemma(
    "LIQ-1",
    REPAY,
    because=_products,
    broken=Swap(health, "debt_up", _one_more),
    example=EXAMPLE | {"amount": 1_495_000},
)
def repayment_leaves_no_dust(v: Inputs, out: tuple[int, int]) -> Truth:
    """Show that a debt of min_debt or more is left at 0 or at min_debt or more.

    ceil(n * i / W) >= min_debt means n * i > (min_debt - 1) * W; the same of n - x afterwards.
    The mistake: a debt taken for larger than it is may be repaid down to dust.
    """
    least = (v.min_debt - 1) * WAD
    left = v.scaled_debt - out[0]
    return implies(
        all_of(left > 0, v.scaled_debt * v.debt_index > least), left * v.debt_index > least
    )


BORROW = Program(
    "collateral scaled_debt debt_index amount min_debt",
    lambda v: (*_given(v), v.amount >= 1),
    lambda v: health.debt_up(health.scaled_up(v.amount, v.debt_index), v.debt_index),
)


@lemma(
    "RND-2",
    BORROW,
    because=_products,
    broken=Swap(health, "scaled_up", _scaled_down),
    example=EXAMPLE | {"debt_index": 3 * WAD},
)
def borrowing_and_repaying_never_profits(v: Inputs, owed: int) -> Truth:
    """Show amount <= owed, and (owed - amount - 1) * W < i: no gain, little loss.

    Borrowing adds ceil(amount * W / i) of scaled debt; owed at once for it is that times i, rounded
    up. The mistake: scaled debt rounded down gives away a part of a unit at each turn.
    """
    return all_of(owed >= v.amount, (owed - v.amount - 1) * WAD < v.debt_index)


def _reduce(v: Inputs) -> bool:
    before = PositionSlot(v.collateral, v.scaled_debt, 0)
    after = PositionSlot(v.collateral_after, v.scaled_after, 0)
    return positions.is_reduce_only(before, after)


REDUCE = Program(
    "collateral scaled_debt debt_index collateral_after scaled_after ltv price",
    lambda v: (
        *open_position(v),
        v.collateral_after >= 0,
        v.scaled_after >= 0,
        v.ltv >= 0,
        v.price >= 0,
        v.scaled_debt <= v.ltv * v.price * v.collateral,
    ),
    _reduce,
)


def _no_worse(v: Inputs, _allowed: bool, _q: Sequence[Number]) -> Iterable[Truth]:
    """Give n' * C <= n * C' <= L * C * C', and C > 0."""
    backing = v.ltv * v.price
    yield scaling(v.scaled_debt, backing * v.collateral, v.collateral_after)
    yield scaling(v.scaled_after, backing * v.collateral_after, v.collateral)


@lemma(
    "LIQ-1",
    REDUCE,
    because=_no_worse,
    broken=Swap(positions, "is_reduce_only", lambda before, after: after != before),
    example={
        "collateral": 100,
        "scaled_debt": 80,
        "debt_index": WAD,
        "collateral_after": 50,
        "scaled_after": 70,
        "ltv": 1,
        "price": 1,
    },
)
def reduce_only_never_raises_ltv(v: Inputs, allowed: bool) -> Truth:
    """Show that n <= L * p * C gives n' <= L * p * C', for every bound L and every price p.

    So reduce-only needs no price: lenders are no worse off at any. The mistake: any change allowed.
    """
    within = v.scaled_after <= v.ltv * v.price * v.collateral_after
    return implies(allowed, within)


LEMMAS = (
    repayment_costs_what_it_retires,
    repayment_leaves_no_dust,
    borrowing_and_repaying_never_profits,
    reduce_only_never_raises_ltv,
)
PROPERTIES = properties(LEMMAS)
