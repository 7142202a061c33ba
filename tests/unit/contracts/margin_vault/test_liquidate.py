"""liquidate: who may, when, how much, and what is left."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.market import (
    BOOKS,
    CASH,
    CURATOR,
    DAY,
    KEEPER,
    LIQUIDATOR,
    MAX_UINT256,
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
    expect_liquidation,
    position_id,
    price_of,
    reverts,
)


@pytest.fixture
def position(market: Market) -> int:
    """The design's worked case: 1 WETH against 1,590 USDC, at 2,000 for now; a rich liquidator."""
    opened = market.open(WETH, 1_590 * USDC)
    market.asset.mint(LIQUIDATOR, 10**13)
    market.engine.advance(1)
    return opened


# Solvent


def test_liquidate__worked_case__to_the_unit(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(1_800))
    before, books = market.slot(position), market.books()
    assert vault.ltv(position) == 883_333_333_333_333_334
    receipt = vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    # beta 1.0333..., repayment 865.38, its cut of the bonus a tenth of 28.85.
    seized, repaid, cut = 496_794_871_666_666_666, 865_384_616, 2_884_616
    assert receipt.value == (seized, repaid + cut)
    after = Slot(WETH - seized, 1_590 * USDC - repaid, before.last_risk_increase)
    assert market.slot(position) == after, "LIQ-4: the rest stays in the slot"
    assert market.books() == books._replace(
        cash=books.cash + repaid + cut,
        total_scaled_debt=1_590 * USDC - repaid,
        last_accrual=market.engine.timestamp,
    ), "LIQ-4: a solvent liquidation books a loss"
    assert market.flows(receipt) == {
        ("collateral", vault.address): -seized,
        ("collateral", RECEIVER): seized,
        ("asset", LIQUIDATOR.address): -repaid - cut,
        ("asset", vault.address): repaid + cut,
    }, "LIQ-7: tokens went to or came from others"
    assert market.written(receipt) == {BOOKS, position}, "ISO-1: more than slot and books"
    assert market.events(receipt) == [
        (
            "Liquidated",
            {
                "account": TRADER.address,
                "position_id": position,
                "liquidator": LIQUIDATOR.address,
                "seized": seized,
                "repaid": repaid,
                "cut": cut,
                "loss": 0,
                "slot": after.word,
                "debt_index": WAD,
                "supply_index": WAD,
            },
        )
    ]
    ltv = vault.ltv(position)
    assert ltv <= market.params.target_ltv, "LIQ-4: above the target"
    unit_above = (after.scaled_debt + 1) * WAD * WETH // ((after.collateral - 1) * 1_800 * USDC)
    assert unit_above >= market.params.target_ltv, "LIQ-4: more than a unit below the target"
    assert market.books().surplus == cut * WAD, "the cut goes to the reserve"


def test_liquidate__healthy__reverts_to_the_last_unit_of_price(
    market: Market, vault: Contract, position: int
) -> None:
    price = vault.liquidation_price(position)
    market.set_price(price)
    with reverts("position is healthy"):
        vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert vault.is_healthy(position)
    market.set_price(price - 1)
    assert not vault.is_healthy(position)
    assert vault.liquidate(position, 1, 0, LIQUIDATOR, b"", sender=LIQUIDATOR).value[1] >= 1


def test_liquidate__judged_at_high__reverts_while_only_low_is_low(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_quote(price_of(1_000), price_of(1_850))
    with reverts("position is healthy"):
        vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    market.set_quote(0, price_of(1_800))
    assert vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR).success, (
        "LIQ-3: a liquidation needs `high` only"
    )


def test_liquidate__in_the_block_of_the_last_risk_increase__reverts(
    market: Market, vault: Contract, position: int
) -> None:
    vault.adjust(position, 0, USDC, TRADER, b"", sender=TRADER)
    market.set_price(price_of(1_800))
    with reverts("risk rose in this block"):
        vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert tuple(vault.preview_liquidation(position, MAX_UINT256)) == (0, 0, 0, 0, 0)
    market.engine.advance(1)
    vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)


def test_liquidate__by_the_owner_or_anyone__works(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(1_800))
    for liquidator in (TRADER, STRANGER):
        market.asset.mint(liquidator, 10**9)
        vault.liquidate(position, 100 * USDC, 0, liquidator, b"", sender=liquidator)


