"""Lemmas on insolvent liquidations, where collateral is sold pro rata and the rest written off.

Names as in `liquidation`: C, n, i, p before; s is seized, x retired, V = floor(C * p / P), W = 1e18
and P = W * W. Exact, without any rounding: the debt retired is x * i / W, the value of what is
seized s * p / P.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from unittest.mock import patch

from ringfence.math import health, liquidation
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import Liquidation
from ringfence.math.position_slot import PositionSlot
from verification.proofs.lemmas.given import RISK, risk_of
from verification.proofs.lemmas.liquidation import EXAMPLE, betas, debtor
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


@dataclass(frozen=True, slots=True)
class Step:
    """What a liquidation moved, and the debt before and after, asset units."""

    moved: Liquidation
    debt: int
    left: int


def _not_this_case(*_figures: object) -> Liquidation:
    """Leave the solvent case out."""
    raise RevertError("not this case")


def _run(v: Inputs) -> Step:
    """Run the mirror's `liquidate`, insolvent positions only."""
    position = PositionSlot(v.collateral, v.scaled_debt, 0)
    with patch.object(liquidation, "_solvent", _not_this_case):
        moved = liquidation.liquidate(position, v.debt_index, v.price, v.max_repay, risk_of(v))
    return Step(
        moved,
        health.debt_up(v.scaled_debt, v.debt_index),
        health.debt_up(v.scaled_debt - moved.scaled_retired, v.debt_index),
    )


INSOLVENT = Program(f"collateral scaled_debt debt_index price max_repay {RISK}", debtor, _run)
WHOLE = EXAMPLE | {"scaled_debt": 1_200_000, "max_repay": 2**128}
PART = WHOLE | {"max_repay": 333_333}


_insolvent: Callable[..., Liquidation] = liquidation._insolvent


def _retiring(part: Callable[[int], int]) -> Swap:
    """Return a mistake: only a part of the debt is retired, and the rest stays with no backing."""

    def broken(*figures: object) -> Liquidation:
        moved = _insolvent(*figures)
        return replace(moved, scaled_retired=part(moved.scaled_retired))

    return Swap(liquidation, "_insolvent", broken)


def _unseen(*figures: object) -> Liquidation:
    """Say nothing of what was written off."""
    return replace(_insolvent(*figures), loss=0)


def _less_than_all(v: Inputs, out: Step, _q: Sequence[Number]) -> Iterable[Truth]:
    """Give max_repay < ceil(ceil(C * p / P) * W / beta), so s * p < C * p, so s < C and x < n."""
    s, x = out.moved.seized, out.moved.scaled_retired
    for edge in (v.collateral, -1):
        yield scaling(s, edge, v.price)
    for edge in (v.collateral, 0):
        yield scaling(s, edge, v.scaled_debt)
    for edge in (v.scaled_debt, -1):
        yield scaling(x, edge, v.collateral)


def _paid_for(v: Inputs, out: Step, q: Sequence[Number]) -> Iterable[Truth]:
    """Give s * p <= ceil(s * p / P) * P and ceil(...) * W <= repaid * beta <= repaid * beta_max."""
    yield scaling(0, out.moved.seized, v.price)
    for beta in betas(v, -q[2]):
        yield scaling(-1, out.moved.repaid, beta)
        yield scaling(beta, v.beta_max, out.moved.repaid)


def _worth_no_more_than_debt(v: Inputs, out: Step, q: Sequence[Number]) -> Iterable[Truth]:
    """Give P * V <= L * beta * V <= beta * (debt * W + V), so C * p < beta * (n * i + W + V) + P.

    Times s, with n * s < (x + 1) * C, and divided by C again.
    """
    yield from _less_than_all(v, out, q)
    s, x, c, i = out.moved.seized, out.moved.scaled_retired, v.collateral, v.debt_index
    debt, value, ltv = -q[0], q[1], -q[2]
    worth = v.scaled_debt * i + WAD + value
    most = (x + 1) * i + WAD + value
    for beta in betas(v, ltv):
        yield scaling(PRICE_SCALE, ltv * beta, value)
        yield scaling(2 * WAD, ltv, value)
        yield scaling(WAD, beta, ltv * value)
        yield scaling(ltv * value, debt * WAD + value, beta)
        yield scaling(debt * WAD, v.scaled_debt * i + WAD, beta)
        yield scaling(c * v.price, beta * worth + PRICE_SCALE, s)
        yield scaling(v.scaled_debt * s, (x + 1) * c, beta * i)
        yield scaling(s, c, beta * (WAD + value) + PRICE_SCALE)
        yield scaling(0, WAD + value, beta)
        yield scaling(s * v.price, beta * most + PRICE_SCALE, c)
        yield scaling(beta, v.beta_max, most)
    yield scaling(0, beta, i)
    yield scaling(x, -1, i)
    yield scaling(0, most, v.beta_max)
    yield scaling(value * PRICE_SCALE, c * v.price, v.beta_max)


