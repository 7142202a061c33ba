"""A scenario's positions and path for the vectorised engine, left alone once they are open.

Opening goes through the router and its pool, so that is done in the in-process EVM; all after it is
integers here: the feed's answers, the debt index by the mirror of accrual, the triggers. Where
nobody acts they say of every position at every step whether the contract would let it be
liquidated, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ringfence.evm import InProcessEngine, load
from ringfence.math import accrual, balance_sheet
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.position_slot import unpack
from ringfence.math.rates import KinkedRate
from ringfence.risk.arrays import Flags, Integers
from ringfence.risk.book import Book, Positions
from ringfence.risk.errors import RiskError
from ringfence.risk.market import RiskMarket
from ringfence.risk.trigger import trigger, triggers
from ringfence.sim import feed
from ringfence.sim.chronicle import books_slots
from ringfence.sim.outcome import Outcome
from ringfence.sim.result import Check
from ringfence.sim.scenario import Scenario, seconds
from ringfence.sim.simulation import prepare
from ringfence.sim.stage import Venue


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """One market of a scenario: positions by id, the feed's answers and debt indices by step.

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


def indices(sheet: BalanceSheet, venue: Venue, times: Sequence[int]) -> list[int]:
    """Return a vault's debt index at later times, unix seconds, if nobody touches it."""
    parameters = venue.vault.parameters()
    curve = venue.vault.engine.at(parameters.rate_model, load("KinkedRate"))
    rate = KinkedRate(curve.base(), curve.kink(), curve.slope_1(), curve.slope_2())
    factor, fallback = parameters.reserve_factor, parameters.fallback_rate
    return [
        accrual.preview(sheet, time, rate.borrow_rate, fallback, factor)[0].debt_index
        for time in times
    ]


def from_scenario(scenario: Scenario, seed: int, folder: Path) -> dict[str, LeftAlone]:
    """Return what a scenario's markets are after their positions opened, by the markets' ids.

    The deployment's record goes to `folder`. Raises RiskError for a position that opens later.
    """
    quiet = scenario.passive()
    step = quiet.path.step_seconds
    for number, one in enumerate(quiet.positions):
        if seconds(one.at) >= step:
            raise RiskError(
                f"position {number} opens at {one.at} h (limit: the first step); set its `at` to 0"
            )
    engine = InProcessEngine(traced=False)
    simulation = prepare(engine, quiet, seed, folder, keepers=False)
    simulation.play_step(0)
    path = simulation.play.path
    answers = np.array(feed.answers(quiet.feed, path.prices, step), np.int64)
    times = [simulation.play.start + index * step for index in range(len(path.prices))]
    found = {}
    for name, venue in simulation.stage.venues.items():
        ids = [one.position_id for one in simulation.play.held if one.venue is venue]
        slots = [unpack(venue.vault.slot(one)) for one in ids]
        words = (engine.storage_at(venue.vault, slot) for slot in books_slots())
        sheet = balance_sheet.unpack(*words)
        growing = indices(sheet, venue, times)
        decimals = {"WETH": 18, "USDC": 6}
        found[name] = LeftAlone(
            market=RiskMarket.of(venue.market, decimals, falls=venue.side == "long"),
            ids=ids,
            positions=Positions(
                [slot.collateral for slot in slots],
                [slot.scaled_debt for slot in slots],
                growing[0],
            ),
            answers=answers,
            indices=growing,
        )
    return found


def agreement(outcome: Outcome, markets: dict[str, LeftAlone]) -> Check:
    """Compare a passive simulation with the vectorised engine: every position at every step."""
    differing, compared = [], 0
    for name, alone in markets.items():
        flags = alone.liquidatable()
        ends = {int(one.id, 16): one for one in outcome.positions if one.market == name}
        for column, position_id in enumerate(alone.ids):
            at = tuple(np.nonzero(flags[:, column])[0].tolist())
            compared += flags.shape[0]
            if ends[position_id].liquidatable_at != at:
                differing.append(f"{ends[position_id].account} in {name}")
        seen = [moment.answer for moment in outcome.steps]
        if seen != alone.answers.tolist():
            differing.append(f"answers of {name}")
    detail = f"{compared} position-steps equal" if not differing else ", ".join(differing)
    return Check("vectorised_engine_agrees", not differing, detail)


def with_agreement(outcome: Outcome, markets: dict[str, LeftAlone]) -> Outcome:
    """Return a passive simulation's outcome with that comparison among its checks."""
    return replace(outcome, checks=(*outcome.checks, agreement(outcome, markets)))
