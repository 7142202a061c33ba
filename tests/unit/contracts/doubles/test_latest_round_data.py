"""The feeds' rounds: set field by field, fresh until broken, up or down."""

from __future__ import annotations

import pytest

from ringfence.evm import Engine, Reverted, load


def test_latest_round_data__settable_feed__is_what_was_set(engine: Engine) -> None:
    feed = engine.deploy(load("SettableFeed"), 8, 2_000)
    now = engine.timestamp
    assert tuple(feed.latestRoundData()) == (1, 2_000, now, now, 1)
    assert feed.decimals() == 8
    assert feed.description() == "settable feed"

    engine.advance(60)
    feed.publish(-5)
    assert tuple(feed.latestRoundData()) == (2, -5, now + 60, now + 60, 2)

    feed.set_answer(0)
    feed.set_started_at(1)
    feed.set_updated_at(0)
    feed.set_rounds(9, 8)
    feed.set_decimals(18)
    assert tuple(feed.latestRoundData()) == (9, 0, 1, 0, 8)
    assert feed.decimals() == 18


@pytest.mark.parametrize("trick", ["RevertingFeed", "GasBurningFeed"])
def test_latest_round_data__feed_broken__fails_until_mended(engine: Engine, trick: str) -> None:
    feed = engine.deploy(load(trick), 8, 2_000)
    engine.advance(10**6)
    now = engine.timestamp
    assert tuple(feed.latestRoundData()) == (1, 2_000, now, now, 1)

    feed.set_broken(True)
    with pytest.raises(Reverted) as broken:
        feed.latestRoundData()
    assert (
        broken.value.reason
        == {
            "RevertingFeed": "feed is broken",
            "GasBurningFeed": "halt: invalid opcode",
        }[trick]
    )

    feed.set_broken(False)
    assert tuple(feed.latestRoundData()) == (1, 2_000, now, now, 1)


def test_latest_round_data__sequencer_feed__tells_state_and_since_when(engine: Engine) -> None:
    feed = engine.deploy(load("SequencerFeed"))
    start = engine.timestamp
    assert tuple(feed.latestRoundData()) == (1, 0, 0, start, 1)

    feed.set_down(True)
    engine.advance(30)
    assert tuple(feed.latestRoundData()) == (1, 1, start, start + 30, 1)

    feed.set_down(False)
    feed.set_started_at(7)
    assert tuple(feed.latestRoundData()) == (1, 0, 7, start + 30, 1)
