"""Faults of a Chainlink feed, each taken to a vault that believes it: `contract` is the oracle."""

from __future__ import annotations

from ringfence.evm import Contract, Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.feeds import HOUR, TOLERANCE, UNUSED, feed_config
from tests.support.market import (
    CASH,
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    deploy_market,
    price_of,
    reverts,
)
from tests.unit.contracts.attacks.catalogue import attack

ORACLE = "oracles/ChainlinkOracle.vy"
DOLLAR = 10**8
"""One in a feed of eight decimals."""
DAY = 86_400


def deploy_on_feed(
    engine: Engine, oracle: Artifact, feed: Contract, *, sequencer: Contract | None = None
) -> Market:
    """A market priced by one feed, believed between 100 and 20,000 dollars, renewed each hour."""
    tokens = [engine.deploy(load("TestToken"), name, name, n) for name, n in (("W", 18), ("U", 6))]
    unit = 10 ** feed.decimals()
    config = feed_config(feed, HOUR, 100 * unit, 20_000 * unit)
    uptime = (sequencer.address, HOUR) if sequencer else (UNUSED[0], 0)
    quotes = price_of(2_000), TOLERANCE
    oracle_contract = engine.deploy(
        oracle, *tokens, config, UNUSED, UNUSED, UNUSED, uptime, *quotes
    )
    market = deploy_market(engine, oracle=oracle_contract, collateral=tokens[0], asset=tokens[1])
    market.deposit(CASH)
    return market


def dollar_feed(engine: Engine) -> Contract:
    return engine.deploy(load("SettableFeed"), 8, 2_000 * DOLLAR)


