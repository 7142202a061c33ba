"""ChainlinkOracle.quote: the price, and every reason for there being none."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from ringfence.math.oracles import FeedBounds, PriceError, Round, feed_answer
from tests.support.feeds import (
    DAY,
    HOUR,
    NO_SEQUENCER,
    TOLERANCE,
    UNUSED,
    USDC_DAI,
    USDC_WETH,
    WBTC_SHIB,
    WETH_USDC,
    OracleSetup,
    Pair,
    deploy_feed,
    deploy_oracle,
    deploy_token,
    feed_config,
)

GRACE = HOUR


@pytest.fixture
def setup(engine: Engine) -> OracleSetup:
    """The oracle of WETH in USDC, a feed for each."""
    return deploy_oracle(engine, WETH_USDC)


@pytest.fixture
def four_feeds(engine: Engine) -> OracleSetup:
    return deploy_oracle(engine, WBTC_SHIB)


# The price


def test_quote__one_base_feed__scales_like_morpho(engine: Engine) -> None:
    setup = deploy_oracle(engine, Pair(18, 6, base=((8, 2_000 * 10**8),), quote=()))

    assert setup.oracle.quote() == (2_000 * 10**24, 2_000 * 10**24)


def test_quote__one_quote_feed__divides(engine: Engine) -> None:
    setup = deploy_oracle(engine, Pair(6, 18, base=(), quote=((8, 2_000 * 10**8),)))

    assert setup.oracle.quote() == (5 * 10**44, 5 * 10**44)


def test_quote__second_feeds_only__are_read(engine: Engine) -> None:
    collateral, asset = deploy_token(engine, 18), deploy_token(engine, 6)
    base, quote = deploy_feed(engine, 3_000 * 10**8), deploy_feed(engine, 2 * 10**8)
    oracle = engine.deploy(
        load("ChainlinkOracle"),
        collateral,
        asset,
        UNUSED,
        feed_config(base),
        UNUSED,
        feed_config(quote),
        NO_SEQUENCER,
        1_500 * 10**24,
        0,
    )

    assert oracle.quote() == (1_500 * 10**24, 1_500 * 10**24)


@pytest.mark.parametrize(
    ("pair", "bits"),
    [
        pytest.param(WETH_USDC, 91, id="WETH in USDC"),
        pytest.param(USDC_WETH, 149, id="USDC in WETH"),
        pytest.param(USDC_DAI, 160, id="USDC in DAI"),
        pytest.param(WBTC_SHIB, 187, id="WBTC in SHIB"),
    ],
)
def test_quote__widest_pairs__is_exact(engine: Engine, pair: Pair, bits: int) -> None:
    setup = deploy_oracle(engine, pair)

    low, high = setup.oracle.quote()

    assert low == high == pair.price
    assert low.bit_length() == bits


def test_quote__product_beyond_256_bits__is_exact(four_feeds: OracleSetup) -> None:
    for factor in (1, 3, 10):
        four_feeds.feeds[1].publish(120_000 * 10**8 * factor)
        base = 99_950_000 * 120_000 * 10**8 * factor
        quote = 4_000_000_000 * 2_500 * 10**8

        assert (base * 10**56).bit_length() > 256
        assert four_feeds.oracle.quote()[0] == 10**56 * base // quote


def test_quote__quotient_with_a_rest__rounds_down(setup: OracleSetup) -> None:
    setup.feeds[0].publish(1_000 * 10**8)
    setup.feeds[1].publish(3 * 10**8)

    low, high = setup.oracle.quote()

    assert low == high == 10**27 // 3


def test_quote__new_answers__moves_with_them(setup: OracleSetup) -> None:
    setup.feeds[0].publish(1_800 * 10**8)

    assert setup.oracle.quote()[0] == 1_800 * 10**24


# Each feed's round


@pytest.mark.parametrize("which", range(4))
def test_quote__feed_at_its_heartbeat__answers_and_a_second_later_not(
    four_feeds: OracleSetup, which: int
) -> None:
    engine = four_feeds.engine
    engine.advance(HOUR)
    assert four_feeds.oracle.quote()[0] == WBTC_SHIB.price

    engine.advance(1)
    for index, feed in enumerate(four_feeds.feeds):
        if index != which:
            feed.publish(feed.answer())
    with pytest.raises(Reverted, match=r"^price is stale$"):
        four_feeds.oracle.quote()

    four_feeds.feeds[which].publish(four_feeds.feeds[which].answer())
    assert four_feeds.oracle.quote()[0] == WBTC_SHIB.price


def test_quote__heartbeats_differ__each_feed_has_its_own(engine: Engine) -> None:
    collateral, asset = deploy_token(engine, 18), deploy_token(engine, 6)
    fast, slow = deploy_feed(engine, 2_000 * 10**8), deploy_feed(engine, 10**8)
    oracle = engine.deploy(
        load("ChainlinkOracle"),
        collateral,
        asset,
        feed_config(fast, HOUR),
        UNUSED,
        feed_config(slow, DAY),
        UNUSED,
        NO_SEQUENCER,
        2_000 * 10**24,
        TOLERANCE,
    )
    engine.advance(DAY)
    fast.publish(2_000 * 10**8)

    assert oracle.quote()[0] == 2_000 * 10**24
    engine.advance(1)
    with pytest.raises(Reverted, match=r"^price is stale$"):
        oracle.quote()


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize(
    ("setter", "reason"),
    [
        (("set_answer", 0), "price is not positive"),
        (("set_answer", -1), "price is not positive"),
        (("set_answer", -(2**255)), "price is not positive"),
        (("set_answer", 2**255 - 1), "price is out of bounds"),
        (("set_updated_at", 0), "round is incomplete"),
        (("set_rounds", 2, 1), "round is incomplete"),
        (("set_updated_at", 2**64), "price is from the future"),
        (("set_updated_at", 2**256 - 1), "price is from the future"),
        (("set_updated_at", 1), "price is stale"),
    ],
)
def test_quote__round_unusable__reverts_with_its_reason(
    four_feeds: OracleSetup, which: int, setter: tuple[str, int], reason: str
) -> None:
    feed = four_feeds.feeds[which]
    answer = feed.answer()
    name, *values = setter
    getattr(feed, name)(*values)

    with pytest.raises(Reverted, match=f"^{reason}$"):
        four_feeds.oracle.quote()

    feed.publish(answer)
    assert four_feeds.oracle.quote()[0] == WBTC_SHIB.price, "LIVE-1: a mended feed is read again"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("side", [2, 3])
def test_quote__answer_at_its_bound__is_believed_and_beyond_not(
    setup: OracleSetup, which: int, side: int
) -> None:
    feed, bound = setup.feeds[which], setup.configs[2 * which][side]
    outwards = -1 if side == 2 else 1

    feed.publish(bound)
    assert setup.oracle.quote()[0] > 0

    feed.publish(bound + outwards)
    with pytest.raises(Reverted, match=r"^price is out of bounds$"):
        setup.oracle.quote()


def test_quote__round_answered_late__is_believed(setup: OracleSetup) -> None:
    setup.feeds[0].set_rounds(7, 8)

    assert setup.oracle.quote()[0] == WETH_USDC.price


def test_quote__now_is_the_update__is_believed(setup: OracleSetup) -> None:
    setup.feeds[0].set_updated_at(setup.engine.timestamp)
    assert setup.oracle.quote()[0] == WETH_USDC.price

    setup.feeds[0].set_updated_at(setup.engine.timestamp + 1)
    with pytest.raises(Reverted, match=r"^price is from the future$"):
        setup.oracle.quote()


@pytest.mark.parametrize("trick", ["RevertingFeed", "GasBurningFeed"])
def test_quote__feed_breaks__reverts_until_it_is_mended(engine: Engine, trick: str) -> None:
    feed = engine.deploy(load(trick), 8, 2_000 * 10**8)
    oracle = engine.deploy(
        load("ChainlinkOracle"),
        deploy_token(engine, 18),
        deploy_token(engine, 6),
        feed_config(feed),
        UNUSED,
        UNUSED,
        UNUSED,
        NO_SEQUENCER,
        2_000 * 10**24,
        TOLERANCE,
    )
    assert oracle.quote()[0] == 2_000 * 10**24

    feed.set_broken(True)
    with pytest.raises(Reverted) as broken:
        oracle.quote()
    assert trick == "GasBurningFeed" or broken.value.reason == "feed is broken"

    feed.set_broken(False)
    assert oracle.quote()[0] == 2_000 * 10**24


# The sequencer


@pytest.fixture
def layer_2(engine: Engine) -> tuple[OracleSetup, Contract]:
    sequencer = engine.deploy(load("SequencerFeed"))
    sequencer.set_started_at(engine.timestamp - GRACE - 1)
    setup = deploy_oracle(engine, WETH_USDC, heartbeat=DAY, sequencer=(sequencer.address, GRACE))
    return setup, sequencer


def test_quote__sequencer_down__reverts_then_waits_out_the_grace_period(
    layer_2: tuple[OracleSetup, Contract],
) -> None:
    setup, sequencer = layer_2
    assert setup.oracle.quote()[0] == WETH_USDC.price

    sequencer.set_down(True)
    setup.engine.advance(2 * GRACE)
    with pytest.raises(Reverted, match=r"^sequencer is down$"):
        setup.oracle.quote()

    sequencer.set_down(False)
    with pytest.raises(Reverted, match=r"^sequencer grace period$"):
        setup.oracle.quote()
    setup.engine.advance(GRACE)
    with pytest.raises(Reverted, match=r"^sequencer grace period$"):
        setup.oracle.quote()
    setup.engine.advance(1)
    assert setup.oracle.quote()[0] == WETH_USDC.price


def test_quote__sequencer_reports_often__grace_is_measured_from_the_start(
    layer_2: tuple[OracleSetup, Contract],
) -> None:
    setup, _sequencer = layer_2
    setup.engine.advance(GRACE)

    # The feed's updated_at is now at all times; its state began long ago.
    assert setup.oracle.quote()[0] == WETH_USDC.price


def test_quote__sequencer_never_reported__reverts(
    layer_2: tuple[OracleSetup, Contract],
) -> None:
    setup, sequencer = layer_2
    sequencer.set_started_at(0)

    with pytest.raises(Reverted, match=r"^round is incomplete$"):
        setup.oracle.quote()


def test_quote__sequencer_started_ahead_of_the_clock__is_within_the_grace_period(
    layer_2: tuple[OracleSetup, Contract],
) -> None:
    setup, sequencer = layer_2
    sequencer.set_started_at(setup.engine.timestamp + 60)

    with pytest.raises(Reverted, match=r"^sequencer grace period$"):
        setup.oracle.quote()


# The mirror


@pytest.mark.parametrize(
    ("answer", "age", "round_ids"),
    [
        (2_000 * 10**8, 0, (1, 1)),
        (2_000 * 10**8, HOUR, (1, 1)),
        (2_000 * 10**8, HOUR + 1, (1, 1)),
        (2_000 * 10**8, -1, (1, 1)),
        (2_000 * 10**8, 0, (2, 1)),
        (0, 0, (1, 1)),
        (20 * 10**8 - 1, 0, (1, 1)),
        (200_000 * 10**8, 0, (1, 1)),
        (200_000 * 10**8 + 1, 0, (1, 1)),
    ],
)
def test_quote__any_round__mirror_agrees(
    setup: OracleSetup, answer: int, age: int, round_ids: tuple[int, int]
) -> None:
    feed, now = setup.feeds[0], setup.engine.timestamp
    feed.set_answer(answer)
    feed.set_updated_at(now - age)
    feed.set_rounds(*round_ids)
    bounds = FeedBounds(*setup.configs[0][1:])
    latest = Round(round_ids[0], answer, now, now - age, round_ids[1])

    try:
        expected: int | str = feed_answer(bounds, latest, now) * 10**16
    except PriceError as error:
        expected = error.reason
    try:
        actual: int | str = setup.oracle.quote()[0]
    except Reverted as error:
        actual = error.reason
    assert actual == expected
