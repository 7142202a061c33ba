"""Markets and positions as the client reads them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ringfence.client import DeploymentError, InputError, Market
from ringfence.client.market import read_token
from ringfence.client.refusals.vault import PriceUnusableError
from ringfence.client.units import ZERO_ADDRESS
from ringfence.evm import compile_source, load
from tests.support.client import NEWCOMER, Desk
from tests.support.market import (
    DAY,
    LENDER,
    TEN_PERCENT,
    TRADER,
    USDC,
    WAD,
    WETH,
    price_of,
)


def test_at__vault__its_tokens_and_parameters(desk: Desk) -> None:
    market, stage = desk.long, desk.stage
    assert (market.name, market.share.symbol) == ("Ringfence USDC", "rfUSDC")
    assert (market.collateral.symbol, market.collateral.decimals) == ("WETH", 18)
    assert (market.asset.symbol, market.asset.decimals) == ("USDC", 6)
    assert market.asset.address == stage.usdc.address
    assert market.params.initial_ltv == 80 * 10**16
    assert market.params.collateral_token == int(stage.weth.address, 16)


@pytest.mark.parametrize("address", [TRADER.address, ZERO_ADDRESS, "0x12"])
def test_at__no_vault__says_so(desk: Desk, address: str) -> None:
    with pytest.raises((DeploymentError, InputError), match=r"there is no|zero address|not an"):
        Market.at(desk.node, address, desk.periphery)


def test_at__a_token_for_a_vault__says_so(desk: Desk) -> None:
    with pytest.raises((DeploymentError, Exception), match="reverts and says nothing"):
        Market.at(desk.node, desk.stage.usdc.address, desk.periphery)


def test_state__interest_pending__as_the_lens_has_it(desk: Desk) -> None:
    desk.stage.open_standard(desk.stage.long)
    desk.stage.long.rate_model.set_rate(TEN_PERCENT)
    desk.stage.engine.advance(DAY)
    state, view = desk.long.state(), desk.lens.market(desk.stage.long.vault)
    assert state.total_debt == view.total_debt > 4_000 * USDC
    assert state.sheet.debt_index == view.sheet.debt_index > WAD
    assert (state.reserve, state.claims) == (view.reserve, view.claims)
    assert (state.curator, state.guardian) == (view.curator, view.guardian)
    assert state.now == desk.stage.engine.timestamp
    assert Decimal("0.0999") < state.borrow_rate_per_year <= Decimal("0.1")
    assert 0 < state.supply_rate_per_year < state.borrow_rate_per_year
    assert state.is_paused is False


def test_position__open__whole_tokens(desk: Desk) -> None:
    desk.stage.open_standard(desk.stage.long, leverage=3)
    position = desk.long.position(TRADER.address, 1)
    assert position.is_open
    assert (position.owner, position.salt) == (TRADER.address, 1)
    assert Decimal("2.99") < position.collateral < 3
    assert position.debt == 4_000
    assert position.ltv is not None
    assert position.health is not None
    assert abs(position.ltv * position.health - Decimal("0.86")) < Decimal("1e-15")
    assert position.liquidation_price == desk.long.price(
        desk.stage.long.vault.liquidation_price(position.id)
    )


def test_position__none__empty(desk: Desk) -> None:
    position = desk.long.position(TRADER.address, 9)
    assert not position.is_open
    assert (position.health, position.liquidation_price) == (None, None)


def test_position__no_price__unknown_ltv(desk: Desk) -> None:
    desk.stage.open_standard(desk.stage.long)
    desk.stage.long.set_quote(0, 0)
    position = desk.long.position(TRADER.address, 1)
    assert (position.ltv, position.health) == (None, None)
    assert position.liquidation_price is not None


def test_positions__more_than_the_lens_takes_at_once__all(desk: Desk) -> None:
    opened = desk.stage.open_standard(desk.stage.long)
    found = desk.long.positions([*range(1_000), opened])
    assert len(found) == 1_001
    assert [one.is_open for one in found].count(True) == 1
    assert found[-1].is_open


def test_position_ids__by_the_events__in_the_order_of_opening(desk: Desk) -> None:
    trader = desk.trader()
    for salt in (5, 3):
        desk.send(trader.adjust(salt, WETH, 500 * USDC))
    desk.send(desk.trader(TRADER).adjust(4, WETH, 0))
    desk.send(trader.repay(5))
    assert [one & 2**96 - 1 for one in desk.long.position_ids()] == [5, 3, 4]
    assert [one & 2**96 - 1 for one in desk.long.position_ids(NEWCOMER.address)] == [5, 3]
    assert desk.short.position_ids() == []


def test_losses__a_liquidation_at_a_loss__what_lenders_lost_too(desk: Desk) -> None:
    stage, trader = desk.stage, desk.trader()
    desk.send(trader.adjust(1, 10 * WETH, 15_000 * USDC))
    stage.engine.advance(1)
    stage.set_oracles(1_000)
    ids = desk.long.position_ids()
    pending, lenders = desk.long.pending_loss(ids)
    stage.usdc.approve(stage.long.vault, 2**255, sender=LENDER)
    stage.usdc.mint(LENDER, 20_000 * USDC)
    receipt = stage.long.vault.liquidate(ids[0], 2**255, 0, LENDER, b"", sender=LENDER)
    desk.node.journal.extend(receipt.logs)
    booked, socialised = desk.long.losses()
    assert booked == pending > 5_000 * USDC
    assert lenders <= socialised <= lenders + 2
    assert desk.long.pending_loss(ids) == (0, 0)


def test_pending_loss__no_price__says_so(desk: Desk) -> None:
    desk.stage.long.set_quote(0, 0)
    with pytest.raises(PriceUnusableError):
        desk.long.pending_loss([1])


def test_price__whole_tokens__whatever_the_decimals(desk: Desk) -> None:
    assert desk.long.price(price_of(2_000)) == 2_000
    assert desk.long.price_text(price_of(2_000)) == "2,000 USDC/WETH"
    assert desk.short.price_text(10**72 // price_of(2_000)) == "2,000 USDC/WETH"


def test_interest_per_day__ten_per_cent__a_365th_of_it(desk: Desk) -> None:
    desk.stage.long.rate_model.set_rate(TEN_PERCENT)
    state = desk.long.state()
    interest = desk.long.interest_per_day(state, 0, 36_500 * USDC)
    assert abs(interest - 10 * USDC) < USDC // 100


def test_interest_per_day__rate_model_fails__at_the_fallback(desk: Desk) -> None:
    engine, vault = desk.stage.engine, desk.stage.long
    state = desk.long.state()
    engine.set_code(vault.rate_model, engine.code_at(engine.deploy(load("RevertingRate"))))
    assert abs(desk.long.interest_per_day(state, 0, 36_500 * USDC) - 10 * USDC) < USDC // 100


OLD_TOKEN = """
# pragma version 0.4.3
@external
@view
def decimals() -> uint8:
    return 18
@external
@view
def symbol() -> bytes32:
    return 0x4d4b520000000000000000000000000000000000000000000000000000000000
"""


def test_read_token__symbol_in_32_bytes__read_too(desk: Desk) -> None:
    token = desk.stage.engine.deploy(compile_source(OLD_TOKEN, "OldToken"))
    assert read_token(desk.node, token.address).symbol == "MKR"


def test_read_token__no_token__says_so(desk: Desk) -> None:
    with pytest.raises(DeploymentError, match="there is no ERC20 at"):
        read_token(desk.node, TRADER.address)
