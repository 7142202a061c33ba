"""top_up: anyone adds collateral to an open position."""

from __future__ import annotations

from ringfence.evm import Contract, load
from tests.support.market import (
    CURATOR,
    DAY,
    MAX_UINT256,
    NOBODY,
    STRANGER,
    TRADER,
    USDC,
    WEEK,
    WETH,
    Market,
    Slot,
    position_id,
    price_of,
    reverts,
)


def test_top_up__by_stranger__adds_and_touches_no_market_word(
    market: Market, vault: Contract
) -> None:
    position = market.open(10 * WETH, 10_000 * USDC)
    market.rate_model.set_rate(10**9)
    market.engine.advance(DAY)
    before, books = market.slot(position), market.books()
    market.give(market.collateral, STRANGER, WETH)
    receipt = vault.top_up(position, WETH, sender=STRANGER)
    after = before._replace(collateral=11 * WETH)
    assert market.slot(position) == after, "last_risk_increase stays"
    assert market.books() == books
    assert list(receipt.state_diff[vault.address]) == [market.slot_key(position)], (
        "ISO-1: a top-up wrote more than one word"
    )
    assert market.flows(receipt) == {
        ("collateral", STRANGER.address): -WETH,
        ("collateral", vault.address): WETH,
    }
    assert market.events(receipt) == [
        (
            "ToppedUp",
            {
                "position_id": position,
                "amount": WETH,
                "slot": after.word,
            },
        )
    ]


def test_top_up__without_debt__adds(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    market.give(market.collateral, TRADER, 1)
    vault.top_up(position, 1, sender=TRADER)
    assert market.slot(position) == Slot(WETH + 1)


def test_top_up__not_open__reverts(market: Market, vault: Contract) -> None:
    market.give(market.collateral, STRANGER, WETH)
    with reverts("position is not open"):
        vault.top_up(position_id(TRADER), 1, sender=STRANGER)
    position = market.open(WETH, 500 * USDC)
    vault.close(position, TRADER, b"", sender=TRADER)
    with reverts("position is not open"):
        vault.top_up(position, 1, sender=STRANGER)


def test_top_up__zero_or_over_wide__reverts(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    market.give(market.collateral, STRANGER, 2**114)
    with reverts("amount is zero"):
        vault.top_up(position, 0, sender=STRANGER)
    for amount in (2**112 - WETH, 2**112, 2**113, 2**256 - WETH, MAX_UINT256):
        with reverts("position exceeds its width"):
            vault.top_up(position, amount, sender=STRANGER)
    vault.top_up(position, 2**112 - 1 - WETH, sender=STRANGER)
    assert market.slot(position) == Slot(2**112 - 1)


def test_top_up__balance_too_small__reverts(market: Market, vault: Contract) -> None:
    position = market.open(WETH)
    with reverts("balance too low"):
        vault.top_up(position, 1, sender=STRANGER)


def test_top_up__paused_in_distress_and_without_oracle_or_rate__works(
    market: Market, vault: Contract
) -> None:
    position = market.open(10 * WETH, 10_000 * USDC)
    market.give(market.collateral, STRANGER, WETH)
    vault.pause_new_risk(market.engine.timestamp + WEEK, sender=CURATOR)
    vault.set_caps(0, 0, sender=CURATOR)
    market.set_price(price_of(1))
    vault.top_up(position, 1, sender=STRANGER)
    market.set_quote(0, 0)
    vault.top_up(position, 1, sender=STRANGER)
    burning = market.engine.code_at(market.engine.deploy(load("GasBurningRate")))
    market.engine.set_code(market.rate_model, burning)
    receipt = vault.top_up(position, 1, sender=STRANGER)
    assert receipt.gas_used < 100_000, "LIVE-1: a top-up asks the oracle or the rate model"
    assert market.slot(position).collateral == 10 * WETH + 3


def test_top_up__of_nobodys_position__reverts(market: Market, vault: Contract) -> None:
    market.give(market.collateral, STRANGER, WETH)
    with reverts("position is not open"):
        vault.top_up(position_id(NOBODY, 0), 1, sender=STRANGER)
