"""`close`: all debt is repaid out of the collateral, and the rest is paid out."""

import pytest

from ringfence.evm import load
from tests.support.market import (
    CURATOR,
    LENDER,
    MAX_UINT256,
    OTHER_TRADER,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    WITHDRAW,
    Market,
    Slot,
    position_id,
    reverts,
)
from tests.support.periphery import Stage, changes_nothing, sell

ID = position_id(TRADER)
EITHER_WAY = pytest.mark.parametrize("exact_in", [True, False])


def expected(stage: Stage, market: Market, exact_in: bool, path: bytes = b"") -> tuple[int, int]:
    """What closing should pay: collateral units and asset units."""
    path = path or stage.path(market, to_asset=True)
    position = market.vault.position(ID)
    if exact_in:
        return 0, stage.uniswap.quote_sale(path, position.collateral) - position.debt
    return position.collateral - stage.uniswap.quote_purchase(path, position.debt), 0


@EITHER_WAY
@pytest.mark.parametrize("dollars", [1_800, 2_000, 2_200])
def test_close__profit_or_loss__pays_what_is_left(
    stage: Stage, market: Market, exact_in: bool, dollars: int
) -> None:
    stage.open_standard(market)
    before = market.slot(ID)
    stage.set_price(dollars)
    paid = expected(stage, market, exact_in)
    held = market.collateral.balanceOf(TRADER), market.asset.balanceOf(TRADER)
    books = market.books()
    receipt = stage.close(market, exact_in=exact_in, min_paid=max(paid))
    assert receipt.value == paid
    assert market.slot(ID) == Slot()
    assert market.collateral.balanceOf(TRADER) == held[0] + paid[0]
    assert market.asset.balanceOf(TRADER) == held[1] + paid[1]
    assert market.books().cash == books.cash + before.scaled_debt
    margin = WETH if market is stage.long else 2_000 * USDC
    in_asset = 2_000 * USDC if market is stage.long else WETH
    gains = (dollars > 2_000) == (market is stage.long)
    if dollars != 2_000:
        assert (paid[0] > margin or paid[1] > in_asset) is gains
    (event,) = receipt.events(stage.router)
    assert event.name == "Decreased"
    assert event["collateral_removed"] == before.collateral
    assert event["repaid"] == before.scaled_debt
    assert (event["collateral_paid"], event["asset_paid"]) == paid
    assert event["sold"] == before.collateral - paid[0]
    assert event["bought"] == before.scaled_debt + paid[1]


