"""Choose a market's liquidation LTV, bonus and debt cap so that lenders stay inside a budget.

The budget is a share of the debt. A choice is inside it where the upper end of the interval of
lenders' ES 99 is, under every price law by itself: none is averaged with another. For each bonus
the largest LTV on a grid is found by bisection, law by law, and the smallest over the laws is what
is confirmed: on fresh paths, as all that is told of a choice, and half a per cent lower on fresh
ones again where it fails. `ringfence.risk.answers.judge` says what is judged and how,
`ringfence.risk.answers.caps` how large a cap a confirmed choice bears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.caps import CAPS, Sales, Size, sizes
from ringfence.risk.answers.judge import (
    LEAST_LTV,
    LEVEL,
    LTV_STEP,
    Bench,
    Drawn,
    Judge,
    Law,
    Setting,
    largest,
    row_of,
    worst_of,
)
from ringfence.risk.answers.tail import LEAST_TAIL, Estimate
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.tasks import Result, Task

CONTRACT = "contract"


def _search(given: Mapping[str, Any], rng: Generator) -> Result:
    """Return one law's largest LTVs [bonus, budget], 1e18, 0 where none; the least upper ends."""
    judge = Judge(given["setting"], Drawn.asked(given, rng))
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
    """Return one law's ES 99 at each market, at the cap asked for, [market, 3]."""
    judge = Judge(given["setting"], Drawn.asked(given, rng))
    found = [judge.es(market, judge.setting.cap) for market in given["markets"]]
    return {"es": np.array([row_of(one) for one in found])}


SEARCH = Task("choose-search", _search)
CONFIRM = Task("choose-confirm", _confirm)


@dataclass(frozen=True, slots=True)
class Choice:
    """Parameters and what becomes of them on fresh paths, shares of the debt.

    es: lenders' ES 99 by price law at the cap that was asked for; binds: the law that forbids the
    next liquidation LTV, or CONTRACT; size: the cap that it bears, None where none was looked for.
    """

    market: RiskMarket
    budget: float
    binds: str
    es: Mapping[str, Estimate] = field(default_factory=dict)
    size: Size | None = None

    @property
    def worst(self) -> str:
        """The law whose interval ends highest."""
        return worst_of(self.es)

    @property
    def used(self) -> float:
        """The highest upper end."""
        return self.es[self.worst].high

    @property
    def passes(self) -> bool:
        """Whether all laws are inside the budget."""
        return self.used <= self.budget

    @property
    def cap(self) -> float:
        """The debt cap, whole assets; 0 where none that was tried is inside the budget."""
        return self.size.cap if self.size and self.size.used <= self.budget else 0.0

    @property
    def bonus(self) -> int:
        """The base bonus, 1e18."""
        return self.market.risk.base_bonus

    @property
    def leverage(self) -> float:
        """The most that a position can be opened with: value over capital."""
        return 1 / (1 - self.market.initial_ltv / WAD)


@dataclass(frozen=True, slots=True)
class Choices:
    """A choice for each bonus that has one, the frontier, and the market's own."""

    by_bonus: Sequence[Choice]
    frontier: Sequence[Choice]
    own: Choice

    @property
    def best(self) -> Choice:
        """The largest liquidation LTV that bears a cap, of equal ones that which bears most."""
        sized = [one for one in self.by_bonus if one.cap]
        return max(sized, key=lambda one: (one.market.risk.liquidation_ltv, one.cap))


def choose(
    bench: Bench, sales: Sales, bonuses: Sequence[int], budget: float, others: Sequence[float]
) -> Choices:
    """Return the choices inside a budget, and the frontier over it and what of `others` is below 1.

    Raises RiskError for a budget that nothing is inside, and for a law of too few paths.
    """
    budgets = sorted({budget, *(one for one in others if one < 1)})
    _check(bench.setting, bonuses, budgets)
    _check_paths(bench.laws)
    wanted = _searched(bench, bonuses, budget, budgets)
    own = Choice(bench.setting.market, budget, "")
    *choices, own = _confirmed(bench, wanted, own)
    by_bonus = [
        _largest([like for like in choices if like.bonus == one.bonus], budget)
        for one in choices
        if one.budget == budget
    ]
    sized = sizes(bench, sales, [one.market for one in (*by_bonus, own)], budget)
    *by_bonus, own = (
        replace(one, size=size) for one, size in zip((*by_bonus, own), sized, strict=True)
    )
    if not any(one.cap for one in by_bonus):
        _refuse_caps(bench.setting, by_bonus)
    found = Choices(by_bonus, [], own)
    limits = sorted({one.budget for one in choices})
    frontier = [found.best if limit == budget else _largest(choices, limit) for limit in limits]
    return replace(found, frontier=frontier)


def _largest(choices: Sequence[Choice], budget: float) -> Choice:
    """Return the largest LTV's that is inside a budget: what is inside a smaller one is."""
    inside = [one for one in choices if one.budget <= budget]
    best = max(inside, key=lambda one: (one.market.risk.liquidation_ltv, one.budget))
    return replace(best, budget=budget)


