"""adjust by the owner: open, borrow, add, repay, withdraw, lever and delever."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    BOOKS,
    CASH,
    CURATOR,
    DAY,
    MAX_CAP,
    MAX_INT256,
    MIN_INT256,
    NOBODY,
    OTHER_TRADER,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WAD,
    WEEK,
    WETH,
    Market,
    Slot,
    deploy_market,
    div_up,
    position_id,
    price_of,
    reverts,
)

ID = position_id(TRADER)


@pytest.fixture
def position(market: Market) -> int:
    """10 WETH at 2,000 against 10,000 USDC: LTV 0.5."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.asset.mint(TRADER, 90_000 * USDC)
    market.collateral.mint(TRADER, 100 * WETH)
    market.engine.advance(DAY)
    return opened


# Open


def test_adjust__open_with_debt__moves_tokens_and_writes_slot_and_books(
    market: Market, vault: Contract
) -> None:
    market.give(market.collateral, TRADER, 10 * WETH)
    before = market.books()
    receipt = vault.adjust(ID, 10 * WETH, 16_000 * USDC, RECEIVER, b"", sender=TRADER)
    market.opened.append(ID)
    assert receipt.value == (10 * WETH, 16_000 * USDC)
    slot = Slot(10 * WETH, 16_000 * USDC, market.engine.timestamp)
    assert market.slot(ID) == slot
    assert vault.slot(ID) == slot.word
    assert market.books() == before._replace(
        cash=CASH - 16_000 * USDC,
        total_scaled_debt=16_000 * USDC,
        last_accrual=market.engine.timestamp,
    )
    assert market.flows(receipt) == {
        ("collateral", TRADER.address): -10 * WETH,
        ("collateral", vault.address): 10 * WETH,
        ("asset", vault.address): -16_000 * USDC,
        ("asset", RECEIVER): 16_000 * USDC,
    }
    assert market.written(receipt) == {BOOKS, ID}, "ISO-1: more than slot and books was written"
    assert market.events(receipt) == [
        (
            "Adjusted",
            {
                "account": TRADER.address,
                "position_id": ID,
                "caller": TRADER.address,
                "collateral_delta": 10 * WETH,
                "debt_delta": 16_000 * USDC,
                "slot": slot.word,
                "debt_index": WAD,
                "supply_index": WAD,
            },
        )
    ]


def test_adjust__open_without_debt__writes_the_slot_only(market: Market, vault: Contract) -> None:
    market.set_quote(0, 0)
    market.engine.advance(DAY)
    market.give(market.collateral, TRADER, WETH)
    receipt = vault.adjust(ID, WETH, 0, NOBODY, b"", sender=TRADER)
    market.opened.append(ID)
    assert receipt.value == (WETH, 0)
    assert market.slot(ID) == Slot(WETH, 0, 0)
    assert market.written(receipt) == {ID}
    assert market.flows(receipt) == {
        ("collateral", TRADER.address): -WETH,
        ("collateral", vault.address): WETH,
    }


@pytest.mark.parametrize("salt", [0, 7, 2**96 - 1])
def test_adjust__other_salt__is_a_position_of_its_own(
    market: Market, position: int, salt: int
) -> None:
    before = market.slot(position)
    other = market.open(WETH, 1_000 * USDC, salt=salt)
    assert other != position
    assert market.slot(other).scaled_debt == 1_000 * USDC
    assert market.slot(position) == before, "ISO-1: another position changed"


def test_adjust__borrow_at_grown_index__scaled_debt_rounds_up(
    market: Market, vault: Contract, position: int
) -> None:
    market.grow_debt()
    before, index = market.slot(position), market.books().debt_index
    amount = 1_234_567_891
    receipt = vault.adjust(position, 0, amount, TRADER, b"", sender=TRADER)
    added = div_up(amount * WAD, index)
    assert receipt.value == (0, amount)
    assert market.slot(position) == Slot(
        before.collateral, before.scaled_debt + added, market.engine.timestamp
    )
    assert amount <= div_up(added * index, WAD) <= amount + div_up(index, WAD), (
        "RND-2: the debt is not what was borrowed, rounded up"
    )


