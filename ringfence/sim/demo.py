"""A scenario from an empty chain to its result: stage, play, read back, check."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.rpc import JsonRpc
from ringfence.sim import checks, evidence
from ringfence.sim.chronicle import Chronicle, read_books
from ringfence.sim.findings import Findings
from ringfence.sim.history import History, read_history
from ringfence.sim.keeper import KEEPER, ScenarioKeeper
from ringfence.sim.play import ARBITRAGEUR, Play, Progress, fund_arbitrageur
from ringfence.sim.result import Result, Token
from ringfence.sim.scenario import Scenario, seconds
from ringfence.sim.stage import SimError, Stage, account_of, set_stage

CHAIN_ID = 31_337
HISTORY = 100_000
"""Blocks whose states the node keeps: all of them."""

_LEAD = 300
"""Seconds between the stage and the first step."""

Say = Callable[[str], None]
"""Told what is being done, in a few words."""


def names_of(scenario: Scenario) -> dict[str, str]:
    """Return what every account of a scenario is called, by address."""
    known = [table.account for table in scenario.positions]
    known += [lender.account for market in scenario.markets for lender in market.lenders]
    return {account_of(name): name for name in (*known, KEEPER, ARBITRAGEUR)}


def run(
    engine: AnvilEngine,
    scenario: Scenario,
    name: str,
    seed: int,
    folder: Path,
    say: Say,
    tick: Progress,
) -> Result:
    """Run a scenario on an anvil that keeps its history, and return what the chain says of it.

    The deployment's record goes to `folder`. Raises RingfenceError's children when something
    cannot be staged or a trader's transaction fails.
    """
    if scenario.only_simulated:
        raise SimError(
            "the demo plays no further keepers, lenders' rules or attackers; run the scenario "
            "with `ape run simulate`, or remove them"
        )
    began = time.monotonic()
    path = scenario.path.draw(seed)
    rpc = JsonRpc(engine.url)
    try:
        say("deploying")
        stage = set_stage(engine, scenario, folder)
        fund_arbitrageur(stage, scenario)
        with ScenarioKeeper.on(stage, scenario, rpc) as keeper:
            chronicle = Chronicle(rpc)
            first_block = chronicle.last_block()
            say("playing")
            play = Play(stage, scenario, path, keeper, engine.timestamp + _LEAD)
            play.run(tick)
        for venue in stage.venues.values():
            venue.vault.accrue(sender=account_of(KEEPER))
        say("reading")
        names = names_of(scenario)
        history = read_history(stage, chronicle, play.start, first_block, names)
        return _assemble(history, play, scenario, name, seed, began)
    finally:
        rpc.close()


def _tokens(stage: Stage) -> tuple[Token, ...]:
    return (
        Token("WETH", stage.weth.address, int(stage.weth.decimals())),
        Token("USDC", stage.usdc.address, int(stage.usdc.decimals())),
    )


def _assemble(
    history: History, play: Play, scenario: Scenario, name: str, seed: int, began: float
) -> Result:
    sheets = {one: read_books(history.chronicle, one) for one in history.venues}
    gas_price = int(scenario.keeper.gas_price_gwei * 10**9)
    liquidations = evidence.liquidations(history, gas_price)
    found = Findings(
        scenario=scenario,
        history=history,
        sheets=sheets,
        steps=tuple(play.steps),
        markets=evidence.markets(history, sheets, play.steps, liquidations),
        positions=evidence.positions(history, sheets, play),
        liquidations=liquidations,
        keeper=evidence.keeper(history, account_of(KEEPER), liquidations),
        conservation=evidence.conservation(history),
        keeper_off=play.keeper_off(),
        crash_end=seconds(scenario.path.crash_end),
    )
    checked = checks.run_checks(found)
    return Result(
        scenario=name,
        title=scenario.title,
        seed=seed,
        seconds=time.monotonic() - began,
        chain_id=history.stage.engine.chain_id,
        transactions=history.chronicle.transaction_count(),
        accounts=len({one.owner for one in found.positions}),
        crash_end=found.crash_end,
        keeper_off=found.keeper_off,
        tokens=_tokens(history.stage),
        steps=found.steps,
        markets=found.markets,
        positions=found.positions,
        liquidations=found.liquidations,
        keeper=found.keeper,
        conservation=found.conservation,
        checks=checked,
    )
