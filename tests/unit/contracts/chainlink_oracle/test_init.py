"""ChainlinkOracle's constructor: what it keeps, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from ringfence.math.fixed_point import WAD
from ringfence.math.oracles import FeedBounds, PriceError
from tests.support.feeds import (
    DAY,
    HOUR,
    NO_SEQUENCER,
    NOBODY,
    STRANGER,
    TOLERANCE,
    UNUSED,
    WBTC_SHIB,
    deploy_feed,
    deploy_oracle,
    deploy_token,
    feed_config,
)

PRICE = 2_000 * 10**24


class Draft:
    """Arguments of a sound oracle of WETH in USDC; `deploy` takes what is to differ."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.feed = deploy_feed(engine, 2_000 * 10**8)
        self.arguments: dict[str, Any] = {
            "collateral": deploy_token(engine, 18),
            "asset": deploy_token(engine, 6),
            "base_1": feed_config(self.feed),
            "base_2": UNUSED,
            "quote_1": UNUSED,
            "quote_2": UNUSED,
            "sequencer": NO_SEQUENCER,
            "reference_price": PRICE,
            "tolerance": TOLERANCE,
        }

    def deploy(self, **changes: Any) -> Contract:
        return self.engine.deploy(load("ChainlinkOracle"), *(self.arguments | changes).values())

    def refuses(self, reason: str, **changes: Any) -> None:
        with pytest.raises(Reverted, match=f"^{reason}$"):
            self.deploy(**changes)


@pytest.fixture
def draft(engine: Engine) -> Draft:
    return Draft(engine)


def test_init__sound_arguments__are_kept(engine: Engine) -> None:
    sequencer = engine.deploy(load("SequencerFeed"))
    sequencer.set_started_at(1)
    setup = deploy_oracle(engine, WBTC_SHIB, sequencer=(sequencer.address, HOUR))
    oracle = setup.oracle

    assert oracle.collateral() == setup.collateral.address
    assert oracle.asset() == setup.asset.address
    assert oracle.scale() == 10**56
    assert oracle.base_1() == setup.configs[0]
    assert oracle.base_2() == setup.configs[1]
    assert oracle.quote_1() == setup.configs[2]
    assert oracle.quote_2() == setup.configs[3]
    assert oracle.sequencer() == (sequencer.address, HOUR)


def test_init__token_without_code__reverts(draft: Draft) -> None:
    draft.refuses("token is missing", collateral=STRANGER)
    draft.refuses("token is missing", asset=NOBODY)
    draft.deploy()


def test_init__tokens_alike__reverts(draft: Draft) -> None:
    draft.refuses("tokens are the same", asset=draft.arguments["collateral"])


def test_init__no_feed__reverts(draft: Draft) -> None:
    draft.refuses("feed is missing", base_1=UNUSED)


@pytest.mark.parametrize("slot", ["base_1", "base_2", "quote_1", "quote_2"])
def test_init__feed_without_code__reverts(draft: Draft, slot: str) -> None:
    draft.refuses("feed is missing", **{slot: feed_config(STRANGER)})


@pytest.mark.parametrize("slot", ["base_2", "quote_1", "quote_2"])
@pytest.mark.parametrize("left_over", [(NOBODY, 1, 0, 0), (NOBODY, 0, 1, 0), (NOBODY, 0, 0, 1)])
def test_init__unused_feed_with_settings__reverts(draft: Draft, slot: str, left_over: Any) -> None:
    draft.refuses("feed is missing", **{slot: left_over})


@pytest.mark.parametrize("slot", ["base_1", "base_2", "quote_1", "quote_2"])
def test_init__heartbeat_out_of_range__reverts(draft: Draft, slot: str) -> None:
    draft.refuses("heartbeat is out of range", **{slot: feed_config(draft.feed, 0)})
    draft.refuses("heartbeat is out of range", **{slot: feed_config(draft.feed, 7 * DAY + 1)})


