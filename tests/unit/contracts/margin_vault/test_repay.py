"""repay: anyone repays any position's debt."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    BOOKS,
    CURATOR,
    DAY,
    KEEPER,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    Slot,
    div_up,
    position_id,
    price_of,
    reverts,
)


@pytest.fixture
def position(market: Market) -> int:
    """10 WETH at 2,000 against 10,000 USDC, and a stranger with assets."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.asset.mint(STRANGER, 10**12)
    market.asset.mint(KEEPER, 10**12)
    market.engine.advance(DAY)
    return opened


def test_repay__part_by_stranger__lowers_the_debt(
    market: Market, vault: Contract, position: int
) -> None:
    before, books = market.slot(position), market.books()
    receipt = vault.repay(position, 4_000 * USDC, sender=STRANGER)
    assert receipt.value == 4_000 * USDC
    after = before._replace(scaled_debt=6_000 * USDC)
    assert market.slot(position) == after
    assert market.books() == books._replace(
        cash=books.cash + 4_000 * USDC,
        total_scaled_debt=6_000 * USDC,
        last_accrual=market.engine.timestamp,
    )
    assert market.flows(receipt) == {
        ("asset", STRANGER.address): -4_000 * USDC,
        ("asset", vault.address): 4_000 * USDC,
    }
    assert market.written(receipt) == {BOOKS, position}
    assert market.events(receipt) == [
        (
            "Adjusted",
            {
                "account": TRADER.address,
                "position_id": position,
                "caller": STRANGER.address,
                "collateral_delta": 0,
                "debt_delta": -4_000 * USDC,
                "slot": after.word,
                "debt_index": WAD,
                "supply_index": WAD,
            },
        )
    ]


@pytest.mark.parametrize("amount", [10_000 * USDC, 10_000 * USDC + 1, MAX_UINT256])
def test_repay__all_or_more__clamps(
    market: Market, vault: Contract, position: int, amount: int
) -> None:
    assert vault.repay(position, amount, sender=STRANGER).value == 10_000 * USDC
    assert market.slot(position).scaled_debt == 0
    assert market.slot(position).collateral == 10 * WETH
    vault.adjust(position, -10 * WETH, 0, TRADER, b"", sender=TRADER)
    assert market.slot(position) == Slot(), "LIVE-6: the owner cannot take everything out"


@pytest.mark.parametrize("amount", [9_900 * USDC + 1, 10_000 * USDC - 1])
def test_repay__almost_all__stops_at_min_debt(
    market: Market, vault: Contract, position: int, amount: int
) -> None:
    assert vault.repay(position, amount, sender=STRANGER).value == 9_900 * USDC
    assert market.debt(position) == market.params.min_debt


def test_repay__at_min_debt__all_or_nothing(market: Market, vault: Contract, position: int) -> None:
    vault.repay(position, 9_900 * USDC, sender=STRANGER)
    receipt = vault.repay(position, 50 * USDC, sender=STRANGER)
    assert receipt.value == 0
    assert receipt.state_diff == {}
    assert vault.repay(position, 100 * USDC, sender=STRANGER).value == 100 * USDC


