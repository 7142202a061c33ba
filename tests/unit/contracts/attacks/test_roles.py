"""Curator, guardian and operators against those whose funds they look after."""

from __future__ import annotations

from random import Random

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    CASH,
    CURATOR,
    DAY,
    GUARDIAN,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    OPERATOR,
    PRICE_SCALE,
    RECEIVER,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WEEK,
    WETH,
    Market,
    price_of,
    reverts,
)


def test_guardian__pauses_as_often_as_it_can__is_off_at_least_half_of_the_time(
    market: Market, vault: Contract
) -> None:
    start = market.engine.timestamp
    paused = 0
    while market.engine.timestamp < start + 10 * WEEK:
        until = market.engine.timestamp + WEEK
        if vault.pause_new_risk(until, sender=GUARDIAN, check=False).success:
            paused += WEEK
        market.engine.advance(DAY)
    assert paused <= 5 * WEEK + WEEK, "LIVE-3: the guardian pauses without end"


def test_guardian__cannot_extend_shorten_or_restart_a_pause(
    market: Market, vault: Contract
) -> None:
    end = market.engine.timestamp + DAY
    vault.pause_new_risk(end, sender=GUARDIAN)
    for seconds in (0, DAY, 2 * DAY, WEEK):
        market.engine.advance(DAY // 2)
        with reverts("last pause ended < 7 days ago"):
            vault.pause_new_risk(market.engine.timestamp + seconds, sender=GUARDIAN)
    assert market.limits()[2] == end, "LIVE-3: a pause was moved"


def test_roles__everything_at_once__stops_no_exit(market: Market, vault: Contract) -> None:
    """Paused, caps at nothing, no price, another curator: everybody still gets out."""
    position = market.open(WETH, 1_000 * USDC)
    free = market.open(WETH, salt=2)
    market.give(market.asset, STRANGER, CASH)
    vault.set_caps(0, 0, sender=GUARDIAN)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_guardian(STRANGER, sender=CURATOR)
    market.set_quote(0, 0)
    vault.top_up(position, 1, sender=TRADER, check=False)
    vault.adjust(position, -WETH // 2, -500 * USDC, TRADER, b"", sender=TRADER)
    vault.adjust(free, -WETH, 0, TRADER, b"", sender=TRADER)
    vault.repay(position, MAX_UINT256, sender=STRANGER)
    vault.close(position, TRADER, b"", sender=TRADER)
    vault.redeem(market.shares_of(LENDER), LENDER, LENDER, sender=LENDER)
    assert market.books().cash == 0, "AUTH-2: an exit was stopped"


def test_curator__repays_for_a_moment_to_free_the_reserve__gets_the_excess_at_both_times_only(
    market: Market, vault: Contract
) -> None:
    """The target falls with the debt: what is collected is an excess that day all the same."""
    market.give(market.asset, STRANGER, CASH)
    vault.fund_reserve(20_000 * USDC, sender=STRANGER)
    own = market.open(1_000 * WETH, 400_000 * USDC, owner=CURATOR)
    market.give(market.asset, CURATOR, CASH)
    # 5 % of 400,000 is all of it.
    with reverts("amount exceeds the excess"):
        vault.announce_reserve_collection(1, sender=CURATOR)
    vault.repay(own, 200_000 * USDC, sender=CURATOR)
    vault.announce_reserve_collection(10_000 * USDC, sender=CURATOR)
    vault.adjust(own, 0, 200_000 * USDC, CURATOR, b"", sender=CURATOR)
    market.engine.advance(3 * DAY)
    with reverts("amount exceeds the excess"):
        vault.collect_reserve(CURATOR, sender=CURATOR)
    vault.repay(own, 200_000 * USDC, sender=CURATOR)
    vault.collect_reserve(RECEIVER, sender=CURATOR)
    books = market.books()
    assert books.surplus >= books.total_debt * market.params.reserve_target, (
        "AUTH-2: the reserve fell below its target"
    )
    with reverts("announcement has expired"):
        vault.collect_reserve(RECEIVER, sender=CURATOR)


def test_curator__collects_after_a_loss__gets_only_what_the_loss_left(
    market: Market, vault: Contract
) -> None:
    market.give(market.asset, STRANGER, CASH)
    market.give(market.asset, LIQUIDATOR, CASH)
    vault.fund_reserve(1_000 * USDC, sender=STRANGER)
    vault.announce_reserve_collection(1_000 * USDC, sender=CURATOR)
    position = market.open(WETH, 1_600 * USDC)
    market.engine.advance(3 * DAY)
    market.set_price(price_of(1_000))
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    with reverts("amount exceeds the excess"):
        vault.collect_reserve(CURATOR, sender=CURATOR)
    assert vault.convertToAssets(market.shares_of(LENDER)) == CASH, "BOOK-4: lenders paid first"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bound", [0, 1, 50, 10_000])
def test_operator__reduces_in_any_steps_and_sizes__takes_the_bound_of_what_it_repaid_at_most(
    market: Market, vault: Contract, seed: int, bound: int
) -> None:
    """Counted over the whole run, at the exact price: no rounding and no clamp adds up to more."""
    position = market.open(3 * WETH, 3_000 * USDC)
    market.grow_debt(rate=1_234_567_891, seconds=1_234_567)
    market.give(market.asset, OPERATOR, 10**12)
    vault.set_operator(OPERATOR, REDUCE, bound, sender=TRADER)
    price, least = price_of(2_000) + 12_345, price_of(1_999)
    market.set_quote(least, price)
    rng = Random(seed)
    paid, taken, moves = 0, 0, 0
    for _ in range(40):
        debt = rng.choice((1, 2, rng.randrange(1, 10**4), rng.randrange(1, 10**9), 2**200))
        worth = min(debt, market.debt(position)) * (10_000 + bound) // 10_000
        out = worth * PRICE_SCALE // price + rng.choice((-1, 0, 1, 10**8, 10**12))
        if out <= 0:
            continue
        receipt = vault.adjust(position, -out, -debt, RECEIVER, b"", sender=OPERATOR, check=False)
        if receipt.success:
            moves += 1
            paid -= receipt.value[1]
            taken -= receipt.value[0]
    assert moves or not bound
    assert taken * price * 10_000 <= paid * (10_000 + bound) * PRICE_SCALE, (
        "AUTH-1: an operator took more than its bound"
    )
    with reverts("caller lacks permission"):
        vault.adjust(position, -1, 0, OPERATOR, b"", sender=OPERATOR)
    with reverts("caller lacks permission"):
        vault.close(position, OPERATOR, b"", sender=OPERATOR)


@pytest.mark.parametrize("debt_delta", [-1, -(2**200)])
def test_operator__reduces_where_nothing_is_owed__takes_nothing(
    market: Market, vault: Contract, debt_delta: int
) -> None:
    """A repayment that is clamped to zero pays for zero collateral, to the last unit."""
    position = market.open(WETH)
    vault.set_operator(OPERATOR, REDUCE, 10_000, sender=TRADER)
    with reverts("operator loss bound exceeded"):
        vault.adjust(position, -1, debt_delta, OPERATOR, b"", sender=OPERATOR)
    market.set_quote(1, 1)
    with reverts("operator loss bound exceeded"):
        vault.adjust(position, -WETH, debt_delta, OPERATOR, b"", sender=OPERATOR)
    assert market.slot(position).collateral == WETH, "ISO-5: a debt-free position lost collateral"
