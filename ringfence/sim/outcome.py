"""What a simulation found: exact integers, the same bytes on either engine for the same seed.

Amounts are in the token's smallest unit, prices are floats in USDC per WETH, answers the feed's
with 8 decimals, times seconds since the first step. How long it took is told apart (`Speed`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from ringfence.math.balance_sheet import BalanceSheet, reserve_down, total_debt_up
from ringfence.sim.result import Check

Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of one step: the market's price, the feed's answer, the pool's root price 2**96."""

    time: int
    price: float
    answer: int
    root: int
    liquidatable: int
    """Positions that were liquidatable once feed and pool had moved."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody other than a keeper did; `refused` is the contract's reason, or None."""

    time: int
    who: str
    what: str
    market: str
    refused: str | None


@dataclass(frozen=True, slots=True)
class Sold:
    """A liquidation: collateral units seized, asset units repaid, cut, lost, and earned.

    `socialised` is what of the loss the reserve could not take and lenders bear, asset units.
    """

    time: int
    keeper: str
    market: str
    position: str
    seized: int
    repaid: int
    cut: int
    loss: int
    socialised: int
    profit: int
    gas: int


@dataclass(frozen=True, slots=True)
class PositionEnd:
    """A position at the end; `id` in hex, `liquidatable_at` the steps at which it was so."""

    id: str
    account: str
    market: str
    opened_at: int
    word: str
    collateral: int
    debt: int
    status: str
    liquidations: int
    liquidatable_at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MarketEnd:
    """A vault's books at the end, asset units, indices 1e18; and what its liquidations moved.

    Of the `loss` lenders bear `lender_loss`, the reserve took the rest.
    """

    id: str
    asset: str
    cash: int
    debt: int
    shares: int
    debt_index: int
    supply_index: int
    reserve: int
    liquidations: int
    repaid: int
    cut: int
    loss: int
    lender_loss: int

    @classmethod
    def of(cls, name: str, asset: str, sheet: BalanceSheet, sold: Sequence[Sold]) -> MarketEnd:
        """Return the end of a vault from its books at that time and its liquidations."""
        return cls(
            id=name,
            asset=asset,
            cash=sheet.cash,
            debt=total_debt_up(sheet),
            shares=sheet.total_shares,
            debt_index=sheet.debt_index,
            supply_index=sheet.supply_index,
            reserve=reserve_down(sheet),
            liquidations=len(sold),
            repaid=sum(one.repaid for one in sold),
            cut=sum(one.cut for one in sold),
            loss=sum(one.loss for one in sold),
            lender_loss=sum(one.socialised for one in sold),
        )


@dataclass(frozen=True, slots=True)
class LenderEnd:
    """A lender of one vault, asset units: what it lent, took out, and could claim at the end."""

    account: str
    market: str
    lent: int
    withdrawn: int
    claim: int

    @property
    def gain(self) -> int:
        """What it has more than it brought."""
        return self.withdrawn + self.claim - self.lent


@dataclass(frozen=True, slots=True)
class KeeperEnd:
    """A keeper: what it earned before gas, WETH and USDC units; its gas, wei.

    `failed` transactions found nothing left to do; each is taken to cost what one is charged.
    """

    account: str
    latency: int
    liquidations: int
    failed: int
    weth: int
    usdc: int
    gas_cost: int


@dataclass(frozen=True, slots=True)
class AttackEnd:
    """An attack: how often it was tried and went through, and what it earned, USDC units.

    `gain` is the attacker's wealth after each attempt less that before, at the feed's price, the
    equity of its position (never below 0) included: what the attack earned, not the market. What it
    was paid for an insolvent position of its own, as any keeper would have been, is `bonus` and not
    in `gain`. `result` is all it has at the end less what it put in, the market's part included.
    """

    account: str
    attack: str
    market: str
    tried: int
    done: int
    gain: int
    bonus: int
    result: int

    @property
    def paid(self) -> bool:
        """Whether it was worth doing: by itself, or by a bonus that its stake did not pay for."""
        return self.gain > 0 or (self.bonus > 0 and self.result > 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of a simulation."""

    scenario: str
    title: str
    sha256: str
    seed: int
    passive: bool
    steps: tuple[Moment, ...]
    deeds: tuple[Deed, ...]
    liquidations: tuple[Sold, ...]
    positions: tuple[PositionEnd, ...]
    markets: tuple[MarketEnd, ...]
    lenders: tuple[LenderEnd, ...]
    keepers: tuple[KeeperEnd, ...]
    attacks: tuple[AttackEnd, ...]
    checks: tuple[Check, ...]

    @property
    def held(self) -> bool:
        """Whether every check held."""
        return all(check.held for check in self.checks)

    def summary(self) -> dict[str, Json]:
        """Return what is printed with --json: all but the steps."""
        told = asdict(self)
        told["steps"] = len(self.steps)
        for one in told["positions"]:
            at = one.pop("liquidatable_at")
            one["first_liquidatable"] = at[0] if at else None
        return told


@dataclass(frozen=True, slots=True)
class Speed:
    """How long a simulation took on an engine, seconds; nothing of it is in its outcome."""

    engine: str
    staging: float
    playing: float
    transactions: int
    in_transactions: float
    calls: int
    in_calls: float

    @property
    def per_second(self) -> float:
        """Transactions a second while playing, everything counted."""
        return self.transactions / self.playing


def to_json(outcome: Outcome) -> str:
    """Return an outcome as JSON; integers stay exact at any size."""
    return json.dumps(asdict(outcome), separators=(",", ":"))
