"""What the risk engine raises."""

from __future__ import annotations

from ringfence.errors import RingfenceError


class RiskError(RingfenceError, ValueError):
    """An input of the risk engine that cannot be used."""
