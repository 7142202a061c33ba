"""A keeper's planner on an anvil with real Uniswap, two markets and a book that follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ringfence.evm import Contract, Receipt, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import JsonRpc
from ringfence.keeper.act.bid import Bid, Fees
from ringfence.keeper.act.ledger import Outcome
from ringfence.keeper.act.plan import Plan
from ringfence.keeper.act.planner import Planner
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.quotes import Contracts
from ringfence.keeper.act.reconcile import outcome_of
from ringfence.keeper.engine import Sight, Tick
from ringfence.keeper.memory.store import Deployment, Store
from tests.support.market import KEEPER, MAX_UINT256, TRADER, USDC, WETH, Market, position_id
from tests.support.periphery import Stage, build_stage, fund
from tests.support.ticking import CountingRpc, Watcher

FEES = Fees(base=10**9, tip=10**8)


@dataclass(slots=True)
class Desk:
    """A planner at work; `batches` of requests are those of its last plan."""

    stage: Stage
    watcher: Watcher
    planner: Planner = field(init=False)
    prices: dict[bytes, int] = field(default_factory=dict)
    fees: Fees = FEES
    _salts: int = field(default=100)

    def restart(self) -> None:
        """A planner that knows no pool and no token yet."""
        uniswap, watcher = self.stage.uniswap, self.watcher
        where = (self.stage.liquidator, uniswap.factory, uniswap.quoter, uniswap.weth)
        self.planner = Planner(
            watcher.counting,
            lambda: watcher.engine.book.vaults,
            Contracts(*map(address_bytes, where)),
            address_bytes(KEEPER),
            Policy(),
            self.prices,
        )

    @property
    def engine(self) -> AnvilEngine:
        assert isinstance(self.stage.engine, AnvilEngine)
        return self.stage.engine

    def open(self, market: Market, *, size: int = 1, ltv: int = 75) -> int:
        """A position of some ether, or 2,000 dollars each, at an LTV in % at 2,000."""
        self._salts += 1
        position = position_id(TRADER, self._salts)
        ether, dollars = size * WETH, size * 2_000 * USDC
        collateral, worth = (ether, dollars) if market is self.stage.long else (dollars, ether)
        market.vault.adjust(position, collateral, worth * ltv // 100, TRADER, b"", sender=TRADER)
        return position

    def crash(self, market: Market, long: int = 1_700, short: int = 2_350) -> None:
        """Oracles and pool at a price at which what is open is due."""
        self.stage.set_price(long if market is self.stage.long else short)
        self.engine.advance(12)
        self.stage.usdc.mint(TRADER, 0)

    def give_price(self, asset: Contract, per_ether: int) -> None:
        """Say by hand what 1e18 wei cost in an asset."""
        self.prices[address_bytes(asset)] = per_ether

    def tick(self) -> Tick:
        return self.watcher.tick()

    def plan(self, tick: Tick | None = None, policy: Policy | None = None) -> Plan:
        if policy is not None:
            self.planner.policy = policy
        tick = tick or self.tick()
        self.watcher.batches.clear()
        return asyncio.run(self.planner.bids(self.watcher.head(), self.fees, tick))

    def send(self, bid: Bid) -> Receipt:
        """Mine a bid in the next second, as it is."""
        self.engine.advance(1)
        return self.engine.send(KEEPER, bid.to, bid.data, gas_limit=bid.gas)

    def mine(self, bids: Sequence[Bid]) -> list[Outcome]:
        """Mine bids in their order, as they are, into one block, the next second's."""
        node, account = self.watcher.node, "0x" + address_bytes(KEEPER).hex()
        nonce = int(node.call("eth_getTransactionCount", account, "latest"), 16)
        sent = [
            node.call(
                "eth_sendTransaction",
                {
                    "from": account,
                    "to": "0x" + bid.to.hex(),
                    "data": "0x" + bid.data.hex(),
                    "gas": hex(bid.gas),
                    "gasPrice": hex(1),
                    "nonce": hex(nonce + number),
                },
            )
            for number, bid in enumerate(bids)
        ]
        self.engine.advance(1)
        node.call("evm_mine", self.engine.timestamp)
        receipts = [node.call("eth_getTransactionReceipt", one) for one in sent]
        assert {receipt["blockNumber"] for receipt in receipts} == {hex(self.watcher.head().number)}
        outcomes = [outcome_of(receipt, bids[0].to) for receipt in receipts]
        assert all(success for success, _ in outcomes)
        return [outcome for _, outcome in outcomes]

    def skipped(self, plan: Plan) -> dict[int, str]:
        return {one.position_id: one.reason for one in plan.skipped}


def seen(tick: Tick, market: Market, **changes: object) -> Tick:
    """A tick that saw a vault otherwise."""
    vault = address_bytes(market.vault)
    sight: Sight = replace(tick.vaults[vault], **changes)  # type: ignore[arg-type]
    return replace(tick, vaults={**tick.vaults, vault: sight})


@contextmanager
def desk_on(stage: Stage, lens: Contract, folder: Path) -> Iterator[Desk]:
    """A desk whose trader can open some thousand positions."""
    engine = stage.engine
    assert isinstance(engine, AnvilEngine)
    rpc = JsonRpc(engine.url)
    factory = address_bytes(stage.factory)
    store = Store(f"sqlite:///{folder / 'keeper.db'}", Deployment(engine.chain_id, factory, 1))
    watcher = Watcher(CountingRpc(engine.url), rpc, store, address_bytes(lens))
    desk = Desk(stage, watcher)
    desk.restart()
    yield desk
    store.close()
    rpc.close()


def prepare(stage: Stage) -> Contract:
    """Give the trader plenty, and return the lens."""
    fund(stage.engine, stage.weth, TRADER, 10_000 * WETH)
    stage.usdc.mint(TRADER, 20_000_000 * USDC)
    for market in (stage.long, stage.short):
        market.collateral.approve(market.vault, MAX_UINT256, sender=TRADER)
    return stage.engine.deploy(load("VaultLens"))


@pytest.fixture(scope="module")
def staged() -> Iterator[tuple[Stage, Contract]]:
    with launch() as engine:
        stage = build_stage(engine)
        yield stage, prepare(stage)


@pytest.fixture
def desk(staged: tuple[Stage, Contract], tmp_path: Path) -> Iterator[Desk]:
    stage, lens = staged
    mark = stage.engine.snapshot()
    with desk_on(stage, lens, tmp_path) as made:
        yield made
    stage.engine.restore(mark)


@pytest.fixture(params=["long", "short"])
def market(request: pytest.FixtureRequest, desk: Desk) -> Market:
    return desk.stage.long if request.param == "long" else desk.stage.short
