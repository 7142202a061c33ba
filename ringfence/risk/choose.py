"""Choose a market's liquidation LTV, bonus and debt cap so that lenders stay inside a budget.

The budget is a share of the debt. A choice is inside it where the upper end of the interval of
lenders' ES 99 is, under every price law by itself: none is averaged with another. For each bonus
the largest LTV on a grid is found by bisection, law by law on its own paths, and the smallest over
the laws is the choice's; so is the debt cap. `ringfence.risk.judge` says what is judged and how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.random import Generator

from ringfence.math.fixed_point import WAD
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.judge import LEAST_LTV, LTV_STEP, Drawn, Judge, Law, Setting, largest
from ringfence.risk.market import RiskMarket
from ringfence.risk.tail import Estimate
from ringfence.risk.work import Result, Task

CAP_STEPS = 4
CAPS = tuple(2 ** (power / CAP_STEPS) for power in range(-2 * CAP_STEPS, 3 * CAP_STEPS + 1))
"""Debt caps that are tried, times the one asked for."""
CONTRACT = "contract"


def _search(given: Mapping[str, Any], rng: Generator) -> Result:
    """Return one law's largest LTVs [bonus, budget], 1e18, 0 where none; the least upper ends."""
    setting: Setting = given["setting"]
    judge = Judge(setting, Drawn.of(setting, given["law"], rng))
    rows = [_largest_ltvs(judge, bonus, given["budgets"]) for bonus in given["bonuses"]]
    return {
        "ltv": np.array([ltvs for ltvs, _ in rows]), "least": np.array([least for _, least in rows])
    }  # fmt: skip


def _largest_ltvs(judge: Judge, bonus: int, budgets: Sequence[float]) -> tuple[list[int], float]:
    """Return the largest LTV inside each budget, 0 where none, and the lowest LTV's upper end."""
    setting = judge.setting
    ltvs = setting.grid(bonus)

    def upper(index: int) -> float:
        return judge.es(setting.at(ltvs[index], bonus), setting.cap).high

    def inside(budget: float) -> int:
        return largest(len(ltvs), lambda index: upper(index) <= budget)

    found = [inside(budget) for budget in budgets]
    return [ltvs[index] if index >= 0 else 0 for index in found], upper(0)


def _confirm(given: Mapping[str, Any], rng: Generator) -> Result:
    """Return one law's ES 99 at each market [market, (value, low, high)] and the cap it bears.

    The caps are indices of CAPS at the budget, -1 where none will do or is asked for.
    """
    setting: Setting = given["setting"]
    judge = Judge(setting, Drawn.of(setting, given["law"], rng))
    found = [judge.es(market, setting.cap) for market, _ in given["markets"]]
    caps = [
        _largest_cap(judge, market, given["budget"]) if sized else -1
        for market, sized in given["markets"]
    ]
    return {
        "es": np.array([(one.value, one.low, one.high) for one in found]),
        "cap": np.array(caps),
    }


def _largest_cap(judge: Judge, market: RiskMarket, budget: float) -> int:
    return largest(
        len(CAPS),
        lambda index: judge.es(market, CAPS[index] * judge.setting.cap).high <= budget,
    )


SEARCH = Task("choose-search", _search)
CONFIRM = Task("choose-confirm", _confirm)


@dataclass(frozen=True, slots=True)
class Choice:
    """Parameters and what becomes of them, shares of the debt.

    es: lenders' ES 99 by price law at the cap that was asked for; cap: the largest of CAPS, in
    whole assets, that is inside the budget, 0 where none is and where none was looked for; binds:
    the law that forbids the next liquidation LTV, or CONTRACT.
    """

    market: RiskMarket
    budget: float
    es: Mapping[str, Estimate]
    cap: float
    binds: str

    @property
    def worst(self) -> str:
        """The law whose interval ends highest."""
        return max(self.es, key=lambda law: self.es[law].high)

    @property
    def used(self) -> float:
        """The highest upper end."""
        return self.es[self.worst].high

    @property
    def passes(self) -> bool:
        """Whether all laws are inside the budget."""
        return self.used <= self.budget

    @property
    def leverage(self) -> float:
        """The most that a position can be opened with: value over capital."""
        return 1 / (1 - self.market.initial_ltv / WAD)


@dataclass(frozen=True, slots=True)
class Choices:
    """A choice for each bonus that has one, the best of them, the frontier, the market's own."""

    by_bonus: Sequence[Choice]
    frontier: Sequence[Choice]
    own: Choice

    @property
    def best(self) -> Choice:
        """The largest liquidation LTV, of equal ones that which bears the largest cap."""
        return max(self.by_bonus, key=lambda one: (one.market.risk.liquidation_ltv, one.cap))


Work = Callable[[Task, Sequence[Mapping[str, object]]], Iterable[Result]]