def test_init__heartbeat_at_its_limits__is_kept(draft: Draft) -> None:
    assert draft.deploy(base_1=feed_config(draft.feed, 1)).base_1().heartbeat == 1
    assert draft.deploy(base_1=feed_config(draft.feed, 7 * DAY)).base_1().heartbeat == 7 * DAY


@pytest.mark.parametrize("bounds", [(0, 10**24), (5, 5), (6, 5), (0, 0)])
def test_init__bounds_out_of_order__reverts(draft: Draft, bounds: tuple[int, int]) -> None:
    draft.refuses("bounds are out of order", base_1=feed_config(draft.feed, HOUR, *bounds))


def test_init__bound_of_129_bits__reverts(draft: Draft) -> None:
    draft.refuses("bounds are too wide", base_1=feed_config(draft.feed, HOUR, 1, 2**128))
    draft.deploy(base_1=feed_config(draft.feed, HOUR, 1, 2**128 - 1))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ((0, 1, 2), "heartbeat is out of range"),
        ((7 * DAY + 1, 1, 2), "heartbeat is out of range"),
        ((HOUR, 0, 2), "bounds are out of order"),
        ((HOUR, 2, 2), "bounds are out of order"),
        ((HOUR, 1, 2**128), "bounds are too wide"),
    ],
)
def test_init__settings_refused__mirror_refuses_with_the_same_reason(
    draft: Draft, settings: tuple[int, int, int], reason: str
) -> None:
    draft.refuses(reason, base_1=feed_config(draft.feed, *settings))
    with pytest.raises(PriceError, match=f"^{reason}: "):
        FeedBounds(*settings)


def test_init__sequencer_without_code__reverts(draft: Draft) -> None:
    draft.refuses("feed is missing", sequencer=(STRANGER, HOUR))
    draft.refuses("feed is missing", sequencer=(NOBODY, HOUR))


def test_init__grace_period_over_a_day__reverts(draft: Draft, engine: Engine) -> None:
    sequencer = engine.deploy(load("SequencerFeed"))
    sequencer.set_started_at(1)

    draft.refuses("grace period is too long", sequencer=(sequencer.address, DAY + 1))
    assert draft.deploy(sequencer=(sequencer.address, DAY)).sequencer() == (sequencer.address, DAY)


def test_init__decimals_beyond_the_scale__reverts(draft: Draft, engine: Engine) -> None:
    fine, coarse = deploy_feed(engine, 10**20, 60), deploy_feed(engine, 10**20, 25)

    # 36 + 6 - 18 - 60 < 0 and 36 + 6 + 60 - 18 - 0 > 77; 36 + 6 - 18 - 25 < 0 by one.
    draft.refuses("scale is out of range", base_1=feed_config(fine))
    draft.refuses("scale is out of range", base_1=UNUSED, quote_1=feed_config(fine))
    draft.refuses("scale is out of range", base_1=feed_config(coarse))
    coarse.set_decimals(24)
    oracle = draft.deploy(base_1=feed_config(coarse), reference_price=10**20)
    assert oracle.scale() == 1


def test_init__greatest_price_over_256_bits__reverts(draft: Draft, engine: Engine) -> None:
    base_1, base_2 = feed_config(deploy_feed(engine, 2_000 * 10**8)), deploy_feed(engine, 10**8)
    wide = 2**128 - 1

    draft.refuses(
        "price range is too wide",
        base_1=(*base_1[:3], wide),
        base_2=feed_config(base_2, HOUR, 1, wide),
    )
    draft.deploy(base_1=base_1, base_2=feed_config(base_2, HOUR, 1, wide))


@pytest.mark.parametrize("low", [(10**7, 10**4), (10**8, 10**3)])
def test_init__greatest_price_over_256_bits_for_low_quotes__reverts(
    draft: Draft, engine: Engine, low: tuple[int, int]
) -> None:
    # The scale is 10 ** 24, the greatest base 1.15792e65; 2 ** 256 is 1.15792089e77.
    def bounds(least_1: int, least_2: int) -> dict[str, Any]:
        return {
            "base_1": feed_config(draft.feed, HOUR, 1, 115_792 * 10**23),
            "base_2": feed_config(deploy_feed(engine, 10**8), HOUR, 1, 10**37),
            "quote_1": feed_config(deploy_feed(engine, 10**8), HOUR, least_1, 10**9),
            "quote_2": feed_config(deploy_feed(engine, 10**8), HOUR, least_2, 10**9),
        }

    draft.refuses("price range is too wide", **bounds(*low))
    assert draft.deploy(**bounds(10**8, 10**4)).scale() == 10**24


