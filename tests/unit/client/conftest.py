"""The desk that these tests share."""

from tests.support.client import desk, standing_desk_lens, standing_stage

__all__ = ["desk", "standing_desk_lens", "standing_stage"]
