"""What the vault hands to its rate model: the books as they are stored, and just so much gas."""

from __future__ import annotations

import pytest

from ringfence.evm import Engine
from tests.support.market import USDC, WAD, WETH, Market, deploy_market, div_up

ANSWER = "5f5260205ff3"
"""PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: what is on the stack."""

GAS_LEFT = bytes.fromhex("5a" + ANSWER)
CASH = bytes.fromhex("600435" + ANSWER)
DEBT = bytes.fromhex("602435" + ANSWER)


def rate_told(market: Market) -> int:
    """Read the rate off the growth of a debt index of 1e18 in a second: below 1.4e9 it is that."""
    market.engine.advance(1)
    before = market.books().debt_index
    market.vault.accrue()
    return market.books().debt_index - before


@pytest.mark.parametrize(("code", "told"), [(CASH, 900 * USDC), (DEBT, 1_000 * USDC)])
def test_accrue__rate_model__is_asked_about_cash_and_debt(
    engine: Engine, code: bytes, told: int
) -> None:
    market = deploy_market(engine)
    market.deposit(1_900 * USDC)
    market.open(WETH, 1_000 * USDC)
    engine.set_code(market.rate_model, code)
    assert rate_told(market) == told


def test_accrue__rate_model__gets_100_000_gas_whole(market: Market) -> None:
    market.open(WETH, 1_000 * USDC)
    market.engine.set_code(market.rate_model, GAS_LEFT)
    assert rate_told(market) == 100_000 - 2, "LIVE-2: the model gets another amount of gas"


def test_accrue__debt_in_parts_of_a_unit__is_told_rounded_up(market: Market) -> None:
    opened = market.open(WETH, 1_000 * USDC)
    index = WAD + 1
    market.set_books(debt_index=index)
    scaled = market.slot(opened).scaled_debt
    market.engine.set_code(market.rate_model, DEBT)
    before = market.books()
    market.engine.advance(1)
    market.vault.accrue()
    rate = div_up(scaled * index, WAD)
    assert rate == 1_000 * USDC + 1
    growth = rate + rate**2 // (2 * WAD) + rate**3 // (6 * WAD * WAD)
    assert market.books().debt_index == before.debt_index * (WAD + growth) // WAD
