"""The market that these tests share."""

from tests.support.market import market, standing_market, vault

__all__ = ["market", "standing_market", "vault"]
