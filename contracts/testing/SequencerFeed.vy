# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Sequencer Feed
@license GNU Affero General Public License v3.0 only
@notice Chainlink's uptime feed of a layer-2 sequencer, switched by hand.
"""

from ..interfaces import IAggregator

implements: IAggregator


UP: constant(int256) = 0
DOWN: constant(int256) = 1

decimals: public(constant(uint8)) = 0

is_down: public(bool)
started_at: public(uint256)


@external
def set_down(down: bool):
    """
    @notice Stop the sequencer now, or start it.
    @param down True to stop it.
    """
    self.is_down = down
    self.started_at = block.timestamp


@external
def set_started_at(time: uint256):
    """
    @notice Change when the present state began.
    @param time Seconds; 0, as it is at first, for a feed that never reported.
    """
    self.started_at = time


@view
@external
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The present state, reported anew all the time.
    @return round_id Always 1.
    @return answer 0 while the sequencer is up, 1 while it is down.
    @return started_at When the present state began, seconds.
    @return updated_at Now, seconds.
    @return answered_in_round Always 1.
    """
    return 1, DOWN if self.is_down else UP, self.started_at, block.timestamp, 1
