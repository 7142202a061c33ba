"""The stage that these tests share."""

from tests.support.periphery import market, stage, standing_stage

__all__ = ["market", "stage", "standing_stage"]