def test_adjust__interest_pending__accrues_before_borrowing(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(10**9)
    market.engine.advance(30 * DAY)
    now = vault.current_balance_sheet()
    receipt = vault.adjust(position, 0, 500 * USDC, TRADER, b"", sender=TRADER)
    books = market.books()
    assert (books.debt_index, books.supply_index, books.last_accrual) == (
        now.debt_index,
        now.supply_index,
        market.engine.timestamp,
    )
    fields = market.events(receipt)[0][1]
    assert (fields["debt_index"], fields["supply_index"]) == (now.debt_index, now.supply_index)


# Amounts that are refused


def test_adjust__nothing_at_all__reverts(vault: Contract, position: int) -> None:
    with reverts("amount is zero"):
        vault.adjust(position, 0, 0, TRADER, b"", sender=TRADER)


@pytest.mark.parametrize(
    ("collateral", "debt"), [(1, 0), (-1, 0), (0, USDC), (0, -1), (WETH, USDC), (-1, -1)]
)
def test_adjust__stranger__reverts(
    market: Market, vault: Contract, position: int, collateral: int, debt: int
) -> None:
    market.collateral.mint(STRANGER, WETH)
    market.asset.mint(STRANGER, WETH)
    with reverts("caller lacks permission"):
        vault.adjust(position, collateral, debt, STRANGER, b"", sender=STRANGER)
    assert vault.adjust(position, collateral, debt, TRADER, b"", sender=TRADER).success


def test_adjust__more_collateral_than_there_is__reverts(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    for amount in (WETH + 1, MAX_INT256, -MIN_INT256):
        with reverts("not enough collateral"):
            vault.adjust(position, -amount, 0, TRADER, b"", sender=TRADER)
    vault.adjust(position, -WETH, 0, TRADER, b"", sender=TRADER)
    assert market.slot(position) == Slot()


def test_adjust__more_than_cash__reverts(market: Market, vault: Contract) -> None:
    position = market.open(1_000 * WETH)
    for amount in (CASH + 1, MAX_INT256):
        with reverts("not enough cash"):
            vault.adjust(position, 0, amount, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, CASH, TRADER, b"", sender=TRADER)
    assert market.books().cash == 0


def test_adjust__collateral_over_wide__reverts(market: Market, vault: Contract) -> None:
    largest = 2**112 - 1
    market.give(market.collateral, TRADER, 2**113)
    for amount in (largest + 1, MAX_INT256):
        with reverts("position exceeds its width"):
            vault.adjust(ID, amount, 0, TRADER, b"", sender=TRADER)
    vault.adjust(ID, largest, 0, TRADER, b"", sender=TRADER)
    market.opened.append(ID)
    assert market.slot(ID) == Slot(largest)
    with reverts("position exceeds its width"):
        vault.adjust(ID, 1, 0, TRADER, b"", sender=TRADER)


def test_adjust__widest_debt__fits(engine: Engine) -> None:
    market = deploy_market(engine, price=10**36)
    market.deposit(MAX_CAP)
    position = market.open(2**111, 2**103)
    assert market.slot(position) == Slot(2**111, 2**103, engine.timestamp)
    with reverts("not enough cash"):
        market.vault.adjust(position, 0, 2**103, TRADER, b"", sender=TRADER)
    market.vault.adjust(position, 0, 2**103 - 1, TRADER, b"", sender=TRADER)
    assert market.slot(position).scaled_debt == market.books().total_scaled_debt == MAX_CAP
    market.check_books()


def test_adjust__vault_past_its_width_by_interest__borrowing_reverts(
    market: Market, vault: Contract, position: int
) -> None:
    cash = market.books().cash
    room = 2**104 - cash - 10_000 * USDC
    market.set_books(cash=cash + room)
    market.asset.mint(vault, room)
    vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER)
    market.set_books(cash=market.books().cash + 1)
    market.asset.mint(vault, 1)
    with reverts("vault is full"):
        vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER)
    assert vault.repay(position, USDC, sender=TRADER).value == USDC


@pytest.mark.parametrize(("collateral", "debt"), [(-1, 0), (0, USDC), (-1, -USDC)])
def test_adjust__receiver_is_zero_and_tokens_leave__reverts(
    vault: Contract, position: int, collateral: int, debt: int
) -> None:
    with reverts("receiver is zero"):
        vault.adjust(position, collateral, debt, NOBODY, b"", sender=TRADER)
    vault.adjust(position, 1, -1, NOBODY, b"", sender=TRADER)


