"""The scenario's keeper: the engine and the planner of `ringfence.keeper`, without keys or lane.

On a local chain an account needs no key, and every transaction is mined when it is sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ringfence.deploy.steps import FACTORY
from ringfence.evm.abi import address_bytes, checksum
from ringfence.evm.rpc import Json, JsonRpc
from ringfence.keeper.act.bid import Bid, Fees
from ringfence.keeper.act.planner import Planner
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.quotes import Contracts
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.engine import Engine
from ringfence.keeper.memory.store import Deployment, Store
from ringfence.sim.scenario import Scenario
from ringfence.sim.stage import Stage, account_of

KEEPER = "keeper"
_ROUNDS = 8
"""The most looks at one time: what is sold at one look may make another position worth a size."""


@dataclass(slots=True)
class ScenarioKeeper:
    """Liquidates what pays, one position a transaction; close it, or use it in `with`."""

    stage: Stage
    rpc: JsonRpc
    fees: Fees
    _runner: asyncio.Runner
    _door: Web3Rpc
    _store: Store
    _engine: Engine
    _planner: Planner

    @classmethod
    def on(cls, stage: Stage, scenario: Scenario, rpc: JsonRpc) -> Self:
        """Return the scenario's keeper, funded with what it may lose, its approvals in place."""
        table, account = scenario.keeper, account_of(KEEPER)
        most_loss = int(table.max_loss * 10**18)
        policy = Policy(least_profit=int(table.min_profit * 10**18), most_loss=most_loss, targets=1)
        first_block = stage.record.contracts[FACTORY].block
        factory = address_bytes(stage.factory)
        store = Store("sqlite://", Deployment(stage.engine.chain_id, factory, first_block))
        door = Web3Rpc(rpc.url)
        engine = Engine(door, store, address_bytes(stage.lens))
        contracts = Contracts(
            address_bytes(stage.liquidator),
            address_bytes(stage.uniswap.factory),
            address_bytes(stage.uniswap.quoter),
            address_bytes(stage.weth),
        )
        stage.equip(account, most_loss)
        planner = Planner(
            door, lambda: engine.book.vaults, contracts, address_bytes(account), policy
        )
        fees = Fees(0, int(table.gas_price_gwei * 10**9))
        return cls(stage, rpc, fees, asyncio.Runner(), door, store, engine, planner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what it holds open."""
        self._runner.run(self._door.close())
        self._runner.close()
        self._store.close()

    def act(self) -> int:
        """Look, and send what pays, until nothing more does; return how many were liquidated."""
        done = 0
        for _ in range(_ROUNDS):
            bids = self.look()
            sent = [self._send(bid) for bid in bids]
            done += sum(sent)
            if not any(sent):
                break
        return done

    def look(self) -> tuple[Bid, ...]:
        """Return what to send by what is due now."""
        return self._runner.run(self._look())

    async def _look(self) -> tuple[Bid, ...]:
        block: Json = self.rpc.call("eth_getBlockByNumber", "latest", False)
        head = Header.parse(block)
        tick = await self._engine.tick(head)
        return (await self._planner.bids(head, self.fees, tick)).bids

    def _send(self, bid: Bid) -> bool:
        """Send one; one that another of the same look has spoilt reverts or skips its target."""
        receipt = self.stage.engine.send(
            account_of(KEEPER), checksum(bid.to), bid.data, gas_limit=bid.gas
        )
        liquidated = receipt.events(self.stage.liquidator)
        return receipt.success and any(one.name == "FlashLiquidated" for one in liquidated)
