"""A curator who takes the reserve when it is needed: around a flash repayment, before a loss."""

from __future__ import annotations

import pytest

from ringfence.evm import Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    CURATOR,
    DAY,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    RECEIVER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

RESERVE = 50_000 * USDC
"""5 % of the debt: `reserve_target` to the unit, so that nothing is in excess."""

NO_DELAY = Break(
    "modules/authority.vy",
    "    if elapsed < COLLECTION_DELAY:\n        errors._raise(errors.COLLECTION_IS_TOO_EARLY)\n",
)
NO_SECOND_LOOK = Break(
    "modules/authority.vy",
    "    self._check_excess(amount, sheet)\n    errors._check_cash(amount, sheet.cash)\n",
    "    errors._check_cash(amount, sheet.cash)\n",
)


def collect_around_a_flash_repayment(market: Market, wait: int) -> int:
    """Repay every debt for a moment, so that all the reserve is in excess; return what it paid."""
    market.deposit(2 * CASH)
    market.give(market.asset, CURATOR, CASH + RESERVE)
    market.vault.fund_reserve(RESERVE, sender=CURATOR)
    position = market.open(1_000 * WETH, CASH)
    market.vault.repay(position, MAX_UINT256, sender=CURATOR)
    market.vault.announce_reserve_collection(RESERVE, sender=CURATOR)
    if wait == 0:
        market.vault.collect_reserve(RECEIVER, sender=CURATOR)
    market.vault.adjust(position, 0, CASH, CURATOR, b"", sender=TRADER)
    if wait != 0:
        market.engine.advance(wait)
        market.vault.collect_reserve(RECEIVER, sender=CURATOR)
    collected: int = market.asset.balanceOf(RECEIVER)
    return collected


@attack(
    "reserve collected around a flash repayment",
    guard="a collection waits 3 days after it was announced (authority.collect_reserve)",
    breaks=(NO_DELAY,),
    without="with all debt repaid for a moment the whole reserve of 50,000 USDC is collected",
    here='reverts with "collection is too early"',
)
def test_collect_reserve__within_the_flash_repayment__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert collect_around_a_flash_repayment(deploy_market(engine, artifact=broken), 0) == RESERVE
    market = deploy_market(engine, artifact=real)
    with reverts("collection is too early"):
        collect_around_a_flash_repayment(market, 0)
    assert market.asset.balanceOf(RECEIVER) == 0


@attack(
    "reserve collected around a flash repayment",
    guard="the excess is measured again when it is collected (authority.collect_reserve)",
    breaks=(NO_SECOND_LOOK,),
    without="announced within a flash repayment, the reserve is collected three days later",
    here='reverts with "amount exceeds the excess", for the debt is back; only a debt repaid at '
    "both times, the curator's own, counts at neither",
)
def test_collect_reserve__announced_within_the_flash_repayment__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    later = 3 * DAY
    works = collect_around_a_flash_repayment(deploy_market(engine, artifact=broken), later)
    assert works == RESERVE
    market = deploy_market(engine, artifact=real)
    with reverts("amount exceeds the excess"):
        collect_around_a_flash_repayment(market, later)
    assert market.asset.balanceOf(RECEIVER) == 0


def test_collect_reserve__own_debt_repaid_for_a_moment_at_both_times__leaves_the_others_target(
    engine: Engine,
) -> None:
    """What two looks do not stop: a curator's own debt counts at neither. The others' does."""
    market = deploy_market(engine)
    market.deposit(3 * CASH)
    market.give(market.asset, CURATOR, CASH + 2 * RESERVE)
    market.vault.fund_reserve(2 * RESERVE, sender=CURATOR)
    market.open(1_000 * WETH, CASH)
    own = market.open(1_000 * WETH, CASH, owner=CURATOR)
    for wait, step in ((3 * DAY, "announce"), (0, "collect")):
        market.vault.repay(own, MAX_UINT256, sender=CURATOR)
        if step == "announce":
            with reverts("amount exceeds the excess"):
                market.vault.announce_reserve_collection(RESERVE + 1, sender=CURATOR)
            market.vault.announce_reserve_collection(RESERVE, sender=CURATOR)
        else:
            market.vault.collect_reserve(RECEIVER, sender=CURATOR)
        market.vault.adjust(own, 0, CASH, CURATOR, b"", sender=CURATOR)
        engine.advance(wait)
    assert market.asset.balanceOf(RECEIVER) == RESERVE
    assert market.books().surplus == RESERVE * 10**18, "AUTH-2: the others' target was collected"


def collect_before_the_loss(market: Market) -> int:
    """The price has fallen: take the reserve's excess, then let the loss be booked.

    Return what the lender loses, asset units.
    """
    market.deposit(CASH)
    market.give(market.asset, CURATOR, 2_000 * USDC)
    market.vault.fund_reserve(2_000 * USDC, sender=CURATOR)
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(1)
    market.set_price(price_of(1_000))
    market.vault.announce_reserve_collection(1_900 * USDC, sender=CURATOR)
    market.vault.collect_reserve(RECEIVER, sender=CURATOR, check=False)
    market.give(market.asset, LIQUIDATOR, CASH)
    market.vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    left: int = CASH - market.vault.convertToAssets(market.shares_of(LENDER))
    return left


@attack(
    "reserve collected before a loss",
    guard="a collection waits 3 days, in which the loss is booked (authority.collect_reserve)",
    breaks=(NO_DELAY,),
    without="the reserve goes in the block of the fall, and lenders bear 565 USDC of the loss",
    here="the reserve is still there and bears it all",
)
def test_collect_reserve__between_the_fall_and_its_loss__costs_lenders_nothing(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = collect_before_the_loss(deploy_market(engine, artifact=broken))
    assert works == 564_965_670
    market = deploy_market(engine, artifact=real)
    assert collect_before_the_loss(market) == 0, "LIQ-5: lenders paid before the reserve"
    assert market.asset.balanceOf(RECEIVER) == 0


@pytest.mark.parametrize("after", [3 * DAY, 10 * DAY])
def test_collect_reserve__announced_in_calm_and_taken_before_a_loss__leaves_the_target(
    engine: Engine, after: int
) -> None:
    """What the wait does not stop: an excess announced long ago. The target part stays."""
    market = deploy_market(engine)
    market.deposit(CASH)
    market.give(market.asset, CURATOR, 2_000 * USDC)
    market.vault.fund_reserve(2_000 * USDC, sender=CURATOR)
    market.open(WETH, 1_600 * USDC)
    kept = 1_600 * USDC // 20
    with reverts("amount exceeds the excess"):
        market.vault.announce_reserve_collection(2_000 * USDC - kept + 1, sender=CURATOR)
    market.vault.announce_reserve_collection(2_000 * USDC - kept, sender=CURATOR)
    engine.advance(after)
    market.set_price(price_of(1_000))
    market.vault.collect_reserve(RECEIVER, sender=CURATOR)
    assert market.books().surplus == kept * 10**18, "LIQ-5: the reserve's target was collected"