def test_adjust__no_balance_or_allowance__reverts(market: Market, vault: Contract) -> None:
    market.collateral.mint(TRADER, WETH)
    with reverts("balance too low"):
        vault.adjust(ID, WETH + 1, 0, TRADER, b"", sender=TRADER)
    market.collateral.approve(vault, WETH - 1, sender=TRADER)
    with reverts("allowance too low"):
        vault.adjust(ID, WETH, 0, TRADER, b"", sender=TRADER)
    vault.adjust(ID, WETH - 1, 0, TRADER, b"", sender=TRADER)
    market.opened.append(ID)


# LTV, dust, caps, pause


def test_adjust__borrow_to_initial_ltv__exact(market: Market, vault: Contract) -> None:
    position = market.open(10 * WETH)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, 0, 16_000 * USDC + 1, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, 16_000 * USDC, TRADER, b"", sender=TRADER)
    assert vault.ltv(position) == market.params.initial_ltv, "LIQ-1: not at the bound"
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, 0, 1, TRADER, b"", sender=TRADER)


def test_adjust__borrow__values_collateral_at_low(market: Market, vault: Contract) -> None:
    position = market.open(10 * WETH)
    market.set_quote(price_of(1_000), price_of(2_000))
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, 0, 8_000 * USDC + 1, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, 8_000 * USDC, TRADER, b"", sender=TRADER)


def test_adjust__withdraw_with_debt__to_initial_ltv_exactly(
    market: Market, vault: Contract, position: int
) -> None:
    spare = 10 * WETH - 625 * WETH // 100
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -spare - 1, 0, TRADER, b"", sender=TRADER)
    before = market.books()
    receipt = vault.adjust(position, -spare, 0, RECEIVER, b"", sender=TRADER)
    assert receipt.value == (-spare, 0)
    assert market.slot(position) == Slot(625 * WETH // 100, 10_000 * USDC, market.engine.timestamp)
    assert market.books() == before, "withdrawing collateral changes no total"
    assert market.written(receipt) == {position}
    assert market.flows(receipt) == {
        ("collateral", vault.address): -spare,
        ("collateral", RECEIVER): spare,
    }


def test_adjust__withdraw_with_interest_pending__counts_it_and_stores_no_books(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(10**10)
    market.engine.advance(30 * DAY)
    before = market.books()
    largest = vault.max_withdraw_collateral(position)
    assert largest < 10 * WETH - 625 * WETH // 100
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -largest - 1, 0, TRADER, b"", sender=TRADER)
    receipt = vault.adjust(position, -largest, 0, TRADER, b"", sender=TRADER)
    assert market.books() == before
    assert market.events(receipt)[-1][1]["debt_index"] == before.debt_index, (
        "BOOK-7: the event's indices are not the stored ones"
    )


def test_adjust__debt_below_min_debt__reverts(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    with reverts("debt is below min_debt"):
        vault.adjust(position, 0, 100 * USDC - 1, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, 100 * USDC, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, 1, TRADER, b"", sender=TRADER)


def test_adjust__withdraw_with_dust_debt__reverts(market: Market, vault: Contract) -> None:
    position = market.open(WETH, 100 * USDC)
    market.set_slot(position, Slot(WETH, 50 * USDC, 0))
    with reverts("debt is below min_debt"):
        vault.adjust(position, -1, 0, TRADER, b"", sender=TRADER)
    assert vault.adjust(position, -WETH // 10, -10 * USDC, TRADER, b"", sender=TRADER).value == (
        -WETH // 10,
        -10 * USDC,
    )


def test_adjust__debt_cap__exact_and_binds_only_when_debt_grows(
    market: Market, vault: Contract, position: int
) -> None:
    vault.set_caps(0, 10_500 * USDC, sender=CURATOR)
    with reverts("debt cap is full"):
        vault.adjust(position, 0, 500 * USDC + 1, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, 500 * USDC, TRADER, b"", sender=TRADER)
    vault.set_caps(0, 0, sender=CURATOR)
    vault.adjust(position, -1, 0, TRADER, b"", sender=TRADER)
    vault.adjust(position, 1, -USDC, TRADER, b"", sender=TRADER)
    with reverts("debt cap is full"):
        vault.adjust(position, 0, 1, TRADER, b"", sender=TRADER)


def test_adjust__paused__only_new_risk_is_stopped(
    market: Market, vault: Contract, position: int
) -> None:
    free = market.open(WETH, salt=2)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    for collateral, debt in ((0, USDC), (-1, 0), (WETH, USDC), (-WETH, -1)):
        with reverts("new risk is paused"):
            vault.adjust(position, collateral, debt, TRADER, b"", sender=TRADER)
    for arguments in ((position, WETH, 0), (position, 0, -USDC), (position, -WETH, -5_000 * USDC)):
        assert vault.adjust(*arguments, TRADER, b"", sender=TRADER).success, "LIVE-3"
    vault.adjust(free, -WETH, 0, TRADER, b"", sender=TRADER)
    market.engine.advance(WEEK)
    vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER)


# The oracle


def test_adjust__price_is_zero__only_new_risk_reverts(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_quote(0, price_of(2_000))
    for collateral, debt in ((0, USDC), (-1, 0)):
        with reverts("price is unusable"):
            vault.adjust(position, collateral, debt, TRADER, b"", sender=TRADER)
    vault.adjust(position, 1, -USDC, TRADER, b"", sender=TRADER)


def test_adjust__low_above_high__reverts(market: Market, vault: Contract, position: int) -> None:
    market.set_quote(price_of(2_000) + 1, price_of(2_000))
    with reverts("price is unusable"):
        vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER)
    market.set_quote(price_of(2_000), price_of(2_000))
    vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER)


