"""A chain with the crash scenario's stage, one long and one short open, and a hand on the price."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.artifacts import ROOT
from ringfence.evm.rpc import JsonRpc
from ringfence.keeper.assemble import Places
from ringfence.sim.keeper import KEEPER, ScenarioKeeper
from ringfence.sim.play import ARBITRAGEUR, fund_arbitrageur
from ringfence.sim.scenario import Scenario, load_scenario
from ringfence.sim.stage import Stage, Venue, account_of, set_stage

CRASH = ROOT / "scenarios" / "crash-2020-03-12.toml"
LONG, SHORT = "weth-usdc-conservative", "usdc-weth-short"
TRADER = account_of("trader")
CHAIN_ID = 31_337
_FEED = 10**8


@dataclass(frozen=True, slots=True)
class Crash:
    """The chain; the long is near its limit at 195 dollars, the short far from its own."""

    engine: AnvilEngine
    stage: Stage
    scenario: Scenario
    rpc: JsonRpc
    record: Path
    long_id: int
    short_id: int

    @property
    def long(self) -> Venue:
        return self.stage.venues[LONG]

    @property
    def places(self) -> Places:
        return Places.of(self.stage.record)

    @property
    def block(self) -> int:
        return int(self.rpc.call("eth_blockNumber"), 16)

    def move_pool(self, price: int) -> None:
        trader = account_of(ARBITRAGEUR)
        target = Fraction(price, 10**12)
        self.stage.uniswap.move_price(
            self.stage.pool, self.stage.weth, target, trader, budget=2**120
        )

    def move_feed(self, price: int) -> int:
        """Let the feed answer a price; return the block of it."""
        self.engine.advance(300)
        self.stage.ether_feed.updateAnswer(price * _FEED)
        return self.block

    def fall(self, price: int, *, pool: int | None = None) -> None:
        """Move the feed, and the pool with it unless told elsewhere."""
        self.move_feed(price)
        self.move_pool(pool or price)

    def words(self) -> list[int]:
        """The long's word and the short's."""
        long, short = (self.stage.venues[one].vault for one in (LONG, SHORT))
        return [long.slot(self.long_id), short.slot(self.short_id)]

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self.engine.advance(12)
            self.rpc.call("evm_mine", self.engine.timestamp)

    def keeper(self) -> ScenarioKeeper:
        """A keeper with its approvals in place, each in a block of its own."""
        return ScenarioKeeper.on(self.stage, self.scenario, self.rpc)

    def held(self, account: str = account_of(KEEPER)) -> int:
        """What an account holds, the keeper's by default, USDC units."""
        return int(self.stage.usdc.balanceOf(account))


@contextmanager
def crash_stage(folder: Path, history: int = 256, chain_id: int = CHAIN_ID) -> Iterator[Crash]:
    """Start the chain; the node keeps so many past states."""
    scenario = load_scenario(CRASH)
    with launch(chain_id=chain_id, history=history) as engine:
        stage = set_stage(engine, scenario, folder)
        fund_arbitrageur(stage, scenario)
        stage.open(stage.venues[LONG], TRADER, 1, Decimal(10), None)
        stage.open(stage.venues[SHORT], TRADER, 2, Decimal(1_000), Decimal(2))
        owner, rpc = int(TRADER, 16) << 96, JsonRpc(engine.url)
        record = folder / "deployment.json"
        yield Crash(engine, stage, scenario, rpc, record, owner | 1, owner | 2)
        rpc.close()