def borrow(market: Market, collateral: int, debt: int, true_price: int) -> int:
    """Borrow for good; return what the borrower has gained at the true price, dollars."""
    market.open(collateral, debt, owner=STRANGER)
    return (debt - collateral * true_price * USDC // WETH) // USDC


@attack(
    "stale feed",
    contract="ChainlinkOracle",
    guard="an answer older than its heartbeat is refused (ChainlinkOracle._answer)",
    breaks=(
        Break(
            ORACLE,
            "    assert unsafe_sub(block.timestamp, updated_at) <= config.heartbeat, "
            '"price is stale"\n',
        ),
    ),
    without="a day after the feed stopped at 2,000, 1,600 are borrowed on a WETH worth 1,000",
    here='reverts with "price is stale"',
)
def test_adjust__on_a_feed_that_stopped__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    markets = [deploy_on_feed(engine, one, dollar_feed(engine)) for one in (broken, real)]
    engine.advance(DAY)
    assert borrow(markets[0], WETH, 1_600 * USDC, 1_000) == 600
    with reverts("price is stale"):
        borrow(markets[1], WETH, 1_600 * USDC, 1_000)
    assert markets[1].books().total_scaled_debt == 0, "LIVE-1: a stale price was taken"


@attack(
    "stale feed",
    contract="ChainlinkOracle",
    guard="an answer outside the oracle's own bounds is refused (ChainlinkOracle._answer)",
    breaks=(
        Break(
            ORACLE,
            "    assert config.min_answer <= price and price <= config.max_answer, "
            '"price is out of bounds"\n',
        ),
    ),
    without="a feed that stops falling at its floor of 50 lends 400 USDC on 10 WETH worth 10",
    here='reverts with "price is out of bounds"',
    seen="Venus and Blizz Finance, LUNA, May 2022: the feed's floor was believed",
)
def test_adjust__on_a_feed_at_its_floor__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    feed = dollar_feed(engine)
    double, market = (deploy_on_feed(engine, one, feed) for one in (broken, real))
    feed.publish(50 * DOLLAR)
    assert borrow(double, 10 * WETH, 400 * USDC, 1) == 390
    with reverts("price is out of bounds"):
        borrow(market, 10 * WETH, 400 * USDC, 1)
    assert market.books().total_scaled_debt == 0, "LIVE-1: a price out of bounds was taken"


def start_sequencer(engine: Engine) -> Contract:
    """An uptime feed that has reported the sequencer up for long."""
    uptime = engine.deploy(load("SequencerFeed"))
    uptime.set_down(False)
    engine.advance(2 * HOUR)
    return uptime


@attack(
    "sequencer fault",
    contract="ChainlinkOracle",
    guard="no price while the sequencer is down (ChainlinkOracle._require_sequencer)",
    breaks=(Break(ORACLE, '    assert answer == SEQUENCER_IS_UP, "sequencer is down"\n'),),
    without="through the layer-1 queue 1,600 are borrowed at a price from before the outage",
    here='reverts with "sequencer is down"',
)
def test_adjust__forced_in_while_the_sequencer_is_down__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    uptime = start_sequencer(engine)
    feed = dollar_feed(engine)
    double, market = (deploy_on_feed(engine, one, feed, sequencer=uptime) for one in (broken, real))
    uptime.set_down(True)
    # Longer than the grace period of this young outage, still within the feed's heartbeat.
    uptime.set_started_at(engine.timestamp - 2 * HOUR)
    assert borrow(double, WETH, 1_600 * USDC, 1_000) == 600
    with reverts("sequencer is down"):
        borrow(market, WETH, 1_600 * USDC, 1_000)
    assert market.books().total_scaled_debt == 0, "LIVE-1: a price without sequencer was taken"


def pounce(market: Market, feed: Contract, uptime: Contract) -> tuple[str | None, int]:
    """Liquidate in the first second after an outage; what stops it, and what it seizes."""
    position = market.open(WETH, 1_600 * USDC)
    uptime.set_down(True)
    market.engine.advance(HOUR)
    uptime.set_down(False)
    feed.publish(1_800 * DOLLAR)
    market.engine.advance(1)
    market.give(market.asset, LIQUIDATOR, CASH)
    receipt = market.vault.liquidate(
        position, MAX_UINT256, 0, LIQUIDATOR, b"", sender=LIQUIDATOR, check=False
    )
    return receipt.revert_reason, market.collateral.balanceOf(LIQUIDATOR)


@attack(
    "sequencer fault",
    contract="ChainlinkOracle",
    guard="no price in the grace period after an outage (ChainlinkOracle._require_sequencer)",
    breaks=(
        Break(
            ORACLE,
            "    assert block.timestamp > unsafe_add(started_at, sequencer.grace_period), "
            '"sequencer grace period"\n',
        ),
    ),
    without="a trader who could not act in the outage is liquidated in its first second, of half",
    here='reverts with "sequencer grace period"; the trader has an hour to top up',
)
def test_liquidate__in_the_first_second_after_an_outage__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    outcomes = []
    for oracle in (broken, real):
        uptime, feed = start_sequencer(engine), dollar_feed(engine)
        market = deploy_on_feed(engine, oracle, feed, sequencer=uptime)
        outcomes.append(pounce(market, feed, uptime))
    (stopped, seized), fails = outcomes
    assert stopped is None
    assert seized > WETH // 2
    assert fails == ("sequencer grace period", 0), "LIQ-3: liquidated in the grace period"
    market.give(market.collateral, TRADER, WETH)
    market.vault.top_up(market.opened[0], WETH, sender=TRADER)


@attack(
    "decimals fault",
    contract="ChainlinkOracle",
    guard="the scale takes the feed's own decimals (ChainlinkOracle._feed_decimals), and the price "
    "must be near a reference at deployment",
    breaks=(
        Break(
            ORACLE,
            "return convert(staticcall IAggregator(config.feed).decimals(), uint256)",
            "return 8",
        ),
        Break(ORACLE, "    price_math._require_near(self._price(), reference_price, tolerance)\n"),
    ),
    without="a feed of 18 decimals taken for one of 8: one WETH borrows all, 1,000,000 USDC",
    here='the feed\'s decimals count; reverts with "LTV is above initial LTV"',
)
def test_adjust__on_a_feed_of_18_decimals__is_priced_right(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    feed = engine.deploy(load("SettableFeed"), 18, 2_000 * WETH)
    double, market = (deploy_on_feed(engine, one, feed) for one in (broken, real))
    assert borrow(double, WETH, CASH, 2_000) == 998_000
    with reverts("LTV is above initial LTV"):
        borrow(market, WETH, CASH, 2_000)
    assert market.oracle.quote() == (price_of(2_000),) * 2, "LIQ-1: priced at the wrong scale"


@attack(
    "decimals fault",
    contract="ChainlinkOracle",
    guard="a price off the reference is refused at deployment (price_math._require_near)",
    breaks=(
        Break(ORACLE, "    price_math._require_near(self._price(), reference_price, tolerance)\n"),
    ),
    without="a feed that names a decimal too few: 16,000 USDC are borrowed on a WETH worth 2,000",
    here='the deployment reverts with "price is off the reference"',
)
def test_init__feed_that_has_lost_a_decimal__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    feed = engine.deploy(load("SettableFeed"), 8, 20_000 * DOLLAR)
    double = deploy_on_feed(engine, broken, feed)
    assert borrow(double, WETH, 16_000 * USDC, 2_000) == 14_000
    with reverts("price is off the reference"):
        deploy_on_feed(engine, real, feed)