@pytest.mark.parametrize("max_repay", [1, 2, 999, 10 * USDC, 865_384_615, 865_384_616])
def test_liquidate__partial__bounded_by_max_repay(
    market: Market, vault: Contract, position: int, max_repay: int
) -> None:
    market.set_price(price_of(1_800))
    before = market.slot(position)
    seized, paid = vault.liquidate(position, max_repay, 0, LIQUIDATOR, b"", sender=LIQUIDATOR).value
    after = market.slot(position)
    repaid = before.scaled_debt - after.scaled_debt
    assert repaid == max_repay
    assert paid == max_repay + -(-max_repay * 33_333_333_333_333_334 // 10 // WAD)
    assert after.scaled_debt * before.collateral < before.scaled_debt * after.collateral, (
        "LIQ-4: scaled debt over collateral does not fall"
    )
    value = seized * price_of(1_800)
    assert value <= 1_033_333_333_333_333_334 * repaid * WAD + 10**36, "LIQ-6: sold too cheaply"


def test_liquidate__in_parts__seizes_no_more_than_at_once(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(1_800))
    mark = market.engine.snapshot()
    whole = vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR).value
    market.engine.restore(mark)
    seized = paid = 0
    for _ in range(200):
        part = vault.liquidate(
            position, 7 * USDC, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
        if not part.success:
            assert part.revert_reason == "position is healthy"
            break
        seized, paid = seized + part.value[0], paid + part.value[1]
    assert seized * whole[1] <= whole[0] * paid, "RND-3: parts pay more than the whole"
    assert vault.is_healthy(position), "LIQ-4: parts end in insolvency"


def test_liquidate__after_interest__retires_what_is_paid_for(
    market: Market, vault: Contract, position: int
) -> None:
    market.rate_model.set_rate(10**9)
    market.engine.advance(200 * DAY)
    now = vault.current_balance_sheet()
    before = market.slot(position)
    market.set_price(price_of(1_800))
    expected = expect_liquidation(
        before, now.debt_index, price_of(1_800), MAX_UINT256, market.params
    )
    receipt = vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert receipt.value == (expected.seized, expected.paid)
    assert market.slot(position) == before._replace(
        collateral=WETH - expected.seized,
        scaled_debt=before.scaled_debt - expected.scaled_retired,
    )
    books = market.books()
    assert (books.debt_index, books.supply_index) == (now.debt_index, now.supply_index)


def test_liquidate__repayment_that_retires_nothing__reverts(
    market: Market, vault: Contract, position: int
) -> None:
    market.grow_debt(seconds=8 * 365 * DAY)
    assert market.books().debt_index > 2 * WAD
    market.set_price(price_of(4_000))
    assert vault.ltv(position) < 93 * WAD // 100
    with reverts("amount is zero"):
        vault.liquidate(position, 1, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    vault.liquidate(position, 3, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)


def test_liquidate__zero_max_repay__reverts(market: Market, vault: Contract, position: int) -> None:
    market.set_price(price_of(1_800))
    with reverts("amount is zero"):
        vault.liquidate(position, 0, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)


def test_liquidate__min_seized__exact(market: Market, vault: Contract, position: int) -> None:
    market.set_price(price_of(1_800))
    seized = vault.preview_liquidation(position, 100 * USDC).seized
    with reverts("seized is below min_seized"):
        vault.liquidate(position, 100 * USDC, seized + 1, LIQUIDATOR, b"", sender=LIQUIDATOR)
    receipt = vault.liquidate(position, 100 * USDC, seized, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert receipt.value[0] == seized


def test_liquidate__receiver_is_zero__reverts(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(1_800))
    with reverts("receiver is zero"):
        vault.liquidate(position, MAX_UINT256, 0, NOBODY, b"", sender=LIQUIDATOR)


def test_liquidate__liquidator_cannot_pay__reverts(
    market: Market, vault: Contract, position: int
) -> None:
    market.set_price(price_of(1_800))
    paid = sum(vault.preview_liquidation(position, MAX_UINT256)[1:3])
    market.asset.mint(KEEPER, paid - 1)
    with reverts("balance too low"):
        vault.liquidate(position, MAX_UINT256, 0, KEEPER, b"", sender=KEEPER)
    market.asset.mint(KEEPER, 1)
    vault.liquidate(position, MAX_UINT256, 0, KEEPER, b"", sender=KEEPER)
    assert market.asset.balanceOf(KEEPER) == 0


def test_liquidate__no_position_or_no_debt__is_healthy(market: Market, vault: Contract) -> None:
    free = market.open(WETH)
    market.engine.advance(1)
    market.set_price(1)
    for position in (free, position_id(STRANGER, 9)):
        with reverts("position is healthy"):
            vault.liquidate(position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert market.slot(free) == Slot(WETH), "ISO-5: a debt-free position lost collateral"


# min_debt


@pytest.fixture
def small_position(market: Market) -> int:
    """0.1 WETH at 2,000 against 150 USDC, in a market whose min_debt is 100; then at 1,725."""
    opened = market.open(WETH // 10, 150 * USDC)
    market.asset.mint(LIQUIDATOR, 10**13)
    market.engine.advance(1)
    market.set_price(price_of(1_725))
    return opened


@pytest.mark.parametrize(
    ("max_repay", "repaid"),
    [
        (40 * USDC, 40 * USDC),
        (50 * USDC, 50 * USDC),
        (50 * USDC + 1, 50 * USDC),
        (150 * USDC - 1, 50 * USDC),
        (150 * USDC, 150 * USDC),
        (MAX_UINT256, 150 * USDC),
    ],
)
def test_liquidate__would_leave_dust__stops_at_min_debt_or_takes_all(
    market: Market, vault: Contract, small_position: int, max_repay: int, repaid: int
) -> None:
    vault.liquidate(small_position, max_repay, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    after = market.slot(small_position)
    assert after.scaled_debt == 150 * USDC - repaid, "LIQ-6: debt is neither 0 nor min_debt"
    assert after.collateral > 0, "LIQ-4: the rest stays in the slot"


def test_liquidate__at_min_debt__all_or_nothing(
    market: Market, vault: Contract, small_position: int
) -> None:
    market.set_slot(small_position, Slot(WETH // 10, 100 * USDC, 0))
    market.set_price(price_of(1_150))
    with reverts("debt is below min_debt"):
        vault.liquidate(small_position, 100 * USDC - 1, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    vault.liquidate(small_position, 100 * USDC, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert market.slot(small_position).scaled_debt == 0


def test_liquidate__debt_below_min_debt__only_cleared(
    market: Market, vault: Contract, small_position: int
) -> None:
    market.set_slot(small_position, Slot(WETH // 10, 50 * USDC, 0))
    market.set_price(price_of(575))
    with reverts("debt is below min_debt"):
        vault.liquidate(small_position, 50 * USDC - 1, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    vault.liquidate(small_position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    assert market.slot(small_position).scaled_debt == 0, "LIQ-6: dust is left"


def test_liquidate__cleared_while_solvent__owner_takes_the_rest(
    market: Market, vault: Contract, small_position: int
) -> None:
    vault.liquidate(small_position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR)
    left = market.slot(small_position).collateral
    assert vault.close(small_position, RECEIVER, b"", sender=TRADER).value == (-left, 0)
    assert market.collateral.balanceOf(RECEIVER) == left


# Insolvent


@pytest.fixture
def drowned(market: Market) -> int:
    """10 WETH opened at 2,000 against 10,000 USDC; at 1,000 its LTV is 1."""
    opened = market.open(10 * WETH, 10_000 * USDC)
    market.asset.mint(LIQUIDATOR, 10**13)
    market.engine.advance(1)
    market.set_price(price_of(1_000))
    return opened


WHOLE_REPAID = 9_278_159_214
WHOLE_CUT = 72_184_079
WHOLE_LOSS = 10_000 * USDC - WHOLE_REPAID


def test_liquidate__insolvent_whole_without_reserve__lenders_bear_the_loss(
    market: Market, vault: Contract, drowned: int
) -> None:
    books = market.books()
    receipt = vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert receipt.value == (10 * WETH, WHOLE_REPAID + WHOLE_CUT)
    assert market.slot(drowned) == Slot()
    shortfall = WHOLE_LOSS - WHOLE_CUT
    supply_index = (CASH - shortfall) * WAD // CASH
    assert market.books() == books._replace(
        cash=CASH - shortfall,
        total_scaled_debt=0,
        supply_index=supply_index,
        last_accrual=market.engine.timestamp,
    ), "LIQ-5: loss is not debt retired less paid"
    assert market.flows(receipt) == {
        ("collateral", vault.address): -10 * WETH,
        ("collateral", RECEIVER): 10 * WETH,
        ("asset", LIQUIDATOR.address): -WHOLE_REPAID - WHOLE_CUT,
        ("asset", vault.address): WHOLE_REPAID + WHOLE_CUT,
    }
    assert market.events(receipt) == [
        (
            "LossSocialised",
            {"position_id": drowned, "amount": shortfall},
        ),
        (
            "Liquidated",
            {
                "account": TRADER.address,
                "position_id": drowned,
                "liquidator": LIQUIDATOR.address,
                "seized": 10 * WETH,
                "repaid": WHOLE_REPAID,
                "cut": WHOLE_CUT,
                "loss": WHOLE_LOSS,
                "slot": 0,
                "debt_index": WAD,
                "supply_index": supply_index,
            },
        ),
    ], "BOOK-4: the supply index fell without an event"


@pytest.mark.parametrize("reserve", [WHOLE_LOSS - WHOLE_CUT, 2_000 * USDC])
def test_liquidate__insolvent_with_enough_reserve__lenders_lose_nothing(
    market: Market, vault: Contract, drowned: int, reserve: int
) -> None:
    market.give(market.asset, STRANGER, reserve)
    vault.fund_reserve(reserve, sender=STRANGER)
    receipt = vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert market.books().supply_index == WAD, "BOOK-4: lenders before the reserve"
    assert market.books().surplus == (reserve + WHOLE_CUT - WHOLE_LOSS) * WAD
    assert [name for name, _fields in market.events(receipt)] == ["Liquidated"]
    assert market.events(receipt)[0][1]["loss"] == WHOLE_LOSS


def test_liquidate__insolvent_with_some_reserve__takes_it_first(
    market: Market, vault: Contract, drowned: int
) -> None:
    reserve = WHOLE_LOSS - WHOLE_CUT - 1
    market.give(market.asset, STRANGER, reserve)
    vault.fund_reserve(reserve, sender=STRANGER)
    receipt = vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    books = market.books()
    assert books.supply_index == (CASH - 1) * WAD // CASH
    assert 0 <= books.surplus < books.total_shares, "BOOK-4: reserve left while lenders lose"
    assert market.events(receipt)[0] == (
        "LossSocialised",
        {"position_id": drowned, "amount": 1},
    )


def test_liquidate__insolvent_part__pro_rata(market: Market, vault: Contract, drowned: int) -> None:
    before = market.slot(drowned)
    receipt = vault.liquidate(drowned, 5_000 * USDC, 0, RECEIVER, b"", sender=LIQUIDATOR)
    seized, retired = 5_389 * WETH // 1_000, 5_389 * USDC
    cut = 38_900_000
    assert receipt.value == (seized, 5_000 * USDC + cut)
    after = market.slot(drowned)
    assert after == before._replace(
        collateral=10 * WETH - seized, scaled_debt=10_000 * USDC - retired
    )
    assert after.scaled_debt * before.collateral >= before.scaled_debt * after.collateral, (
        "LIQ-5: scaled debt over collateral fell"
    )
    fields = market.events(receipt)[-1][1]
    assert (fields["loss"], fields["cut"]) == (retired - 5_000 * USDC, cut)
    assert market.books().cash == CASH - 5_000 * USDC + cut


def test_liquidate__insolvent_in_parts__pays_no_less_than_at_once(
    market: Market, vault: Contract, drowned: int
) -> None:
    paid = seized = 0
    for max_repay in (3_000 * USDC, 2_000 * USDC, 1_234_567_891, MAX_UINT256):
        part = vault.liquidate(drowned, max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR).value
        seized, paid = seized + part[0], paid + part[1]
    assert seized == 10 * WETH
    assert paid >= WHOLE_REPAID + WHOLE_CUT, "RND-3: splitting pays"
    assert market.slot(drowned) == Slot()


@pytest.mark.parametrize("max_repay", [1, 92 * USDC, 9_190 * USDC, WHOLE_REPAID - 1])
def test_liquidate__insolvent_part_that_leaves_or_retires_dust__reverts(
    market: Market, vault: Contract, drowned: int, max_repay: int
) -> None:
    with reverts("only the whole can be liquidated"):
        vault.liquidate(drowned, max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR)
    with reverts("only the whole can be liquidated"):
        vault.preview_liquidation(drowned, max_repay)


@pytest.mark.parametrize("max_repay", [93 * USDC, 9_185 * USDC])
def test_liquidate__insolvent_part_just_above_dust__works(
    market: Market, vault: Contract, drowned: int, max_repay: int
) -> None:
    vault.liquidate(drowned, max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert market.debt(drowned) >= market.params.min_debt, "LIQ-6: dust is left"


def test_liquidate__insolvent_whole_at_exactly_its_price__works(
    market: Market, vault: Contract, drowned: int
) -> None:
    receipt = vault.liquidate(drowned, WHOLE_REPAID, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert receipt.value[0] == 10 * WETH


def test_liquidate__collateral_worth_nothing__beta_max_and_all_is_loss(
    market: Market, vault: Contract, drowned: int
) -> None:
    market.set_price(1)
    assert vault.ltv(drowned) == MAX_UINT256
    assert not vault.is_healthy(drowned)
    receipt = vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert receipt.value == (10 * WETH, 2), "the value's last unit and its cut, rounded up"
    assert market.events(receipt)[-1][1]["loss"] == 10_000 * USDC - 1
    assert market.slot(drowned) == Slot()


def test_liquidate__price_is_zero__reverts(market: Market, vault: Contract, drowned: int) -> None:
    market.set_price(0)
    with reverts("price is unusable"):
        vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    market.set_quote(2, 1)
    with reverts("price is unusable"):
        vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    market.set_quote(0, 1)
    vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)


def test_liquidate__oracle_reverts__passes_its_reason_on(engine: Engine) -> None:
    oracle = engine.deploy(load("RevertingOracle"), price_of(2_000))
    market = deploy_market(engine, oracle=oracle)
    market.deposit(CASH)
    position = market.open(10 * WETH, 10_000 * USDC)
    engine.advance(1)
    oracle.set_broken(True)
    with reverts("oracle is broken"):
        market.vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)


def test_liquidate__value_over_256_bits__is_healthy(
    market: Market, vault: Contract, drowned: int
) -> None:
    market.set_price(MAX_UINT256)
    assert vault.is_healthy(drowned)
    assert vault.ltv(drowned) > 0
    with reverts("position is healthy"):
        vault.liquidate(drowned, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)


def test_liquidate__at_the_edge_of_solvency__bonus_is_constant_from_there_on(
    market: Market, vault: Contract, drowned: int
) -> None:
    betas = []
    for price in (1_080, 1_078, 1_077, 1_050, 900, 500, 100):
        market.set_price(price_of(price))
        preview = vault.preview_liquidation(drowned, MAX_UINT256)
        if preview.loss == 0:
            assert preview.seized < 10 * WETH, "LIQ-4: a solvent position loses everything"
        else:
            betas.append(preview.seized * price * WAD * USDC // (preview.repaid * WETH))
            assert preview.seized == 10 * WETH
    assert len(betas) == 5
    assert max(betas) <= market.params.beta_max, "LIQ-6: beta above its maximum"
    assert min(betas) > market.params.beta_max - 2 * WAD // (900 * USDC), "waiting pays"


# Around


def test_liquidate__preview__equals_what_happens(
    market: Market, vault: Contract, drowned: int
) -> None:
    market.rate_model.set_rate(10**9)
    market.engine.advance(30 * DAY)
    for price in (1_160, 1_120, 1_090, 1_070, 1_000, 3):
        market.set_price(price_of(price))
        for max_repay in (100 * USDC, 3_000 * USDC, MAX_UINT256):
            mark = market.engine.snapshot()
            liquidation = vault.liquidate(
                drowned, max_repay, 0, RECEIVER, b"", sender=LIQUIDATOR, check=False
            )
            books = market.books()
            after = market.slot(drowned)
            market.engine.restore(mark)
            if not liquidation.success:
                with reverts(liquidation.revert_reason or ""):
                    vault.preview_liquidation(drowned, max_repay)
                continue
            preview = vault.preview_liquidation(drowned, max_repay)
            before = market.slot(drowned)
            assert liquidation.value == (preview.seized, preview.repaid + preview.cut)
            assert after == (
                before._replace(
                    collateral=before.collateral - preview.seized,
                    scaled_debt=before.scaled_debt - preview.scaled_retired,
                )
                if before.collateral > preview.seized
                else Slot()
            )
            assert tuple(preview) == expect_liquidation(
                before, books.debt_index, price_of(price), max_repay, market.params
            )


def test_liquidate__no_cash_in_the_vault__works(market: Market, vault: Contract) -> None:
    position = market.open(1_000 * WETH, CASH)
    assert market.books().cash == 0
    market.asset.mint(LIQUIDATOR, 10**13)
    market.engine.advance(1)
    market.set_price(price_of(1_150))
    receipt = vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert receipt.success, "LIQ-7: a liquidation needs cash in the vault"


def test_liquidate__paused_and_caps_at_zero__works(
    market: Market, vault: Contract, position: int
) -> None:
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_caps(0, 0, sender=CURATOR)
    market.set_price(price_of(1_800))
    receipt = vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert receipt.success, "LIVE-3: a pause stops liquidations"


@pytest.mark.parametrize("price", [1_800, 1_500])
def test_liquidate__blacklisted_owner__cannot_block_it(engine: Engine, price: int) -> None:
    token = load("BlacklistingToken")
    market = deploy_market(
        engine,
        collateral=engine.deploy(token, "Wrapped Ether", "WETH", 18),
        asset=engine.deploy(token, "USD Coin", "USDC", 6),
    )
    market.deposit(CASH)
    position = market.open(WETH, 1_590 * USDC)
    engine.advance(1)
    for each in (market.collateral, market.asset):
        each.set_blacklisted(TRADER, True)
    market.give(market.asset, LIQUIDATOR, 10**10)
    market.set_price(price_of(price))
    receipt = market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    assert receipt.success, "LIQ-7: a blacklisted owner blocks a liquidation"
    market.check_books()


@pytest.mark.parametrize("front_run", [1, 100 * USDC, 1_400 * USDC, MAX_UINT256])
@pytest.mark.parametrize("liquidating", [True, False])
def test_liquidate__front_run__reverts_with_healthy_or_not_at_all(
    market: Market, vault: Contract, position: int, front_run: int, liquidating: bool
) -> None:
    market.asset.mint(KEEPER, 10**13)
    for price in (1_845, 1_800, 1_700, 1_600):
        mark = market.engine.snapshot()
        market.set_price(price_of(price))
        if liquidating:
            vault.liquidate(position, front_run, 0, KEEPER, b"", sender=KEEPER, check=False)
        else:
            vault.repay(position, front_run, sender=KEEPER)
        receipt = vault.liquidate(
            position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
        )
        assert receipt.revert_reason in (None, "position is healthy"), "LIVE-4: front-running pays"
        market.engine.restore(mark)


def test_liquidate__one_of_many__changes_no_other(market: Market, vault: Contract) -> None:
    positions = [
        market.open(WETH, 1_590 * USDC, owner=owner, salt=salt)
        for owner in (TRADER, OTHER_TRADER)
        for salt in (1, 2, 3)
    ]
    market.asset.mint(LIQUIDATOR, 10**13)
    market.engine.advance(1)
    for price in (1_800, 1_500):
        market.set_price(price_of(price))
        before = [market.slot(one) for one in positions]
        receipt = vault.liquidate(positions[1], MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
        assert market.written(receipt) == {BOOKS, positions[1]}, "ISO-1: another word changed"
        for one, slot in zip(positions, before, strict=True):
            assert (market.slot(one) == slot) == (one != positions[1]), "ISO-1"


def test_liquidate__beside_999_others_of_the_account__costs_the_same_gas(
    market: Market, vault: Contract, position: int
) -> None:
    def gas_of_liquidation() -> int:
        mark = market.engine.snapshot()
        market.set_price(price_of(1_800))
        gas: int = vault.liquidate(
            position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR
        ).gas_used
        market.engine.restore(mark)
        return gas

    alone = gas_of_liquidation()
    market.give(market.collateral, TRADER, 999 * WETH)
    for salt in range(2, 1_001):
        opened = position_id(TRADER, salt)
        vault.adjust(opened, WETH, 500 * USDC, TRADER, b"", sender=TRADER)
        market.opened.append(opened)
    market.engine.advance(1)
    assert gas_of_liquidation() == alone, "ISO-3: gas depends on the account's other positions"
    market.set_price(price_of(1_800))
    receipt = vault.liquidate(position, MAX_UINT256, 0, RECEIVER, b"", sender=LIQUIDATOR)
    assert market.written(receipt) == {BOOKS, position}, "ISO-3: another position changed"
