"""LIVE-4: whatever is repaid or liquidated first, what comes second is done or has no object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ringfence.evm import Engine, Receipt
from tests.support.market import (
    LIQUIDATOR,
    MAX_UINT256,
    PRICE_SCALE,
    STRANGER,
    TRADER,
    WAD,
    WETH,
    Market,
    Slot,
    deploy_market,
    div_up,
)

MIN_DEBT = 10_000
DEBTS = (MIN_DEBT - 1, MIN_DEBT, MIN_DEBT + 1, 2 * MIN_DEBT, 2 * MIN_DEBT + 1, 1_234_567, 10**12)
INDICES = (WAD, WAD + 1, 1_234_567_890_123_456_789, 7 * WAD + WAD // 2 + 1, 99 * WAD + 1)
PERCENTS = (50, 86, 87, 92, 93, 100, 150, 10_000)


class Size(NamedTuple):
    """An amount told by what the debt is at that moment: `debt * thousandths / 1000 + units`."""

    thousandths: int
    units: int

    def of(self, debt: int) -> int:
        return min(max(debt * self.thousandths // 1_000 + self.units, 1), MAX_UINT256)


SIZES = st.one_of(
    st.builds(Size, st.sampled_from((0, 1_000)), st.integers(-2, 2)),
    st.builds(Size, st.just(0), st.integers(MIN_DEBT - 2, MIN_DEBT + 2)),
    st.builds(Size, st.just(1_000), st.integers(-MIN_DEBT - 2, -MIN_DEBT + 2)),
    st.builds(Size, st.integers(0, 1_000), st.integers(0, 100)),
    st.just(Size(0, MAX_UINT256)),
)


@pytest.fixture(scope="module")
def market(chain: Engine) -> Iterator[Market]:
    """One position, whose words each example writes anew."""
    mark = chain.snapshot()
    market = deploy_market(chain, min_debt=MIN_DEBT)
    market.deposit(10**15)
    market.open(WETH)
    for account in (STRANGER, LIQUIDATOR, TRADER):
        market.give(market.asset, account, 10**30)
    chain.advance(1)
    yield market
    chain.restore(mark)


def settle(market: Market, debt: int, index: int, percent: int, nudge: int) -> int:
    """Write a position that owes `debt` or a little more, at `percent` LTV or a unit off."""
    position = market.opened[0]
    market.set_books(debt_index=index)
    market.set_slot(position, Slot(WETH, div_up(debt * WAD, index), 0))
    value = market.debt(position) * 100 // percent + nudge
    market.set_price(max(value, 1) * PRICE_SCALE // WETH)
    return position


def act(market: Market, name: str, position: int, amount: int) -> Receipt:
    vault = market.vault
    receipt: Receipt
    if name == "repay":
        receipt = vault.repay(position, amount, sender=STRANGER, check=False)
    elif name == "close":
        receipt = vault.close(position, TRADER, b"", sender=TRADER, check=False)
    else:
        receipt = vault.liquidate(
            position, amount, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
    return receipt


@contextmanager
def undone(engine: Engine) -> Iterator[None]:
    """Take back what is done inside, also where it fails: the next example starts anew."""
    mark = engine.snapshot()
    try:
        yield
    finally:
        engine.restore(mark)


def check_done(market: Market, position: int, name: str, second: Size) -> None:
    """Act; only a liquidation may be refused, and only because the position is healthy."""
    owed, is_healthy = market.debt(position), market.vault.is_healthy(position)
    amount = second.of(owed) if name == "repay" else MAX_UINT256
    receipt = act(market, name, position, amount)
    why = receipt.revert_reason
    if name == "liquidate" and is_healthy:
        assert why == "position is healthy", f"LIVE-4: a healthy position, and {why}"
    else:
        assert receipt.success, f"LIVE-4: {name} reverts: {why}"
    if name == "close" or (name == "repay" and amount >= owed):
        assert market.slot(position).scaled_debt == 0, f"LIVE-4: {name} left a debt"
    market.check_books()


@settings(max_examples=250)
@given(
    debt=st.sampled_from(DEBTS),
    index=st.sampled_from(INDICES),
    percent=st.sampled_from(PERCENTS),
    nudge=st.integers(-2, 2),
    ahead=st.lists(
        st.tuples(st.sampled_from(("repay", "liquidate")), SIZES), min_size=1, max_size=3
    ),
    second=SIZES,
)
def test_repay_close_liquidate__after_anything_of_any_size__are_done_or_have_no_object(
    market: Market,
    debt: int,
    index: int,
    percent: int,
    nudge: int,
    ahead: list[tuple[str, Size]],
    second: Size,
) -> None:
    with undone(market.engine):
        position = settle(market, debt, index, percent, nudge)
        for name, size in ahead:
            done = act(market, name, position, size.of(market.debt(position)))
            event(f"{name} ahead: {done.revert_reason or 'done'}")
        for name in ("repay", "close", "liquidate"):
            with undone(market.engine):
                check_done(market, position, name, second)
