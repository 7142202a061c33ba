"""A scenario on any engine, with everybody in it: lenders, traders, keepers, attackers.

In each step: time and pool move; who lives on a feed's lag acts; the feeds answer; lenders act by
their rules; positions open and traders act; attackers; then the keepers, whose older decisions land
first, the highest gas price before others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ringfence.evm import Engine
from ringfence.evm.errors import Reverted
from ringfence.keeper.act.plan import Batch
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.sim.agents.attacker import LagBorrower, SelfLiquidator, ShareInflator
from ringfence.sim.agents.keeper import KeeperAgent
from ringfence.sim.agents.lender import LenderAgent
from ringfence.sim.history import symbol_of
from ringfence.sim.keeper import KEEPER
from ringfence.sim.outcome import AttackEnd, Deed, LenderEnd, MarketEnd, Moment, PositionEnd, Sold
from ringfence.sim.play import Play, Progress, fund_arbitrageur
from ringfence.sim.scenario import OracleLag, Scenario, SelfLiquidation, ShareInflation
from ringfence.sim.stage import Stage, Venue, build_stage, let_lenders_in

LEAD = 300
"""Seconds between the stage and the first step."""

_ROUNDS = 8
"""The most looks at one time: what is sold at one look may make another position worth a size."""


class _Nobody:
    """Keepers are the simulation's own."""

    def act(self) -> int:
        return 0


@dataclass(slots=True)
class Simulation:
    """A scenario under way; `moments`, `deeds` and `sold` fill up."""

    stage: Stage
    scenario: Scenario
    play: Play
    lenders: Sequence[LenderAgent]
    keepers: Sequence[KeeperAgent]
    inflators: Sequence[ShareInflator]
    borrowers: Sequence[SelfLiquidator | LagBorrower]
    moments: list[Moment] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    sold: list[Sold] = field(default_factory=list)

    def run(self, progress: Progress) -> None:
        """Play every step."""
        steps = len(self.play.path.prices)
        for index in range(steps):
            self.play_step(index)
            progress(index + 1, steps, f"{len(self.sold)} liquidations")

    def play_step(self, index: int) -> None:
        """Play one step: everything of it happens at one time."""
        time = index * self.play.path.step
        market = self.play.move_pool(index)
        for laggard in self.laggards:
            self._let_attack(laggard, partial(laggard.see, time, market))
        self.play.update_feeds(market)
        for lender in self.lenders:
            rule = lender.wanted(time)
            if rule is not None:
                self.attempt(lender.table.account, rule.do, lender.venue, partial(lender.act, rule))
        self.play.open_positions(time)
        deeds = len(self.deeds)
        self.play.let_traders_act(index)
        for attacker in self.borrowers:
            self._let_attack(attacker, partial(attacker.act, time))
        self._keep(index, quiet=len(self.deeds) == deeds)
        self.moments.append(
            Moment(
                time=time,
                price=self.play.path.prices[index],
                answer=int(self.stage.ether_feed.latestAnswer()),
                root=self.stage.pool.sqrt_price,
                liquidatable=self._liquidatable(index),
            )
        )

    def _liquidatable(self, index: int) -> int:
        """Return how many positions were liquidatable when the traders looked at a step."""
        return sum(at[-1] == index for at in self.play.liquidatable.values())

    def attempt(self, who: str, what: str, venue: Venue, do: Callable[[], None]) -> bool:
        """Do something, note it, and return whether the contracts let it be done."""
        refused = None
        try:
            do()
        except Reverted as error:
            refused = error.reason
        self._note(who, what, venue, refused)
        return refused is None

    def _note(self, who: str, what: str, venue: Venue, refused: str | None) -> None:
        time = self.stage.engine.timestamp - self.play.start
        self.deeds.append(Deed(time, who, what, venue.id, refused))

    @property
    def laggards(self) -> Sequence[LagBorrower]:
        """Those who live on a feed's lag."""
        return [one for one in self.borrowers if isinstance(one, LagBorrower)]

    def _let_attack(self, attacker: SelfLiquidator | LagBorrower, do: Callable[[], None]) -> None:
        """Let an attacker act, and note it where it did something."""
        before, refused = (attacker.opened, attacker.tried), None
        try:
            do()
        except Reverted as error:
            refused = error.reason
        if before != (attacker.opened, attacker.tried):
            what = attacker.table.attack if before[0] else "open"
            self._note(attacker.table.account, what, attacker.venue, refused)

    # Keepers

    def _keep(self, index: int, *, quiet: bool) -> None:
        """Let what is due land, let every keeper look, and those without latency act at once.

        `quiet` says that nobody acted since the traders looked: what they saw still holds.
        """
        if not self.keepers:
            return
        waits = any(one.waits for one in self.keepers)
        if quiet and not waits and not self._liquidatable(index):
            return
        time = index * self.play.path.step
        ready = [one for one in self.keepers if one.is_on(time)]
        for keeper in self.keepers:
            self._send(keeper, keeper.landed(index), time)
        for number in range(_ROUNDS):
            due = self.due()
            if not any(due.values()):
                return
            late = [one for one in ready if one.latency and number == 0]
            for keeper in late:
                keeper.delay(keeper.look(due), index)
            looks = [(one, one.look(due)) for one in ready if not one.latency]
            sent = [self._send(keeper, batches, time) for keeper, batches in looks]
            if not any(sent):
                return

    def _send(self, keeper: KeeperAgent, batches: Sequence[Batch], time: int) -> bool:
        found = [keeper.send(batch, time) for batch in batches]
        done = [one for one in found if one is not None]
        self.sold += done
        return bool(done)

    def due(self) -> Mapping[str, Sequence[int]]:
        """Return the positions that are liquidatable now, by market."""
        found = {}
        for venue in self.stage.venues.values():
            ids = [one.position_id for one in self.play.held if one.venue is venue]
            ids += [one.position_id for one in self.borrowers if one.opened and one.venue is venue]
            views = self.stage.lens.positions(venue.vault, ids) if ids else []
            found[venue.id] = [
                one for one, view in zip(ids, views, strict=True) if view.liquidatable
            ]
        return found

    # What is left at the end

    def positions(self) -> tuple[PositionEnd, ...]:
        """Return every position that was opened, in its order."""
        found = []
        for one in self.play.held:
            vault = one.venue.vault
            view = vault.position(one.position_id)
            sold = [
                s
                for s in self.sold
                if (s.market, s.position) == (one.venue.id, hex(one.position_id))
            ]
            gone = "liquidated" if sold and not view.debt else "closed"
            found.append(
                PositionEnd(
                    id=hex(one.position_id),
                    account=one.table.account,
                    market=one.venue.id,
                    opened_at=int(one.table.at * 3_600),
                    word=hex(vault.slot(one.position_id)),
                    collateral=view.collateral,
                    debt=view.debt,
                    status="open" if view.collateral else gone,
                    liquidations=len(sold),
                    liquidatable_at=tuple(
                        self.play.liquidatable.get((one.venue.id, one.position_id), ())
                    ),
                )
            )
        return tuple(found)

    def markets(self) -> tuple[MarketEnd, ...]:
        """Return every vault's books."""
        found = []
        for venue in self.stage.venues.values():
            sheet = BalanceSheet(*venue.vault.current_balance_sheet())
            sold = [one for one in self.sold if one.market == venue.id]
            symbol = symbol_of(self.stage, venue.asset.address)
            found.append(MarketEnd.of(venue.id, symbol, sheet, sold))
        return tuple(found)

    def attacks(self) -> tuple[AttackEnd, ...]:
        """Return what attackers earned."""
        inflated = [one.end() for one in self.inflators]
        return (*inflated, *(one.end() for one in self.borrowers))

    def lender_ends(self) -> tuple[LenderEnd, ...]:
        """Return what lenders have."""
        return tuple(
            LenderEnd(one.table.account, one.venue.id, one.lent, one.withdrawn, one.claim())
            for one in self.lenders
        )


