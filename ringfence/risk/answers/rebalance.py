"""A policy that trades a position back to a leverage, and what that costs.

Floats: a position of equity 1 in the numeraire that its other side stands still in: the asset for
a long, the collateral for a short. Leverage is collateral over equity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.chances import Chance
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.jit import njit


@dataclass(frozen=True, slots=True)
class Policy:
    """Trade back to `target` when leverage is off by more than `band`, a part of the target.

    `fee` and `slippage` are parts of what is traded.
    """

    target: float
    band: float
    fee: float = 0.0
    slippage: float = 0.0

    @property
    def cost(self) -> float:
        """What a trade costs, a part of it."""
        return self.fee + self.slippage

    def check(self, market: RiskMarket) -> None:
        """Raise RiskError where the market does not open the target, or trades eat the equity."""
        most, costs = WAD / (WAD - market.initial_ltv), 1 - market.liquidation_ltv
        if not 1 <= self.target <= most * (1 + 1e-12):
            raise RiskError(
                f"a target of {self.target:g} (limits 1 and {most:.4g}, from the initial LTV); "
                "choose one between"
            )
        if not (self.band >= 0 and 0 <= self.fee <= self.cost < costs):
            raise RiskError(
                f"band {self.band}, fee {self.fee}, slippage {self.slippage}: none may be below 0, "
                f"and fee and slippage must be below {costs:.4g} together, or a trade at the "
                "liquidation LTV would cost all that is left"
            )


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """What the policy did, one entry a path; values are parts of the first equity.

    liquidated: bool, at the end of a step, before the policy could trade; the position then counts
    with what it was worth there, bonus and cut not taken off. trades: int64. traded, paid and
    equity: float64, what was traded, what that cost, what is left, at least 0.
    """

    liquidated: npt.NDArray[np.bool_]
    trades: npt.NDArray[np.int64]
    traded: Floats
    paid: Floats
    equity: Floats

    @classmethod
    def join(cls, parts: Sequence[Rebalanced]) -> Rebalanced:
        """Return what was done in all of the batches, in their order."""
        return cls(
            np.concatenate([one.liquidated for one in parts]),
            np.concatenate([one.trades for one in parts]),
            np.concatenate([one.traded for one in parts]),
            np.concatenate([one.paid for one in parts]),
            np.concatenate([one.equity for one in parts]),
        )


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """The policy's outcome: the chance of liquidation, and means over the paths of the rest."""

    liquidation: Chance
    trades: float
    traded: float
    paid: float
    equity: float

    @classmethod
    def of(cls, run: Rebalanced) -> Rebalancing:
        """Return the outcome of what was done."""
        return cls(
            Chance(int(run.liquidated.sum()), run.liquidated.size),
            *(float(one.mean()) for one in (run.trades, run.traded, run.paid, run.equity)),
        )


@njit
def traded_to(collateral: float, debt: float, target: float, cost: float) -> float:
    """Return what is sold, or below 0 bought, to come to the target, its cost paid from it.

    Selling s leaves collateral - s and debt - s * (1 - cost); buying b on credit leaves
    collateral + b * (1 - cost) and debt + b.
    """
    excess = collateral - target * (collateral - debt)
    if excess > 0:
        return excess / (1 - target * cost)
    return excess / (1 - cost + target * cost)


@njit
def _follow(
    path: Floats, falls: bool, liquidation_ltv: float, target: float, band: float, cost: float
) -> tuple[bool, int, float, float]:
    """Return whether one path liquidates, the trades, what was traded, what is left."""
    collateral, debt, trades, traded = target, target - 1, 0, 0.0
    for step in range(1, path.size):
        if falls:
            collateral *= path[step] / path[step - 1]
        else:
            debt *= path[step] / path[step - 1]
        if debt > collateral * liquidation_ltv:
            return True, trades, traded, max(collateral - debt, 0.0)
        equity = collateral - debt
        if abs(collateral - target * equity) > band * target * equity:
            sold = traded_to(collateral, debt, target, cost)
            collateral -= sold if sold > 0 else sold * (1 - cost)
            debt -= sold * (1 - cost) if sold > 0 else sold
            trades += 1
            traded += abs(sold)
    return False, trades, traded, collateral - debt


def rebalance(market: RiskMarket, policy: Policy, paths: Floats) -> Rebalanced:
    """Return what the policy does from its target on, looking once a step; paths [path, step].

    Raises RiskError for a policy that the market does not allow.
    """
    policy.check(market)
    rules = market.falls, market.liquidation_ltv, policy.target, policy.band, policy.cost
    runs = [_follow(path, *rules) for path in paths]
    liquidated, trades, traded, equity = (np.array(column) for column in zip(*runs, strict=True))
    return Rebalanced(liquidated, trades, traded, traded * policy.cost, equity)
