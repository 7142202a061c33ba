"""What is known of the integers that a lemma speaks of: field widths and the factory's bounds.

Each bound is one that the contracts enforce: the widths in modules/balance_sheet.vy and
position_slot.vy, the parameters in VaultFactory.vy (_check_ltvs, _check_bonus, _check_books).
"""

from __future__ import annotations

from collections.abc import Iterable

from ringfence.math.balance_sheet import MAX_CASH, MAX_INDEX, MAX_SHARES, BalanceSheet
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.math.position_slot import MAX_COLLATERAL, MAX_SCALED_DEBT
from verification.proofs.lemmas.proof import Inputs, Truth, scaling
from verification.proofs.lemmas.symbolic import Operand

MIN_LTV_GAP = 5 * 10**15
MAX_RESERVE_FACTOR = 25 * 10**16
MIN_AMOUNT = 10_000

BOOKS = "total_shares cash last_accrual total_scaled_debt debt_index supply_index"
RISK = "liquidation_ltv target_ltv base_bonus beta_max reserve_cut min_debt"


def assets(sheet: BalanceSheet) -> int:
    """Return cash * 1e18 + total_scaled_debt * debt_index."""
    return sheet.cash * WAD + sheet.total_scaled_debt * sheet.debt_index


def claims(sheet: BalanceSheet) -> int:
    """Return total_shares * supply_index."""
    return sheet.total_shares * sheet.supply_index


def books_of(v: Inputs) -> BalanceSheet:
    """Return the books of a lemma's inputs."""
    return BalanceSheet(*(getattr(v, name) for name in BOOKS.split()))


def risk_of(v: Inputs) -> RiskParams:
    """Return the parameters of a lemma's inputs."""
    return RiskParams(*(getattr(v, name) for name in RISK.split()))


def sound_books(v: Inputs) -> Iterable[Truth]:
    """Widths, debt_index >= 1, and claims within assets."""
    return (
        v.total_shares >= 0,
        v.total_shares <= MAX_SHARES,
        v.cash >= 0,
        v.cash <= MAX_CASH,
        v.last_accrual >= 0,
        v.total_scaled_debt >= 0,
        v.total_scaled_debt <= MAX_SHARES,
        v.debt_index >= WAD,
        v.debt_index <= MAX_INDEX,
        v.supply_index >= 0,
        v.supply_index <= MAX_INDEX,
        claims(books_of(v)) <= assets(books_of(v)),
    )


def sound_risk(v: Inputs) -> Iterable[Truth]:
    """Return what the factory demands of the LTVs, the bonus, the cut and the least debt."""
    return (
        v.target_ltv >= MIN_LTV_GAP,
        v.target_ltv + MIN_LTV_GAP <= v.liquidation_ltv,
        v.liquidation_ltv < WAD,
        v.base_bonus >= 0,
        v.base_bonus < v.beta_max - WAD,
        v.beta_max <= 2 * WAD,
        v.beta_max * (v.liquidation_ltv + v.beta_max - WAD - v.base_bonus) <= WAD * WAD,
        v.reserve_cut >= 0,
        v.reserve_cut < WAD,
        v.min_debt >= MIN_AMOUNT,
    )


def open_position(v: Inputs) -> Iterable[Truth]:
    """Return that a position has debt, at an index that has not fallen below one."""
    return (
        v.collateral >= 1,
        v.collateral <= MAX_COLLATERAL,
        v.scaled_debt >= 1,
        v.scaled_debt <= MAX_SCALED_DEBT,
        v.debt_index >= WAD,
        v.debt_index <= MAX_INDEX,
        *width_of_product(v.scaled_debt, v.debt_index, MAX_SCALED_DEBT, MAX_INDEX),
    )


def width_of_product(a: Operand, b: Operand, max_a: int, max_b: int) -> Iterable[Truth]:
    """0 <= a <= max_a and 0 <= b <= max_b give 0 <= a * b <= max_a * max_b."""
    return (scaling(a, max_a, b), scaling(0, a, b), scaling(b, max_b, max_a))
