"""The market that some of these tests share."""

from tests.support.market import market, standing_market

__all__ = ["market", "standing_market"]
