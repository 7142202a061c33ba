"""Which liquidations to send: pure, from what was read and a policy.

Profits are in units of the vault's asset, what the policy says is in wei; `asset_per_ether` brings
the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ringfence.math.fixed_point import WAD

REPAY_ALL = 2**127
"""More than any debt, asset units."""

MAX_BATCH = 128
"""The most targets that the Liquidator takes in one call."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the keeper wants and what it may cost, all in wei but `gas` (a liquidation's, in gas).

    `min_profit` is what must be left when gas is paid; for an insolvent position it may be missed
    by as much as turns it into a loss of `max_loss`. `batch_size` positions share a transaction.
    """

    gas_price: int
    gas: int = 300_000
    min_profit: int = 0
    max_loss: int = 0
    batch_size: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A position that may be liquidated now.

    `profit` is what a liquidation would earn after slippage and before gas, asset units, and None
    where it would revert or where gas has no price in the asset; `loss` is what it would write off,
    asset units.
    """

    position_id: int
    path: bytes
    profit: int | None
    loss: int


@dataclass(frozen=True, slots=True)
class MarketState:
    """One vault's candidates; `asset_per_ether` is asset units per 1e18 wei."""

    vault: str
    asset_per_ether: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One position of an action, bounded on chain by the least it must earn, asset units."""

    position_id: int
    max_repay: int
    min_profit: int


@dataclass(frozen=True, slots=True)
class Action:
    """One call of the Liquidator: targets of one vault along one route."""

    vault: str
    path: bytes
    targets: tuple[Target, ...]

    @property
    def min_profit(self) -> int:
        """The least that the call must earn in all, asset units."""
        return sum(target.min_profit for target in self.targets)


def to_asset(wei: int, asset_per_ether: int) -> int:
    """Return an amount of wei in asset units, rounded up."""
    return -(-wei * asset_per_ether // WAD)


def _bound(candidate: Candidate, market: MarketState, policy: Policy) -> int | None:
    """Return the least that the candidate must earn on chain, None if it is not worth sending."""
    if candidate.profit is None:
        return None
    gas_cost = to_asset(policy.gas * policy.gas_price, market.asset_per_ether)
    wanted = gas_cost + to_asset(policy.min_profit, market.asset_per_ether)
    if candidate.loss:
        wanted = min(wanted, gas_cost - to_asset(policy.max_loss, market.asset_per_ether))
    if candidate.profit < wanted:
        return None
    # A negative bound has the Liquidator take that much from the caller first: only where needed.
    return max(wanted, 0) if candidate.profit >= 0 else wanted


def _batches(targets: Sequence[Target], size: int) -> Iterator[tuple[Target, ...]]:
    size = max(1, min(size, MAX_BATCH))
    for start in range(0, len(targets), size):
        yield tuple(targets[start : start + size])


def decide(state: Sequence[MarketState], policy: Policy) -> list[Action]:
    """Return the calls to send: insolvent positions first, then by profit."""
    actions: list[Action] = []
    for market in state:
        routes: dict[bytes, list[Target]] = {}
        for one in sorted(market.candidates, key=_rank):
            bound = _bound(one, market, policy)
            if bound is not None:
                target = Target(one.position_id, REPAY_ALL, bound)
                routes.setdefault(one.path, []).append(target)
        for path, targets in routes.items():
            actions += [
                Action(market.vault, path, batch) for batch in _batches(targets, policy.batch_size)
            ]
    return actions


def _rank(candidate: Candidate) -> tuple[int, int]:
    return -candidate.loss, -(candidate.profit or 0)
