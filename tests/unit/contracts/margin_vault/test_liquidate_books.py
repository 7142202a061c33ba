"""The books after insolvent liquidations in part, without cut or reserve: exact to the last bit."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ringfence.evm import Engine
from tests.support.market import (
    LIQUIDATOR,
    MAX_UINT256,
    PRICE_SCALE,
    RECEIVER,
    WAD,
    Market,
    Slot,
    deploy_market,
    div_up,
    expect_liquidation,
)

LENT = 1_000_000
MIN_DEBT = 10_000
BETA_MAX = 10_778 * 10**14


class Case(NamedTuple):
    """An insolvent position: index 1e18, scaled asset units, collateral units, price 1e36."""

    debt_index: int
    scaled_debt: int
    collateral: int
    price: int
    max_repay: int


# What is retired exceeds what is paid by a part of a unit, while no loss shows in whole units.
CASES = {
    "13 hundredths": Case(
        1_019_902_787_625_227_337,
        56_472,
        857_463_060_316_780_323,
        72_394_955_389_759_533_953_639,
        36_595,
    ),
    "10 hundredths": Case(
        1_196_265_380_983_322_319,
        32_802,
        438_127_292_115_907_181,
        96_529_024_238_032_614_767_785,
        24_503,
    ),
    "4 thousandths": Case(
        1_201_388_040_355_083_950,
        32_682,
        993_683_697_345_993_614,
        42_586_992_332_697_164_712_987,
        24_411,
    ),
}


@pytest.fixture
def bare(engine: Engine) -> Market:
    """A market without a reserve cut, in small units, with a lender and a liquidator."""
    market = deploy_market(engine, asset_decimals=2, reserve_cut=0, min_debt=MIN_DEBT)
    market.deposit(LENT)
    market.give(market.asset, LIQUIDATOR, 10**9)
    return market


def drown(market: Market, case: Case, reserve: int = 0) -> int:
    """An insolvent position, and a reserve of so many units and less than one more; its id."""
    position = market.open(case.collateral)
    market.set_books(debt_index=case.debt_index)
    market.set_slot(position, Slot(case.collateral, case.scaled_debt, 0))
    books = market.books()
    assets = (books.cash - reserve) * WAD + books.total_scaled_debt * books.debt_index
    market.set_books(supply_index=assets // books.total_shares)
    market.engine.advance(1)
    market.set_price(case.price)
    return position


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_liquidate__retires_a_part_of_a_unit_more_than_paid__lenders_bear_it(
    bare: Market, case: Case
) -> None:
    position = drown(bare, case)
    before = bare.books()
    assert 0 <= before.surplus < before.total_shares
    receipt = bare.vault.liquidate(position, case.max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR)
    wanted = expect_liquidation(
        Slot(case.collateral, case.scaled_debt),
        case.debt_index,
        case.price,
        case.max_repay,
        bare.params,
    )
    assert wanted.loss == 0 == wanted.cut
    assert wanted.scaled_retired * case.debt_index > wanted.paid * WAD
    assert receipt.value == (wanted.seized, wanted.paid)
    after = bare.books()
    assert after.surplus >= 0, "BOOK-3: claims exceed assets after a liquidation in part"
    assets = after.cash * WAD + after.total_scaled_debt * after.debt_index
    assert after.supply_index == assets // after.total_shares
    fallen = before.supply_index - after.supply_index
    assert fallen > 0
    lost = div_up(after.total_shares * fallen, WAD)
    assert bare.events(receipt)[0] == (
        "LossSocialised",
        {"position_id": position, "amount": lost},
    ), "BOOK-4: the supply index fell without an event"
    assert lost == 1, "BOOK-4: lenders bear more than a unit where less was missing"
    bare.check_books()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_liquidate__one_unit_of_reserve__takes_the_part_of_a_unit(bare: Market, case: Case) -> None:
    position = drown(bare, case, reserve=1)
    before = bare.books()
    receipt = bare.vault.liquidate(position, case.max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR)
    after = bare.books()
    assert after.supply_index == before.supply_index, "BOOK-4: lenders before the reserve"
    assert 0 <= after.surplus < before.surplus, "BOOK-3: the reserve did not take it"
    assert [name for name, _ in bare.events(receipt)] == ["Liquidated"]
    bare.check_books()


@pytest.mark.parametrize("debt_index", [WAD, WAD + 1, 10**18 + 7, 1_234_567_890_123_456_789])
@pytest.mark.parametrize("excess", [0, 1, 10**9, 10**17], ids="insolvent by {}".format)
def test_liquidate__part_after_part_at_odd_indices__books_hold_after_each(
    bare: Market, debt_index: int, excess: int
) -> None:
    collateral, scaled_debt = 10**18 + 9, 100_003
    debt = div_up(scaled_debt * debt_index, WAD)
    value = debt * BETA_MAX // (WAD + excess)
    case = Case(debt_index, scaled_debt, collateral, value * PRICE_SCALE // collateral, 0)
    position = drown(bare, case)
    for max_repay in (MIN_DEBT + 1_000, 2 * MIN_DEBT, 3 * MIN_DEBT, MAX_UINT256):
        before, slot = bare.books(), bare.slot(position)
        bare.vault.liquidate(position, max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR)
        after, left = bare.books(), bare.slot(position)
        assert after.surplus >= 0, "BOOK-3: claims exceed assets"
        if after.supply_index < before.supply_index:
            assert after.surplus < after.total_shares, "BOOK-4: reserve left while lenders lose"
        assert left == Slot() or (
            (left.scaled_debt - 1) * slot.collateral
            < slot.scaled_debt * left.collateral
            <= left.scaled_debt * slot.collateral
        ), "LIQ-5: scaled debt over collateral fell, or rose by a whole unit"
        bare.check_books()
    assert bare.slot(position) == Slot()
    assert bare.books().total_scaled_debt == 0
