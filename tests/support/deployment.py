"""A deployment of the committed market files onto a chain in process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
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
    load_market,
    local_chain,
    make_plan,
)
from ringfence.evm import Engine
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
