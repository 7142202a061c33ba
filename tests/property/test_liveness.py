"""Exits in every state of the market, and in every combination of them (LIVE-5, LIVE-6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain as joined
from itertools import combinations

import pytest

from ringfence.evm import Engine, Receipt
from tests.support.market import (
    CASH,
    CURATOR,
    LIQUIDATOR,
    MAX_INDEX,
    MAX_RATE,
    MAX_UINT256,
    OTHER_TRADER,
    PRICE_SCALE,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    YEAR,
    Market,
    Slot,
    as_int,
    deploy_market,
    div_up,
)

MIN_DEBT = 100 * USDC


def lend_all(market: Market) -> None:
    """Borrow the last unit of cash elsewhere: utilisation is 100 %."""
    market.open(1_000 * WETH, market.books().cash, owner=OTHER_TRADER, salt=9)
    assert market.books().cash == 0


def saturate(market: Market) -> None:
    """Grow the debt index to its width; write the supply index there, as far as assets reach."""
    for _ in range(5):
        market.grow_debt(MAX_RATE, YEAR)
    books = market.books()
    assert books.debt_index == MAX_INDEX
    assets = books.cash * WAD + books.total_scaled_debt * MAX_INDEX
    market.set_books(supply_index=MAX_INDEX, total_shares=assets // MAX_INDEX)


def wait_a_century(market: Market) -> None:
    """At the highest rate, and nobody calls."""
    market.rate_model.set_rate(MAX_RATE)
    market.engine.advance(100 * YEAR)


STATES: dict[str, Callable[[Market], object]] = {
    "all lent": lend_all,
    "saturated": saturate,
    "a century later": wait_a_century,
    "no rate model": lambda m: m.engine.set_code(m.rate_model, b""),
    "capped at nothing": lambda m: m.vault.set_caps(0, 0, sender=CURATOR),
    "paused": lambda m: m.vault.pause_new_risk(m.engine.timestamp + WEEK, sender=CURATOR),
    "insolvent": lambda m: m.set_price(1),
    "no oracle": lambda m: m.engine.set_code(m.oracle, b""),
}
"""What can be wrong with a market, in an order in which all of it can happen."""


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(joined.from_iterable(combinations(names, n) for n in range(len(names) + 1)))


@pytest.fixture(scope="module")
def standing(chain: Engine) -> Iterator[Market]:
    """Positions that owe much, exactly `min_debt`, less than that, and nothing; one is full."""
    mark = chain.snapshot()
    market = deploy_market(chain, min_debt=MIN_DEBT)
    market.deposit(CASH)
    market.open(10 * WETH, 10_000 * USDC)
    market.open(WETH, MIN_DEBT, salt=2)
    market.set_slot(market.open(WETH, salt=3), Slot(WETH, 7, 0))
    market.open(WETH, salt=4)
    full = market.open(WETH, 500 * USDC, owner=OTHER_TRADER, salt=5)
    for account in (STRANGER, LIQUIDATOR, TRADER, OTHER_TRADER):
        market.give(market.asset, account, 2**110)
        market.give(market.collateral, account, 2**113)
    market.vault.top_up(full, 2**112 - 1 - WETH, sender=STRANGER)
    chain.advance(1)
    yield market
    chain.restore(mark)


@pytest.fixture
def market(standing: Market) -> Iterator[Market]:
    """The standing market for one test; the books must be sound when the test ends."""
    mark, opened = standing.engine.snapshot(), len(standing.opened)
    yield standing
    standing.check_books()
    del standing.opened[opened:]
    standing.engine.restore(mark)


def leave(market: Market, position: int) -> Receipt:
    """Take all collateral out to an address that the owner names."""
    owner = next(one for one in (TRADER, OTHER_TRADER) if as_int(one) == position >> 96)
    vault, out = market.vault, -market.slot(position).collateral
    receipt: Receipt
    if position % 2:
        receipt = vault.close(position, RECEIVER, b"", sender=owner, check=False)
    else:
        receipt = vault.adjust(position, out, 0, RECEIVER, b"", sender=owner, check=False)
    return receipt


@pytest.mark.parametrize("states", subsets(tuple(STATES)), ids="+".join)
def test_repay_all__by_a_stranger_in_every_state__frees_every_owner(
    market: Market, states: tuple[str, ...]
) -> None:
    for state in states:
        STATES[state](market)
    index = market.vault.current_balance_sheet().debt_index
    total = 0
    for position in market.opened:
        slot = market.slot(position)
        total += slot.collateral
        repaid = market.vault.repay(position, MAX_UINT256, sender=STRANGER, check=False)
        assert repaid.success, f"LIVE-6: cannot be repaid: {repaid.revert_reason}"
        assert repaid.value == div_up(slot.scaled_debt * index, WAD), "LIVE-6: costs another sum"
        assert market.slot(position).scaled_debt == 0, "LIVE-6: a debt is left"
        left = leave(market, position)
        assert left.success, f"LIVE-6: a repaid position is locked in: {left.revert_reason}"
        assert market.slot(position) == Slot(), "LIVE-6: something is left in the slot"
    assert market.collateral.balanceOf(RECEIVER) == total, "LIVE-6: not all came out"
    assert market.collateral.balanceOf(market.vault) == 0, "LIVE-6: collateral stayed behind"
    assert market.books().total_scaled_debt == 0


def price_at(market: Market, position: int, percent: int) -> int:
    """A price at which the position's LTV is so many percent, up to rounding."""
    owed: int = market.vault.position(position).debt
    return owed * 100 // percent * PRICE_SCALE // market.slot(position).collateral


EXITS: dict[str, Callable[[Market, int, int], Receipt]] = {
    "accrue": lambda m, _p, _owed: m.vault.accrue(check=False),
    "repay a unit": lambda m, p, _owed: m.vault.repay(p, 1, sender=STRANGER, check=False),
    "repay half": lambda m, p, owed: m.vault.repay(p, owed // 2, sender=STRANGER, check=False),
    "repay all": lambda m, p, _owed: m.vault.repay(p, MAX_UINT256, sender=STRANGER, check=False),
    "close": lambda m, p, _owed: m.vault.close(p, TRADER, b"", sender=TRADER, check=False),
    "liquidate a part": lambda m, p, owed: m.vault.liquidate(
        p, owed // 3, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    ),
    "liquidate": lambda m, p, _owed: m.vault.liquidate(
        p, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    ),
}


@pytest.mark.parametrize("percent", [88, 150])
@pytest.mark.parametrize("name", EXITS)
@pytest.mark.parametrize(
    "states", subsets(("all lent", "saturated", "a century later", "no rate model")), ids="+".join
)
def test_exits__long_full_and_lent_out__work(
    market: Market, states: tuple[str, ...], name: str, percent: int
) -> None:
    for state in states:
        STATES[state](market)
    position = market.opened[0]
    market.set_price(price_at(market, position, percent))
    index = market.vault.current_balance_sheet().debt_index
    owed, before = market.vault.position(position).debt, market.slot(position)
    for again in (False, True):
        receipt = EXITS[name](market, position, owed)
        healthy = again and receipt.revert_reason == "position is healthy"
        assert receipt.success or healthy, f"LIVE-5: {name} reverts: {receipt.revert_reason}"
    after = market.slot(position)
    if name == "accrue":
        assert market.books().debt_index == index, "LIVE-5: accrue did not accrue"
    elif name != "repay a unit":
        assert after.scaled_debt < before.scaled_debt, f"LIVE-5: {name} retired nothing"
    if name in ("repay all", "close"):
        assert after.scaled_debt == 0, f"LIVE-5: {name} left a debt"
