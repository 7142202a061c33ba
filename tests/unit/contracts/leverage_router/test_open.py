"""`open`: margin and borrowed assets become a new position's collateral, in one transaction."""

from fractions import Fraction
from typing import Any

import pytest

from ringfence.evm import load
from ringfence.evm.uniswap import encode_path
from tests.support.market import (
    CURATOR,
    INCREASE,
    LENDER,
    MAX_CAP,
    NOBODY,
    OTHER_TRADER,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    Slot,
    position_id,
    reverts,
)
from tests.support.periphery import DAI, Stage, Swap, buy, changes_nothing, fund, sell

ID = position_id(TRADER)


def margin_of(stage: Stage, market: Market) -> int:
    """One ether of collateral, or 2,000 dollars."""
    return WETH if market is stage.long else 2_000 * USDC


def asset_of(stage: Stage, market: Market) -> int:
    """What is worth the same in the asset."""
    return 2_000 * USDC if market is stage.long else WETH


def test_open__exact_in__borrows_that_and_adds_what_it_buys(stage: Stage, market: Market) -> None:
    margin, sold = margin_of(stage, market), 2 * asset_of(stage, market)
    bought = stage.uniswap.quote_sale(stage.path(market), sold)
    held, books = market.collateral.balanceOf(TRADER), market.books()
    receipt = stage.open(market, margin, sell(stage.path(market), sold, bought))
    assert receipt.value == (margin + bought, sold)
    assert market.slot(ID) == Slot(margin + bought, sold, stage.engine.timestamp)
    assert market.books().cash == books.cash - sold
    assert market.collateral.balanceOf(TRADER) == held - margin
    (event,) = receipt.events(stage.router)
    assert event.name == "Increased"
    assert dict(event.args) == {
        "account": TRADER.address,
        "vault": market.vault.address,
        "position_id": ID,
        "margin_token": market.collateral.address,
        "margin": margin,
        "sold": sold,
        "bought": bought,
        "collateral_added": margin + bought,
        "debt_added": sold,
    }


