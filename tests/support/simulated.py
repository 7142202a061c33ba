"""Small scenarios for simulations, and everything that can be read of one under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.evm import Engine
from ringfence.evm.artifacts import ROOT
from ringfence.risk.rules.left_alone import LeftAlone
from ringfence.risk.rules.trigger import trigger
from ringfence.sim.chronicle import books_slots, position_slot_of
from ringfence.sim.meter import Meter
from ringfence.sim.outcome import Outcome
from ringfence.sim.scenario import Scenario, load_scenario
from ringfence.sim.simulate import simulate
from ringfence.sim.simulation import Simulation
from ringfence.sim.stage import account_of
from ringfence.sim.vectorised.from_scenario import from_scenario

DAY = ROOT / "scenarios" / "day-student-t.toml"
STEP = 300
FIRST = 2_000

SMALL = """
title = "Two hours of a few"
seed = 1

[path]
step_seconds = 300
csv = "prices.csv"

[feed]
deviation = {deviation}
heartbeat = 3600

[pool]
fee = 500
weth = 10_000

[keeper]
gas_price_gwei = 20
min_profit = 0
max_loss = 0.5
{keeper}

{keepers}

[[markets]]
id = "weth-usdc-conservative"
lenders = [{{ account = "lender-1", amount = 100_000 }}, {{ account = "lender-2", amount = 9_000{rules} }}]

[[markets]]
id = "usdc-weth-short"
lenders = [{{ account = "lender-1", amount = 50 }}]

{attackers}

[[positions]]
account = "long"
market = "weth-usdc-conservative"
at = 0
margin = 3
leverage = 4.5

[[positions]]
account = "short"
market = "usdc-weth-short"
at = 0
margin = 6_000
leverage = 4.5

[[positions]]
account = "long"
market = "weth-usdc-conservative"
at = 0
margin = 4
leverage = 2
{more}
"""  # noqa: E501


def write(folder: Path, prices: Sequence[float], **parts: str) -> Path:
    """Write the small scenario with a price a step, and what `parts` add to it."""
    rows = [f"{index * STEP},{price!r}" for index, price in enumerate(prices)]
    (folder / "prices.csv").write_text("\n".join(["time,price", *rows]) + "\n")
    path = folder / "small.toml"
    nothing = dict.fromkeys(("keeper", "keepers", "rules", "attackers", "more"), "")
    # Every price is answered.
    path.write_text(SMALL.format(**{**nothing, "deviation": "0", **parts}))
    return path


def play(engine: Engine, path: Path, folder: Path, *, passive: bool = False) -> Outcome:
    """Simulate a scenario file on an engine."""
    scenario = load_scenario(path)
    outcome, _speed = simulate(
        engine,
        scenario,
        name=path.stem,
        sha256="",
        seed=scenario.seed,
        folder=folder,
        passive=passive,
        say=lambda _what: None,
        tick=lambda _done, _total, _note: None,
    )
    return outcome


@dataclass(frozen=True)
class Edge:
    """A path that brings a market's first position to its trigger, then one answer past it."""

    prices: tuple[float, ...]
    at: int
    market: str


def edge(folder: Path, market: str, *, at: int = 5, after: int = 6) -> Edge:
    """Return the path on which the position stands at its trigger at step `at`, past it one on."""
    flat = [float(FIRST)] * (at + after)
    alone = from_scenario(load_scenario(write(folder, flat)), 1, folder)[market]
    prices = list(flat)
    prices[at] = trigger_at(alone, at) / 10**8
    past = -1 if alone.market.falls else 1
    prices[at + 1] = (trigger_at(alone, at + 1) + past) / 10**8
    return Edge(tuple(prices), at, market)


def trigger_at(alone: LeftAlone, step: int) -> int:
    """Return the first position's trigger at a step."""
    held = alone.positions
    ltv = alone.market.risk.liquidation_ltv
    index = alone.indices[step]
    return trigger(alone.market, held.collateral[0], held.scaled_debt[0], index, ltv)


def names_of(scenario: Scenario) -> set[str]:
    """Return the accounts of a scenario and of the simulation itself."""
    named = {one.account for one in (*scenario.positions, *scenario.attackers, *scenario.keepers)}
    named |= {lender.account for market in scenario.markets for lender in market.lenders}
    return named | {"keeper", "arbitrageur", "liquidity provider", "reserve donor"}


def state_of(simulation: Simulation) -> dict[str, object]:
    """Return prices, every position word, books, balances and shares: what an engine may hold."""
    stage = simulation.stage
    holders = {name: account_of(name) for name in sorted(names_of(simulation.scenario))}
    holders |= {name: venue.vault.address for name, venue in stage.venues.items()}
    holders |= {
        "pool": stage.pool.address,
        "router": stage.router.address,
        "liquidator": stage.liquidator.address,
    }
    state: dict[str, object] = {
        "time": stage.engine.timestamp,
        "feeds": (stage.ether_feed.latestRoundData(), stage.dollar_feed.latestRoundData()),
        "pool": (tuple(stage.pool.contract.slot0()), stage.pool.contract.liquidity()),
    }
    for name, venue in stage.venues.items():
        held = [one.position_id for one in simulation.play.held if one.venue is venue]
        held += [one.position_id for one in simulation.borrowers if one.venue is venue]
        slots = [*books_slots(), *map(position_slot_of, held)]
        state[f"{name} words"] = [stage.engine.storage_at(venue.vault, slot) for slot in slots]
        state[f"{name} price"] = tuple(venue.oracle.quote())
        state[f"{name} shares"] = [venue.vault.balanceOf(one) for one in holders.values()]
    for token in (stage.weth, stage.usdc):
        state[token.title] = {name: token.balanceOf(one) for name, one in holders.items()}
    return state


def events_of(simulation: Simulation) -> list[tuple[str, str, object]]:
    """Return every event of the contracts that a simulation knows, named, in order; forget them."""
    meter, stage = simulation.stage.engine, simulation.stage
    assert isinstance(meter, Meter)
    known = [stage.weth, stage.usdc, stage.ether_feed, stage.router, stage.liquidator]
    known += [stage.pool.contract, *(venue.vault for venue in stage.venues.values())]
    by_address = {one.address: one for one in known}
    found = []
    for receipt in meter.receipts or []:
        for log in receipt.logs:
            event = by_address[log.address].decode_log(log)
            found.append((log.address, event.name, dict(event.args)))
    meter.receipts = []
    return found
