"""Lemmas on solvent liquidations: liquidation.liquidate of ringfence/math and contracts/modules.

Names: C = collateral, n = scaled_debt, i = debt_index, p = price, all before; s is seized, x is
retired. W = 1e18 and P = W * W. Exact, without any rounding: the debt is n * i / W, the value
C * p / P. The figures rounded: V = floor(C * p / P), debt = ceil(n * i / W), L = ceil(debt / V).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unittest.mock import patch

from ringfence.math import liquidation
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import Liquidation
from ringfence.math.position_slot import PositionSlot
from verification.proofs.lemmas.given import RISK, open_position, risk_of, sound_risk
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


def _not_this_case(*_figures: object) -> Liquidation:
    """Leave the insolvent case out."""
    raise RevertError("not this case")


def _run(v: Inputs) -> Liquidation:
    """Run the mirror's `liquidate`, solvent positions only."""
    position = PositionSlot(v.collateral, v.scaled_debt, 0)
    with patch.object(liquidation, "_insolvent", _not_this_case):
        return liquidation.liquidate(position, v.debt_index, v.price, v.max_repay, risk_of(v))


def debtor(v: Inputs) -> Iterable[Truth]:
    """Return what is known of any position with debt that someone tries to liquidate."""
    return (
        *open_position(v),
        *sound_risk(v),
        v.price >= 1,
        v.max_repay >= 0,
        scaling(0, v.collateral, v.price),
    )


SOLVENT = Program(f"collateral scaled_debt debt_index price max_repay {RISK}", debtor, _run)
PERCENT = WAD // 100
EXAMPLE = {
    "collateral": 10**6,
    "scaled_debt": 900_000,
    "debt_index": WAD,
    "price": PRICE_SCALE,
    "max_repay": 1_000,
    "liquidation_ltv": 86 * PERCENT,
    "target_ltv": 80 * PERCENT,
    "base_bonus": PERCENT,
    "beta_max": 107 * PERCENT,
    "reserve_cut": 10 * PERCENT,
    "min_debt": 10_000,
}


def betas(v: Inputs, ltv: Number) -> tuple[Number, Number]:
    """Return the two values that beta may have, by `beta_of`."""
    return v.beta_max, WAD + v.base_bonus + ltv - v.liquidation_ltv


def _seized_for_retired(v: Inputs, out: Liquidation, q: Sequence[Number]) -> Iterable[Truth]:
    """Give s * p <= W * beta * floor(x * i / W) <= beta * x * i, and beta <= beta_max."""
    down = q[-5]
    yield scaling(0, out.scaled_retired, v.debt_index)
    yield scaling(out.scaled_retired, -1, v.debt_index)
    for beta in betas(v, -q[2]):
        yield scaling(down * WAD, out.scaled_retired * v.debt_index, beta)
        yield scaling(beta, v.beta_max, out.scaled_retired * v.debt_index)


def _repair_is_positive(v: Inputs, q: Sequence[Number]) -> Iterable[Truth]:
    """Unhealthy at liquidation_ltv > target_ltv: something has to be repaid."""
    yield scaling(v.target_ltv, v.liquidation_ltv, q[1])
    for beta in betas(v, -q[2]):
        yield scaling(0, q[3], PRICE_SCALE - beta * v.target_ltv)


def _k_falls(v: Inputs, out: Liquidation, q: Sequence[Number]) -> Iterable[Truth]:
    """Give n * i * beta <= debt * W * beta <= L * V * beta < P * V <= C * p.

    So n * s * p <= n * beta * x * i < x * C * p, and p > 0.
    """
    yield from _seized_for_retired(v, out, q)
    yield from _repair_is_positive(v, q)
    n, i, c, p, s, x = (
        v.scaled_debt,
        v.debt_index,
        v.collateral,
        v.price,
        out.seized,
        out.scaled_retired,
    )
    debt, value, ltv = -q[0], q[1], -q[2]
    for beta in betas(v, ltv):
        yield scaling(n * i, debt * WAD, beta)
        yield scaling(debt * WAD, ltv * value, beta)
        yield scaling(ltv * beta, PRICE_SCALE, value)
        yield scaling(n * i * beta, c * p, x)
        yield scaling(s * p, beta * x * i, n)
    yield scaling(n * s, c * x, p)
    yield scaling(x, n, i)


def _stops_at_target(v: Inputs, out: Liquidation, q: Sequence[Number]) -> Iterable[Truth]:
    """Each rounding loses less than one unit; the repayment at most the full repair."""
    yield from _seized_for_retired(v, out, q)
    tau, x_i = v.target_ltv, out.scaled_retired * v.debt_index
    value, repair, down, seized_value = q[1], -q[3], q[-5], q[-4]
    yield scaling(v.collateral * v.price, (value + 1) * PRICE_SCALE, tau)
    yield scaling(seized_value * PRICE_SCALE, (out.seized + 1) * v.price, tau)
    for beta in betas(v, -q[2]):
        yield scaling(beta * down, (seized_value + 1) * WAD, tau)
        yield scaling(x_i, (down + 1) * WAD, beta * tau)
        yield scaling(0, tau, beta)
        yield scaling(x_i, repair * WAD, PRICE_SCALE - beta * tau)


