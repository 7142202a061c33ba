"""Lenders: deposits, withdrawals, what was earned."""

from __future__ import annotations

import pytest

from ringfence.client import BalanceError
from ringfence.client.refusals.vault import CashError, PausedError, SharesError, SupplyCapError
from tests.support.client import NEWCOMER, Desk
from tests.support.market import CURATOR, DAY, GUARDIAN, TEN_PERCENT, USDC, WETH


def test_deposit_and_withdraw__round_trip__shares_and_back(desk: Desk) -> None:
    lender = desk.lender()
    plan = lender.deposit(1_000 * USDC)
    assert [one.what for one in plan.transactions] == [
        "let the vault Ringfence USDC take 1,000 USDC",
        "lend 1,000 USDC in Ringfence USDC",
    ]
    desk.send(plan)
    holding = lender.holding()
    assert (holding.shares, holding.value, holding.interest) == (1_000 * USDC, 1_000 * USDC, 0)
    assert holding.withdrawable == 1_000 * USDC
    desk.send(lender.withdraw(400 * USDC))
    assert lender.holding().value == 600 * USDC
    desk.send(lender.withdraw())
    assert lender.holding().shares == 0
    assert desk.stage.usdc.balanceOf(NEWCOMER) == 200_000 * USDC


def test_holding__interest__what_was_earned_since(desk: Desk) -> None:
    lender = desk.lender()
    desk.send(lender.deposit(100_000 * USDC))
    desk.stage.open_standard(desk.stage.long, leverage=4)
    desk.stage.long.rate_model.set_rate(TEN_PERCENT)
    desk.stage.engine.advance(30 * DAY)
    holding = lender.holding()
    assert holding.interest == holding.value - 100_000 * USDC > 0
    desk.send(lender.withdraw(50_000 * USDC))
    assert lender.holding().interest in (holding.interest, holding.interest - 1)


def test_deposit__too_little_held__tells_how_much(desk: Desk) -> None:
    with pytest.raises(BalanceError, match="send it 1 USDC more"):
        desk.lender().deposit(200_001 * USDC)


def test_deposit__cap_full__tells_value_and_limit(desk: Desk) -> None:
    desk.stage.long.vault.set_caps(3_000_100 * USDC, 0, sender=CURATOR)
    with pytest.raises(SupplyCapError, match=r"3,000,500\.01 USDC \(limit 3,000,100 USDC\)"):
        desk.send(desk.lender().deposit(500 * USDC))
    assert desk.stage.usdc.allowance(NEWCOMER, desk.stage.long.vault) == 0


def test_deposit__paused__refused(desk: Desk) -> None:
    vault = desk.stage.long.vault
    vault.pause_new_risk(desk.stage.engine.timestamp + DAY, sender=GUARDIAN)
    with pytest.raises(PausedError, match="until"):
        desk.send(desk.lender().deposit(USDC))


def test_withdraw__more_than_held__refused(desk: Desk) -> None:
    lender = desk.lender()
    with pytest.raises(SharesError, match=r"1 USDC \(limit 0 USDC\)"):
        lender.withdraw(USDC)
    with pytest.raises(SharesError):
        lender.withdraw()


def test_withdraw__more_than_the_cash__tells_what_there_is(desk: Desk) -> None:
    stage, lender = desk.stage, desk.lender()
    desk.send(lender.deposit(100_000 * USDC))
    stage.fund(NEWCOMER, weth=3_000 * WETH)
    desk.send(desk.trader().adjust(1, 3_000 * WETH, 3_050_000 * USDC))
    with pytest.raises(CashError, match=r"100,000 USDC \(limit 50,000"):
        lender.withdraw()
    desk.send(lender.withdraw(50_000 * USDC))
    assert lender.holding().withdrawable < USDC
