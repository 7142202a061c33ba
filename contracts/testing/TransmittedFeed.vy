# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Transmitted Feed
@license GNU Affero General Public License v3.0 only
@notice A Chainlink aggregator whose rounds one account alone can transmit.
"""

from ..interfaces import IAggregator

implements: IAggregator


decimals: public(immutable(uint8))
transmitter: public(immutable(address))

_round_id: uint80
_answer: int256
_updated_at: uint256


@deploy
def __init__(feed_decimals: uint8, first_answer: int256, the_transmitter: address):
    """
    @param feed_decimals Decimal places of an answer.
    @param first_answer The first round's answer, scaled by them.
    @param the_transmitter Who may transmit.
    """
    decimals = feed_decimals
    transmitter = the_transmitter
    self._complete(first_answer)


@external
def transmit(new_answer: int256):
    """
    @notice Complete a round now.
    @param new_answer Its answer, scaled by the feed's decimals.
    """
    assert msg.sender == transmitter, "not the transmitter"
    self._complete(new_answer)


@view
@external
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The last round.
    @return round_id Number of the round.
    @return answer The answer, scaled by the feed's decimals.
    @return started_at When the round began, seconds.
    @return updated_at When the answer was computed, seconds.
    @return answered_in_round Number of the round that the answer was computed in.
    """
    return self._round_id, self._answer, self._updated_at, self._updated_at, self._round_id


@internal
def _complete(new_answer: int256):
    self._round_id += 1
    self._answer = new_answer
    self._updated_at = block.timestamp
