"""A deployment of the committed market files onto a chain in process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.deploy import (
    Chain,
    Deployer,
    EngineDeployer,
    Market,
    Plan,
    Record,
    RecordStore,
    Roles,
    deploy,
    load_chain,
    load_market,
    local_chain,
    make_plan,
)
from ringfence.evm import Engine, load
from ringfence.evm.anvil import AnvilEngine, launch
from tests.support.market import CURATOR, DEPLOYER, GUARDIAN

ROOT = Path(__file__).parents[2]
MARKETS = ("usdc-weth-short", "weth-usdc-conservative", "weth-usdc-high-leverage")
COMMIT = "c0ffee" * 6 + "c0ff"


def market_path(market_id: str) -> Path:
    return ROOT / "markets" / f"{market_id}.toml"


def markets(*ids: str) -> list[Market]:
    return [load_market(market_path(one)) for one in ids or MARKETS]


@dataclass(slots=True)
class Deployment:
    """One account, one record, one local chain."""

    engine: Engine
    deployer: EngineDeployer
    store: RecordStore
    chain: Chain
    roles: Roles

    @property
    def record(self) -> Record:
        return self.store.load(self.engine.chain_id)

    def plan(self, wanted: Sequence[Market], prices: Mapping[str, Decimal] | None = None) -> Plan:
        return make_plan(wanted, self.chain, self.roles, prices or {}, self.record)

    def deploy(self, wanted: Sequence[Market], deployer: Deployer | None = None) -> Record:
        return deploy(self.plan(wanted), deployer or self.deployer, self.store, commit=COMMIT)


@pytest.fixture
def deployment(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    # Records are written a thousand times; whether they reach the disk at once is not asked here.
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    return Deployment(
        engine=engine,
        deployer=EngineDeployer(engine, DEPLOYER),
        store=RecordStore(tmp_path / "record.json"),
        chain=local_chain(engine.chain_id),
        roles=Roles(CURATOR.address, GUARDIAN.address),
    )


@pytest.fixture
def testnet() -> Iterator[AnvilEngine]:
    """A stand-in for Sepolia: tokens and feeds at the addresses that its chain file names."""
    with launch(chain_id=11_155_111) as engine, engine.automining():
        chain = load_chain(ROOT / "markets" / "chains" / "11155111.toml")
        feeds = {"ETH/USD": 2_000 * 10**8, "USDC/USD": 10**8}
        stand_ins = {
            chain.tokens["WETH"].address: (local_chain(1).parts[0].artifact, ()),
            chain.tokens["USDC"].address: (load("PermitToken"), ("USD Coin", "USDC", 6)),
            chain.uniswap_factory: (local_chain(1).parts[4].artifact, ()),
            **{
                chain.feeds[name].address: (load("SettableFeed"), (8, feeds[name]))
                for name in feeds
            },
        }
        for address, (artifact, arguments) in stand_ins.items():
            model = engine.deploy(artifact, *arguments)
            engine.set_code(address, engine.code_at(model))
            written = model.deployment.state_diff.get(model.address, {})
            for slot, (_before, after) in written.items():
                engine.set_storage(address, slot, after)
        yield engine
