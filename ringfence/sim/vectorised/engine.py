"""A scenario on the vectorised engine, its outcome in the form that the bytecode's has."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ringfence.evm import Engine
from ringfence.math.health import debt_up
from ringfence.math.lender_shares import to_assets_down
from ringfence.math.position_slot import stored_word
from ringfence.sim import feed
from ringfence.sim.outcome import KeeperEnd, LenderEnd, MarketEnd, Outcome, PositionEnd, Speed
from ringfence.sim.play import Progress
from ringfence.sim.result import Check
from ringfence.sim.scenario import Scenario
from ringfence.sim.simulate import simulate
from ringfence.sim.vectorised.compare import Compared, compare
from ringfence.sim.vectorised.from_scenario import Opened, left_out, open_scenario
from ringfence.sim.vectorised.played import KEEPER, Played, Rules, play


@dataclass(frozen=True, slots=True)
class Vectorised:
    """A scenario as the vectorised engine plays it; `pool_low` in USDC per WETH.

    `left_out` names what of the file it does not play, `opened` is where it began.
    """

    outcome: Outcome
    speed: Speed
    opened: Opened
    left_out: tuple[str, ...]
    pool_low: float


def play_scenario(opened: Opened, scenario: Scenario, seed: int) -> Played:
    """Play an opened scenario along the path of a seed."""
    path = scenario.path.draw(seed)
    answers = np.array(feed.answers(scenario.feed, path.prices, path.step), np.int64)
    return play(opened, Rules.of(scenario), path.prices, answers)


def simulate_vectorised(
    scenario: Scenario, *, name: str, sha256: str, seed: int, folder: Path
) -> Vectorised:
    """Open a scenario on the bytecode and play it without; the record goes to `folder`.

    Raises RiskError for a position that opens later, and what staging raises.
    """
    began = time.perf_counter()
    opened = open_scenario(scenario, seed, folder)
    staged = time.perf_counter()
    played = play_scenario(opened, scenario, seed)
    speed = Speed("vectorised", staged - began, time.perf_counter() - staged, 0, 0.0, 0, 0.0)
    outcome = outcome_of(played, scenario, name, sha256, seed)
    return Vectorised(outcome, speed, opened, left_out(scenario), played.low * 1e12)


def compare_engines(
    found: Vectorised, engine: Engine, scenario: Scenario, folder: Path, tick: Progress
) -> Compared:
    """Play what the vectorised engine played on the bytecode of a fresh engine, and compare."""
    ours = found.outcome
    exact, _speed = simulate(
        engine,
        scenario.passive(),
        name=ours.scenario,
        sha256=ours.sha256,
        seed=ours.seed,
        folder=folder,
        say=lambda _what: None,
        tick=tick,
    )
    return compare(exact, ours, {name: one.market for name, one in found.opened.vaults.items()})


def outcome_of(played: Played, scenario: Scenario, name: str, sha256: str, seed: int) -> Outcome:
    """Return what was played in the form that the bytecode's simulation has."""
    sold = played.sold
    earned = {
        symbol: sum(one.profit for one in sold if played.vaults[one.market].opened.asset == symbol)
        for symbol in ("WETH", "USDC")
    }
    keeper = KeeperEnd(
        account=KEEPER,
        latency=0,
        liquidations=len(sold),
        failed=0,
        weth=earned["WETH"],
        usdc=earned["USDC"],
        gas_cost=sum(one.gas for one in sold) * played.rules.gas_price,
    )
    detail = f"{len(sold)} liquidations off by {played.furthest:.1e} of the bound at most"
    ends = {
        market: vault.opened.interest.at(vault.sheet, played.times[-1])
        for market, vault in played.vaults.items()
    }
    return Outcome(
        scenario=name,
        title=scenario.title,
        sha256=sha256,
        seed=seed,
        passive=False,
        steps=tuple(played.moments),
        deeds=(),
        liquidations=tuple(sold),
        positions=tuple(_position(played, *one) for one in played.opened.held),
        markets=tuple(
            MarketEnd.of(market, vault.opened.asset, ends[market], vault.sold)
            for market, vault in played.vaults.items()
        ),
        lenders=tuple(
            LenderEnd(
                one.account,
                market,
                one.amount,
                0,
                to_assets_down(one.shares, ends[market].supply_index),
            )
            for market, vault in played.vaults.items()
            for one in vault.opened.lenders
        ),
        keepers=(keeper,),
        attacks=(),
        checks=(Check("mirror_agrees", played.furthest <= 1, detail),),
    )


def _position(played: Played, account: str, market: str, place: int, at: int) -> PositionEnd:
    vault = played.vaults[market]
    slot, number = vault.slots[place], hex(vault.opened.ids[place])
    index = vault.opened.interest.at(vault.sheet, played.times[-1]).debt_index
    return PositionEnd(
        id=number,
        account=account,
        market=market,
        opened_at=at,
        word=hex(stored_word(slot)),
        collateral=slot.collateral,
        debt=debt_up(slot.scaled_debt, index),
        status="open" if slot.collateral else "liquidated",
        liquidations=sum(one.position == number for one in vault.sold),
        liquidatable_at=tuple(vault.liquidatable.get(place, ())),
    )
