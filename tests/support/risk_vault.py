"""The trigger, held to a vault's bytecode behind a real oracle and its feeds."""

from __future__ import annotations

from ringfence.evm import Artifact, Engine
from ringfence.math.fixed_point import WAD
from ringfence.risk.rules.trigger import trigger
from tests.support.feeds import Pair, deploy_oracle
from tests.support.market import LIQUIDATOR, deploy_market, reverts
from tests.support.risk import DOLLAR, LIQUIDATION_LTV, risk_market

PLENTY = 2**100
CASES = {
    "WETH/USDC long": (18, 6, True, 2_000 * DOLLAR, DOLLAR),
    "USDC/WETH short": (6, 18, False, 2_000 * DOLLAR, DOLLAR),
    "WBTC/USDC long": (8, 6, True, 120_000 * DOLLAR, 99_970_000),
    "two decimals long": (2, 18, True, 3 * DOLLAR, DOLLAR),
    "two decimals short": (18, 2, False, 17 * DOLLAR, 100_030_000),
    "equal decimals short": (8, 8, False, 60_000 * DOLLAR, DOLLAR),
}
"""Decimals of collateral and asset, whether a fall is bad, the moving answer, the other."""


def assert_turns_at_the_trigger(
    engine: Engine, case: str, days: int, artifact: Artifact | None = None
) -> None:
    """Open a position, let its debt grow for days, and liquidate at the trigger and just past it.

    `artifact` is the vault's code, where it is not the real one.
    """
    collateral_decimals, asset_decimals, falls, answer, still = CASES[case]
    moving, standing = ((8, answer),), ((8, still),)
    pair = Pair(
        collateral_decimals,
        asset_decimals,
        moving if falls else standing,
        standing if falls else moving,
    )
    setup = deploy_oracle(engine, pair, heartbeat=7 * 86_400)
    vault = deploy_market(
        engine,
        collateral=setup.collateral,
        asset=setup.asset,
        oracle=setup.oracle,
        min_debt=10_000,
        artifact=artifact,
    )
    vault.deposit(PLENTY)
    market = risk_market(collateral_decimals, asset_decimals, falls=falls, still=still)
    held = 12_345 * 10**collateral_decimals + 7
    position = vault.open(held, held * market.price(answer) // 10**36 * 77 // 100)
    if days:
        vault.grow_debt(seconds=days * 86_400)
    engine.advance(1)
    moves, stands = setup.feeds if falls else setup.feeds[::-1]
    stands.publish(still)
    at = trigger(
        market, held, vault.slot(position).scaled_debt, vault.books().debt_index, LIQUIDATION_LTV
    )
    assert vault.books().debt_index > WAD if days else vault.books().debt_index == WAD
    vault.give(vault.asset, LIQUIDATOR, PLENTY)
    moves.publish(at)
    with reverts("position is healthy"):
        vault.vault.liquidate(position, 2**255, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    moves.publish(at - 1 if falls else at + 1)
    receipt = vault.vault.liquidate(position, 2**255, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert receipt.success
    assert vault.slot(position).collateral < held