def test_open__exact_out__adds_that_and_borrows_what_it_costs(stage: Stage, market: Market) -> None:
    margin = margin_of(stage, market)
    bought = 2 * margin
    cost = stage.uniswap.quote_purchase(stage.path(market), bought)
    receipt = stage.open(market, margin, buy(stage.path(market), bought, cost))
    assert receipt.value == (3 * margin, cost)
    assert market.slot(ID)[:2] == (3 * margin, cost)


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__margin_in_the_asset__borrows_the_rest(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    margin = asset_of(stage, market)
    held = market.asset.balanceOf(TRADER)
    if exact_in:
        sold = 3 * margin
        bought = stage.uniswap.quote_sale(stage.path(market), sold)
        swap = sell(stage.path(market), sold, bought)
    else:
        bought = 3 * margin_of(stage, market)
        sold = stage.uniswap.quote_purchase(stage.path(market), bought)
        swap = buy(stage.path(market), bought, sold)
    receipt = stage.open(market, margin, swap, token=market.asset)
    assert receipt.value == (bought, sold - margin)
    assert market.slot(ID)[:2] == (bought, sold - margin)
    assert market.asset.balanceOf(TRADER) == held - margin


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__ether_sent_along__is_the_margin(
    stage: Stage, market: Market, exact_in: bool
) -> None:
    collateral, sold = margin_of(stage, market), 3 * asset_of(stage, market)
    swap = sell(stage.path(market), sold) if exact_in else buy(stage.path(market), 3 * collateral)
    before = stage.wealth(TRADER)
    receipt = stage.open(market, WETH, swap, token=stage.weth, value=WETH)
    in_asset = WETH if market is stage.short else 0
    (event,) = receipt.events(stage.router)
    added = event["bought"] + WETH - in_asset
    assert receipt.value == (added, event["sold"] - in_asset)
    assert market.slot(ID)[:2] == receipt.value
    assert stage.wealth(TRADER) == (before[0] - WETH, *before[1:])


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__two_pools__exact_either_way(stage: Stage, market: Market, exact_in: bool) -> None:
    path, margin = stage.long_path(market), margin_of(stage, market)
    if exact_in:
        sold = asset_of(stage, market)
        bought = stage.uniswap.quote_sale(path, sold)
        swap = sell(path, sold, bought)
    else:
        bought = margin
        sold = stage.uniswap.quote_purchase(path, bought)
        swap = buy(path, bought, sold)
    receipt = stage.open(market, margin, swap)
    assert receipt.value == (margin + bought, sold)
    assert market.slot(ID)[:2] == receipt.value


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__three_pools__exact_either_way(stage: Stage, exact_in: bool) -> None:
    token = stage.engine.deploy(load("TestToken"), "Middle", "MID", 8)
    token.mint(STRANGER, 10**18)
    stage.fund(STRANGER, usdc=10**14, dai=10**8 * DAI)
    for other, unit in ((stage.usdc, USDC), (stage.dai, DAI)):
        pool = stage.uniswap.create_pool(token, other, fee=500, amounts=(10**8, unit))
        amounts = {token.address: 10**16, other.address: 10**7 * unit}
        stage.uniswap.fund_pool(pool, amounts, STRANGER)
    path = encode_path((stage.usdc, token, stage.dai, stage.weth), (500, 500, 3_000))
    if exact_in:
        expected = stage.uniswap.quote_sale(path, 2_000 * USDC), 2_000 * USDC
        swap = sell(path, expected[1], expected[0])
    else:
        expected = WETH, stage.uniswap.quote_purchase(path, WETH)
        swap = buy(path, WETH, expected[1])
    receipt = stage.open(stage.long, WETH, swap)
    assert receipt.value == (WETH + expected[0], expected[1])
    assert token.balanceOf(stage.router) == 0


@pytest.mark.parametrize("tenths", [20, 35, 49])
def test_open__up_to_the_greatest_leverage__ltv_is_within_the_limit(
    stage: Stage, market: Market, tenths: int
) -> None:
    sold = asset_of(stage, market) * (tenths - 10) // 10
    stage.open(market, margin_of(stage, market), sell(stage.path(market), sold))
    assert market.vault.ltv(ID) <= market.params.initial_ltv, "LIQ-1: LTV is above initial LTV"
    leverage = Fraction(tenths, 10)
    assert abs(market.vault.ltv(ID) - WETH * (leverage - 1) / leverage) < WETH // 400


def test_open__beyond_the_greatest_leverage__reverts(stage: Stage, market: Market) -> None:
    sold = asset_of(stage, market) * 41 // 10
    with changes_nothing(stage), reverts("LTV is above initial LTV"):
        stage.open(market, margin_of(stage, market), sell(stage.path(market), sold))


def test_open__several_salts__positions_apart(stage: Stage, market: Market) -> None:
    first = stage.open_standard(market, salt=1)
    before = market.slot(first)
    second = stage.open_standard(market, salt=2**96 - 1)
    assert second == first | (2**96 - 1)
    assert market.slot(first) == before, "ISO-1: another position changed"
    assert market.slot(second).collateral > 0


def test_open__new_user__one_transaction_with_two_signatures(stage: Stage) -> None:
    market, trader = stage.short, OTHER_TRADER
    swap = sell(stage.path(market), 2 * WETH)
    assert stage.usdc.allowance(trader.address, stage.router) == 0
    receipt = stage.open(
        market,
        2_000 * USDC,
        swap,
        trader=trader,
        permit=stage.permit(stage.usdc, 2_000 * USDC, signer=trader),
        grant=stage.grant(market, INCREASE, signer=trader),
    )
    assert market.slot(position_id(trader))[:2] == receipt.value
    assert market.vault.operator_permissions(trader.address, stage.router) == (INCREASE, 0)
    assert stage.usdc.allowance(trader.address, stage.router) == 0


def test_open__signatures_used_by_a_stranger_first__still_opens(stage: Stage) -> None:
    market, trader = stage.short, OTHER_TRADER
    permit = stage.permit(stage.usdc, 2_000 * USDC, signer=trader)
    grant = stage.grant(market, INCREASE, signer=trader)
    stage.usdc.permit(trader, stage.router, *permit, sender=STRANGER)
    market.vault.set_operator_with_signature(trader, stage.router, *grant, sender=STRANGER)
    swap = sell(stage.path(market), WETH)
    stage.open(market, 2_000 * USDC, swap, trader=trader, permit=permit, grant=grant)
    assert market.slot(position_id(trader)).scaled_debt == WETH


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": 1_999 * USDC},
        {"spender": STRANGER},
        {"nonce": 7},
        {"deadline": 1_600_000_000},
        {"chain_id": 5},
    ],
)
def test_open__permit_does_not_let_it__reverts(stage: Stage, wrong: dict[str, Any]) -> None:
    permit = stage.permit(stage.usdc, 2_000 * USDC, signer=OTHER_TRADER, **wrong)
    swap = sell(stage.path(stage.short), WETH)
    with changes_nothing(stage, OTHER_TRADER), reverts("permit is invalid"):
        stage.open(stage.short, 2_000 * USDC, swap, trader=OTHER_TRADER, permit=permit)


