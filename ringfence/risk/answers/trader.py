"""What a trader asks of one position: calls, liquidation, top-ups, leverage, rebalancing.

Relative paths, float64 [path, step] from any model, become answers; the verdicts on the position as
it stands are the contract's, exactly, by its triggers. Its debt stays as it is: interest is not
added. What a rebalancing policy does is told in floats. Batches of paths are looked at one by one,
in any process, and joined in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ringfence.deploy.units import show
from ringfence.math.fixed_point import WAD
from ringfence.math.health import backing_needed_up, debt_up, value_down
from ringfence.risk.answers.chances import Event
from ringfence.risk.answers.rebalance import Policy, Rebalanced, Rebalancing, rebalance
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import NEVER, Steps, answers_of
from ringfence.risk.rules.trigger import trigger

CONFIDENCES = (0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Holding:
    """One position: collateral units, scaled asset units, debt index 1e18."""

    collateral: int
    scaled_debt: int
    debt_index: int = WAD

    @property
    def debt(self) -> int:
        """What is owed, asset units."""
        return debt_up(self.scaled_debt, self.debt_index)


def opened(market: RiskMarket, leverage: float, margin: int, answer: int) -> Holding:
    """Return the position of some leverage at an answer, from a margin of collateral units.

    Leverage is collateral over equity. Raises RiskError for one that the market does not open, and
    for a debt below the market's least.
    """
    most = WAD / (WAD - market.initial_ltv)
    if not 1 <= leverage <= most * (1 + 1e-12):
        raise RiskError(
            f"a leverage of {leverage:g} cannot be opened (limits 1 and {most:.4g}, from the "
            "initial LTV); choose one between or another market"
        )
    collateral = int(margin * leverage)
    value = value_down(collateral, market.price(answer))
    debt = min(int(value * (1 - 1 / leverage)), _most(market, value))
    least = market.risk.min_debt
    if 0 < debt < least:
        owed, limit = (show(units, market.asset_decimals) for units in (debt, least))
        # Value and debt are rounded down, each by less than a unit.
        enough = show(-(-margin * (least + 2) // debt), market.collateral_decimals)
        raise RiskError(
            f"the position would owe {owed} (limit {limit}, the market's least debt); pass a "
            f"margin of {enough} or more"
        )
    return Holding(collateral, debt)


def _most(market: RiskMarket, value: int) -> int:
    """Return the largest debt within the initial LTV, asset units."""
    return value * market.initial_ltv // WAD


@dataclass(frozen=True, slots=True)
class Seen:
    """What some paths did to the position, one entry a path.

    call and liquidation: int32, first step beyond the initial and the liquidation LTV, or NEVER;
    worst: int64, the answer that is worst for the position.
    """

    call: Steps
    liquidation: Steps
    worst: Integers
    rebalanced: Rebalanced | None

    @classmethod
    def join(cls, parts: Sequence[Seen]) -> Seen:
        """Return what all of the batches saw, in their order."""
        runs = [one.rebalanced for one in parts if one.rebalanced is not None]
        return cls(
            np.concatenate([one.call for one in parts]),
            np.concatenate([one.liquidation for one in parts]),
            np.concatenate([one.worst for one in parts]),
            Rebalanced.join(runs) if runs else None,
        )


def look(
    market: RiskMarket, holding: Holding, answer: int, paths: Floats, policy: Policy | None = None
) -> Seen:
    """Return what a batch of relative paths does to a position that stands at an answer."""
    answers = answers_of(paths, answer)
    held, owed, index = holding.collateral, holding.scaled_debt, holding.debt_index
    call, liquidation = (
        _first(market, answers, trigger(market, held, owed, index, ltv))
        for ltv in (market.initial_ltv, market.risk.liquidation_ltv)
    )
    worst = answers.min(axis=1) if market.falls else answers.max(axis=1)
    run = rebalance(market, policy, paths) if policy is not None else None
    return Seen(call, liquidation, worst, run)


def _first(market: RiskMarket, answers: Integers, at: int) -> Steps:
    """Return the first step of each path that is beyond a trigger, or NEVER."""
    beyond = answers < at if market.falls else answers > at
    return np.where(beyond.any(axis=1), beyond.argmax(axis=1), NEVER).astype(np.int32)


def worst_answer(market: RiskMarket, worst: Integers, confidence: float) -> int:
    """Return the answer that at least such a part of the paths never goes beyond."""
    if not 0 < confidence <= 1:
        raise RiskError(f"a confidence of {confidence} is not above 0 and at most 1")
    kept = min(ceil(round(confidence * worst.size, 6)), worst.size)
    rising = np.sort(worst)
    return int(rising[worst.size - kept] if market.falls else rising[kept - 1])


def top_up(market: RiskMarket, holding: Holding, ltv: int, answer: int) -> int:
    """Return the least collateral units to add so that the position is within `ltv` at an answer.

    Raises RiskError where the price rounds to nothing.
    """
    price = market.price(answer)
    if price == 0 and holding.debt:
        raise RiskError(f"an answer of {answer} is a price of 0, which nothing backs debt at")
    return max(backing_needed_up(holding.debt, price, ltv) - holding.collateral, 0)


def surviving_leverage(
    market: RiskMarket, answer: int, worst: Integers | int
) -> npt.NDArray[np.float64]:
    """Return the largest leverage, opened at an answer, that survives another: float64.

    No more than the market opens. Within 1e-6 of the exact one, relatively, where the position is a
    million units or more.
    """
    way = np.asarray(worst) / answer
    fall = way if market.falls else 1 / way
    ltv = np.minimum(market.initial_ltv / WAD, market.liquidation_ltv * fall)
    return np.asarray(1 / (1 - ltv), np.float64)


def path_leverage(market: RiskMarket, answer: int, path: Floats) -> float:
    """Return the largest leverage, opened at an answer, that one relative path never liquidates."""
    answers = answers_of(path, answer)
    worst = answers.min() if market.falls else answers.max()
    return float(surviving_leverage(market, answer, int(worst)))


@dataclass(frozen=True, slots=True)
class Outlook:
    """The answers.

    Top-ups are collateral units, and they and the leverage by confidence; `paths_leverage` by the
    names of single paths, such as stress days.
    """

    call: Event
    liquidation: Event
    top_up_to_no_call: dict[float, int]
    top_up_to_no_liquidation: dict[float, int]
    leverage: dict[float, float]
    paths_leverage: dict[str, float]
    rebalanced: Rebalancing | None


def outlook(
    market: RiskMarket,
    holding: Holding,
    answer: int,
    seen: Seen,
    step_seconds: int,
    paths: Mapping[str, Floats] = MappingProxyType({}),
) -> Outlook:
    """Return the answers from what was seen of a position that stands at an answer.

    `paths` are single relative paths, by name.
    """
    worst = {one: worst_answer(market, seen.worst, one) for one in CONFIDENCES}
    call, liquidation = (
        {one: top_up(market, holding, ltv, at) for one, at in worst.items()}
        for ltv in (market.initial_ltv, market.risk.liquidation_ltv)
    )
    return Outlook(
        Event.of(seen.call, step_seconds),
        Event.of(seen.liquidation, step_seconds),
        call,
        liquidation,
        {one: float(surviving_leverage(market, answer, at)) for one, at in worst.items()},
        {name: path_leverage(market, answer, path) for name, path in paths.items()},
        None if seen.rebalanced is None else Rebalancing.of(seen.rebalanced),
    )