@pytest.mark.parametrize("kind", ["RevertingOracle", "GasBurningOracle"])
def test_adjust__oracle_broken__only_new_risk_reverts(engine: Engine, kind: str) -> None:
    oracle = engine.deploy(load(kind), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    market.deposit(CASH)
    position = market.open(10 * WETH, 10_000 * USDC)
    free = market.open(WETH, salt=2)
    oracle.set_broken(True)
    adjust = market.vault.adjust
    for collateral, debt in ((0, USDC), (-1, 0)):
        receipt = adjust(position, collateral, debt, TRADER, b"", sender=TRADER, check=False)
        assert not receipt.success, "LIVE-1: risk without a price"
        assert kind != "RevertingOracle" or receipt.revert_reason == "oracle is broken"
    market.give(market.collateral, TRADER, WETH)
    for arguments in ((position, 1, 0), (position, 0, -USDC), (position, -WETH, -2_000 * USDC)):
        assert adjust(*arguments, TRADER, b"", sender=TRADER).success, "LIVE-1"
    assert adjust(free, -WETH, 0, TRADER, b"", sender=TRADER).success, "LIVE-1"
    market.check_books()


def test_adjust__not_open_and_no_collateral_added__reverts(market: Market, vault: Contract) -> None:
    with reverts("position is not open"):
        vault.adjust(ID, 0, USDC, TRADER, b"", sender=TRADER)
    with reverts("not enough collateral"):
        vault.adjust(ID, -1, 0, TRADER, b"", sender=TRADER)
    receipt = vault.adjust(ID, 0, -5, TRADER, b"", sender=TRADER)
    assert receipt.value == (0, 0)
    assert receipt.state_diff == {}
    market.give(market.collateral, TRADER, WETH)
    vault.adjust(ID, WETH, 500 * USDC, TRADER, b"", sender=TRADER)
    market.opened.append(ID)


# Repay


def test_adjust__repay_part__pulls_and_lowers_debt_alone(
    market: Market, vault: Contract, position: int
) -> None:
    before, books = market.slot(position), market.books()
    receipt = vault.adjust(position, 0, -4_000 * USDC, NOBODY, b"", sender=TRADER)
    assert receipt.value == (0, -4_000 * USDC)
    assert market.slot(position) == before._replace(scaled_debt=6_000 * USDC)
    assert market.books() == books._replace(
        cash=books.cash + 4_000 * USDC,
        total_scaled_debt=6_000 * USDC,
        last_accrual=market.engine.timestamp,
    )
    assert market.flows(receipt) == {
        ("asset", TRADER.address): -4_000 * USDC,
        ("asset", vault.address): 4_000 * USDC,
    }


@pytest.mark.parametrize("amount", [10_000 * USDC, 10_000 * USDC + 1, MAX_INT256, -MIN_INT256])
def test_adjust__repay_all_or_more__clamps_to_the_debt(
    market: Market, vault: Contract, position: int, amount: int
) -> None:
    receipt = vault.adjust(position, 0, -amount, NOBODY, b"", sender=TRADER)
    assert receipt.value == (0, -10_000 * USDC)
    assert market.slot(position).scaled_debt == 0 == market.books().total_scaled_debt


@pytest.mark.parametrize("amount", [9_900 * USDC + 1, 10_000 * USDC - 1])
def test_adjust__repay_almost_all__stops_at_min_debt(
    market: Market, vault: Contract, position: int, amount: int
) -> None:
    receipt = vault.adjust(position, 0, -amount, NOBODY, b"", sender=TRADER)
    assert receipt.value == (0, -9_900 * USDC)
    assert market.debt(position) == market.params.min_debt


def test_adjust__repay_at_grown_index__pays_what_was_retired_rounded_up(
    market: Market, vault: Contract, position: int
) -> None:
    market.grow_debt()
    index, before = market.books().debt_index, market.slot(position)
    amount = 1_234_567_891
    receipt = vault.adjust(position, 0, -amount, NOBODY, b"", sender=TRADER)
    retired = amount * WAD // index
    assert market.slot(position).scaled_debt == before.scaled_debt - retired
    assert receipt.value == (0, -div_up(retired * index, WAD))


def test_adjust__borrow_and_repay_in_one_block__never_profits(
    market: Market, vault: Contract, position: int
) -> None:
    market.grow_debt()
    index = market.books().debt_index
    debt = market.debt(position)
    for amount in (1, 2, 3, 1_000_003):
        vault.adjust(position, 0, amount, TRADER, b"", sender=TRADER)
        vault.adjust(position, 0, -amount, TRADER, b"", sender=TRADER)
        grown = market.debt(position)
        assert debt <= grown <= debt + div_up(index, WAD), "RND-2: borrowing and repaying profits"
        debt = grown


def test_adjust__nothing_owed__repays_nothing(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    receipt = vault.adjust(position, 0, -5, NOBODY, b"", sender=TRADER)
    assert receipt.value == (0, 0)
    assert receipt.state_diff == {}


# Both at once


def test_adjust__lever_in_one__adds_and_borrows(
    market: Market, vault: Contract, position: int
) -> None:
    receipt = vault.adjust(position, 5 * WETH, 14_000 * USDC, RECEIVER, b"", sender=TRADER)
    assert receipt.value == (5 * WETH, 14_000 * USDC)
    assert market.slot(position) == Slot(15 * WETH, 24_000 * USDC, market.engine.timestamp)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, WETH, 1_600 * USDC + 1, RECEIVER, b"", sender=TRADER)


def test_adjust__delever_in_one__repays_and_withdraws(
    market: Market, vault: Contract, position: int
) -> None:
    before = market.slot(position)
    receipt = vault.adjust(position, -4 * WETH, -4_000 * USDC, RECEIVER, b"", sender=TRADER)
    assert receipt.value == (-4 * WETH, -4_000 * USDC)
    assert market.slot(position) == before._replace(
        collateral=6 * WETH, scaled_debt=6_000 * USDC
    ), "reduce-only leaves last_risk_increase as it is"
    assert market.flows(receipt) == {
        ("collateral", vault.address): -4 * WETH,
        ("collateral", RECEIVER): 4 * WETH,
        ("asset", TRADER.address): -4_000 * USDC,
        ("asset", vault.address): 4_000 * USDC,
    }


def test_adjust__withdraw_and_borrow_in_one__at_the_bound(
    market: Market, vault: Contract, position: int
) -> None:
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -2 * WETH, 2_800 * USDC + 1, TRADER, b"", sender=TRADER)
    vault.adjust(position, -2 * WETH, 2_800 * USDC, TRADER, b"", sender=TRADER)
    assert market.slot(position) == Slot(8 * WETH, 12_800 * USDC, market.engine.timestamp)


