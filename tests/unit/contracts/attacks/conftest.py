"""The market and the stage that these attacks are made on."""

from tests.support.market import market, standing_market, vault
from tests.support.periphery import stage, standing_stage

__all__ = ["market", "stage", "standing_market", "standing_stage", "vault"]
