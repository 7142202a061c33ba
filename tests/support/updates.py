"""A whole keeper on a chain with Uniswap and a market whose feed updates wait to be mined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from ringfence.client.signing import key_signer
from ringfence.evm import Contract, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import Json, JsonRpc
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.quotes import Contracts
from ringfence.keeper.assemble import Places, Settings, opened
from ringfence.keeper.chain.pending import Mempool, Pending
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.memory.store import Deployment
from ringfence.keeper.service import Beat, Service
from tests.support.feeds import DAY, NO_SEQUENCER, TOLERANCE, UNUSED, feed_config
from tests.support.market import (
    KEEPER,
    MAX_UINT256,
    OPERATOR,
    TRADER,
    USDC,
    WETH,
    Market,
    position_id,
    price_of,
)
from tests.support.periphery import Stage, add_long_market, build_stage, fund
from tests.support.proxy import proxies

PATIENCE = 120.0
GWEI = 10**9
FEES = Fees(10 * GWEI, GWEI)
TRANSMITTER = OPERATOR


@dataclass(slots=True)
class Scene:
    """A market priced by a feed behind a proxy, and a node that mines when told."""

    stage: Stage
    market: Market
    aggregator: Contract
    proxy: Contract
    lens: Contract
    rpc: JsonRpc
    salts: int = field(default=0)

    @property
    def engine(self) -> AnvilEngine:
        assert isinstance(self.stage.engine, AnvilEngine)
        return self.stage.engine

    def open(self, ltv: int = 75) -> int:
        """A position of an ether, at an LTV in % at 2,000."""
        self.salts += 1
        position = position_id(TRADER, self.salts)
        debt = 2_000 * USDC * ltv // 100
        self.market.vault.adjust(position, WETH, debt, TRADER, b"", sender=TRADER)
        return position

    def transmit(
        self, dollars: int, sender: LocalAccount = TRANSMITTER, tip: int = 3 * GWEI, **more: str
    ) -> str:
        """Send an update that waits; return its hash."""
        base = int(self.rpc.call("eth_feeHistory", "0x1", "latest", [])["baseFeePerGas"][-1], 16)
        sent = {
            "from": sender.address,
            "to": self.aggregator.address,
            "data": "0x" + self.aggregator.transmit.encode(dollars * 10**8).hex(),
            "gas": hex(200_000),
            "maxFeePerGas": hex(2 * base + tip),
            "maxPriorityFeePerGas": hex(tip),
        }
        found: str = self.rpc.call("eth_sendTransaction", sent | more)
        return found

    def head(self) -> Header:
        return Header.parse(self.rpc.call("eth_getBlockByNumber", "latest", False))

    def mine(self) -> list[Json]:
        """Mine what waits, a slot later; return the receipts in the block's order."""
        self.engine.advance(12)
        self.rpc.call("evm_mine", self.engine.timestamp)
        block = self.rpc.call("eth_getBlockByNumber", "latest", False)
        return [self.rpc.call("eth_getTransactionReceipt", one) for one in block["transactions"]]

    def settings(self, *, named: bool = True) -> Settings:
        uniswap, engine = self.stage.uniswap, self.engine
        where = (self.stage.liquidator, uniswap.factory, uniswap.quoter, uniswap.weth)
        places = Places(
            Deployment(engine.chain_id, address_bytes(self.stage.factory), 1),
            address_bytes(self.lens),
            Contracts(*map(address_bytes, where)),
            {address_bytes(self.market.vault): "fed", address_bytes(self.stage.long.vault): "set"}
            if named
            else {},
        )
        return Settings(
            places=places,
            account=address_bytes(KEEPER),
            signer=key_signer(KEEPER),
            urls=[engine.url],
            store="sqlite://",
            ledger="sqlite://",
            behind=True,
        )

    def run(self, work: Callable[[Service, Mempool], Awaitable[None]]) -> None:
        async def do() -> None:
            async with asyncio.timeout(PATIENCE), self.listening() as (service, pool):
                await work(service, pool)

        asyncio.run(do())

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[Service, Mempool]]:
        async with opened(self.settings(), lambda: 0.0, lambda _block, _head: None) as service:
            assert service.behind is not None
            with proxies(self.engine.url, 1) as [way]:
                async with Mempool(service.pool, way.websocket, service.behind.watched) as pool:
                    while way.subscriptions == 0:
                        await asyncio.sleep(0.005)
                    yield service, pool


@pytest.fixture(scope="module")
def standing_scene() -> Iterator[Scene]:
    with launch() as engine:
        stage = build_stage(engine)
        aggregator = engine.deploy(load("TransmittedFeed"), 8, 2_000 * 10**8, TRANSMITTER.address)
        proxy = engine.deploy(load("ProxiedFeed"), aggregator)
        config = feed_config(proxy, 7 * DAY, 10**8, 10**13)
        oracle = engine.deploy(
            load("ChainlinkOracle"), stage.weth, stage.usdc, config, UNUSED, UNUSED, UNUSED,
            NO_SEQUENCER, price_of(2_000), TOLERANCE,
        )  # fmt: skip
        market = add_long_market(stage, oracle)
        fund(engine, stage.weth, TRADER, 1_000 * WETH)
        stage.weth.approve(market.vault, MAX_UINT256, sender=TRADER)
        lens = engine.deploy(load("VaultLens"))
        rpc = JsonRpc(engine.url)
        yield Scene(stage, market, aggregator, proxy, lens, rpc)
        rpc.close()


@pytest.fixture
def scene(standing_scene: Scene) -> Iterator[Scene]:
    mark = standing_scene.engine.snapshot()
    yield standing_scene
    standing_scene.rpc.call("anvil_dropAllTransactions")
    standing_scene.engine.restore(mark)
    standing_scene.rpc.call("anvil_setNextBlockBaseFeePerGas", "0x0")


async def ready(scene: Scene, service: Service) -> Beat:
    """Have a service see the head, where gas has a price."""
    scene.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
    scene.mine()
    beat = await service.on_head(scene.head())
    assert (beat.failed, beat.tick.due) == ({}, {})
    return beat


async def heard(scene: Scene, pool: Mempool, dollars: int, **more: Any) -> Pending:
    """Send an update and hear of it."""
    sent = scene.transmit(dollars, **more)
    pending = await anext(pool)
    assert "0x" + pending.hash.hex() == sent
    return pending
