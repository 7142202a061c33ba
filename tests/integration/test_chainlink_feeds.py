"""ChainlinkOracle over Chainlink's own bytecode: aggregators behind their proxies."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ringfence.evm import Contract, Engine, Reverted, load, load_npm
from tests.support.feeds import (
    HOUR,
    NO_SEQUENCER,
    NOBODY,
    TOLERANCE,
    UNUSED,
    deploy_token,
    feed_config,
)

AGGREGATOR = "@chainlink/contracts/abi/v0.6/MockV3Aggregator.json"
PROXY = "@chainlink/contracts/abi/v0.6/EACAggregatorProxy.json"


@dataclass(frozen=True, slots=True)
class Feed:
    aggregator: Contract
    proxy: Contract


def deploy_feed(engine: Engine, answer: int, decimals: int = 8) -> Feed:
    aggregator = engine.deploy(load_npm(AGGREGATOR), decimals, answer)
    return Feed(aggregator, engine.deploy(load_npm(PROXY), aggregator, NOBODY))


@pytest.fixture
def ether(engine: Engine) -> Feed:
    return deploy_feed(engine, 2_000 * 10**8)


@pytest.fixture
def dollar(engine: Engine) -> Feed:
    return deploy_feed(engine, 10**8)


@pytest.fixture
def oracle(engine: Engine, ether: Feed, dollar: Feed) -> Contract:
    return engine.deploy(
        load("ChainlinkOracle"),
        deploy_token(engine, 18),
        deploy_token(engine, 6),
        feed_config(ether.proxy, HOUR, 100 * 10**8, 100_000 * 10**8),
        UNUSED,
        feed_config(dollar.proxy, 24 * HOUR, 90_000_000, 110_000_000),
        UNUSED,
        NO_SEQUENCER,
        2_000 * 10**24,
        TOLERANCE,
    )


def test_quote__real_feeds__follows_their_rounds(oracle: Contract, ether: Feed) -> None:
    assert oracle.quote() == (2_000 * 10**24, 2_000 * 10**24)

    ether.aggregator.updateAnswer(1_950 * 10**8)

    # The proxy numbers rounds as phase << 64 | round.
    assert ether.proxy.latestRoundData()[0] == (1 << 64) | 2
    assert oracle.quote() == (1_950 * 10**24, 1_950 * 10**24)


def test_quote__real_feed_grows_old__stale_until_it_is_updated(
    engine: Engine, oracle: Contract, ether: Feed
) -> None:
    engine.advance(HOUR + 1)
    with pytest.raises(Reverted, match=r"^price is stale$"):
        oracle.quote()

    ether.aggregator.updateAnswer(2_000 * 10**8)
    assert oracle.quote()[0] == 2_000 * 10**24


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (0, "price is not positive"),
        (-1, "price is not positive"),
        (99 * 10**8, "price is out of bounds"),
        (100_001 * 10**8, "price is out of bounds"),
    ],
)
def test_quote__real_feed_answers_nonsense__reverts(
    oracle: Contract, ether: Feed, answer: int, reason: str
) -> None:
    ether.aggregator.updateAnswer(answer)

    with pytest.raises(Reverted, match=f"^{reason}$"):
        oracle.quote()


def test_quote__aggregator_replaced_behind_its_proxy__the_new_one_counts(
    engine: Engine, oracle: Contract, dollar: Feed
) -> None:
    fresh = engine.deploy(load_npm(AGGREGATOR), 8, 99_000_000)

    dollar.proxy.proposeAggregator(fresh)
    assert oracle.quote()[0] == 2_000 * 10**24
    dollar.proxy.confirmAggregator(fresh)

    assert oracle.quote()[0] == 2_000 * 10**32 // 99_000_000
    assert dollar.proxy.phaseId() == 2


def test_quote__aggregator_replaced_by_none__reverts_until_there_is_one_again(
    engine: Engine, oracle: Contract, ether: Feed
) -> None:
    engine.set_code(ether.aggregator, b"")
    with pytest.raises(Reverted):
        oracle.quote()

    fresh = engine.deploy(load_npm(AGGREGATOR), 8, 2_100 * 10**8)
    ether.proxy.proposeAggregator(fresh)
    ether.proxy.confirmAggregator(fresh)
    assert oracle.quote()[0] == 2_100 * 10**24