def test_open__permit_for_a_token_without_it__reverts(stage: Stage) -> None:
    permit = stage.permit(stage.usdc, WETH, signer=OTHER_TRADER)
    swap = sell(stage.path(stage.long), 2_000 * USDC)
    with changes_nothing(stage, OTHER_TRADER), reverts("permit is invalid"):
        stage.open(stage.long, WETH, swap, trader=OTHER_TRADER, permit=permit)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"deadline": 1_600_000_000}, "signature has expired"),
        ({"nonce": 7}, "signature is invalid"),
        ({"operator": STRANGER}, "signature is invalid"),
        ({"owner": TRADER}, "signature is invalid"),
        ({"chain_id": 5}, "signature is invalid"),
    ],
)
def test_open__grant_is_not_the_callers__reverts(
    stage: Stage, wrong: dict[str, Any], reason: str
) -> None:
    grant = stage.grant(stage.short, INCREASE, signer=OTHER_TRADER, **wrong)
    stage.usdc.approve(stage.router, 2_000 * USDC, sender=OTHER_TRADER)
    swap = sell(stage.path(stage.short), WETH)
    with changes_nothing(stage, OTHER_TRADER), reverts(reason):
        stage.open(stage.short, 2_000 * USDC, swap, trader=OTHER_TRADER, grant=grant)


def test_open__grant_of_another_loss_bound_stands__reverts(stage: Stage) -> None:
    market, trader = stage.short, OTHER_TRADER
    market.vault.set_operator(stage.router, INCREASE, 100, sender=trader)
    grant = stage.grant(market, INCREASE, signer=trader, nonce=7, max_loss_bps=50)
    stage.usdc.approve(stage.router, 2_000 * USDC, sender=trader)
    swap = sell(stage.path(market), WETH)
    with changes_nothing(stage, trader), reverts("signature is invalid"):
        stage.open(market, 2_000 * USDC, swap, trader=trader, grant=grant)


def test_open__grant_replayed_after_revocation__reverts(stage: Stage) -> None:
    market, trader = stage.long, OTHER_TRADER
    grant = stage.grant(market, INCREASE, signer=trader)
    stage.weth.approve(stage.router, 10 * WETH, sender=trader)
    swap = sell(stage.path(market), 2_000 * USDC)
    stage.open(market, WETH, swap, trader=trader, grant=grant)
    market.vault.set_operator(stage.router, 0, 0, sender=trader)
    with changes_nothing(stage, trader), reverts("signature is invalid"):
        stage.open(market, WETH, swap, trader=trader, salt=2, grant=grant)


