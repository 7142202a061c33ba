"""How traders behave: rules of the scenario file against what a position looks like. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from ringfence.math.fixed_point import WAD
from ringfence.sim.scenario import Close, Rule


@dataclass(frozen=True, slots=True)
class View:
    """A position as its owner sees it: collateral units, asset units, LTV 1e18."""

    collateral: int
    debt: int
    ltv: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a rule makes its owner do now; `rule` is its number among the position's."""

    rule: int
    what: Rule


@dataclass(slots=True)
class Trader:
    """One position's owner, as far as this position goes; `used` counts rules that acted."""

    rules: Sequence[Rule]
    used: dict[int, int] = field(default_factory=dict)

    def decide(self, view: View, price: Fraction) -> Order | None:
        """Return the first rule that applies, and count it; None when none does.

        `price` is the feed's, USDC per WETH.
        """
        for index, rule in enumerate(self.rules):
            if applies(rule, view, price, self.used.get(index, 0)):
                self.used[index] = self.used.get(index, 0) + 1
                return Order(index, rule)
        return None


def applies(rule: Rule, view: View, price: Fraction, used: int) -> bool:
    """Return whether a rule that acted `used` times applies to an open position."""
    if view.collateral == 0:
        return False
    if isinstance(rule, Close):
        below, above = rule.at_or_below, rule.at_or_above
        return (below is not None and price <= below) or (above is not None and price >= above)
    return used < rule.times and view.debt > 0 and view.ltv > _wad(rule.above_ltv)


def _wad(share: Decimal) -> int:
    return int(share * WAD)
