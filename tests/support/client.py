"""The client over the stage of `periphery`: a node that keeps a journal, markets, senders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringfence.client import Lender, Market, Periphery, Plan, Receipt, Trader
from ringfence.client.engines import EngineNode, EngineSender
from ringfence.evm import Contract, Engine, load
from ringfence.evm.abi import Addressable, address_bytes, checksum
from tests.support.market import OTHER_TRADER
from tests.support.periphery import Stage, standing_stage

NEWCOMER = OTHER_TRADER
"""Holds 100 WETH and 200,000 USDC, has approved nothing and named no operator."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The stage, and the client's view of it."""

    stage: Stage
    lens: Contract
    node: EngineNode
    periphery: Periphery
    long: Market
    short: Market

    def trader(self, account: Addressable = NEWCOMER, market: Market | None = None) -> Trader:
        return Trader(market or self.long, checksum(address_bytes(account)))

    def lender(self, account: Addressable = NEWCOMER) -> Lender:
        return Lender(self.long, checksum(address_bytes(account)))

    def sender(self, account: Addressable = NEWCOMER) -> EngineSender:
        return self.node.sender(account)

    def send(self, plan: Plan) -> tuple[Receipt, ...]:
        return plan.send(self.sender(plan.owner))

    def record(self, folder: Path, **changes: Any) -> Path:
        """Write the deployment's record as the deploy commands do."""
        stage = self.stage
        standing = {
            "factory": ("VaultFactory", stage.factory),
            "lens": ("VaultLens", self.lens),
            "router": ("LeverageRouter", stage.router),
            "uniswap/quoter": ("QuoterV2", stage.uniswap.quoter),
            "vaults/weth-usdc": ("MarginVault", stage.long.vault),
            "vaults/usdc-weth": ("MarginVault", stage.short.vault),
        }
        contracts = {
            key: {"contract": name, "address": contract.address, "block": 0}
            for key, (name, contract) in standing.items()
        }
        record = {"chain_id": self.node.chain_id, "contracts": contracts} | changes
        path = folder / "record.json"
        path.write_text(json.dumps(record))
        return path


@pytest.fixture(scope="session")
def standing_desk_lens(chain: Engine) -> Contract:
    """The lens, deployed once a session."""
    return chain.deploy(load("VaultLens"))


@pytest.fixture
def desk(standing_stage: Stage, standing_desk_lens: Contract, engine: Engine) -> Desk:
    """The desk for one test."""
    stage, lens = standing_stage, standing_desk_lens
    assert engine is stage.engine
    node = EngineNode(engine)
    periphery = Periphery(lens.address, stage.router.address, stage.uniswap.quoter.address)
    markets = [
        Market.at(node, market.vault.address, periphery) for market in (stage.long, stage.short)
    ]
    return Desk(stage, lens, node, periphery, *markets)


__all__ = ["NEWCOMER", "Desk", "desk", "standing_desk_lens", "standing_stage"]
