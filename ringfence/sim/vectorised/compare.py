"""A scenario as the bytecode played it against the vectorised engine's play of it, step by step.

Integers must be equal: the feed's answers, which positions are liquidatable at each step, which
ones are liquidated at it and in what order. Amounts and the pool's price, where the engine has
floats, must be within SCENARIO of the bytecode's. A liquidation's units are those of the coarser of
its two tokens: what it repays follows from what the pool takes, and what it earns too. Gas is not
compared: the engine has the keeper's estimate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from math import inf

from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.risk.coupled.engine import SCENARIO
from ringfence.risk.rules.market import RiskMarket
from ringfence.sim.outcome import Outcome, Sold
from ringfence.sim.result import Check

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepCompared:
    """One step on both engines, the bytecode's before the other's; positions by their accounts.

    `amounts` is how far the furthest amount of its liquidations is off, `pool` the pool's price:
    parts of what SCENARIO allows.
    """

    step: int
    time: int
    answers: tuple[int, int]
    due: tuple[Names, Names]
    sold: tuple[Names, Names]
    amounts: float
    pool: float

    @property
    def equal(self) -> bool:
        """Whether its integers are equal."""
        return all(one == other for one, other in (self.answers, self.due, self.sold))

    @property
    def within(self) -> bool:
        """Whether what is in floats is within the bound."""
        # One by one: the larger of two is not always NaN where either is.
        return self.amounts <= 1 and self.pool <= 1

    @property
    def quiet(self) -> bool:
        """Whether nothing was due or done at it, on neither engine."""
        return not any((*self.due, *self.sold))


@dataclass(frozen=True, slots=True)
class Compared:
    """All steps, and by name how far what was left at the end is off, as parts of the bound."""

    steps: tuple[StepCompared, ...]
    ends: dict[str, float]

    @property
    def agrees(self) -> bool:
        """Whether all integers are equal, and all floats within the bound."""
        return all(check.held for check in self.checks())

    def checks(self) -> tuple[Check, ...]:
        """Return what was compared, each with the first step that decides against it."""
        unequal = [one.step for one in self.steps if not one.equal]
        beyond = [one.step for one in self.steps if not one.within]
        furthest = max(max(one.amounts, one.pool) for one in self.steps)
        ends = [name for name, off in self.ends.items() if not off <= 1]
        return (
            Check(
                "integers_equal_at_every_step",
                not unequal,
                f"differ from step {unequal[0]} on, at {len(unequal)} of {len(self.steps)}"
                if unequal
                else f"{len(self.steps)} steps: answers, positions due, positions liquidated",
            ),
            Check(
                "floats_within_the_bound_at_every_step",
                not beyond,
                f"beyond from step {beyond[0]} on, {furthest:.1e} of the bound"
                if beyond
                else f"amounts and the pool's price: {furthest:.1e} of the bound at most",
            ),
            Check(
                "ends_within_the_bound",
                not ends,
                f"beyond: {', '.join(ends)}"
                if ends
                else f"{len(self.ends)} amounts: {max(self.ends.values()):.1e} of it at most",
            ),
        )


def compare(bytecode: Outcome, vectorised: Outcome, markets: Mapping[str, RiskMarket]) -> Compared:
    """Compare two plays of one scenario with as many steps."""
    names = _names(bytecode)
    due = [_due(outcome, names) for outcome in (bytecode, vectorised)]
    found = []
    for step, (one, other) in enumerate(zip(bytecode.steps, vectorised.steps, strict=True)):
        sold = [
            [each for each in outcome.liquidations if each.time == one.time]
            for outcome in (bytecode, vectorised)
        ]
        units = {name: PRICE_SCALE / market.price(one.answer) for name, market in markets.items()}
        told = [tuple(names[each.market, each.position] for each in each_of) for each_of in sold]
        found.append(
            StepCompared(
                step=step,
                time=one.time,
                answers=(one.answer, other.answer),
                due=(due[0].get(step, ()), due[1].get(step, ())),
                sold=(told[0], told[1]),
                amounts=max((_off(a, b, units) for a, b in zip_longest(*sold)), default=0.0),
                pool=abs((other.root / one.root) ** 2 - 1) / SCENARIO.relative,
            )
        )
    return Compared(tuple(found), _ends(bytecode, vectorised, units))


def _names(outcome: Outcome) -> dict[tuple[str, str], str]:
    """Return what positions are called: by the account, and its number where it has several."""
    held = Counter(one.account for one in outcome.positions)
    seen: Counter[str] = Counter()
    found = {}
    for one in outcome.positions:
        seen[one.account] += 1
        several = f" #{seen[one.account]}" if held[one.account] > 1 else ""
        found[one.market, one.id] = f"{one.account}{several}"
    return found


def _due(outcome: Outcome, names: Mapping[tuple[str, str], str]) -> dict[int, Names]:
    """Return which positions are liquidatable, by the steps at which any is."""
    found: dict[int, Names] = {}
    for one in outcome.positions:
        for step in one.liquidatable_at:
            found[step] = (*found.get(step, ()), names[one.market, one.id])
    return found


def _off(one: Sold | None, other: Sold | None, units: Mapping[str, float]) -> float:
    """Return how far a liquidation's amounts are off; infinite where the other has none."""
    if one is None or other is None or one.position != other.position:
        return inf
    unit = units[one.market]
    amounts = ("repaid", "cut", "loss", "socialised", "profit")
    pairs = ((getattr(one, what), getattr(other, what)) for what in amounts)
    seized = _part(one.seized, other.seized, max(1.0, unit))
    return max(seized, *(_part(*pair, max(1.0, 1 / unit)) for pair in pairs))


def _part(exact: int, found: int, unit: float = 1.0) -> float:
    return abs(found - exact) / SCENARIO.allowed(exact, unit)


def _ends(bytecode: Outcome, vectorised: Outcome, units: Mapping[str, float]) -> dict[str, float]:
    """Return how far positions, books, lenders' claims and the keeper's profit are off."""
    found, names = {}, _names(bytecode)
    for one, other in zip(bytecode.positions, vectorised.positions, strict=True):
        unit = units[one.market]
        ends = [(each.id, each.status, each.liquidations) for each in (one, other)]
        held = _part(one.collateral, other.collateral, max(1.0, unit))
        owed = _part(one.debt, other.debt, max(1.0, 1 / unit))
        found[names[one.market, one.id]] = max(held, owed) if ends[0] == ends[1] else inf
    for market, its in zip(bytecode.markets, vectorised.markets, strict=True):
        unit = max(1.0, 1 / units[market.id])
        for what in ("cash", "debt", "reserve", "repaid", "cut", "loss", "lender_loss"):
            found[f"{what} of {market.id}"] = _part(getattr(market, what), getattr(its, what), unit)
    for lender, claims in zip(bytecode.lenders, vectorised.lenders, strict=True):
        unit = max(1.0, 1 / units[lender.market])
        found[f"{lender.account} in {lender.market}"] = _part(lender.claim, claims.claim, unit)
    coarse = max(1.0, *(1 / unit for unit in units.values()))
    for keeper, twin in zip(bytecode.keepers, vectorised.keepers, strict=True):
        found[f"USDC of {keeper.account}"] = _part(keeper.usdc, twin.usdc)
        found[f"WETH of {keeper.account}"] = _part(keeper.weth, twin.weth, coarse)
    return found
