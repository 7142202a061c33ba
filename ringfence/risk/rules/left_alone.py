"""Positions that nobody touches: at which steps of known answers the contract would sell them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringfence.risk.arrays import Flags, Integers
from ringfence.risk.rules.book import Book, Positions
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.trigger import trigger, triggers


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Positions of one market by id, the feed's answers and debt indices by step.

    answers: int64 [step]; indices: 1e18, one a step, as every view of the vault counts interest.
    """

    market: RiskMarket
    ids: Sequence[int]
    positions: Positions
    answers: Integers
    indices: Sequence[int]

    def book(self) -> Book:
        """Return the book as it is opened, in the order of the ids."""
        return Book.of(self.market, self.positions)

    def liquidatable(self) -> Flags:
        """Return whether each position is liquidatable at each step: bool [step, position].

        Triggers move one way with the index, so that the first and the last one's decide nearly
        all; only answers between the two are compared with the step's own trigger.
        """
        ends = [self._triggers(self.indices[at]) for at in (0, -1)]
        first, last = (self._below(self.answers[:, None], one) for one in ends)
        for step, position in zip(*np.nonzero(first != last), strict=True):
            own = trigger(
                self.market,
                self.positions.collateral[position],
                self.positions.scaled_debt[position],
                self.indices[step],
                self.market.risk.liquidation_ltv,
            )
            first[step, position] = self._below(self.answers[step], own)
        return first

    def _triggers(self, index: int) -> Integers:
        held = self.positions
        ltv = self.market.risk.liquidation_ltv
        return triggers(self.market, held.collateral, held.scaled_debt, index, ltv)

    def _below(self, answers: Integers, trigger: Integers | int) -> Flags:
        """Return whether answers are past triggers, to where positions are worse off."""
        return np.asarray(answers < trigger if self.market.falls else answers > trigger)
