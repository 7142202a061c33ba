"""Liquidations in floats against the exact mirror, over wide inputs."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.health import debt_up, is_healthy, value_down
from ringfence.math.liquidation import Liquidation, RiskParams, liquidate
from ringfence.math.position_slot import PositionSlot
from ringfence.risk.rules import liquidations as floats


def _risk(random: Random, asset: int) -> RiskParams:
    ltv = random.uniform(0.5, 0.92)
    bonus = random.uniform(0.001, 0.03)
    most = 1 + bonus + random.uniform(0.2, 0.95) * (_beta_bound(ltv, bonus) - 1 - bonus)
    target = ltv - random.uniform(0.005, 0.1)
    wads = [int(one * WAD) for one in (ltv, target, bonus, most, random.uniform(0, 0.5))]
    return RiskParams(*wads, min_debt=random.randint(1, 200) * asset)


def _beta_bound(ltv: float, bonus: float) -> float:
    """The largest beta that keeps beta * (ltv + beta - 1 - bonus) <= 1."""
    half = (ltv - 1 - bonus) / 2
    return float(-half + (half * half + 1) ** 0.5)


def _case(random: Random) -> tuple[PositionSlot, int, int, int, RiskParams, int]:
    """A position past the liquidation LTV, debt index, price, max repay, rules, asset unit."""
    asset = 10 ** random.choice((6, 8, 18))
    collateral_unit = 10 ** random.choice((6, 8, 18))
    risk = _risk(random, asset)
    index = int(WAD * random.uniform(1, 4))
    price = int(PRICE_SCALE * asset / collateral_unit * 10 ** random.uniform(-2, 4))
    debt = int(asset * 10 ** random.uniform(1, 8))
    ltv = risk.liquidation_ltv / WAD + 10 ** random.uniform(-4, 0.3)
    collateral = max(int(debt / ltv * PRICE_SCALE / price), 1)
    share = random.choice((None, random.random(), 10 ** random.uniform(-4, 0)))
    most = MAX_UINT256 if share is None else int(share * debt) + 1
    return PositionSlot(collateral, debt * WAD // index, 0), index, price, most, risk, asset


def _exact(
    position: PositionSlot, index: int, price: int, most: int, risk: RiskParams
) -> Liquidation:
    try:
        return liquidate(position, index, price, most, risk)
    except RevertError:
        return Liquidation(0, 0, 0, 0, 0)


def test_liquidate__twenty_thousand_positions__within_the_bound_of_the_mirror() -> None:
    random, kinds = Random(5), Counter[str]()
    for _ in range(20_000):
        position, index, price, most, risk, _asset = _case(random)
        debt = debt_up(position.scaled_debt, index)
        worth = value_down(position.collateral, price)
        if is_healthy(debt, worth, risk.liquidation_ltv) or worth < 10**4:
            continue
        exact = _exact(position, index, price, most, risk)
        in_floats = price / PRICE_SCALE
        terms = floats.Terms.of(risk)
        owed = position.scaled_debt * index / WAD
        found = floats.liquidate(float(position.collateral), owed, in_floats, float(most), terms)
        units = floats.UNITS * (1 + in_floats) / (1 - terms.beta_max * terms.target_ltv)
        units += floats.RELATIVE * debt
        apart = abs(exact.repaid - found.repaid) > 1e-6 * debt + 10 * units
        if (exact.repaid == 0) != (found.retired == 0) or apart:
            assert _is_near_a_switch(debt, worth, exact, found, risk), (exact, found)
            kinds["switch"] += 1
            continue
        retired = debt - debt_up(position.scaled_debt - exact.scaled_retired, index)
        for one, other in (
            (exact.repaid, found.repaid),
            (exact.cut, found.cut),
            (retired, found.retired),
            (exact.loss, found.loss),
        ):
            assert abs(one - other) <= units, (exact, found)
        seized = units / in_floats + 1 + floats.RELATIVE * position.collateral
        assert abs(exact.seized - found.seized) <= seized, (exact, found)
        kinds[_kind(position, exact)] += 1
    assert kinds["switch"] < 20
    assert min(kinds[one] for one in ("none", "whole", "part", "lossy whole", "lossy part")) > 100


def _kind(position: PositionSlot, exact: Liquidation) -> str:
    if not exact.repaid:
        return "none"
    whole = exact.scaled_retired == position.scaled_debt
    return ("lossy " if exact.loss else "") + ("whole" if whole else "part")


def _is_near_a_switch(
    debt: int, worth: int, exact: Liquidation, found: floats.Moved, risk: RiskParams
) -> bool:
    """Whether the LTV is next to where positions become insolvent, or what is left to min_debt."""
    terms = floats.Terms.of(risk)
    ltv = debt / worth
    at_insolvency = abs(ltv * floats.beta_of(ltv, terms) - 1) < 1e-9 + 10 / worth
    lefts = (risk.min_debt, debt - risk.min_debt, debt)
    amounts = (exact.repaid, found.repaid, found.retired, float(exact.scaled_retired))
    at_min_debt = any(abs(a - b) < 1e-9 * debt + 10 for a in lefts for b in amounts)
    return at_insolvency or at_min_debt


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_beta_of__at_the_liquidation_ltv_and_far_past__base_bonus_and_beta_max(
    share: float,
) -> None:
    terms = floats.Terms(0.86, 0.83, 0.01, 1.077, 0.1, 100.0)
    assert floats.beta_of(0.86 + share, terms) == pytest.approx(1.077 if share else 1.01, rel=1e-15)


def test_liquidate__the_designs_worked_case__its_figures() -> None:
    """The docstring's example, which the doctests' finder does not see in jitted functions."""
    terms = floats.Terms(0.86, 0.80, 0.01, 1.08, 0.1, 100.0)
    moved = floats.liquidate(1.0, 1_590.0, 1_800.0, 1e30, terms)
    assert moved == pytest.approx((0.4968, 865.3846, 2.8846, 865.3846, 0.0), abs=1e-4)
