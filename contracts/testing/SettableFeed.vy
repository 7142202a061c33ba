# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Settable Feed
@license GNU Affero General Public License v3.0 only
@notice A Chainlink feed whose rounds are set one field at a time: stale, zero, negative, unfinished, from the future.
@dev Checks nothing.
"""

from ..interfaces import IAggregator

implements: IAggregator


decimals: public(uint8)
description: public(constant(String[16])) = "settable feed"

round_id: public(uint80)
answer: public(int256)
started_at: public(uint256)
updated_at: public(uint256)
answered_in_round: public(uint80)


@deploy
def __init__(feed_decimals: uint8, first_answer: int256):
    """
    @param feed_decimals Decimal places of an answer.
    @param first_answer The first round's answer, scaled by them.
    """
    self.decimals = feed_decimals
    self._publish(first_answer)


@external
def publish(new_answer: int256):
    """
    @notice Complete a round now.
    @param new_answer Its answer, scaled by the feed's decimals.
    """
    self._publish(new_answer)


@external
def set_decimals(feed_decimals: uint8):
    """
    @notice Change the scale, as no feed ever should.
    @param feed_decimals Decimal places of an answer.
    """
    self.decimals = feed_decimals


@external
def set_answer(new_answer: int256):
    """
    @notice Change the last round's answer alone.
    @param new_answer The answer, scaled by the feed's decimals.
    """
    self.answer = new_answer


@external
def set_started_at(time: uint256):
    """
    @notice Change when the last round began.
    @param time Seconds.
    """
    self.started_at = time


@external
def set_updated_at(time: uint256):
    """
    @notice Change when the last answer was computed.
    @param time Seconds; 0 leaves the round unfinished.
    """
    self.updated_at = time


@external
def set_rounds(latest: uint80, answered_in: uint80):
    """
    @notice Change the last round's number, and the number of the round that its answer came from.
    @param latest Number of the last round.
    @param answered_in Number of the round that its answer was computed in.
    """
    self.round_id = latest
    self.answered_in_round = answered_in


@view
@external
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The last round as it was set.
    @return round_id Number of the round.
    @return answer The answer, scaled by the feed's decimals.
    @return started_at When the round began, seconds.
    @return updated_at When the answer was computed, seconds.
    @return answered_in_round Number of the round that the answer was computed in.
    """
    return self.round_id, self.answer, self.started_at, self.updated_at, self.answered_in_round


@internal
def _publish(new_answer: int256):
    self.round_id += 1
    self.answer = new_answer
    self.started_at = block.timestamp
    self.updated_at = block.timestamp
    self.answered_in_round = self.round_id
