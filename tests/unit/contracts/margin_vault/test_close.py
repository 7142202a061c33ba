"""close: repay everything, take everything."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    BOOKS,
    CURATOR,
    DAY,
    LIQUIDATOR,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    Slot,
    position_id,
    price_of,
    reverts,
)


@pytest.fixture
def position(market: Market) -> int:
    """10 WETH at 2,000 against 10,000 USDC."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.asset.mint(TRADER, 90_000 * USDC)
    market.engine.advance(DAY)
    return opened


def test_close__with_debt__repays_all_and_takes_all(
    market: Market, vault: Contract, position: int
) -> None:
    books = market.books()
    receipt = vault.close(position, RECEIVER, b"", sender=TRADER)
    assert receipt.value == (-10 * WETH, -10_000 * USDC)
    assert market.slot(position) == Slot()
    assert market.books() == books._replace(
        cash=books.cash + 10_000 * USDC,
        total_scaled_debt=0,
        last_accrual=market.engine.timestamp,
    )
    assert market.flows(receipt) == {
        ("asset", TRADER.address): -10_000 * USDC,
        ("asset", vault.address): 10_000 * USDC,
        ("collateral", vault.address): -10 * WETH,
        ("collateral", RECEIVER): 10 * WETH,
    }
    assert market.written(receipt) == {BOOKS, position}, "ISO-1: more than slot and books"
    assert market.events(receipt) == [
        (
            "Adjusted",
            {
                "account": TRADER.address,
                "position_id": position,
                "caller": TRADER.address,
                "collateral_delta": -10 * WETH,
                "debt_delta": -10_000 * USDC,
                "slot": 0,
                "debt_index": WAD,
                "supply_index": WAD,
            },
        )
    ]


def test_close__without_debt__takes_all_and_leaves_the_books(
    market: Market, vault: Contract
) -> None:
    position = market.open(WETH)
    market.engine.advance(DAY)
    receipt = vault.close(position, TRADER, b"", sender=TRADER)
    assert receipt.value == (-WETH, 0)
    assert market.written(receipt) == {position}
    assert market.slot(position) == Slot()


def test_close__after_interest__repays_it_too(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(10**10)
    market.engine.advance(100 * DAY)
    owed = vault.position(position).debt
    assert owed > 10_000 * USDC
    assert vault.close(position, TRADER, b"", sender=TRADER).value == (-10 * WETH, -owed)
    assert market.books().total_scaled_debt == 0


def test_close__again_or_never_opened__moves_nothing(vault: Contract, position: int) -> None:
    vault.close(position, TRADER, b"", sender=TRADER)
    for empty in (position, position_id(TRADER, 77)):
        receipt = vault.close(empty, TRADER, b"", sender=TRADER)
        assert receipt.value == (0, 0)
        assert receipt.state_diff == {}


def test_close__front_run_by_the_liquidation_of_all__moves_nothing(
    market: Market, vault: Contract, position: int
) -> None:
    market.asset.mint(LIQUIDATOR, 10**12)
    market.set_price(price_of(900))
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert market.slot(position) == Slot()
    receipt = vault.close(position, TRADER, b"", sender=TRADER, check=False)
    assert receipt.success, "LIVE-4: a front-run liquidation makes close revert"
    assert receipt.value == (0, 0)
    assert vault.repay(position, MAX_UINT256, sender=TRADER).value == 0, "LIVE-4"


def test_close__stranger__reverts(market: Market, vault: Contract, position: int) -> None:
    market.asset.mint(STRANGER, 10**12)
    before = market.slot(position)
    with reverts("caller lacks permission"):
        vault.close(position, STRANGER, b"", sender=STRANGER)
    assert market.slot(position) == before, "ISO-4: a stranger lowered collateral"


def test_close__receiver_is_zero__reverts(vault: Contract, position: int) -> None:
    with reverts("receiver is zero"):
        vault.close(position, NOBODY, b"", sender=TRADER)


def test_close__balance_too_small__reverts(market: Market, vault: Contract, position: int) -> None:
    market.asset.transfer(STRANGER, 90_000 * USDC + 1, sender=TRADER)
    with reverts("balance too low"):
        vault.close(position, TRADER, b"", sender=TRADER)
    market.asset.mint(TRADER, 1)
    vault.close(position, TRADER, b"", sender=TRADER)


def test_close__insolvent_paused_and_without_oracle__works(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_quote(0, 0)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    receipt = vault.close(position, TRADER, b"", sender=TRADER)
    assert receipt.success, "LIVE-3: a pause or a dead oracle stops close"


@pytest.mark.parametrize("amount", [1, 9_900 * USDC, MAX_UINT256])
def test_close__front_run_by_a_repayment__works(
    market: Market, vault: Contract, position: int, amount: int
) -> None:
    market.asset.mint(STRANGER, 10**12)
    repaid = vault.repay(position, amount, sender=STRANGER).value
    receipt = vault.close(position, TRADER, b"", sender=TRADER)
    assert receipt.value == (-10 * WETH, repaid - 10_000 * USDC), "LIVE-4"


@pytest.mark.parametrize("price", [1_150, 1_070])
def test_close__front_run_by_a_liquidation__works_on_what_is_left(
    market: Market, vault: Contract, position: int, price: int
) -> None:
    market.asset.mint(LIQUIDATOR, 10**12)
    market.set_price(price_of(price))
    vault.liquidate(position, 1_000 * USDC, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    left, debt = market.slot(position).collateral, market.debt(position)
    assert 0 < left < 10 * WETH
    assert vault.close(position, TRADER, b"", sender=TRADER).value == (-left, -debt), "LIVE-4"


def test_close__of_one_position__leaves_the_accounts_others(
    market: Market, vault: Contract, position: int
) -> None:
    other = market.open(10 * WETH, 9_000 * USDC, salt=2)
    before = market.slot(other)
    vault.close(position, TRADER, b"", sender=TRADER)
    assert market.slot(other) == before, "ISO-1: another position changed"
