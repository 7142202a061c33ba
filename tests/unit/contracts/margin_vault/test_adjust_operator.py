"""adjust and close by an operator: what each permission allows, and the bound on losses."""

from __future__ import annotations

import itertools

import pytest

from ringfence.evm import Contract
from tests.support.market import (
    DAY,
    INCREASE,
    OPERATOR,
    OTHER_TRADER,
    RECEIVER,
    REDUCE,
    TRADER,
    USDC,
    WETH,
    WITHDRAW,
    Market,
    Slot,
    position_id,
    price_of,
    reverts,
)


@pytest.fixture
def position(market: Market) -> int:
    """10 WETH at 2,000 against 10,000 USDC, with an operator who has tokens of its own."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.give(market.collateral, OPERATOR, 10 * WETH)
    market.give(market.asset, OPERATOR, 100_000 * USDC)
    market.engine.advance(DAY)
    return opened


ADD, BORROW, REPAY, DELEVER, TAKE, TAKE_AND_BORROW = (
    (1, 0),
    (0, USDC),
    (0, -USDC),
    (-WETH, -2_001 * USDC),
    (-1, 0),
    (-1, USDC),
)
NEEDS = {
    ADD: [],
    REPAY: [],
    BORROW: [INCREASE],
    TAKE: [WITHDRAW],
    DELEVER: [REDUCE | WITHDRAW],
    TAKE_AND_BORROW: [INCREASE, WITHDRAW],
}
"""Each of the flags of each entry must meet the operator's permissions."""


@pytest.mark.parametrize("permissions", range(1, 8))
@pytest.mark.parametrize("act", NEEDS)
def test_adjust__operator__may_do_what_its_permissions_say(
    market: Market, vault: Contract, position: int, act: tuple[int, int], permissions: int
) -> None:
    vault.set_operator(OPERATOR, permissions, 0, sender=TRADER)
    missing = [flags for flags in NEEDS[act] if not flags & permissions]
    if missing:
        with reverts("caller lacks permission"):
            vault.adjust(position, *act, RECEIVER, b"", sender=OPERATOR)
    else:
        assert vault.adjust(position, *act, RECEIVER, b"", sender=OPERATOR).value == act


@pytest.mark.parametrize("act", [ADD, BORROW, REPAY, DELEVER, TAKE])
def test_adjust__operator_revoked__reverts(
    vault: Contract, position: int, act: tuple[int, int]
) -> None:
    vault.set_operator(OPERATOR, INCREASE | REDUCE | WITHDRAW, 0, sender=TRADER)
    vault.adjust(position, *act, OPERATOR, b"", sender=OPERATOR)
    vault.set_operator(OPERATOR, 0, 0, sender=TRADER)
    with reverts("caller lacks permission"):
        vault.adjust(position, *act, OPERATOR, b"", sender=OPERATOR)


def test_adjust__operator_of_another_owner__reverts(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, 7, 10_000, sender=OTHER_TRADER)
    with reverts("caller lacks permission"):
        vault.adjust(position, 0, USDC, OPERATOR, b"", sender=OPERATOR)
    other = position_id(OTHER_TRADER)
    vault.adjust(other, WETH, 100 * USDC, OPERATOR, b"", sender=OPERATOR)
    market.opened.append(other)


def test_adjust__operator__pays_itself_and_sends_to_the_receiver(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, INCREASE, 0, sender=TRADER)
    receipt = vault.adjust(position, WETH, 500 * USDC, RECEIVER, b"", sender=OPERATOR)
    assert market.flows(receipt) == {
        ("collateral", OPERATOR.address): -WETH,
        ("collateral", vault.address): WETH,
        ("asset", vault.address): -500 * USDC,
        ("asset", RECEIVER): 500 * USDC,
    }, "ISO-2: tokens left another wallet"
    fields = market.events(receipt)[0][1]
    assert (fields["account"], fields["caller"]) == (TRADER.address, OPERATOR.address)


def test_adjust__operator_of_nothing_new__opens_a_new_position_of_the_owner(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, 0, sender=TRADER)
    other = position_id(TRADER, 2)
    vault.adjust(other, WETH, 0, OPERATOR, b"", sender=OPERATOR)
    market.opened.append(other)
    assert market.slot(other) == Slot(WETH)
    with reverts("caller lacks permission"):
        vault.adjust(other, -WETH, 0, OPERATOR, b"", sender=OPERATOR)


