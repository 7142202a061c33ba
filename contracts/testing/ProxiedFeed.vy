# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Proxied Feed
@license GNU Affero General Public License v3.0 only
@notice A proxy of Chainlink's: it answers what its aggregator does, and that can be changed.
@dev Checks nothing.
"""

from ..interfaces import IAggregator

implements: IAggregator


aggregator: public(address)


@deploy
def __init__(first: address):
    """
    @param first The aggregator to begin with.
    """
    self.aggregator = first


@external
def set_aggregator(new: address):
    """
    @notice Have another aggregator answer.
    @param new Its address.
    """
    self.aggregator = new


@view
@external
def decimals() -> uint8:
    """
    @notice The aggregator's scale.
    @return count Decimal places of an answer.
    """
    return staticcall IAggregator(self.aggregator).decimals()


@view
@external
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The aggregator's last round.
    @return round_id Number of the round.
    @return answer The answer, scaled by the feed's decimals.
    @return started_at When the round began, seconds.
    @return updated_at When the answer was computed, seconds.
    @return answered_in_round Number of the round that the answer was computed in.
    """
    return staticcall IAggregator(self.aggregator).latestRoundData()
