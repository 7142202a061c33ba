"""Lemmas on the whole of `adjust`, with collateral and debt both moving, up or down, in one call.

Names: C = collateral, n = scaled_debt, i = debt_index, p = price; T = total_scaled_debt, S =
total_shares, I = supply_index, A = cash * W + T * i; a dash means after. W = 1e18, P = 1e36.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringfence.math import health, positions
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.position_slot import MAX_COLLATERAL
from verification.proofs.lemmas.books import EXAMPLE, After
from verification.proofs.lemmas.given import (
    BOOKS,
    MIN_AMOUNT,
    MIN_LTV_GAP,
    assets,
    claims,
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
from verification.proofs.lemmas.vault import OWNER, POSITION, call_of, vault_of


def _given(v: Inputs) -> Iterable[Truth]:
    """Sound books, and a position, open or not, whose debt is part of the total (BOOK-2)."""
    return (
        *sound_books(v),
        v.collateral >= 0,
        v.collateral <= MAX_COLLATERAL,
        v.scaled_debt >= 0,
        v.scaled_debt <= v.total_scaled_debt,
        implies(v.collateral == 0, v.scaled_debt == 0),
        scaling(0, v.scaled_debt, v.debt_index),
        scaling(v.scaled_debt, v.total_scaled_debt, v.debt_index),
        v.price >= 0,
        v.min_debt >= MIN_AMOUNT,
        v.initial_ltv >= MIN_LTV_GAP,
    )


def _adjust(v: Inputs) -> After:
    market = vault_of(v)
    market.adjust(call_of(v), POSITION, v.collateral_delta, v.debt_delta, OWNER)
    return After(market.sheet, market.fields)


ADJUST = Program(
    f"{BOOKS} collateral scaled_debt price collateral_delta debt_delta min_debt initial_ltv",
    _given,
    _adjust,
)
_figures = {name: EXAMPLE[name] for name in ADJUST.inputs.split() if name in EXAMPLE}
GROWS = _figures | {"collateral_delta": 1, "debt_delta": 100_001, "total_shares": 10**7 + 500_000}
SHRINKS = _figures | {"collateral_delta": -450_000, "debt_delta": -100_001}
_scaled_down = health.scaled_down


def _backed(v: Inputs, after: After, q: Sequence[Number]) -> Iterable[Truth]:
    """Give n' * i * P <= d' * W * P <= V' * initial_ltv * P <= initial_ltv * C' * p.

    And the order of quotients times the index: what is owed, borrowed or retired.
    """
    for quotient in q:
        for edge in (-1, v.scaled_debt):
            yield scaling(quotient, edge, v.debt_index)
    left, kept = after.position.scaled_debt, after.position.collateral
    yield scaling(q[-1] * PRICE_SCALE, kept * v.price, v.initial_ltv)
    yield scaling(q[-1], 0, v.initial_ltv)
    yield scaling(left, v.scaled_debt, v.collateral)
    yield scaling(v.collateral, kept, v.scaled_debt)
    yield scaling(0, left, v.collateral)
    yield scaling(0, left, v.debt_index)
    yield scaling(1, left, v.debt_index)


@lemma(
    "BOOK-3",
    ADJUST,
    because=_backed,
    broken=Swap(health, "scaled_up", _scaled_down),
    example=GROWS,
)
def adjusting_keeps_books(v: Inputs, after: After) -> Truth:
    """Show S * I <= A', T' - T = n' - n >= -n, C' = C + its change >= 0, and n' = 0 or C' > 0.

    Cash falls by exactly what is borrowed, and grows by no more than what is offered. The mistake:
    scaled debt rounded down lends out a part of a unit that nobody owes.
    """
    left, kept = after.position.scaled_debt, after.position.collateral
    return all_of(
        claims(after.sheet) <= assets(after.sheet),
        after.sheet.cash >= 0,
        after.sheet.cash <= v.cash - v.debt_delta,
        implies(v.debt_delta >= 0, after.sheet.cash == v.cash - v.debt_delta),
        after.sheet.total_scaled_debt - v.total_scaled_debt == left - v.scaled_debt,
        left >= 0,
        kept == v.collateral + v.collateral_delta,
        kept >= 0,
        implies(kept == 0, left == 0),
    )


@lemma(
    "LIQ-1",
    ADJUST,
    because=_backed,
    broken=Swap(
        positions, "is_reduce_only", lambda before, after: after.scaled_debt < before.scaled_debt
    ),
    example=SHRINKS,
)
def adjusting_raises_ltv_within_initial_only(v: Inputs, after: After) -> Truth:
    """Show n' <= n and n' * C <= n * C', or n' * i * P <= initial_ltv * C' * p and no dust.

    No dust is n' * i > (min_debt - 1) * W. So the position is no worse at any price, or within
    `initial_ltv` at `low`, whatever moves with what. The mistake: collateral may fall faster than
    the debt.
    """
    left, kept = after.position.scaled_debt, after.position.collateral
    allowed = all_of(
        left * v.debt_index * PRICE_SCALE <= v.initial_ltv * kept * v.price,
        left * v.debt_index > (v.min_debt - 1) * WAD,
    )
    return all_of(
        implies(left > v.scaled_debt, allowed),
        implies(left * v.collateral > v.scaled_debt * kept, allowed),
    )


LEMMAS = (adjusting_keeps_books, adjusting_raises_ltv_within_initial_only)
PROPERTIES = properties(LEMMAS)