@pytest.mark.parametrize("raised", ["base_1", "base_2"])
def test_init__least_answers_of_one__count_as_one(
    draft: Draft, engine: Engine, raised: str
) -> None:
    # The scale is one, so that the least price is the least base over the greatest quote, 2.
    feeds = {
        "base_1": deploy_feed(engine, 10**20, 24),
        "base_2": deploy_feed(engine, 5, 0),
        "quote_1": deploy_feed(engine, 1, 0),
    }
    bounds = {
        "base_1": feed_config(feeds["base_1"], HOUR, 1, 10**21),
        "base_2": feed_config(feeds["base_2"], HOUR, 1, 10),
        "quote_1": feed_config(feeds["quote_1"], HOUR, 1, 2),
    }
    draft.refuses("price range is too wide", **bounds)
    higher = {raised: (*bounds[raised][:2], 2, bounds[raised][3])}
    assert draft.deploy(**bounds | higher, reference_price=5 * 10**20).scale() == 1


def test_init__least_price_zero__reverts(draft: Draft, engine: Engine) -> None:
    base, quote = deploy_feed(engine, 10**8, 32), deploy_feed(engine, 1, 8)
    least = feed_config(base, HOUR, 10**8, 10**9)

    draft.refuses(
        "price range is too wide",
        base_1=least,
        quote_1=feed_config(quote, HOUR, 1, 10**8 + 1),
        reference_price=10**8,
    )
    oracle = draft.deploy(
        base_1=least, quote_1=feed_config(quote, HOUR, 1, 10**8), reference_price=10**8
    )
    assert oracle.scale() == 1
    quote.publish(10**8)
    assert oracle.quote() == (1, 1)


def test_init__tolerance_over_a_half__reverts(draft: Draft) -> None:
    draft.refuses("tolerance is too wide", tolerance=5 * 10**17 + 1)
    draft.deploy(tolerance=5 * 10**17)


@pytest.mark.parametrize("reference", [PRICE * 2, 0, 10**36 * 10**36 // PRICE, 2**256 - 1])
def test_init__reference_far_off__reverts(draft: Draft, reference: int) -> None:
    draft.refuses("price is off the reference", reference_price=reference)


@pytest.mark.parametrize("direction", [-1, 1])
def test_init__reference_at_the_tolerance__is_near_enough(draft: Draft, direction: int) -> None:
    # 2,000 against a reference of 2,500 is 20 % off, against one of 1,600 it is 25 %.
    reference, share = (2_500, 20) if direction < 0 else (1_600, 25)

    draft.refuses(
        "price is off the reference",
        reference_price=reference * 10**24,
        tolerance=share * 10**16 - 1,
    )
    draft.deploy(reference_price=reference * 10**24, tolerance=share * 10**16)


def test_init__tolerance_between_two_units__is_rounded_down(draft: Draft) -> None:
    # A fifth of the last one reaches down to the price; of the next it would do if rounded up.
    tolerance = 2 * 10**17 + 1
    last = PRICE * WAD // (WAD - tolerance)
    assert last + 1 - PRICE == -(-(last + 1) * tolerance // WAD), "rounding decides"
    draft.refuses("price is off the reference", reference_price=last + 1, tolerance=tolerance)
    draft.deploy(reference_price=last, tolerance=tolerance)


def test_init__feed_without_a_price__reverts_with_its_reason(draft: Draft) -> None:
    draft.feed.set_answer(0)
    draft.refuses("price is not positive")

    draft.feed.set_answer(2_000 * 10**8)
    draft.feed.set_updated_at(1)
    draft.refuses("price is stale")