def test_adjust__add_and_repay_in_one__needs_no_oracle(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_quote(0, 0)
    before = market.slot(position)
    vault.adjust(position, WETH, -USDC, NOBODY, b"", sender=TRADER)
    assert market.slot(position) == before._replace(collateral=11 * WETH, scaled_debt=9_999 * USDC)


def test_adjust__repay_all_and_withdraw_all__clears_the_slot(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_quote(0, 0)
    receipt = vault.adjust(position, -10 * WETH, MIN_INT256, TRADER, b"", sender=TRADER)
    assert receipt.value == (-10 * WETH, -10_000 * USDC)
    assert market.slot(position) == Slot()
    assert vault.slot(position) == 0


def test_adjust__debt_without_collateral__reverts(market: Market, vault: Contract) -> None:
    position = market.open(WETH, 100 * USDC)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -WETH, 0, TRADER, b"", sender=TRADER)


# Reduce-only


def test_adjust__reduce_only_in_distress__needs_no_oracle(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(500))
    assert vault.ltv(position) == 2 * WAD
    before = market.slot(position)
    market.set_quote(0, 0)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_caps(0, 0, sender=CURATOR)
    for left in (9, 5, 2):
        amount = market.slot(position).collateral - left * WETH
        debt = market.debt(position) - left * 1_000 * USDC
        receipt = vault.adjust(position, -amount, -debt, TRADER, b"", sender=TRADER)
        assert receipt.value == (-amount, -debt), "LIVE-1: reduce-only needs no price"
        assert market.slot(position) == before._replace(
            collateral=left * WETH, scaled_debt=left * 1_000 * USDC
        )


def test_adjust__reduce_only_by_one_unit_too_much__is_new_risk(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(500))
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -WETH - 1, -1_000 * USDC, TRADER, b"", sender=TRADER)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -WETH, 1 - 1_000 * USDC, TRADER, b"", sender=TRADER)
    before = market.slot(position)
    vault.adjust(position, -WETH, -1_000 * USDC, TRADER, b"", sender=TRADER)
    after = market.slot(position)
    assert after.scaled_debt * before.collateral <= before.scaled_debt * after.collateral, (
        "LIQ-1: reduce-only did not hold"
    )


