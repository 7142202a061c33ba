"""Vaults that the registry does not know, held out to the router and the liquidator."""

from __future__ import annotations

from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break, load_broken
from tests.support.broken_periphery import with_liquidator, with_router
from tests.support.market import (
    CURATOR,
    KEEPER,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WETH,
    deploy_market,
    position_id,
    price_of,
)
from tests.support.periphery import ALL, NO_GRANT, NO_PERMIT, Stage, sell
from tests.unit.contracts.attacks.catalogue import attack

REGISTERED = '    assert staticcall IVaultFactory(registry).is_vault(vault), "vault is unknown"\n'
KEEPS_COLLATERAL = Break(
    "MarginVault.vy",
    "    tokens._push(tokens.COLLATERAL, receiver, outcome.seized)\n",
    "    outcome.seized = 0\n",
)


def lure_a_trader(stage: Stage) -> tuple[int, str | None]:
    """A vault that liquidates at 1 % and pays 100 % for it, as no factory's does; a trader opens.

    Returns the gain of its lender and liquidator at 2,000 USDC a WETH, asset units, and the reason.
    """
    trap = deploy_market(
        stage.engine, collateral=stage.weth, asset=stage.usdc, liquidation_ltv=WAD // 100,
        base_bonus=WAD, beta_max=2 * WAD, reserve_cut=0,
    )  # fmt: skip
    stage.fund(STRANGER, usdc=10_000 * USDC)
    stage.usdc.approve(trap.vault, MAX_UINT256, sender=STRANGER)
    trap.vault.deposit(5_000 * USDC, STRANGER, sender=STRANGER)
    trap.vault.set_operator(stage.router, ALL, 0, sender=TRADER)
    swap = sell(stage.path(stage.long), 2_000 * USDC)
    opened = stage.router.open(
        trap.vault, 1, stage.weth, WETH, swap, stage.soon, NO_PERMIT, NO_GRANT,
        sender=TRADER, check=False,
    )  # fmt: skip
    if opened.success:
        stage.engine.advance(1)
        trap.vault.liquidate(position_id(TRADER), MAX_UINT256, 0, STRANGER, b"", sender=STRANGER)
    shares = trap.vault.balanceOf(STRANGER)
    trap.vault.redeem(shares, STRANGER, STRANGER, sender=STRANGER)
    _, weth, usdc = stage.wealth(STRANGER)
    return usdc + weth * 2_000 * USDC // WETH - 10_000 * USDC, opened.revert_reason


@attack(
    "unknown vault",
    guard="the router deals with the registry's vaults alone (_begin)",
    breaks=(Break("periphery/LeverageRouter.vy", REGISTERED),),
    contract="LeverageRouter",
    without="a vault with a bonus of 100 % takes more than 1,990 USDC of a margin of 2,000",
    here="the router does not know the vault",
    seen="THORChain, July 2021: a contract of the attacker's own, given to the router as a vault",
)
def test_open__in_a_vault_that_no_factory_would_make__is_refused(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    gain, reason = lure_a_trader(with_router(stage, broken))
    assert gain > 1_990 * USDC, f"the double stands it: {gain}, {reason}"
    stage.engine.restore(mark)
    held = stage.wealth(TRADER)
    fails = lure_a_trader(with_router(stage, real))
    assert fails == (0, "vault is unknown"), "ISO-2: a margin went into an unknown vault"
    assert stage.wealth(TRADER) == held


def lure_a_keeper(stage: Stage) -> tuple[int, str | None]:
    """A vault that keeps the collateral it sells; a keeper liquidates, prepared to lose 500 USDC.

    Returns the keeper's loss, USDC units, and why he was refused.
    """
    trap = deploy_market(
        stage.engine, collateral=stage.weth, asset=stage.usdc,
        artifact=load_broken("MarginVault", KEEPS_COLLATERAL),
    )  # fmt: skip
    stage.fund(CURATOR, weth=WETH // 4, usdc=400 * USDC)
    for token in (stage.weth, stage.usdc):
        token.approve(trap.vault, MAX_UINT256, sender=CURATOR)
    trap.vault.deposit(400 * USDC, CURATOR, sender=CURATOR)
    bait = position_id(CURATOR)
    trap.vault.adjust(bait, WETH // 4, 400 * USDC, CURATOR, b"", sender=CURATOR)
    trap.set_price(price_of(1_700))
    stage.engine.advance(1)
    stage.fund(KEEPER, usdc=500 * USDC)
    stage.usdc.approve(stage.liquidator, MAX_UINT256, sender=KEEPER)
    receipt = stage.liquidator.liquidate(
        trap.vault, (bait, MAX_UINT256, -500 * USDC), stage.path(stage.long, to_asset=True),
        KEEPER, sender=KEEPER, check=False,
    )  # fmt: skip
    return 500 * USDC - stage.usdc.balanceOf(KEEPER), receipt.revert_reason


@attack(
    "unknown vault",
    guard="the liquidator deals with the registry's vaults alone (_begin)",
    breaks=(Break("periphery/Liquidator.vy", REGISTERED),),
    contract="Liquidator",
    without="a vault that keeps what it sells takes more than 390 USDC of a keeper for nothing",
    here="the liquidator does not know the vault",
)
def test_liquidate__in_a_vault_that_keeps_the_collateral__is_refused(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    loss, reason = lure_a_keeper(with_liquidator(stage, broken))
    assert loss > 390 * USDC, f"the double stands it: {loss}, {reason}"
    stage.engine.restore(mark)
    fails = lure_a_keeper(with_liquidator(stage, real))
    assert fails == (0, "vault is unknown"), "ISO-2: a keeper paid an unknown vault"
