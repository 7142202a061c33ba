"""A scenario's positions, books and pool for the vectorised engine, as they are once all is open.

Opening goes through the router and its pool, so that is done in the in-process EVM; all after it is
integers here: the feed's answers, the debt index by the mirror of accrual, the triggers. Where
nobody acts they say of every position at every step whether the contract would let it be
liquidated, exactly. `ringfence.sim.vectorised.played` goes on from there with keepers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ringfence.deploy.units import to_units
from ringfence.evm import InProcessEngine
from ringfence.math import balance_sheet
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.position_slot import PositionSlot, unpack
from ringfence.math.uniswap import TICK_SPACINGS, range_around
from ringfence.risk.arrays import Integers
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.book import Positions
from ringfence.risk.rules.left_alone import LeftAlone
from ringfence.risk.rules.market import RiskMarket
from ringfence.sim import feed
from ringfence.sim.chronicle import books_slots
from ringfence.sim.history import DECIMALS, Interest
from ringfence.sim.outcome import Outcome
from ringfence.sim.result import Check
from ringfence.sim.scenario import Scenario, seconds
from ringfence.sim.simulation import Simulation, prepare
from ringfence.sim.stage import Stage, Venue, account_of


@dataclass(frozen=True, slots=True)
class Lent:
    """What a lender brought, asset units, and its shares."""

    account: str
    amount: int
    shares: int


@dataclass(frozen=True, slots=True)
class OpenedVault:
    """One vault once its positions are open, by their order: ids, slots; its books at that time."""

    market: RiskMarket
    asset: str
    ids: tuple[int, ...]
    slots: tuple[PositionSlot, ...]
    sheet: BalanceSheet
    interest: Interest
    lenders: tuple[Lent, ...]

    def left_alone(
        self,
        slots: Sequence[PositionSlot],
        sheet: BalanceSheet,
        answers: Integers,
        times: Sequence[int],
    ) -> LeftAlone:
        """Return its positions at some slots and books, if nobody acts at answers and times."""
        growing = [self.interest.at(sheet, time).debt_index for time in times]
        held = [slot.collateral for slot in slots], [slot.scaled_debt for slot in slots]
        return LeftAlone(self.market, self.ids, Positions(*held, growing[0]), answers, growing)


@dataclass(frozen=True, slots=True)
class Opened:
    """A scenario at the end of its first step's openings; `start` in unix seconds.

    `pool` sells WETH for USDC; `weth_first` says that WETH is its token 0. `held` has each
    position's account, market, place in its vault and the second at which it was to open.
    """

    start: int
    pool: Pool
    weth_first: bool
    vaults: dict[str, OpenedVault]
    held: tuple[tuple[str, str, int, int], ...]


def left_out(scenario: Scenario) -> tuple[str, ...]:
    """Return what of a scenario only the bytecode plays, each in a few words."""
    rules = sum(len(one.rules) for one in scenario.positions)
    lending = sum(len(one.rules) for market in scenario.markets for one in market.lenders)
    found = [f"{rules} rules of traders"] if rules else []
    found += [f"{lending} rules of lenders"] if lending else []
    found += [f"keeper {one.account}" for one in scenario.keepers]
    return (*found, *(f"attacker {one.account}" for one in scenario.attackers))


def open_scenario(scenario: Scenario, seed: int, folder: Path) -> Opened:
    """Return a scenario once its positions are open, by the deployment and the bytecode.

    The deployment's record goes to `folder`. Raises RiskError for a position that opens later.
    """
    quiet = scenario.passive()
    step = quiet.path.step_seconds
    for number, one in enumerate(quiet.positions):
        if seconds(one.at) >= step:
            raise RiskError(
                f"position {number} opens at {one.at} h (limit: the first step); set its `at` to 0"
            )
    simulation = prepare(InProcessEngine(traced=False), quiet, seed, folder)
    simulation.play_step(0)
    vaults = {name: _vault(simulation, one) for name, one in simulation.stage.venues.items()}
    held = tuple(
        (
            one.table.account,
            one.venue.id,
            vaults[one.venue.id].ids.index(one.position_id),
            seconds(one.table.at),
        )
        for one in simulation.play.held
    )
    pool, first = _pool(simulation.stage)
    return Opened(simulation.play.start, pool, first, vaults, held)


def _pool(stage: Stage) -> tuple[Pool, bool]:
    """Return the stage's pool, one range over all prices, and whether WETH is its token 0."""
    pool, root = stage.pool, stage.pool.sqrt_price
    ends = range_around(root, TICK_SPACINGS[pool.fee], Fraction(2**256))
    first = pool.token_0.address == stage.weth.address
    liquidity = int(pool.contract.liquidity())
    return Pool.v3([(*ends, liquidity)], root, pool.fee, sells_0=first), first


def _vault(simulation: Simulation, venue: Venue) -> OpenedVault:
    vault = venue.vault
    ids = tuple(one.position_id for one in simulation.play.held if one.venue is venue)
    words = (vault.engine.storage_at(vault, slot) for slot in books_slots())
    file = venue.market.file
    [table] = [one for one in simulation.scenario.markets if one.id == venue.id]
    return OpenedVault(
        market=RiskMarket.of(venue.market, DECIMALS, falls=venue.side == "long"),
        asset=file.asset,
        ids=ids,
        slots=tuple(unpack(vault.slot(one)) for one in ids),
        sheet=balance_sheet.unpack(*words),
        interest=Interest.of(venue),
        lenders=tuple(
            Lent(
                one.account,
                to_units(one.amount, DECIMALS[file.asset]),
                int(vault.balanceOf(account_of(one.account))),
            )
            for one in table.lenders
        ),
    )


def from_scenario(scenario: Scenario, seed: int, folder: Path) -> dict[str, LeftAlone]:
    """Return what a scenario's markets are after their positions opened, by the markets' ids.

    The deployment's record goes to `folder`. Raises RiskError for a position that opens later.
    """
    opened = open_scenario(scenario, seed, folder)
    path = scenario.path.draw(seed)
    answers = np.array(feed.answers(scenario.feed, path.prices, path.step), np.int64)
    times = [opened.start + index * path.step for index in range(len(path.prices))]
    return {
        name: one.left_alone(one.slots, one.sheet, answers, times)
        for name, one in opened.vaults.items()
    }


def differences(outcome: Outcome, markets: Mapping[str, LeftAlone]) -> Integers:
    """Return 1 for each verdict in which simulation and engine differ, 0 for the others.

    int64 [verdict]: every position at every step, the steps of one position side by side.
    """
    ends = {(one.market, int(one.id, 16)): one.liquidatable_at for one in outcome.positions}
    found = []
    for name, alone in markets.items():
        said = alone.liquidatable()
        for column, position_id in enumerate(alone.ids):
            seen = np.zeros(said.shape[0], np.bool_)
            seen[[*ends[name, position_id]]] = True
            found.append(said[:, column] != seen)
    return np.asarray(np.concatenate(found), np.int64)


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
