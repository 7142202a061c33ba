"""Re-entry of one contract through another: a market of shares asks a vault in mid-liquidation."""

from __future__ import annotations

from ringfence.evm import Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LENDER,
    MAX_UINT256,
    STRANGER,
    USDC,
    WETH,
    deploy_market,
    position_id,
    price_of,
)
from tests.unit.contracts.attacks.catalogue import attack

STORE = "        sheet.supply_index = supply_index\n    balance_sheet._store(sheet)\n"
LOSS_LATE = (
    Break("MarginVault.vy", STORE, "        sheet.supply_index = supply_index\n"),
    Break(
        "MarginVault.vy",
        "    log IMarginVault.Liquidated(",
        "    balance_sheet._store(sheet)\n    log IMarginVault.Liquidated(",
    ),
    Break("modules/lender_shares.vy", "# pragma nonreentrancy on\n"),
)


def borrow_on_shares(engine: Engine, artifact: Artifact) -> tuple[int, bool]:
    """Liquidate a position at a loss; within, borrow on shares that have yet to bear the loss.

    Returns what was borrowed beyond what the shares are then worth, asset units, and whether the
    call within went through.
    """
    first = deploy_market(engine, artifact=artifact)
    attacker = engine.deploy(load("CallbackAttacker"))
    first.deposit(CASH)
    first.vault.transfer(attacker, CASH, sender=LENDER)
    first.open(500 * WETH, 800_000 * USDC)
    engine.advance(1)
    first.set_price(price_of(400))
    oracle = engine.deploy(load("SharePriceOracle"), first.vault)
    second = deploy_market(engine, collateral=first.vault, asset=first.asset, oracle=oracle)
    second.deposit(CASH)
    first.asset.mint(attacker, CASH)
    for token, vault in ((first.asset, first.vault), (first.vault, second.vault)):
        attacker.execute(token, token.approve.encode(vault, MAX_UINT256), sender=STRANGER)
    mine = position_id(attacker)
    borrow = second.vault.adjust.encode(mine, CASH, 700_000 * USDC, STRANGER, b"")
    attacker.arm([(second.vault.address, borrow)])
    outer = first.vault.liquidate.encode(first.opened[0], MAX_UINT256, 0, STRANGER, b"x")
    attacker.execute(first.vault, outer, sender=STRANGER)
    debt = second.debt(mine)
    worth = first.vault.convertToAssets(second.slot(mine).collateral)
    return debt - worth, attacker.outcomes()[0].succeeded


@attack(
    "cross-contract re-entry",
    guard="a vault's share price does not answer within its callbacks, and the loss stands before",
    breaks=LOSS_LATE,
    without="700,000 USDC are borrowed in a market of shares on what has just lost most of it",
    here="the price does not answer: nothing is borrowed",
    seen="Curve LP prices read in mid-withdrawal: dForce, February 2023",
)
def test_borrow__on_shares_within_the_liquidation_that_devalues_them__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    gain, ran = borrow_on_shares(engine, broken)
    assert ran, "the double stands it"
    assert gain > 50_000 * USDC, f"the double stands it: {gain}"
    assert borrow_on_shares(engine, real) == (0, False), "AUTH-3: a vault's view lied"