@pytest.mark.parametrize(
    ("bps", "largest"),
    [(0, WETH // 2), (100, 505 * WETH // 1_000), (10_000, WETH)],
)
def test_adjust__reducing_operator__takes_the_bound_at_most(
    market: Market, vault: Contract, position: int, bps: int, largest: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, bps, sender=TRADER)
    with reverts("operator loss bound exceeded"):
        vault.adjust(position, -largest - 1, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    receipt = vault.adjust(position, 1 - largest, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    assert receipt.value == (1 - largest, -1_000 * USDC)


def test_adjust__reducing_operator__is_valued_at_high(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, 0, sender=TRADER)
    market.set_quote(price_of(1_500), price_of(2_500))
    with reverts("operator loss bound exceeded"):
        vault.adjust(position, -2 * WETH // 5 - 1, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    vault.adjust(position, 1 - 2 * WETH // 5, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)


def test_adjust__reducing_operator_without_high__reverts(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, 0, sender=TRADER)
    market.set_quote(0, 0)
    with reverts("price is unusable"):
        vault.adjust(position, -1, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    vault.adjust(position, 0, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    market.set_quote(0, price_of(2_000))
    vault.adjust(position, 1 - WETH // 2, -1_000 * USDC, OPERATOR, b"", sender=OPERATOR)


def test_adjust__reducing_operator__counts_what_was_repaid_not_what_was_offered(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, 0, sender=TRADER)
    with reverts("operator loss bound exceeded"):
        vault.adjust(position, -5 * WETH - 1, -50_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    receipt = vault.adjust(position, 1 - 5 * WETH, -50_000 * USDC, OPERATOR, b"", sender=OPERATOR)
    assert receipt.value == (1 - 5 * WETH, -10_000 * USDC)
    with reverts("operator loss bound exceeded"):
        vault.adjust(position, -1, -1, OPERATOR, b"", sender=OPERATOR)
    assert market.slot(position).collateral == 5 * WETH + 1, "ISO-5: a debt-free position lost"


def test_adjust__reducing_operator__cannot_exceed_the_bound_in_small_steps(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, 0, sender=TRADER)
    before = market.slot(position)
    for repaid in (1, 2, 3, 7):
        # One unit of USDC is worth 5e8 wei of WETH.
        largest = repaid * 5 * 10**8
        with reverts("operator loss bound exceeded"):
            vault.adjust(position, -largest - 1, -repaid, OPERATOR, b"", sender=OPERATOR)
        vault.adjust(position, 1 - largest, -repaid, OPERATOR, b"", sender=OPERATOR)
    after = market.slot(position)
    assert before.collateral - after.collateral <= 13 * 5 * 10**8, "RND-3: steps pay more"


def test_adjust__operator_with_withdraw__has_no_bound_but_the_ltv(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE | WITHDRAW, 0, sender=TRADER)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -5 * WETH, -USDC, OPERATOR, b"", sender=OPERATOR)
    vault.adjust(position, -3 * WETH, -USDC, OPERATOR, b"", sender=OPERATOR)


@pytest.mark.parametrize("permissions", range(8))
def test_close__operator__needs_reduce_and_withdraw(
    market: Market, vault: Contract, position: int, permissions: int
) -> None:
    vault.set_operator(OPERATOR, permissions, 10_000, sender=TRADER)
    if permissions & REDUCE and permissions & WITHDRAW:
        receipt = vault.close(position, RECEIVER, b"", sender=OPERATOR)
        assert receipt.value == (-10 * WETH, -10_000 * USDC)
        assert market.flows(receipt) == {
            ("collateral", vault.address): -10 * WETH,
            ("collateral", RECEIVER): 10 * WETH,
            ("asset", OPERATOR.address): -10_000 * USDC,
            ("asset", vault.address): 10_000 * USDC,
        }
    else:
        with reverts("caller lacks permission"):
            vault.close(position, RECEIVER, b"", sender=OPERATOR)


def test_adjust__operator_acts__enumerated_above(position: int) -> None:
    kinds = {
        (borrows, withdraws) for borrows, withdraws in itertools.product((False, True), repeat=2)
    }
    assert kinds == {(act[1] > 0, act[0] < 0) for act in NEEDS}