@pytest.mark.parametrize("permissions", [0, REDUCE])
def test_open__router_may_not_borrow__reverts(
    stage: Stage, market: Market, permissions: int
) -> None:
    market.vault.set_operator(stage.router, permissions, 0, sender=TRADER)
    swap = sell(stage.path(market), asset_of(stage, market))
    with changes_nothing(stage), reverts("caller lacks permission"):
        stage.open(market, margin_of(stage, market), swap)


def test_open__already_open__reverts(stage: Stage, market: Market) -> None:
    stage.open_standard(market)
    with changes_nothing(stage), reverts("position is already open"):
        stage.open_standard(market)


def test_open__deadline__holds_to_the_second(stage: Stage, market: Market) -> None:
    swap = sell(stage.path(market), asset_of(stage, market))
    margin, now = margin_of(stage, market), stage.engine.timestamp
    with changes_nothing(stage), reverts("deadline has passed"):
        stage.open(market, margin, swap, deadline=now - 1)
    stage.open(market, margin, swap, deadline=now)


@pytest.mark.parametrize("vault", [NOBODY, STRANGER])
def test_open__vault_the_registry_does_not_know__reverts(
    stage: Stage, market: Market, vault: Any
) -> None:
    swap = sell(stage.path(market), asset_of(stage, market))
    with changes_nothing(stage), reverts("vault is unknown"):
        stage.open(market, margin_of(stage, market), swap, vault=vault)


def test_open__margin_in_another_token__reverts(stage: Stage, market: Market) -> None:
    swap = sell(stage.path(market), asset_of(stage, market))
    with changes_nothing(stage), reverts("margin token is not the vault's"):
        stage.open(market, DAI, swap, token=stage.dai)


def test_open__ether_that_is_not_the_margin__reverts(stage: Stage) -> None:
    path = stage.path(stage.long)
    with changes_nothing(stage), reverts("value is not the margin"):
        stage.open(stage.long, WETH, sell(path, 2_000 * USDC), value=WETH - 1)
    with changes_nothing(stage), reverts("value is not the margin"):
        stage.open(stage.long, WETH, sell(path, 2_000 * USDC), token=stage.usdc, value=WETH)
    with changes_nothing(stage), reverts("value is not the margin"):
        stage.open(stage.long, 0, sell(path, 2_000 * USDC), value=1)


def test_open__slippage_above_the_limit__reverts(stage: Stage, market: Market) -> None:
    path, margin = stage.path(market), margin_of(stage, market)
    sold = asset_of(stage, market)
    least = stage.uniswap.quote_sale(path, sold)
    with changes_nothing(stage), reverts("bought is below the limit"):
        stage.open(market, margin, sell(path, sold, least + 1))
    most = stage.uniswap.quote_purchase(path, margin)
    with changes_nothing(stage), reverts("sold is above the limit"):
        stage.open(market, margin, buy(path, margin, most - 1))
    stage.open(market, margin, buy(path, margin, most))


def test_open__path_malformed__reverts(stage: Stage, market: Market) -> None:
    path, margin, sold = (
        stage.path(market),
        margin_of(stage, market),
        asset_of(stage, market),
    )
    for wrong in (b"", path[:20], path[:-1], path + b"\0"):
        with changes_nothing(stage), reverts("path is malformed"):
            stage.open(market, margin, sell(wrong, sold))


def test_open__path_between_other_tokens__reverts(stage: Stage, market: Market) -> None:
    margin, sold = margin_of(stage, market), asset_of(stage, market)
    ends = market.asset, market.collateral
    wrong = (ends[::-1], (ends[0], stage.dai), (stage.dai, ends[1]))
    for tokens in wrong:
        path = encode_path(tokens, (3_000,))
        for swap in (sell(path, sold), buy(path, margin)):
            with changes_nothing(stage), reverts("path does not fit the tokens"):
                stage.open(market, margin, swap)


