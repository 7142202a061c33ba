"""What somebody who sees a transaction coming can do to it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ringfence.evm import Contract, Engine
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
    Slot,
    deploy_market,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack


@pytest.fixture
def position(market: Market) -> int:
    opened = market.open(WETH, 1_600 * USDC)
    market.grow_debt()
    for account in (STRANGER, LIQUIDATOR, TRADER):
        market.give(market.asset, account, 10**12)
        market.give(market.collateral, account, 10 * WETH)
    return opened


SMALL = [1, 2, 99 * USDC, 100 * USDC, 1_000 * USDC]


class Harm(NamedTuple):
    """What a repayment that was front-run came to, and the collateral that its owner lost."""

    refused: str | None
    debt: int
    seized: int


def front_run(market: Market, ahead: int, repayment: int) -> Harm:
    """Repay `ahead` before the owner's own repayment; then the price falls."""
    market.deposit(CASH)
    position = market.open(WETH, 1_600 * USDC)
    for account in (STRANGER, TRADER, LIQUIDATOR):
        market.give(market.asset, account, 10**12)
    market.engine.advance(1)
    market.vault.repay(position, ahead, sender=STRANGER)
    receipt = market.vault.repay(position, repayment, sender=TRADER, check=False)
    debt = market.debt(position)
    market.set_price(price_of(400))
    market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    return Harm(receipt.revert_reason, debt, market.collateral.balanceOf(LIQUIDATOR))


@pytest.mark.parametrize("ahead", SMALL)
@attack(
    "1-wei repay front-run",
    guard="a repayment takes at most what is owed (health._repay_amounts)",
    breaks=(
        Break(
            "modules/health.vy",
            "    if amount >= debt:\n",
            '    assert amount <= debt, "repayment exceeds the debt"\n    if amount == debt:\n',
        ),
    ),
    without="1 unit repaid first makes the repayment of all revert; the owner is liquidated",
    here="the repayment clears what is left, nothing is there to liquidate",
    seen="lending markets whose repayment of more than is owed reverts",
)
def test_repay_of_all__after_a_repayment_of_any_size__clears_the_debt(
    engine: Engine, broken: Artifact, real: Artifact, ahead: int
) -> None:
    all_of_it = 1_600 * USDC
    works = front_run(deploy_market(engine, artifact=broken), ahead, all_of_it)
    assert works.refused == "repayment exceeds the debt"
    assert works.seized > 0
    fails = front_run(deploy_market(engine, artifact=real), ahead, all_of_it)
    assert fails == Harm(None, 0, 0), "LIVE-4: a front-run repayment stopped it"


@attack(
    "1-wei repay front-run",
    guard="a repayment that would leave less than min_debt stops there (health._repay_amounts)",
    breaks=(
        Break(
            "modules/health.vy",
            "        repaid = unsafe_sub(debt, min_debt)\n    retired",
            '        assert False, "debt is below min_debt"\n    retired',
        ),
    ),
    without="1 unit repaid first makes a repayment to min_debt revert; the owner is liquidated",
    here="the repayment stops at min_debt, the position stays sound",
)
def test_repay_down_to_min_debt__after_a_repayment_of_a_unit__stops_there(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    down_to_it = 1_500 * USDC
    works = front_run(deploy_market(engine, artifact=broken), 1, down_to_it)
    assert works.refused == "debt is below min_debt"
    assert works.seized > 0
    fails = front_run(deploy_market(engine, artifact=real), 1, down_to_it)
    assert fails == Harm(None, 100 * USDC, 0), "LIVE-4: a front-run repayment stopped it"


@pytest.mark.parametrize("amount", SMALL)
def test_liquidate__after_a_repayment_of_any_size__works_or_is_healthy(
    market: Market, vault: Contract, position: int, amount: int
) -> None:
    market.set_price(price_of(2_000))
    vault.repay(position, amount, sender=TRADER)
    receipt = vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    assert receipt.revert_reason in (None, "position is healthy"), "LIVE-4: a repayment stopped it"


@pytest.mark.parametrize("price", [2_000, 1_700, 1_000])
@pytest.mark.parametrize("share", [1, 10, 50, 90])
def test_liquidate_all__after_a_liquidation_of_any_size__works_or_is_healthy(
    market: Market, vault: Contract, position: int, price: int, share: int
) -> None:
    market.set_price(price_of(price))
    part = market.debt(position) * share // 100
    vault.liquidate(position, part, 0, STRANGER, b"", sender=STRANGER, check=False)
    receipt = vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    assert receipt.revert_reason in (None, "position is healthy"), "LIVE-4: a part stopped it"


def test_liquidate__owner_touches_the_position_in_the_same_block__cannot_shield_it(
    market: Market, vault: Contract, position: int
) -> None:
    """Only new risk shields for a block, and an unhealthy position may not take on any."""
    market.set_price(price_of(1_900))
    for collateral, debt in ((1, 0), (0, -1), (1, -1), (-1, -USDC)):
        vault.adjust(position, collateral, debt, TRADER, b"", sender=TRADER, check=False)
    vault.top_up(position, 1, sender=TRADER)
    for collateral, debt in ((-1, 0), (0, 1), (1, 1)):
        with reverts("LTV is above initial LTV"):
            vault.adjust(position, collateral, debt, TRADER, b"", sender=TRADER)
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)


def test_close__after_a_top_up_or_a_repayment__takes_it_too(
    market: Market, vault: Contract, position: int
) -> None:
    vault.top_up(position, 7, sender=STRANGER)
    vault.repay(position, 1, sender=STRANGER)
    moved = vault.close(position, TRADER, b"", sender=TRADER).value
    assert moved[0] == -(WETH + 7)
    assert market.slot(position) == Slot(), "LIVE-6: something was left"


def test_top_up__by_a_stranger_up_to_the_width__cannot_stop_the_owner(
    market: Market, vault: Contract, position: int
) -> None:
    """A slot filled to its last bit can still be repaid, reduced and closed."""
    room = 2**112 - 1 - market.slot(position).collateral
    market.give(market.collateral, STRANGER, room)
    vault.top_up(position, room, sender=STRANGER)
    with reverts("position exceeds its width"):
        vault.top_up(position, 1, sender=STRANGER)
    vault.adjust(position, -1, -USDC, TRADER, b"", sender=TRADER)
    vault.close(position, TRADER, b"", sender=TRADER)
    assert market.slot(position) == Slot()


def test_reduce_only__after_a_repayment_that_moves_the_clamp__never_lowers_what_backs_the_debt(
    market: Market, vault: Contract, position: int
) -> None:
    """A step down to exactly `min_debt` leaves no slack; one unit less of collateral has it."""
    market.set_price(price_of(1_900))
    owed, least = market.debt(position), market.params.min_debt
    collateral = WETH - WETH * least // owed
    vault.repay(position, 1, sender=STRANGER)
    before = market.slot(position)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -collateral, -(owed - least), TRADER, b"", sender=TRADER)
    spared = collateral - WETH // 10**6
    vault.adjust(position, -spared, -(owed - least), TRADER, b"", sender=TRADER)
    after = market.slot(position)
    assert after.scaled_debt * before.collateral <= before.scaled_debt * after.collateral, (
        "LIQ-1: not reduce-only"
    )