@lemma(
    "LIQ-5",
    INSOLVENT,
    because=_less_than_all,
    broken=_retiring(lambda retired: retired // 2),
    example=PART,
)
def insolvent_liquidation_is_pro_rata(v: Inputs, out: Step) -> Truth:
    """Show x * C <= n * s < (x + 1) * C, 0 <= s <= C and 0 <= x <= n.

    (n - x) / (C - s) is not below n / C, and n - x exceeds it by less than one unit of scaled debt:
    a liquidator cannot sell the collateral and leave the debt. The mistake: half is
    retired.
    """
    s, x = out.moved.seized, out.moved.scaled_retired
    return all_of(
        x * v.collateral <= v.scaled_debt * s,
        v.scaled_debt * s < (x + 1) * v.collateral,
        s >= 0,
        s <= v.collateral,
        x >= 0,
        x <= v.scaled_debt,
    )


@lemma(
    "LIQ-5",
    INSOLVENT,
    broken=Swap(liquidation, "_insolvent", _unseen),
    example=PART,
)
def insolvent_liquidation_tells_its_loss(_v: Inputs, out: Step) -> Truth:
    """Show loss = max(debt before - debt after - repaid, 0), the debts as anyone reads them.

    The mistake: a loss that no one is told of.
    """
    uncovered = out.debt - out.left - out.moved.repaid
    return all_of(
        out.moved.loss >= 0,
        implies(uncovered >= 0, out.moved.loss == uncovered),
        implies(uncovered < 0, out.moved.loss == 0),
    )


@lemma(
    "LIQ-6",
    INSOLVENT,
    because=_paid_for,
    broken=Swap(liquidation, "div_up", lambda dividend, divisor: dividend // divisor),
    example=PART,
)
def insolvent_liquidation_seizes_at_most_beta_paid(v: Inputs, out: Step) -> Truth:
    """Show s * p * W <= beta_max * repaid * P: at most beta_max times what is paid is seized.

    Without any unit of tolerance, because both divisions on the way to the price round up.
    """
    moved = out.moved
    return moved.seized * v.price * WAD <= v.beta_max * moved.repaid * PRICE_SCALE


@lemma(
    "LIQ-6",
    INSOLVENT,
    because=_worth_no_more_than_debt,
    broken=_retiring(lambda retired: retired // 2),
    example=PART,
)
def insolvent_liquidation_seizes_at_most_beta_retired(v: Inputs, out: Step) -> Truth:
    """Show s * p <= beta_max * ((x + 1) * i + W + C * p / P) + P: value seized for debt retired.

    In asset units: at most beta_max times what is retired, but for beta_max times (one unit of
    scaled debt + one unit + C's value / 1e18) + one unit. The value / 1e18 is what an LTV of 18
    decimals may err by. The mistake: half is retired.
    """
    moved = out.moved
    most = ((moved.scaled_retired + 1) * v.debt_index + WAD) * PRICE_SCALE + v.collateral * v.price
    return moved.seized * v.price * PRICE_SCALE <= v.beta_max * most + PRICE_SCALE * PRICE_SCALE


@lemma(
    "LIQ-6",
    INSOLVENT,
    because=_less_than_all,
    broken=_retiring(lambda retired: retired - 1),
    example=WHOLE,
)
def insolvent_liquidation_leaves_no_dust(v: Inputs, out: Step) -> Truth:
    """Show x = n and s = C, or (n - x) * i > (min_debt - 1) * W: debt 0 or at least min_debt.

    A debt already below can thus only be cleared. The mistake: one unit stays.
    """
    moved = out.moved
    left = v.scaled_debt - moved.scaled_retired
    return all_of(
        implies(left != 0, left * v.debt_index > (v.min_debt - 1) * WAD),
        implies(left == 0, moved.seized == v.collateral),
    )


LEMMAS = (
    insolvent_liquidation_is_pro_rata,
    insolvent_liquidation_tells_its_loss,
    insolvent_liquidation_seizes_at_most_beta_paid,
    insolvent_liquidation_seizes_at_most_beta_retired,
    insolvent_liquidation_leaves_no_dust,
)
PROPERTIES = properties(LEMMAS)
