"""Lemmas on LIQ-4: no run of liquidations at one price makes a solvent position insolvent.

As the contract sees it, with every figure rounded: d = ceil(n * i / W) is the debt, V = floor(C * p
/ P) the value, L = ceil(d * W / V) the LTV; a dash means after. Solvent is L * beta(L) < P. The
first lemma is d' * W <= L * V', which is L' <= L; by the second, L' is then solvent, whatever d'
and V' are. So each step leaves a solvent position for the next, however many there are; interest
and the price, which raise L by themselves, stand still between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unittest.mock import patch

from ringfence.math import health, liquidation
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import Liquidation, RiskParams
from verification.proofs.lemmas.given import RISK, risk_of, sound_risk
from verification.proofs.lemmas.liquidation import EXAMPLE as POSITION
from verification.proofs.lemmas.liquidation import SOLVENT, betas, debtor
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

_beta_of = liquidation.beta_of


@dataclass(frozen=True, slots=True)
class Step:
    """What was moved, the LTV before it, and the debt and the value after it."""

    moved: Liquidation
    ltv: int
    debt: int
    value: int


def _step(v: Inputs) -> Step:
    """Liquidate a solvent position, and read it again as the next liquidation will."""
    seen: list[int] = []

    def beta_of(ltv: int, risk: RiskParams) -> int:
        seen.append(ltv)
        return _beta_of(ltv, risk)

    with patch.object(liquidation, "beta_of", beta_of):
        moved = SOLVENT.run(v)
    debt = health.debt_up(v.scaled_debt - moved.scaled_retired, v.debt_index)
    return Step(moved, seen[0], debt, health.value_down(v.collateral - moved.seized, v.price))


STEP = Program(SOLVENT.inputs, debtor, _step)


def _no_rounding_hurts(v: Inputs, out: Step, q: Sequence[Number]) -> Iterable[Truth]:
    """Give d' <= d - r and V' >= V - w, with r = floor(x * i / W) and w = floor(beta * r / W).

    Then L * w * W <= L * beta * r <= P * r, so L * V' >= L * V - r * W >= (d - r) * W >= d' * W.
    """
    # Behind them: what is paid, the seizure, the cut, d' and V'.
    down, worth = q[-7], q[-6]
    x, s, value = out.moved.scaled_retired, out.moved.seized, q[1]
    yield scaling(x, -1, v.debt_index)
    yield scaling(s, -1, v.price)
    yield scaling(v.collateral - s, v.collateral, v.price)
    yield scaling(value - worth, out.value, out.ltv)
    yield scaling(0, value, out.ltv)
    for beta in betas(v, out.ltv):
        yield scaling(0, down, beta)
        yield scaling(worth * WAD, beta * down, out.ltv)
        yield scaling(out.ltv * beta, PRICE_SCALE, down)
        yield scaling(0, q[3], PRICE_SCALE - beta * v.target_ltv)
    yield scaling(v.target_ltv, v.liquidation_ltv, value)


@lemma(
    "LIQ-4",
    STEP,
    because=_no_rounding_hurts,
    broken=Swap(liquidation, "PRICE_SCALE", 2 * PRICE_SCALE),
    example=POSITION,
)
def solvent_liquidation_never_raises_ltv(_v: Inputs, out: Step) -> Truth:
    """Show d' * W <= L * V': the LTV, as rounded, does not rise, not by a unit.

    Every rounding on the way is on the position's side: what is retired, the debt it stands for,
    the value seized for that and the collateral for it all round down. The mistake: collateral
    sold at half its price.
    """
    return out.debt * WAD <= out.ltv * out.value


def _no_higher(v: Inputs) -> tuple[int, bool]:
    """Return the LTV of a position no worse than a solvent one, and whether it is solvent."""
    if not liquidation.is_solvent(v.ltv, _beta_of(v.ltv, risk_of(v))):
        raise RevertError("not this case")
    ltv = health.ltv_up(v.debt, v.value)
    return ltv, liquidation.is_solvent(ltv, liquidation.beta_of(ltv, risk_of(v)))


NO_HIGHER = Program(
    f"debt value ltv {RISK}",
    lambda v: (
        *sound_risk(v),
        v.debt >= 0,
        v.value >= 0,
        v.ltv >= 0,
        v.debt * WAD <= v.ltv * v.value,
    ),
    _no_higher,
)


def _beta_grows_with_ltv(v: Inputs, out: tuple[int, bool], _q: object) -> Iterable[Truth]:
    """Give L' <= L, beta(L') <= beta(L), so L' * beta(L') <= L * beta(L)."""
    yield scaling(v.ltv, out[0] - 1, v.value)
    for beta in betas(v, out[0]):
        yield scaling(out[0], v.ltv, beta)
        for before in betas(v, v.ltv):
            yield scaling(beta, before, v.ltv)


@lemma(
    "LIQ-4",
    NO_HIGHER,
    because=_beta_grows_with_ltv,
    broken=Swap(liquidation, "beta_of", lambda _ltv, risk: 2 * risk.beta_max),
    example=POSITION | {"debt": 90, "value": 100, "ltv": 91 * WAD // 100},
)
def lower_ltv_is_solvent_too(v: Inputs, out: tuple[int, bool]) -> Truth:
    """Show L' <= L and L' * beta(L') < P, where L * beta(L) < P and d' * W <= L * V'.

    The mistake: a bonus that grows as the LTV falls.
    """
    return all_of(out[0] <= v.ltv, out[1])


LEMMAS = (solvent_liquidation_never_raises_ltv, lower_ltv_is_solvent_too)
PROPERTIES = properties(LEMMAS)