def _check(setting: Setting, bonuses: Sequence[int], budgets: Sequence[float]) -> None:
    if not (bonuses and 0 < budgets[0] <= budgets[-1] < 1):
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


def _check_paths(laws: Mapping[str, Law]) -> None:
    """Raise RiskError for a law whose tail has fewer paths than any ES is known by."""
    least = round(LEAST_TAIL / (1 - LEVEL))
    for name, law in laws.items():
        if not law.given and law.paths < least:
            raise RiskError(
                f"{name} has {law.paths:,} paths (limit: {least:,}, of which {LEAST_TAIL} are "
                f"beyond {LEVEL:.0%}); pass more --paths"
            )


def _searched(
    bench: Bench, bonuses: Sequence[int], budget: float, budgets: Sequence[float]
) -> list[Choice]:
    """Return what is to be confirmed: at the budget for each bonus, at others the largest LTV's."""
    setting, laws = bench.setting, list(bench.laws)
    answers = bench.ask(SEARCH, bonuses=tuple(bonuses), budgets=tuple(budgets))
    ltvs = np.array([one["ltv"] for one in answers])  # [law, bonus, budget]
    smallest: NDArray[np.int64] = ltvs.min(axis=0)
    if not smallest[:, budgets.index(budget)].any():
        least = np.array([one["least"] for one in answers])  # [law, bonus]
        row = int(least.max(axis=0).argmin())
        law = int(least[:, row].argmax())
        _refuse(setting, budget, float(least[law, row]), laws[law])
    wanted = []
    for column, limit in enumerate(budgets):
        for row, bonus in enumerate(bonuses):
            ltv = int(smallest[row, column])
            if ltv and (limit == budget or row == smallest[:, column].argmax()):
                top = ltv == setting.grid(bonus)[-1]
                binds = CONTRACT if top else laws[int(ltvs[:, row, column].argmin())]
                wanted.append(Choice(setting.at(ltv, bonus), limit, binds))
    return wanted


def judged(bench: Bench, markets: Sequence[RiskMarket]) -> list[dict[str, Estimate]]:
    """Return each market's ES 99 by law, at the cap asked for, on fresh paths."""
    answers = bench.ask(CONFIRM, markets=tuple(markets))
    return [bench.estimates(answers, "es", index) for index in range(len(markets))]


def _confirmed(bench: Bench, wanted: Sequence[Choice], own: Choice) -> list[Choice]:
    """Return choices that every law has inside their budgets; the market's own, judged, last.

    What fails goes down the grid and is judged on paths that are fresh again; none may be left of
    it. Raises RiskError where none is left at the own one's budget.
    """
    found: dict[int, Choice] = {}
    open_ = dict(enumerate((*wanted, own)))
    last, gone = len(wanted), []
    while open_:
        of = judged(bench, [one.market for one in open_.values()])
        tried = {
            index: replace(one, es=es) for (index, one), es in zip(open_.items(), of, strict=True)
        }
        found |= {index: one for index, one in tried.items() if one.passes or index == last}
        open_ = {}
        for index in sorted(tried.keys() - found.keys()):
            lower = _lower(bench.setting, tried[index])
            if lower is None:
                gone.append(tried[index])
            else:
                open_[index] = lower
    if not any(found[index].budget == own.budget for index in found.keys() - {last}):
        least = min((one for one in gone if one.budget == own.budget), key=lambda one: one.used)
        _refuse(bench.setting, own.budget, least.used, least.worst)
    return [found[index] for index in sorted(found)]


def _lower(setting: Setting, one: Choice) -> Choice | None:
    bonus, ltv = one.bonus, one.market.risk.liquidation_ltv - LTV_STEP
    if ltv < setting.grid(bonus)[0]:
        return None
    return Choice(setting.at(ltv, bonus), one.budget, one.worst)


def _refuse(setting: Setting, budget: float, limit: float, law: str) -> NoReturn:
    raise RiskError(
        f"budget is {budget:g} of the debt (limit: {limit:.3g}, to which {law} may come at "
        f"the lowest liquidation LTV, {LEAST_LTV / WAD:g}); raise it, lower the cap of "
        f"{setting.cap:,.0f}, pass a pool deeper than {setting.depth.value:,.0f} or more paths"
    )


def _refuse_caps(setting: Setting, by_bonus: Sequence[Choice]) -> NoReturn:
    least = min((one.size for one in by_bonus if one.size), key=lambda size: size.used)
    raise RiskError(
        f"budget is {by_bonus[0].budget:g} of the debt (limit: {least.used:.3g}, to which "
        f"{least.worst} may come with sales at the smallest cap that is tried, "
        f"{setting.cap * CAPS[-1]:,.0f}); raise it, pass a pool deeper than "
        f"{setting.depth.value:,.0f}, less gas or a smaller impact, if they are so"
    )