@EITHER_WAY
def test_close__interest_has_accrued__is_paid_in_full(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    stage.open_standard(market)
    stage.long.rate_model.set_rate(10**10)
    stage.short.rate_model.set_rate(10**10)
    stage.engine.advance(10**6)
    assert market.vault.position(ID).debt > market.slot(ID).scaled_debt
    paid = expected(stage, market, exact_in)
    assert stage.close(market, exact_in=exact_in).value == paid
    assert market.slot(ID) == Slot()
    assert market.books().total_scaled_debt == 0


@EITHER_WAY
def test_close__two_pools__pays_what_is_left(stage: Stage, market: Market, exact_in: bool) -> None:
    stage.open_standard(market)
    path = stage.long_path(market, to_asset=True)
    paid = expected(stage, market, exact_in, path)
    assert stage.close(market, exact_in=exact_in, path=path).value == paid


@EITHER_WAY
def test_close__native__pays_ether_where_it_pays_weth(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    stage.open_standard(market)
    wealth = stage.wealth(TRADER)
    paid = stage.close(market, exact_in=exact_in, native=True).value
    in_collateral, in_asset = paid
    ether, dollars = paid if market is stage.long else (in_asset, in_collateral)
    assert stage.wealth(TRADER) == (wealth[0] + ether, wealth[1], wealth[2] + dollars)


@EITHER_WAY
def test_close__less_than_min_paid__reverts(stage: Stage, market: Market, exact_in: bool) -> None:
    stage.open_standard(market)
    least = max(expected(stage, market, exact_in))
    reason = "bought is below the limit" if exact_in else "sold is above the limit"
    with changes_nothing(stage), reverts(reason):
        stage.close(market, exact_in=exact_in, min_paid=least + 1)
    stage.close(market, exact_in=exact_in, min_paid=least)


def test_close__min_paid_beyond_all__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    more = market.slot(ID).collateral + 1
    with changes_nothing(stage), reverts("not enough collateral"):
        stage.close(market, exact_in=False, min_paid=more)
    for min_paid, reason in (
        (2**255 - 1, "bought is below the limit"),
        (2**255, "min_paid exceeds its width"),
        (MAX_UINT256, "min_paid exceeds its width"),
    ):
        with changes_nothing(stage), reverts(reason):
            stage.close(market, exact_in=True, min_paid=min_paid)


@EITHER_WAY
def test_close__worth_less_than_the_debt__reverts(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    stage.open_standard(market, leverage=4)
    stage.set_price(1_400 if market is stage.long else 2_800)
    reason = "bought is below the limit" if exact_in else "sold is above the limit"
    with changes_nothing(stage), reverts(reason):
        stage.close(market, exact_in=exact_in)


@EITHER_WAY
def test_close__somebody_repaid_the_debt__pays_all(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    stage.open_standard(market)
    collateral = market.slot(ID).collateral
    market.asset.approve(market.vault, MAX_UINT256, sender=OTHER_TRADER)
    market.vault.repay(ID, MAX_UINT256, sender=OTHER_TRADER)
    wanted = (0, stage.uniswap.quote_sale(stage.path(market, to_asset=True), collateral))
    receipt = stage.close(market, exact_in=exact_in, min_paid=1)
    assert receipt.value == (wanted if exact_in else (collateral, 0)), (
        "LIVE-4: a repayment stopped the exit"
    )
    assert market.slot(ID) == Slot()


@EITHER_WAY
def test_close__no_price_and_paused__works(stage: Stage, market: Market, exact_in: bool) -> None:
    stage.open_standard(market)
    market.set_quote(0, 0)
    market.vault.pause_new_risk(stage.engine.timestamp + 60, sender=CURATOR)
    stage.close(market, exact_in=exact_in)
    assert market.slot(ID) == Slot(), "LIVE-1: the exit needs a price"


def test_close__not_open_or_deadline_passed_or_unknown_vault__reverts(
    stage: Stage, market: Market
) -> None:
    with changes_nothing(stage), reverts("position is not open"):
        stage.close(market, exact_in=True)
    stage.open_standard(market)
    with changes_nothing(stage), reverts("deadline has passed"):
        stage.close(market, exact_in=True, deadline=stage.engine.timestamp - 1)
    with changes_nothing(stage), reverts("vault is unknown"):
        stage.router.close(STRANGER, 1, b"", True, 0, stage.soon, False, sender=TRADER)


@pytest.mark.parametrize("permissions", [0, REDUCE, WITHDRAW])
def test_close__router_may_not_reduce_and_withdraw__reverts(
    stage: Stage, market: Market, permissions: int
) -> None:
    stage.open_standard(market)
    market.vault.set_operator(stage.router, permissions, 0, sender=TRADER)
    with changes_nothing(stage), reverts("caller lacks permission"):
        stage.close(market, exact_in=True)
    grant = stage.grant(market, REDUCE | WITHDRAW)
    stage.close(market, exact_in=True, grant=grant)
    assert market.slot(ID) == Slot()


def test_close__stranger__reaches_no_position_but_his_own(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    with changes_nothing(stage, STRANGER), reverts("position is not open"):
        stage.close(market, exact_in=True, trader=STRANGER)


def test_close__account_that_takes_no_ether__reverts_and_can_take_weth(stage: Stage) -> None:
    market = stage.long
    account = stage.engine.deploy(load("SettableRate"), 0)
    opened = position_id(account)
    stage.fund(account, weth=2 * WETH)
    stage.weth.approve(stage.router, 2 * WETH, sender=account)
    market.vault.set_operator(stage.router, 7, 0, sender=account)
    stage.open(market, WETH, sell(stage.path(market), 2_000 * USDC), trader=account)
    with changes_nothing(stage, account), reverts("ether transfer failed"):
        stage.close(market, exact_in=False, native=True, trader=account)
    held = stage.weth.balanceOf(account)
    paid = stage.close(market, exact_in=False, trader=account).value[0]
    assert stage.weth.balanceOf(account) == held + paid
    assert market.slot(opened) == Slot()


def test_close__others__keep_every_word(stage: Stage, market: Market) -> None:
    first, second = (stage.open_standard(market, salt=salt) for salt in (1, 2))
    before = market.slot(second)
    shares = market.shares_of(LENDER)
    stage.close(market, exact_in=True)
    assert market.slot(first) == Slot()
    assert market.slot(second) == before, "ISO-1: another position changed"
    assert market.shares_of(LENDER) == shares
