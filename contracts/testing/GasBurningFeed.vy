# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Gas Burning Feed
@license GNU Affero General Public License v3.0 only
@notice A Chainlink feed whose answer is always fresh, until it is broken and burns all the gas it gets.
"""

from ..interfaces import IAggregator

implements: IAggregator


decimals: public(immutable(uint8))

is_broken: public(bool)
_answer: immutable(int256)


@deploy
def __init__(feed_decimals: uint8, answer: int256):
    """
    @param feed_decimals Decimal places of the answer.
    @param answer The answer of every round, while the feed is sound.
    """
    decimals = feed_decimals
    _answer = answer


@external
def set_broken(broken: bool):
    """
    @notice Break the feed, or mend it.
    @param broken True to break it.
    """
    self.is_broken = broken


@view
@external
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice A fresh round, while the feed is sound.
    @return round_id Always 1.
    @return answer The answer given at deployment, scaled by the feed's decimals.
    @return started_at Now, seconds.
    @return updated_at Now, seconds.
    @return answered_in_round Always 1.
    """
    assert not self.is_broken, UNREACHABLE
    return 1, _answer, block.timestamp, block.timestamp, 1
