"""Traders: what is planned, quoted and refused, and that quotes come true."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.client import BalanceError, InputError, RefusedError, Trader
from ringfence.client.refusals.periphery import (
    BoughtTooLittleError,
    DeadlineError,
    NoPoolError,
    SoldTooMuchError,
    ThinPoolError,
)
from ringfence.client.refusals.vault import (
    CashError,
    CollateralError,
    DebtCapError,
    InitialLtvError,
    MinDebtError,
    NoPermissionError,
    PausedError,
    PositionNotOpenError,
    PriceUnusableError,
    ZeroAmountError,
)
from ringfence.evm import load
from tests.support.client import NEWCOMER, Desk
from tests.support.market import (
    CURATOR,
    DAY,
    GUARDIAN,
    LENDER,
    STRANGER,
    TEN_PERCENT,
    TRADER,
    USDC,
    WETH,
)

PERCENT = Decimal("0.01")


@pytest.fixture
def trader(desk: Desk) -> Trader:
    """A trader with tokens, who has approved nothing."""
    return desk.trader()


# Without a trade


def test_adjust__first_time__approves_and_opens(desk: Desk, trader: Trader) -> None:
    plan = trader.adjust(7, 2 * WETH, 1_000 * USDC)
    assert [one.what for one in plan.transactions] == [
        "let the vault Ringfence USDC take 2 WETH",
        "deposit 2 WETH and borrow 1,000 USDC, position 7",
    ]
    before = desk.stage.usdc.balanceOf(NEWCOMER)
    receipts = desk.send(plan)
    assert len(receipts) == 2
    position = desk.long.position(NEWCOMER.address, 7)
    assert (position.collateral, position.debt) == (2, 1_000)
    assert desk.stage.usdc.balanceOf(NEWCOMER) - before == 1_000 * USDC
    assert desk.stage.weth.allowance(NEWCOMER, desk.stage.long.vault) == 0


def test_adjust__repay_and_withdraw__moves_both(desk: Desk, trader: Trader) -> None:
    desk.send(trader.adjust(1, 2 * WETH, 1_000 * USDC))
    desk.send(trader.adjust(1, -WETH // 2, -400 * USDC))
    position = desk.long.position(NEWCOMER.address, 1)
    assert (position.collateral, position.debt) == (Decimal("1.5"), 600)


def test_top_up_repay_close__own_tokens__do_what_they_say(desk: Desk, trader: Trader) -> None:
    desk.stage.long.rate_model.set_rate(TEN_PERCENT)
    desk.send(trader.adjust(1, 2 * WETH, 1_000 * USDC))
    desk.send(trader.top_up(1, WETH))
    desk.send(trader.repay(1, 300 * USDC))
    desk.stage.engine.advance(DAY)
    assert desk.long.position(NEWCOMER.address, 1).collateral == 3
    plan = trader.close(1)
    # The approval covers the interest until it is mined.
    desk.stage.engine.advance(3_600)
    desk.send(plan)
    assert not desk.long.position(NEWCOMER.address, 1).is_open


def test_repay__all__leaves_no_debt(desk: Desk, trader: Trader) -> None:
    desk.stage.long.rate_model.set_rate(TEN_PERCENT)
    desk.send(trader.adjust(1, 2 * WETH, 1_000 * USDC))
    desk.stage.engine.advance(DAY)
    desk.send(trader.repay(1))
    assert desk.long.position(NEWCOMER.address, 1).debt == 0


def test_top_up__anothers_position__is_welcome(desk: Desk, trader: Trader) -> None:
    desk.stage.open_standard(desk.stage.long)
    before = desk.long.position(TRADER.address, 1).collateral
    desk.send(trader.top_up(1, WETH, owner=TRADER.address))
    assert desk.long.position(TRADER.address, 1).collateral == before + 1


def test_adjust__anothers_position__refused_and_unchanged(desk: Desk, trader: Trader) -> None:
    desk.stage.open_standard(desk.stage.long)
    before = desk.long.slot(TRADER.address, 1)
    plan = trader.adjust(1, -WETH // 100, 0, owner=TRADER.address)
    with pytest.raises(NoPermissionError, match=f"the position is {TRADER.address}'s"):
        desk.send(plan)
    assert desk.long.slot(TRADER.address, 1) == before


@pytest.mark.parametrize("act", ["withdraw", "top_up", "repay", "close", "lever", "close_quote"])
def test_any__unknown_position__says_which(desk: Desk, trader: Trader, act: str) -> None:
    acts = {
        "withdraw": lambda: trader.adjust(3, -1, 0),
        "top_up": lambda: trader.top_up(3, WETH),
        "repay": lambda: trader.repay(3),
        "close": lambda: trader.close(3),
        "lever": lambda: trader.quote_leverage(3, "2x"),
        "close_quote": lambda: trader.quote_close(3),
    }
    with pytest.raises(PositionNotOpenError, match="no position with salt 3 in Ringfence USDC"):
        acts[act]()


def test_adjust__nothing__refused(desk: Desk, trader: Trader) -> None:
    desk.send(trader.adjust(1, WETH, 0))
    with pytest.raises(ZeroAmountError):
        desk.send(trader.adjust(1, 0, 0))


def test_adjust__above_initial_ltv__tells_both(desk: Desk, trader: Trader) -> None:
    with pytest.raises(InitialLtvError) as caught:
        trader.adjust(1, WETH, 1_700 * USDC)
    assert (caught.value.value, caught.value.limit) == ("85 %", "80 %")


@pytest.mark.parametrize(
    ("collateral", "debt", "kind", "limit"),
    [
        (3 * WETH, 50 * USDC, MinDebtError, "100 USDC"),
        (3 * WETH, 2_000 * USDC, DebtCapError, "1,000 USDC"),
        (-5 * WETH, 0, CollateralError, "2 WETH"),
    ],
)
def test_adjust__beyond_a_limit__tells_value_and_limit(
    desk: Desk,
    trader: Trader,
    collateral: int,
    debt: int,
    kind: type[RefusedError],
    limit: str,
) -> None:
    desk.send(trader.adjust(1, 2 * WETH, 0))
    desk.stage.long.vault.set_caps(2**100, 1_000 * USDC, sender=CURATOR)
    before = desk.long.slot(NEWCOMER.address, 1), desk.stage.wealth(NEWCOMER)
    with pytest.raises(kind) as caught:
        desk.send(trader.adjust(1, collateral, debt))
    assert caught.value.limit == limit
    assert caught.value.value is not None
    assert (desk.long.slot(NEWCOMER.address, 1), desk.stage.wealth(NEWCOMER)) == before


def test_adjust__more_than_the_cash__tells_it(desk: Desk, trader: Trader) -> None:
    vault = desk.stage.long.vault
    vault.withdraw(2_999_900 * USDC, LENDER, LENDER, sender=LENDER)
    with pytest.raises(CashError, match=r"500 USDC \(limit 100"):
        desk.send(trader.adjust(1, WETH, 500 * USDC))


def test_adjust__paused__tells_until_when(desk: Desk, trader: Trader) -> None:
    vault, engine = desk.stage.long.vault, desk.stage.engine
    vault.pause_new_risk(engine.timestamp + DAY, sender=GUARDIAN)
    with pytest.raises(PausedError, match=r"until 20\d\d-.* UTC; wait for the end"):
        desk.send(trader.adjust(1, WETH, 500 * USDC))


def test_adjust__no_price__says_so(desk: Desk, trader: Trader) -> None:
    desk.stage.long.set_quote(0, 0)
    with pytest.raises(PriceUnusableError):
        trader.adjust(1, WETH, 500 * USDC)


def test_adjust__too_few_tokens__tells_how_many(desk: Desk) -> None:
    with pytest.raises(BalanceError, match="holds 100 WETH, 101 WETH are needed; send it 1 WETH"):
        desk.trader().adjust(1, 101 * WETH, 0)


def test_adjust__over_wide__refused(desk: Desk, trader: Trader) -> None:
    desk.stage.long.rate_model.set_rate(0)
    with pytest.raises((RefusedError, InputError)):
        trader.adjust(1, WETH, 2**255)
    with pytest.raises(RefusedError):
        desk.send(trader.adjust(1, WETH, 2**120))


def test_send__another_account__refused(desk: Desk, trader: Trader) -> None:
    with pytest.raises(InputError, match="the plan is"):
        trader.adjust(1, WETH, 0).send(desk.sender(STRANGER))


def test_free_salt__some_open__the_first_that_is_not(desk: Desk, trader: Trader) -> None:
    for salt in (1, 2, 4):
        desk.send(trader.adjust(salt, WETH, 0))
    assert trader.free_salt() == 3


# Through the router


@pytest.mark.parametrize("margin", ["1.5 WETH", "3000 USDC"])
@pytest.mark.parametrize("title", ["long", "short"])
def test_open__as_quoted__comes_true(desk: Desk, margin: str, title: str) -> None:
    market, trader = getattr(desk, title), desk.trader(market=getattr(desk, title))
    quote = trader.quote_open(margin, "3x")
    receipts = desk.send(trader.open(quote))
    assert len(receipts) == 3, "operator, approval, open"
    position = market.position(NEWCOMER.address, quote.salt)
    assert position.collateral_units == quote.expected.collateral_units
    assert position.debt_units == quote.expected.debt_units
    assert position.liquidation_price == quote.liquidation_price
    assert position.ltv_wad == quote.expected.ltv_wad
    assert quote.expected.ltv_wad <= quote.worst.ltv_wad
    assert abs(position.ltv / Decimal(2) * 3 - 1) < PERCENT
    assert quote.margin_token.text(quote.margin) == margin.replace("3000", "3,000")
    assert quote.greatest_loss == Decimal(margin.split()[0])
    assert Decimal("0.0005") < quote.slippage < Decimal("0.005")


@pytest.mark.parametrize("title", ["long", "short"])
def test_open__ether__is_wrapped_on_the_way_and_needs_no_approval(desk: Desk, title: str) -> None:
    market, trader = getattr(desk, title), desk.trader(market=getattr(desk, title))
    wei = desk.stage.engine.balance(NEWCOMER)
    quote = trader.quote_open("1.5 ETH", "3x")
    assert len(desk.send(trader.open(quote))) == 2
    assert desk.stage.engine.balance(NEWCOMER) == wei - 15 * 10**17
    position = market.position(NEWCOMER.address, 1)
    assert position.collateral_units == quote.expected.collateral_units
    assert position.debt_units == quote.expected.debt_units
    closing = trader.quote_close(1, pay_in="ETH")
    wei = desk.stage.engine.balance(NEWCOMER)
    desk.send(trader.close_by_trade(closing))
    assert desk.stage.engine.balance(NEWCOMER) - wei == closing.paid > WETH


def test_open__more_ether_than_held__says_so(desk: Desk, trader: Trader) -> None:
    desk.stage.engine.set_balance(NEWCOMER, WETH)
    with pytest.raises(BalanceError, match=r"holds 1 ETH, 1\.5 ETH are needed, and gas"):
        trader.open(trader.quote_open("1.5 ETH", "3x"))


def test_quote_close__ether_without_debt__unwraps(desk: Desk, trader: Trader) -> None:
    desk.send(trader.open(trader.quote_open("1.5 ETH", "2x")))
    desk.send(trader.repay(1))
    wei = desk.stage.engine.balance(NEWCOMER)
    closing = trader.quote_close(1, pay_in="ETH")
    desk.send(trader.close_by_trade(closing))
    assert desk.stage.engine.balance(NEWCOMER) - wei == closing.paid > 2 * WETH


def test_open__again__needs_no_permission_twice(desk: Desk, trader: Trader) -> None:
    desk.send(trader.open(trader.quote_open("1 WETH", "2x")))
    quote = trader.quote_open("1 WETH", "2x")
    assert quote.salt == 2
    words = [one.what for one in trader.open(quote).transactions]
    assert words == ["let the router take 1 WETH", "open 2x with 1 WETH"]


def test_open__interest__a_days_at_the_rate_after_the_trade(desk: Desk, trader: Trader) -> None:
    desk.stage.long.rate_model.set_rate(TEN_PERCENT)
    quote = trader.quote_open("1 WETH", "3x")
    expected = Decimal(quote.expected.debt_units) / 10**6 / 10 / 365
    assert abs(quote.interest_per_day / expected - 1) < Decimal("0.001")


def test_open__rows__say_all_that_must_be_known(desk: Desk, trader: Trader) -> None:
    rows = dict(trader.quote_open("1.5 WETH", "4x").rows())
    for label in (
        "liquidation price",
        "pool's fee",
        "slippage to the oracle",
        "interest a day",
        "greatest loss",
        "at worst",
    ):
        assert rows[label]
    assert rows["greatest loss"] == "1.5 WETH: the margin"
    assert rows["pool's fee"].endswith("(0.05 %)")


def test_quote_open__too_much_leverage__refused_before_anything(desk: Desk, trader: Trader) -> None:
    with pytest.raises(InitialLtvError, match=r"\(limit 80 %\); borrow less"):
        trader.quote_open("1 WETH", "6x")


def test_quote_open__debt_too_small__tells_the_least(desk: Desk, trader: Trader) -> None:
    with pytest.raises(MinDebtError, match=r"\(limit 100 USDC\)"):
        trader.quote_open("0.01 WETH", "2x")


@pytest.mark.parametrize(
    ("margin", "leverage", "words"),
    [
        ("1 DAI", "2x", "this takes WETH or USDC or ETH"),
        ("0 WETH", "2x", "is nothing"),
        ("1 WETH", "1x", "borrows nothing"),
        ("1 WETH", "two", "not a leverage"),
    ],
)
def test_quote_open__bad_words__says_why(
    trader: Trader, margin: str, leverage: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        trader.quote_open(margin, leverage)


def test_quote_open__no_pool_at_that_fee__says_so(trader: Trader) -> None:
    with pytest.raises(NoPoolError, match=r"at 1 %; choose another fee"):
        trader.quote_open("1 WETH", "2x", fees=(10_000,))


def test_quote_open__pool_too_thin__is_not_told_that_there_is_none(trader: Trader) -> None:
    with pytest.raises(ThinPoolError, match=r"10,000,000 WETH at .*; trade less"):
        trader.quote_open("10,000,000 WETH", "2x")


def test_quote_open__oracle_reverts__passes_its_word_on(desk: Desk, trader: Trader) -> None:
    engine, oracle = desk.stage.engine, desk.stage.long.oracle
    engine.set_code(oracle, engine.code_at(engine.deploy(load("RevertingOracle"), 1)))
    engine.set_storage(oracle, 0, 1)
    with pytest.raises(PriceUnusableError, match="unusable: oracle is broken; wait for the oracle"):
        trader.quote_open("1 WETH", "2x")


def test_quote_open__no_price__says_so(desk: Desk, trader: Trader) -> None:
    desk.stage.long.set_quote(0, 0)
    with pytest.raises(PriceUnusableError):
        trader.quote_open("1 WETH", "2x")


@pytest.mark.parametrize(
    ("margin", "kind"), [("1 WETH", SoldTooMuchError), ("2000 USDC", BoughtTooLittleError)]
)
def test_open__price_moves_beyond_the_slippage__refused_and_unchanged(
    desk: Desk, trader: Trader, margin: str, kind: type[RefusedError]
) -> None:
    plan = trader.open(trader.quote_open(margin, "3x", slippage="0.2%"))
    desk.stage.move_pool(2_020)
    for one in plan.transactions[:-1]:
        desk.sender().send(one)
    before = desk.stage.wealth(NEWCOMER)
    with pytest.raises(kind, match=r"\(limit [\d.,]+ (WETH|USDC)\); quote again"):
        desk.send(plan)
    assert desk.stage.wealth(NEWCOMER) == before
    assert not desk.long.position(NEWCOMER.address, 1).is_open


def test_open__deadline_passed__refused(desk: Desk, trader: Trader) -> None:
    plan = trader.open(trader.quote_open("1 WETH", "3x"), deadline=60)
    desk.stage.engine.advance(61)
    with pytest.raises(DeadlineError):
        desk.send(plan)
    assert not desk.long.position(NEWCOMER.address, 1).is_open


@pytest.mark.parametrize("leverage", ["4x", "1.5x"])
@pytest.mark.parametrize("title", ["long", "short"])
def test_set_leverage__as_quoted__comes_true(desk: Desk, title: str, leverage: str) -> None:
    market, trader = getattr(desk, title), desk.trader(market=getattr(desk, title))
    opened = trader.quote_open("2 WETH" if title == "long" else "4000 USDC", "3x")
    desk.send(trader.open(opened))
    quote = trader.quote_leverage(1, leverage)
    desk.send(trader.set_leverage(quote))
    position = market.position(NEWCOMER.address, 1)
    assert position.collateral_units == quote.expected.collateral_units
    assert position.debt_units == quote.expected.debt_units
    times = Decimal(leverage[:-1])
    assert position.ltv is not None
    assert abs(position.ltv - (1 - 1 / times)) < PERCENT
    assert quote.greatest_loss is None


def test_quote_leverage__under_water__says_what_to_do(desk: Desk, trader: Trader) -> None:
    desk.send(trader.open(trader.quote_open("2 WETH", "4x")))
    desk.stage.set_oracles(1_000)
    with pytest.raises(InputError, match="no equity to lever; top it up first"):
        trader.quote_leverage(1, "2x")


def test_quote_leverage__to_one__points_to_close(desk: Desk, trader: Trader) -> None:
    desk.send(trader.open(trader.quote_open("2 WETH", "4x")))
    with pytest.raises(InputError, match="close the position instead"):
        trader.quote_leverage(1, "1x")


@pytest.mark.parametrize("pay_in", ["WETH", "USDC", None])
def test_close_by_trade__as_quoted__pays_that(
    desk: Desk, trader: Trader, pay_in: str | None
) -> None:
    desk.send(trader.open(trader.quote_open("2 WETH", "3x")))
    quote = trader.quote_close(1, pay_in=pay_in)
    token = desk.stage.usdc if pay_in == "USDC" else desk.stage.weth
    before = token.balanceOf(NEWCOMER)
    desk.send(trader.close_by_trade(quote))
    assert token.balanceOf(NEWCOMER) - before == quote.paid
    assert quote.least_paid <= quote.paid
    assert not desk.long.position(NEWCOMER.address, 1).is_open
    assert dict(quote.rows())["paid out"].startswith(quote.paid_in.text(quote.paid))


def test_quote_close__under_water__says_what_to_do(desk: Desk, trader: Trader) -> None:
    desk.send(trader.open(trader.quote_open("2 WETH", "4x")))
    desk.stage.move_pool(1_000)
    for pay_in in ("WETH", "USDC"):
        with pytest.raises(InputError, match="under water"):
            trader.quote_close(1, pay_in=pay_in)


def test_quote_close__no_debt__no_trade(desk: Desk, trader: Trader) -> None:
    desk.send(trader.adjust(1, WETH, 0))
    quote = trader.quote_close(1)
    assert quote.trade is None
    desk.send(trader.close_by_trade(quote))
    assert not desk.long.position(NEWCOMER.address, 1).is_open


def test_quote_close__another_token__says_which(desk: Desk, trader: Trader) -> None:
    desk.send(trader.adjust(1, WETH, 0))
    with pytest.raises(InputError, match="pass WETH or USDC or ETH"):
        trader.quote_close(1, pay_in="DAI")
