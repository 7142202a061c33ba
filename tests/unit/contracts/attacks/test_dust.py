"""Debts too small to be worth a liquidator's gas: three doors to them, each with its own guard."""

from __future__ import annotations

from ringfence.evm import Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    position_id,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

CRUMB = USDC // 2
"""Borrowed a position, asset units: liquidating it earns less than a cent."""

SEEN = "vaults without a smallest debt; MakerDAO has had its `dust` since 2019"


def litter(market: Market, positions: int = 20) -> int:
    """Open many positions too small to liquidate at a profit; return the debt they hold."""
    market.deposit(CASH)
    collateral = WETH // 3_000
    for salt in range(positions):
        market.open(collateral, CRUMB, owner=STRANGER, salt=salt)
    return sum(market.debt(position_id(STRANGER, salt)) for salt in range(positions))


def bonus_of(market: Market, position: int) -> int:
    """What liquidating all of a position earns at the price that stands, asset units."""
    market.give(market.asset, LIQUIDATOR, CASH)
    held = market.collateral.balanceOf(LIQUIDATOR)
    receipt = market.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    seized = market.collateral.balanceOf(LIQUIDATOR) - held
    low, _high = market.oracle.quote()
    return seized * low // 10**36 - receipt.value[1]


@attack(
    "dust positions",
    guard="new risk needs at least min_debt (_check_new_risk)",
    breaks=(
        Break(
            "MarginVault.vy",
            "    if debt < market.RISK.min_debt:\n"
            "        errors._raise(errors.DEBT_IS_BELOW_MIN_DEBT)\n    if debt_grows",
            "    if debt_grows",
        ),
    ),
    without="20 positions of 0.50 USDC, each of which pays its liquidator less than 0.01",
    here='opening one reverts with "debt is below min_debt"',
    seen=SEEN,
)
def test_adjust__borrowing_dust_many_times__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    double = deploy_market(engine, artifact=broken)
    assert litter(double) == 20 * CRUMB
    double.set_price(price_of(1_740))
    engine.advance(1)
    assert 0 <= bonus_of(double, position_id(STRANGER, 0)) < USDC // 100
    market = deploy_market(engine, artifact=real)
    with reverts("debt is below min_debt"):
        litter(market)
    assert market.books().total_scaled_debt == 0, "LIQ-1: debt below min_debt"


def leave_a_unit(market: Market) -> int:
    """Repay all but a unit of a debt; return what is owed then."""
    market.deposit(CASH)
    position = market.open(WETH, 1_000 * USDC, owner=STRANGER)
    market.vault.repay(position, 1_000 * USDC - 1, sender=STRANGER)
    return market.debt(position)


@attack(
    "dust positions",
    guard="a repayment stops at min_debt unless it repays all (health._repay_amounts)",
    breaks=(
        Break(
            "modules/health.vy",
            "        repaid = unsafe_sub(debt, min_debt)\n    retired",
            "        repaid = amount\n    retired",
        ),
    ),
    without="repaying all but one unit leaves a debt that nobody is paid to clear",
    here="the repayment takes what leaves min_debt, the rest stays with the payer",
    seen=SEEN,
)
def test_repay__all_but_a_unit__stops_at_min_debt(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert leave_a_unit(deploy_market(engine, artifact=broken)) == 1
    market = deploy_market(engine, artifact=real)
    assert leave_a_unit(market) == market.params.min_debt, "LIQ-1: debt below min_debt"
    assert market.asset.balanceOf(STRANGER) == market.params.min_debt


def leave_crumbs_behind(market: Market) -> int:
    """Liquidate all but a unit of a debt; return what is owed then."""
    market.deposit(CASH)
    position = market.open(WETH, 160 * USDC, owner=TRADER)
    engine = market.engine
    engine.advance(1)
    market.set_price(price_of(185))
    market.give(market.asset, STRANGER, CASH)
    market.vault.liquidate(position, 160 * USDC - 1, 0, STRANGER, b"", sender=STRANGER)
    return market.debt(position)


@attack(
    "dust positions",
    guard="a liquidation leaves min_debt or nothing (liquidation._solvent)",
    breaks=(
        Break(
            "modules/liquidation.vy",
            "    if unsafe_sub(debt, repaid) < risk.min_debt:\n",
            "    if max_repay >= debt:\n",
        ),
    ),
    without="a part liquidated leaves 96 USDC of debt, below the min_debt of 100",
    here="the part shrinks until min_debt is left",
    seen=SEEN,
)
def test_liquidate__all_but_a_unit__leaves_min_debt(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = leave_crumbs_behind(deploy_market(engine, artifact=broken))
    assert works == 96_206_896
    market = deploy_market(engine, artifact=real)
    assert leave_crumbs_behind(market) == market.params.min_debt, "LIQ-6: dust was left"