def test_repay__debt_below_min_debt__in_any_part(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_slot(position, Slot(10 * WETH, 60 * USDC, 0))
    assert vault.repay(position, 1, sender=STRANGER).value == 1
    assert vault.repay(position, 59 * USDC, sender=STRANGER).value == 59 * USDC
    assert market.debt(position) == USDC - 1


def test_repay__after_interest__pays_what_was_retired_rounded_up(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(10**10)
    market.engine.advance(300 * DAY)
    now = vault.current_balance_sheet()
    before = market.slot(position)
    amount = 1_234_567_891
    receipt = vault.repay(position, amount, sender=STRANGER)
    retired = amount * WAD // now.debt_index
    assert receipt.value == div_up(retired * now.debt_index, WAD) <= amount
    assert market.slot(position) == before._replace(scaled_debt=before.scaled_debt - retired)
    books = market.books()
    assert (books.debt_index, books.supply_index) == (now.debt_index, now.supply_index)


def test_repay__all_after_interest__costs_the_debt_rounded_up(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(10**10)
    market.engine.advance(300 * DAY)
    owed = vault.position(position).debt
    assert owed > 10_000 * USDC
    assert vault.repay(position, MAX_UINT256, sender=STRANGER).value == owed
    assert market.books().total_scaled_debt == 0


def test_repay__in_many_parts__costs_no_less(
    market: Market, vault: Contract, position: int
) -> None:
    market.grow_debt()
    owed = market.debt(position)
    mark = market.engine.snapshot()
    whole = vault.repay(position, MAX_UINT256, sender=STRANGER).value
    assert whole == owed
    market.engine.restore(mark)
    parts = sum(vault.repay(position, owed // 7, sender=STRANGER).value for _ in range(6))
    parts += vault.repay(position, MAX_UINT256, sender=STRANGER).value
    assert parts >= whole, "RND-3: repaying in parts costs less"
    assert market.slot(position).scaled_debt == 0


@pytest.mark.parametrize("front_run", [1, 2, 10 * USDC, 9_900 * USDC, MAX_UINT256])
@pytest.mark.parametrize("amount", [1, 9_900 * USDC, 9_950 * USDC, 10_000 * USDC, MAX_UINT256])
def test_repay__front_run_by_any_repayment__never_reverts(
    market: Market, vault: Contract, position: int, front_run: int, amount: int
) -> None:
    market.grow_debt()
    vault.repay(position, front_run, sender=KEEPER)
    owed = market.debt(position)
    receipt = vault.repay(position, amount, sender=STRANGER, check=False)
    assert receipt.success, "LIVE-4: a front-run repayment makes repay revert"
    assert receipt.value <= min(amount, owed)
    left = market.debt(position)
    assert left == 0 or left >= market.params.min_debt, "LIQ-6: repay leaves dust"


def test_repay__empty_slot_or_no_debt__pays_nothing(market: Market, vault: Contract) -> None:
    free = market.open(WETH)
    for position in (position_id(STRANGER, 5), free):
        receipt = vault.repay(position, MAX_UINT256, sender=STRANGER)
        assert receipt.value == 0
        assert receipt.state_diff == {}


def test_repay__zero__reverts(vault: Contract, position: int) -> None:
    with reverts("amount is zero"):
        vault.repay(position, 0, sender=STRANGER)
    assert vault.repay(position, 1, sender=STRANGER).value == 1


def test_repay__balance_too_small__reverts(market: Market, vault: Contract, position: int) -> None:
    market.asset.transfer(TRADER, market.asset.balanceOf(STRANGER) - 10, sender=STRANGER)
    with reverts("balance too low"):
        vault.repay(position, 11, sender=STRANGER)
    vault.repay(position, 10, sender=STRANGER)


def test_repay__unhealthy_paused_and_without_oracle__works(
    market: Market, vault: Contract, position: int
) -> None:
    before = market.slot(position)
    market.set_quote(0, 0)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_caps(0, 0, sender=CURATOR)
    assert vault.repay(position, 1, sender=STRANGER).value == 1, "LIVE-3: a pause stops repay"
    market.set_price(price_of(1))
    assert vault.repay(position, 1, sender=STRANGER).value == 1, (
        "pure risk reduction reverts for still being unhealthy"
    )
    assert market.slot(position) == before._replace(scaled_debt=before.scaled_debt - 2)


def test_repay__one_of_many__changes_no_other(
    market: Market, vault: Contract, position: int
) -> None:
    other = market.open(10 * WETH, 9_000 * USDC, salt=2)
    before = market.slot(other)
    receipt = vault.repay(position, USDC, sender=STRANGER)
    assert market.written(receipt) == {BOOKS, position}, "ISO-1: more than slot and books"
    assert market.slot(other) == before, "ISO-1: another position changed"
