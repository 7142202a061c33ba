"""Whether the stepper says what the contract's rules say: integers against integers."""

from __future__ import annotations

import numpy as np

from ringfence.math.health import debt_up, is_healthy, value_down
from ringfence.risk.arrays import Integers
from ringfence.risk.rules.book import Positions
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import NEVER, first_steps
from ringfence.risk.rules.trigger import triggers


def disagreements(market: RiskMarket, positions: Positions, answers: Integers) -> Integers:
    """Return for each position how far the stepper is from the mirror of the contract: int64.

    Steps between the first at which either has it liquidatable on int64 answers [step], NEVER
    counting as one past the last; and one for each wrong verdict at its trigger and one answer
    worse. Zero everywhere where they agree.
    """
    held, owed, index = positions.collateral, positions.scaled_debt, positions.debt_index
    ltv = market.risk.liquidation_ltv
    at = triggers(market, held, owed, index, ltv)
    order = np.argsort(at, kind="stable")
    firsts = np.empty(at.size, np.int64)
    firsts[order] = first_steps(at[order], answers, falls=market.falls)
    firsts[firsts == NEVER] = answers.size
    path, worse = [int(one) for one in answers], -1 if market.falls else 1
    prices = [market.price(one) for one in path]
    found = np.zeros(at.size, np.int64)
    for number, (collateral, scaled) in enumerate(zip(held, owed, strict=True)):
        debt, trigger = debt_up(scaled, index), int(at[number])

        def healthy(price: int, debt: int = debt, collateral: int = collateral) -> bool:
            return is_healthy(debt, value_down(collateral, price), ltv)

        first = next((step for step, price in enumerate(prices) if not healthy(price)), len(path))
        found[number] = abs(int(firsts[number]) - first)
        found[number] += not healthy(market.price(trigger)) if debt else 0
        found[number] += healthy(market.price(trigger + worse)) if debt else 0
    return found