def test_open__no_such_pool__reverts(stage: Stage, market: Market) -> None:
    path = encode_path((market.asset, market.collateral), (10_000,))
    margin = margin_of(stage, market)
    for swap in (sell(path, asset_of(stage, market)), buy(path, margin)):
        with changes_nothing(stage), reverts("pool does not exist"):
            stage.open(market, margin, swap)


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__zero_or_too_wide__reverts(stage: Stage, market: Market, exact_in: bool) -> None:
    path, margin = stage.path(market), margin_of(stage, market)
    with changes_nothing(stage), reverts("amount is zero"):
        stage.open(market, margin, Swap(path, exact_in, 0, 0))
    with changes_nothing(stage), reverts("amount exceeds its width"):
        stage.open(market, margin, Swap(path, exact_in, 2**255, 0))


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__pool_runs_out__reverts(stage: Stage, exact_in: bool) -> None:
    pool = stage.uniswap.create_pool(
        stage.weth, stage.usdc, fee=3_000, amounts=(WETH, 2_000 * USDC)
    )
    fund(stage.engine, stage.weth, STRANGER, WETH)
    stage.usdc.mint(STRANGER, 2_000 * USDC)
    amounts = {stage.weth.address: WETH, stage.usdc.address: 2_000 * USDC}
    stage.uniswap.fund_pool(pool, amounts, STRANGER, width=Fraction(101, 100))
    path = pool.path(stage.usdc)
    swap = sell(path, 10_000 * USDC) if exact_in else buy(path, 2 * WETH)
    with changes_nothing(stage), reverts("pool is too thin"):
        stage.open(stage.long, 20 * WETH, swap)


def test_open__margin_above_what_is_sold__reverts(stage: Stage, market: Market) -> None:
    margin = asset_of(stage, market)
    with changes_nothing(stage), reverts("margin exceeds what is sold"):
        stage.open(market, margin, sell(stage.path(market), margin - 1), token=market.asset)


def test_open__margin_is_all_that_is_sold__no_debt(stage: Stage, market: Market) -> None:
    margin = asset_of(stage, market)
    receipt = stage.open(market, margin, sell(stage.path(market), margin), token=market.asset)
    assert receipt.value[1] == 0
    assert market.slot(ID) == Slot(receipt.value[0], 0, 0)


def test_open__allowance_or_balance_too_low__reverts(stage: Stage) -> None:
    swap = sell(stage.path(stage.short), WETH)
    stage.usdc.approve(stage.router, 2_000 * USDC - 1, sender=TRADER)
    with changes_nothing(stage), reverts("allowance too low"):
        stage.open(stage.short, 2_000 * USDC, swap)
    stage.usdc.approve(stage.router, 2**255, sender=TRADER)
    with changes_nothing(stage), reverts("balance too low"):
        stage.open(stage.short, 10**6 * USDC, swap)


def test_open__vault_out_of_cash_caps_full_or_paused__reverts(stage: Stage, market: Market) -> None:
    margin, sold = margin_of(stage, market), asset_of(stage, market)
    swap = sell(stage.path(market), sold)
    mark = stage.engine.snapshot()
    market.vault.withdraw(market.vault.maxWithdraw(LENDER), LENDER, LENDER, sender=LENDER)
    with changes_nothing(stage), reverts("not enough cash"):
        stage.open(market, margin, swap)
    stage.engine.restore(mark)
    market.vault.set_caps(MAX_CAP, sold - 1, sender=CURATOR)
    with changes_nothing(stage), reverts("debt cap is full"):
        stage.open(market, margin, swap)
    market.vault.set_caps(MAX_CAP, sold, sender=CURATOR)
    market.vault.pause_new_risk(stage.engine.timestamp + 60, sender=CURATOR)
    with changes_nothing(stage), reverts("new risk is paused"):
        stage.open(market, margin, swap)
    stage.engine.advance(61)
    stage.open(market, margin, swap)
