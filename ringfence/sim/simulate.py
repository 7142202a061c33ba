"""A scenario from an empty chain to its outcome: `ape run simulate`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ringfence.evm import Engine
from ringfence.sim.agents.attacker import LagBorrower
from ringfence.sim.meter import Meter
from ringfence.sim.outcome import Outcome, Speed
from ringfence.sim.play import ARBITRAGEUR, Progress
from ringfence.sim.result import Check
from ringfence.sim.scenario import Scenario
from ringfence.sim.simulation import Simulation, prepare
from ringfence.sim.stage import account_of


def simulate(
    engine: Engine,
    scenario: Scenario,
    *,
    name: str,
    sha256: str,
    seed: int,
    folder: Path,
    passive: bool = False,
    say: Callable[[str], None],
    tick: Progress,
) -> tuple[Outcome, Speed]:
    """Run a scenario on a fresh engine; the deployment's record goes to `folder`.

    `passive` leaves everything alone once the positions are open. Raises RingfenceError's children
    when something cannot be staged.
    """
    meter = Meter(engine)
    began = time.perf_counter()
    say("deploying")
    played = scenario.passive() if passive else scenario
    simulation = prepare(meter, played, seed, folder, keepers=not passive)
    staged = time.perf_counter()
    before = meter.spent()
    say("playing")
    simulation.run(tick)
    done = time.perf_counter()
    transactions, calls = meter.since(before)
    outcome = Outcome(
        scenario=name,
        title=scenario.title,
        sha256=sha256,
        seed=seed,
        passive=passive,
        steps=tuple(simulation.moments),
        deeds=tuple(simulation.deeds),
        liquidations=tuple(simulation.sold),
        positions=simulation.positions(),
        markets=simulation.markets(),
        lenders=simulation.lender_ends(),
        keepers=tuple(one.end() for one in simulation.keepers),
        attacks=simulation.attacks(),
        checks=checks(simulation),
    )
    return outcome, Speed(
        engine=engine.name,
        staging=staged - began,
        playing=done - staged,
        transactions=transactions.count,
        in_transactions=transactions.seconds,
        calls=calls.count,
        in_calls=calls.seconds,
    )


def checks(simulation: Simulation) -> tuple[Check, ...]:
    """Return what must hold whatever the scenario, read from the chain at the end."""
    found = [*_conserved(simulation), _apart(simulation), _unprofitable(simulation)]
    return (*found, *(_bounded(one, simulation.scenario) for one in simulation.laggards))


def _conserved(simulation: Simulation) -> list[Check]:
    """Everybody's balances are all there is of a token."""
    stage, scenario = simulation.stage, simulation.scenario
    names = [one.account for one in (*scenario.positions, *scenario.attackers)]
    names += [lender.account for market in scenario.markets for lender in market.lenders]
    names += [one.name for one in simulation.keepers]
    names += [ARBITRAGEUR, "liquidity provider", "reserve donor"]
    holders = {account_of(name) for name in names}
    holders |= {venue.vault.address for venue in stage.venues.values()}
    holders |= {stage.pool.address, stage.router.address, stage.liquidator.address}
    holders |= {account.address for account in stage.engine.accounts}
    found = []
    for symbol, token in (("USDC", stage.usdc), ("WETH", stage.weth)):
        held = sum(int(token.balanceOf(one)) for one in holders)
        supply = int(token.totalSupply())
        detail = f"{len(holders)} holders have {held} of {supply} units"
        found.append(Check(f"{symbol.lower()}_conserved", held == supply, detail))
    return found


def _apart(simulation: Simulation) -> Check:
    """Each vault holds at least its cash and its positions' collateral."""
    wrong = []
    for venue in simulation.stage.venues.values():
        ids = {one.position_id for one in simulation.play.held if one.venue is venue}
        ids |= {one.position_id for one in simulation.borrowers if one.venue is venue}
        pledged = sum(venue.vault.position(one).collateral for one in ids)
        has = venue.collateral.balanceOf(venue.vault)
        cash = venue.vault.current_balance_sheet().cash
        if has != pledged or venue.asset.balanceOf(venue.vault) < cash:
            wrong.append(f"{venue.id}: {has} of {pledged} collateral, cash {cash}")
    return Check("vaults_hold_what_is_theirs", not wrong, "; ".join(wrong) or "to the unit")


def _unprofitable(simulation: Simulation) -> Check:
    ends = simulation.attacks()
    told = [
        f"{one.attack}: {one.gain / 10**6:+,.2f} USDC in {one.done}"
        + (f", bonus {one.bonus / 10**6:+,.2f}" if one.bonus else "")
        for one in ends
    ]
    held = not any(one.paid for one in ends)
    return Check("attacks_unprofitable", held, "; ".join(told) or "no attacker")


def _bounded(attacker: LagBorrower, scenario: Scenario) -> Check:
    """Hold what the feed may lag, by its deviation and on this path, against what makes it pay."""
    gap, deviation, worst = (
        float(one) for one in (attacker.gap, scenario.feed.deviation, attacker.worst)
    )
    detail = (
        f"the feed answers past {deviation:.1%} and was up to {worst:.2%} too good; to "
        f"{attacker.table.then} pays past {gap:.1%}"
    )
    return Check("oracle_lag_within_gap", max(deviation, worst) < gap, detail)
