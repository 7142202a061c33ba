"""The periphery's stage with another router or liquidator: a broken one, or the real one anew."""

from __future__ import annotations

from dataclasses import replace

from eth_account.signers.local import LocalAccount

from ringfence.evm import Artifact, Contract
from tests.support.market import MAX_UINT256, TRADER
from tests.support.periphery import ALL, Stage


def with_router(stage: Stage, artifact: Artifact) -> Stage:
    """The stage with this router, which the trader trusts."""
    router = stage.engine.deploy(artifact, stage.factory, stage.uniswap.factory, stage.weth)
    trust(stage, router)
    return replace(stage, router=router)


def trust(stage: Stage, router: Contract, trader: LocalAccount = TRADER) -> None:
    """Let a router spend the trader's tokens, and do all with his positions in both markets."""
    for token in (stage.weth, stage.usdc):
        token.approve(router, MAX_UINT256, sender=trader)
    for market in (stage.long, stage.short):
        market.vault.set_operator(router, ALL, 0, sender=trader)


def with_liquidator(stage: Stage, artifact: Artifact) -> Stage:
    """The stage with this liquidator."""
    liquidator = stage.engine.deploy(artifact, stage.factory, stage.uniswap.factory)
    return replace(stage, liquidator=liquidator)