def _borrower(
    stage: Stage, table: SelfLiquidation | OracleLag, number: int
) -> SelfLiquidator | LagBorrower:
    if isinstance(table, OracleLag):
        return LagBorrower(stage, table, number)
    return SelfLiquidator(stage, table, number)


def prepare(
    engine: Engine, scenario: Scenario, seed: int, folder: Path, *, keepers: bool = True
) -> Simulation:
    """Stage a scenario on an engine, ready for its first step; the record goes to `folder`.

    Raises RingfenceError's children when something cannot be staged.
    """
    path = scenario.path.draw(seed)
    stage = build_stage(engine, scenario, folder)
    inflators = [
        ShareInflator(stage, one) for one in scenario.attackers if isinstance(one, ShareInflation)
    ]
    for inflator in inflators:
        inflator.before()
    let_lenders_in(stage, scenario)
    for inflator in inflators:
        inflator.after()
    fund_arbitrageur(stage, scenario)
    named: list[KeeperAgent] = []
    if keepers:
        named = [KeeperAgent(stage, KEEPER, scenario.keeper)]
        named += [KeeperAgent(stage, one.account, one, one.latency) for one in scenario.keepers]
        named.sort(key=lambda one: -one.fees.price)
    simulation = Simulation(
        stage=stage,
        scenario=scenario,
        play=Play(stage, scenario, path, _Nobody(), engine.timestamp + LEAD),
        lenders=[
            LenderAgent(stage, stage.venues[market.id], lender)
            for market in scenario.markets
            for lender in market.lenders
        ],
        keepers=named,
        inflators=inflators,
        borrowers=[
            _borrower(stage, one, number)
            for number, one in enumerate(scenario.attackers)
            if not isinstance(one, ShareInflation)
        ],
    )
    simulation.play.attempt = simulation.attempt
    return simulation