def choose(
    setting: Setting,
    laws: Mapping[str, Law],
    bonuses: Sequence[int],
    budget: float,
    others: Sequence[float],
    work: Work,
) -> Choices:
    """Return the choices inside a budget, and the frontier over it and `others`.

    `work` runs a task on inputs, one a law, and gives the law at an index the same paths each time.
    Raises RiskError for a budget that nothing is inside.
    """
    budgets = sorted({budget, *others})
    if not bonuses or budgets[0] <= 0 or budgets[-1] >= 1:
        raise RiskError(
            f"budgets are {budgets}, bonuses {len(bonuses)} (limits: budgets above 0 and below 1, "
            "at least one bonus); pass parts of one"
        )
    for bonus in bonuses:
        if bonus < 0 or not setting.grid(bonus):
            raise RiskError(
                f"bonus is {bonus / WAD:g} (limits: 0, and what leaves a liquidation LTV of "
                f"{LEAST_LTV / WAD:g} or more a beta_max); pass 0.01 for 1 %"
            )
    common = {"setting": setting, "bonuses": tuple(bonuses), "budgets": tuple(budgets)}
    searched = list(work(SEARCH, [{**common, "law": law} for law in laws.values()]))
    ltvs = np.array([one["ltv"] for one in searched])  # [law, bonus, budget]
    least = np.array([one["least"] for one in searched])
    if not ltvs.min(axis=0)[:, budgets.index(budget)].any():
        _refuse(setting, laws, budget, least)
    wanted = []
    for column, limit in enumerate(budgets):
        smallest = ltvs[:, :, column].min(axis=0)
        for row, bonus in enumerate(bonuses):
            if smallest[row] and (limit == budget or row == smallest.argmax()):
                top = smallest[row] == setting.grid(bonus)[-1]
                binds = CONTRACT if top else list(laws)[int(ltvs[:, row, column].argmin())]
                wanted.append(_Wanted(setting.at(int(smallest[row]), bonus), limit, binds))
    *choices, own = _confirmed(setting, laws, budget, wanted, work)
    by_bonus = [one for one in choices if one.budget == budget]
    if not by_bonus:
        _refuse(setting, laws, budget, least)
    found = Choices(by_bonus, [], own)
    frontier = [one for one in choices if one.budget != budget] + [found.best]
    return replace(found, frontier=sorted(frontier, key=lambda one: one.budget))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A choice to be confirmed; `binds` as there."""

    market: RiskMarket
    budget: float
    binds: str


def _confirmed(
    setting: Setting, laws: Mapping[str, Law], budget: float, wanted: Sequence[_Wanted], work: Work
) -> list[Choice]:
    """Return choices that every law is inside of, and the market's own parameters, judged, last.

    The smallest of the laws' largest LTVs may be outside for another law, whose loss is less at a
    larger LTV: not every path's loss rises with it. Such a choice goes down the grid, or is none.
    """
    own = _Wanted(setting.market, budget, "")
    while True:
        markets = tuple((one.market, one.budget == budget) for one in (*wanted, own))
        common = {"setting": setting, "budget": budget, "markets": markets}
        judged = list(work(CONFIRM, [{**common, "law": law} for law in laws.values()]))
        found = []
        for index, one in enumerate((*wanted, own)):
            es = {
                law: Estimate(*of["es"][index].tolist())
                for law, of in zip(laws, judged, strict=True)
            }
            cap = min(int(of["cap"][index]) for of in judged)
            size = CAPS[cap] * setting.cap if cap >= 0 else 0.0
            found.append(Choice(one.market, one.budget, es, size, one.binds))
        if all(one.passes for one in found[:-1]):
            return found
        lower = [
            one if of.passes else _lower(setting, one, of.worst)
            for one, of in zip(wanted, found[:-1], strict=True)
        ]
        wanted = [one for one in lower if one is not None]


def _lower(setting: Setting, one: _Wanted, law: str) -> _Wanted | None:
    bonus = one.market.risk.base_bonus
    ltv = one.market.risk.liquidation_ltv - LTV_STEP
    if ltv < setting.grid(bonus)[0]:
        return None
    return replace(one, market=setting.at(ltv, bonus), binds=law)


def _refuse(setting: Setting, laws: Mapping[str, Law], budget: float, least: Floats) -> NoReturn:
    """Raise the error of a budget that no choice is inside.

    least: the upper ends at the lowest LTV [law, bonus].
    """
    worst = least.max(axis=0)
    row = int(worst.argmin())
    law = list(laws)[int(least[:, row].argmax())]
    raise RiskError(
        f"budget is {budget:g} of the debt (limit: {worst[row]:.3g}, to which {law} may come at "
        f"the lowest liquidation LTV, {LEAST_LTV / WAD:g}); raise it, lower the cap of "
        f"{setting.cap:,.0f}, pass a pool deeper than {setting.depth.value:,.0f} or more paths"
    )
