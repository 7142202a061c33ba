"""The deployment that these tests share."""

from tests.support.deployment import deployment

__all__ = ["deployment"]
