"""Pauses turned against those they protect, and what is carried out while one lasts."""

from __future__ import annotations

from typing import NamedTuple

from ringfence.evm import Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    DAY,
    GUARDIAN,
    LIQUIDATOR,
    MAX_UINT256,
    TRADER,
    USDC,
    WEEK,
    WETH,
    YEAR,
    Market,
    deploy_market,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack


def flee(market: Market) -> int:
    """The feed shows ten times the price, the guardian pauses, a borrower leaves with collateral.

    Return what is then missing behind the debt at the true price, asset units.
    """
    market.deposit(CASH)
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.set_price(price_of(20_000))
    market.vault.pause_new_risk(market.engine.timestamp + DAY, sender=GUARDIAN)
    market.vault.adjust(position, -WETH * 9 // 10, 0, TRADER, b"", sender=TRADER)
    backing = market.slot(position).collateral * 2_000 * USDC // WETH
    return market.debt(position) - backing


@attack(
    "collateral withdrawn in a pause",
    guard="a pause stops all new risk, not borrowing alone (_check_new_risk)",
    breaks=(
        Break(
            "MarginVault.vy",
            "    limits._check_not_paused(fields)\n    if debt < market",
            "    if debt_grows:\n        limits._check_not_paused(fields)\n    if debt < market",
        ),
    ),
    without="0.9 of 1 WETH leaves at ten times the price: 1,400 USDC of bad debt",
    here='reverts with "new risk is paused", the collateral stays',
)
def test_adjust__collateral_out_in_a_pause_at_a_wrong_price__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert flee(deploy_market(engine, artifact=broken)) == 1_400 * USDC
    market = deploy_market(engine, artifact=real)
    with reverts("new risk is paused"):
        flee(market)
    assert market.collateral.balanceOf(market.vault) == WETH, "LIQ-1: new risk in a pause"


class Harm(NamedTuple):
    """What a trader who wanted to repay is left with."""

    refused: str | None
    seized: int


def strand(market: Market) -> Harm:
    """Pause, let the price fall, and liquidate a trader who tries to repay."""
    market.deposit(CASH)
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.vault.pause_new_risk(market.engine.timestamp + DAY, sender=GUARDIAN)
    market.set_price(price_of(1_800))
    market.give(market.asset, LIQUIDATOR, CASH)
    repayment = market.vault.repay(position, 1_500 * USDC, sender=TRADER, check=False)
    market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    return Harm(repayment.revert_reason, market.collateral.balanceOf(LIQUIDATOR))


@attack(
    "pausing unfairly",
    guard="a pause is read where risk grows and nowhere else (_adjust)",
    breaks=(
        Break(
            "MarginVault.vy",
            "    moved_debt: int256 = debt_delta\n",
            "    moved_debt: int256 = debt_delta\n    limits._check_not_paused(limits._load())\n",
        ),
    ),
    without="a trader may not repay and is liquidated meanwhile",
    here="the trader repays in the pause, the liquidator finds a healthy position",
    seen="lending markets whose pause stopped repayments but not liquidations, an audit finding of "
    "many",
)
def test_repay__in_a_pause__works(engine: Engine, broken: Artifact, real: Artifact) -> None:
    works = strand(deploy_market(engine, artifact=broken))
    assert works.refused == "new risk is paused"
    assert works.seized > WETH // 2
    assert strand(deploy_market(engine, artifact=real)) == Harm(None, 0), "LIVE-3: repay stopped"


def pause_for(market: Market, seconds: int) -> None:
    """The guardian pauses at once for so long; lenders must then find the vault closed."""
    market.vault.pause_new_risk(market.engine.timestamp + seconds, sender=GUARDIAN)


@attack(
    "pausing unfairly",
    guard="a pause ends within 7 days (authority.pause_new_risk)",
    breaks=(
        Break(
            "modules/authority.vy",
            " or until > unsafe_add(block.timestamp, MAX_PAUSE)",
        ),
    ),
    without="a guardian closes the vault to new lenders and borrowers for a century",
    here='reverts with "pause must end within 7 days"',
)
def test_pause_new_risk__for_a_century__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    double = deploy_market(engine, artifact=broken)
    pause_for(double, 100 * YEAR)
    engine.advance(99 * YEAR)
    assert double.vault.maxDeposit(TRADER) == 0
    market = deploy_market(engine, artifact=real)
    with reverts("pause must end within 7 days"):
        pause_for(market, WEEK + 1)
    assert market.limits()[2] == 0, "LIVE-3: a pause does not end by itself"


def pause_again_and_again(market: Market, times: int = 10) -> int:
    """The guardian pauses anew whenever the last pause ends; return the seconds closed."""
    start = market.engine.timestamp
    for _ in range(times):
        pause_for(market, WEEK)
        market.engine.advance(WEEK)
    return market.engine.timestamp - start


@attack(
    "pausing unfairly",
    guard="only the curator may pause within 7 days of a pause's end (authority.pause_new_risk)",
    breaks=(
        Break(
            "modules/authority.vy",
            "        if block.timestamp < unsafe_add(fields.paused_until, MAX_PAUSE):\n"
            "            errors._raise(errors.LAST_PAUSE_IS_RECENT)\n",
        ),
    ),
    without="ten pauses in a row close the vault for seventy days",
    here='the second reverts with "last pause ended < 7 days ago"',
)
def test_pause_new_risk__again_when_the_last_one_ends__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert pause_again_and_again(deploy_market(engine, artifact=broken)) == 10 * WEEK
    market = deploy_market(engine, artifact=real)
    with reverts("last pause ended < 7 days ago"):
        pause_again_and_again(market)
    assert market.vault.maxDeposit(TRADER) > 0, "LIVE-3: the pause did not end by itself"