_HALF_PRICE = Swap(liquidation, "PRICE_SCALE", 2 * PRICE_SCALE)
_debt_up = liquidation.debt_up


def _one_less(scaled_debt: int, debt_index: int) -> int:
    """Return what is owed, less one unit."""
    return _debt_up(scaled_debt, debt_index) - 1


def _one_more(scaled_debt: int, debt_index: int) -> int:
    """Return what is owed, and 10,000 units more."""
    return _debt_up(scaled_debt, debt_index) + 10_000


def _all_at_once(_dividend: int, _divisor: int) -> int:
    """Return a repair that knows no end."""
    return 2**128


@lemma(
    "LIQ-4",
    SOLVENT,
    because=_k_falls,
    broken=_HALF_PRICE,
    example=EXAMPLE,
)
def solvent_liquidation_lowers_k(v: Inputs, out: Liquidation) -> Truth:
    """Show n * s < x * C and 1 <= x <= n: scaled_debt / collateral falls strictly.

    (n - x) / (C - s) < n / C, so at any price the position is better off after each step, and no
    run of steps, however tiny, brings an exactly solvent position into insolvency. It also says
    s < C: collateral is left over, the trader's. The mistake: collateral
    sold at half its price.
    """
    return all_of(
        v.scaled_debt * out.seized < out.scaled_retired * v.collateral,
        out.scaled_retired >= 1,
        out.scaled_retired <= v.scaled_debt,
        out.seized >= 0,
    )


@lemma(
    "LIQ-4",
    SOLVENT,
    because=_seized_for_retired,
    broken=Swap(liquidation, "debt_up", _one_less),
    example=EXAMPLE,
)
def solvent_liquidation_books_no_loss(v: Inputs, out: Liquidation) -> Truth:
    """Show repaid * W >= x * i and loss = 0: what is retired is paid for, in exact products.

    Cash grows by no less than total debt falls, so BOOK-3 stays and no lender is asked for a unit.
    """
    return all_of(out.repaid * WAD >= out.scaled_retired * v.debt_index, out.loss == 0)


@lemma(
    "LIQ-6",
    SOLVENT,
    because=_seized_for_retired,
    broken=_HALF_PRICE,
    example=EXAMPLE,
)
def solvent_liquidation_seizes_at_most_beta_max(v: Inputs, out: Liquidation) -> Truth:
    """Show s * p <= beta_max * x * i: seized value is at most beta_max times the retired debt.

    Without any unit of tolerance, because all three divisions on the way to s round down.
    """
    return out.seized * v.price <= v.beta_max * out.scaled_retired * v.debt_index


@lemma(
    "LIQ-4",
    SOLVENT,
    because=_stops_at_target,
    broken=Swap(liquidation, "div_up", _all_at_once),
    example=EXAMPLE | {"scaled_debt": 870_000, "max_repay": 850_000},
)
def solvent_liquidation_stops_at_target(v: Inputs, out: Liquidation) -> Truth:
    """While x < n, tau * V' - d' < 2 + 2 * tau asset units + tau * one collateral unit.

    V' = (C - s) * p / P and d' = (n - x) * i / W are what is left, exact; all times W * P here. The
    trader never loses more collateral than brings the LTV to the target, but for the roundings.
    """
    left_value = (v.collateral - out.seized) * v.price
    left_debt = (v.scaled_debt - out.scaled_retired) * v.debt_index
    bound = 2 * WAD * PRICE_SCALE + 2 * v.target_ltv * PRICE_SCALE + v.target_ltv * v.price
    return implies(
        out.scaled_retired < v.scaled_debt,
        v.target_ltv * left_value - left_debt * PRICE_SCALE < bound,
    )


def _retired_products(v: Inputs, out: Liquidation, _q: Sequence[Number]) -> Iterable[Truth]:
    yield scaling(out.scaled_retired, v.scaled_debt, v.debt_index)


@lemma(
    "LIQ-6",
    SOLVENT,
    because=_retired_products,
    broken=Swap(liquidation, "debt_up", _one_more),
    example=EXAMPLE | {"scaled_debt": 920_000, "max_repay": 895_000, "min_debt": 90_000},
)
def solvent_liquidation_leaves_no_dust(v: Inputs, out: Liquidation) -> Truth:
    """Show x = n or (n - x) * i > (min_debt - 1) * W: debt 0 or at least min_debt is left.

    A debt already below can thus only be cleared. The mistake: a debt taken for larger than it is.
    """
    left = v.scaled_debt - out.scaled_retired
    return implies(left != 0, left * v.debt_index > (v.min_debt - 1) * WAD)


LEMMAS = (
    solvent_liquidation_lowers_k,
    solvent_liquidation_books_no_loss,
    solvent_liquidation_seizes_at_most_beta_max,
    solvent_liquidation_stops_at_target,
    solvent_liquidation_leaves_no_dust,
)
PROPERTIES = properties(LEMMAS)