def test_adjust__reduce_only_with_repayment_clamped_to_min_debt__counts_what_was_repaid(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(500))
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -995 * WETH // 100, -9_950 * USDC, TRADER, b"", sender=TRADER)
    vault.adjust(position, -990 * WETH // 100, -9_950 * USDC, TRADER, b"", sender=TRADER)
    assert market.slot(position)[:2] == (WETH // 10, 100 * USDC)


def test_adjust__repayment_too_small_to_retire__is_not_reduce_only(
    market: Market, vault: Contract, position: int
) -> None:
    market.grow_debt(seconds=10 * 365 * DAY)
    assert market.books().debt_index > 2 * WAD
    market.set_price(price_of(500))
    assert vault.adjust(position, 0, -1, TRADER, b"", sender=TRADER).value == (0, 0)
    with reverts("LTV is above initial LTV"):
        vault.adjust(position, -1, -1, TRADER, b"", sender=TRADER)


def test_adjust__withdraw_more_than_reduce_only_while_healthy__sets_last_risk_increase(
    market: Market, vault: Contract, position: int
) -> None:
    vault.adjust(position, -2 * WETH, -1_000 * USDC, TRADER, b"", sender=TRADER)
    assert market.slot(position) == Slot(8 * WETH, 9_000 * USDC, market.engine.timestamp)


def test_adjust__add_or_repay_while_unhealthy__never_reverts(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(500))
    vault.adjust(position, 1, 0, TRADER, b"", sender=TRADER)
    vault.adjust(position, 0, -1, TRADER, b"", sender=TRADER)
    assert not vault.is_healthy(position)


# Isolation


def test_adjust__one_of_many__changes_no_other(market: Market, vault: Contract) -> None:
    positions = [
        market.open(10 * WETH, 5_000 * USDC, owner=owner, salt=salt)
        for owner in (TRADER, OTHER_TRADER)
        for salt in (1, 2, 3)
    ]
    before = {one: market.slot(one) for one in positions}
    market.engine.advance(1)
    receipt = vault.adjust(positions[1], -WETH, USDC, TRADER, b"", sender=TRADER)
    assert market.written(receipt) == {BOOKS, positions[1]}, "ISO-1: another word changed"
    for one in positions:
        assert (market.slot(one) == before[one]) == (one != positions[1]), "ISO-1"


def test_adjust__in_one_vault__changes_no_other_vault(market: Market, position: int) -> None:
    other = deploy_market(
        market.engine,
        collateral=market.collateral,
        asset=market.asset,
        oracle=market.oracle,
        rate_model=market.rate_model,
    )
    receipt = market.vault.adjust(position, -WETH, USDC, TRADER, b"", sender=TRADER)
    assert other.vault.address not in receipt.state_diff, "ISO-6: another vault changed"
