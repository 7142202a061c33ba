"""A local chain with everything that trading needs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from ringfence.client import Lender, Ringfence, Trader
from ringfence.client.engines import EngineNode
from ringfence.deploy import FileError, Record
from ringfence.deploy.local import DEFAULT_PRICES, token_key
from ringfence.deploy.playground import LENT, POCKET, UNISWAP_PARTS, furnish
from ringfence.evm import load
from tests.support.deployment import Deployment, markets
from tests.support.market import STRANGER


@pytest.fixture
def record(deployment: Deployment) -> Record:
    chain = deployment.chain
    deployment.chain = replace(chain, parts=(*chain.parts, *UNISWAP_PARTS))
    return deployment.deploy(markets())


def opened(deployment: Deployment) -> Ringfence:
    return Ringfence.open(EngineNode(deployment.engine), deployment.store.path)


def test_furnish__deployed_markets__long_and_short_can_be_opened(
    deployment: Deployment, record: Record
) -> None:
    furnish(deployment.engine, record, STRANGER.address, DEFAULT_PRICES)
    ringfence = opened(deployment)
    sender = EngineNode(deployment.engine).sender(STRANGER)
    for name, margin in (
        ("weth-usdc-conservative", "1 WETH"),
        ("weth-usdc-high-leverage", "1 ETH"),
        ("usdc-weth-short", "2,000 USDC"),
    ):
        trader = Trader(ringfence.market(name), STRANGER.address)
        quote = trader.quote_open(margin, "3x")
        assert abs(quote.slippage) < Decimal("0.01")
        trader.open(quote).send(sender)
        position = trader.market.position(STRANGER.address, 1)
        assert position.is_open
        assert not position.liquidatable


def test_furnish__account__holds_tokens_and_vaults_cash(
    deployment: Deployment, record: Record
) -> None:
    ether = deployment.engine.balance(STRANGER)
    furnish(deployment.engine, record, STRANGER.address, DEFAULT_PRICES)
    ringfence = opened(deployment)
    for market in ringfence.markets().values():
        assert market.asset.whole(market.state().claims) == LENT[market.asset.symbol]
        account = ringfence.account(STRANGER.address)
        held = account.balance(market.asset)
        assert market.asset.whole(held) == POCKET[market.asset.symbol]
        assert Lender(market, STRANGER.address).holding().shares == 0
    assert deployment.engine.balance(STRANGER) == ether


def test_furnish__again_at_another_price__moves_feeds_and_pool_and_gives_nothing_twice(
    deployment: Deployment, record: Record
) -> None:
    engine = deployment.engine
    furnish(engine, record, STRANGER.address, DEFAULT_PRICES)
    ringfence = opened(deployment)
    long = ringfence.market("weth-usdc-conservative")
    trader, state = Trader(long, STRANGER.address), long.state()
    usdc = engine.at(record.address(token_key("USDC")), load("PermitToken"))
    held = usdc.balanceOf(STRANGER)
    for price in (Decimal(1_500), Decimal("2345.67")):
        furnish(engine, record, STRANGER.address, DEFAULT_PRICES | {"WETH": price})
        assert long.price(long.state().price_high) == price
        quote = trader.quote_open("1 WETH", "2x")
        assert quote.trade is not None
        paid = Fraction(quote.trade.sold, quote.trade.bought) * 10**12
        assert paid / Fraction(price) == pytest.approx(1, abs=0.001)
    assert long.state().sheet == state.sheet
    assert usdc.balanceOf(STRANGER) == held


def test_furnish__without_its_parts__says_which(deployment: Deployment) -> None:
    record = deployment.deploy(markets("weth-usdc-conservative"))
    with pytest.raises(FileError, match="uniswap/router is not deployed"):
        furnish(deployment.engine, record, STRANGER.address, DEFAULT_PRICES)
