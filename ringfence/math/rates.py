"""The borrow rate of a market, to the last unit of the contracts.

Mirrors contracts/rates/kinked_curve.vy and KinkedRate.vy: same names, same order, same integer
steps. Amounts are in units of the asset, fractions and rates are scaled 1e18, rates per second.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.errors import RingfenceError
from ringfence.math.fixed_point import WAD

SECONDS_PER_YEAR = 31_536_000
MAX_RATE = 3 * WAD // SECONDS_PER_YEAR
"""300 % a year: what a vault clamps every rate to, per second scaled 1e18."""

MAX_SLOPE = 2**128 - 1


class RateError(RingfenceError, ValueError):
    """The contract's constructor refuses such a curve; `reason` is its word for why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def utilisation_down(cash: int, debt: int) -> int:
    """Return floor(1e18 * debt / (cash + debt)); an empty market has none.

    >>> utilisation_down(cash=25, debt=75)
    750000000000000000
    """
    if debt == 0:
        return 0
    return debt * WAD // (cash + debt)


def line_down(start: int, slope: int, distance: int) -> int:
    """Return start + floor(slope * distance / 1e18)."""
    return start + slope * distance // WAD


@dataclass(frozen=True, slots=True)
class KinkedRate:
    """A rate of a base and two slopes, the slopes per whole unit of utilisation.

    Raises RateError for what the contract's constructor refuses.
    """

    base: int
    kink: int
    slope_1: int
    slope_2: int

    def __post_init__(self) -> None:
        if not 0 < self.kink < WAD:
            raise RateError(
                "kink is out of range",
                f"{self.kink} is not above 0 and below {WAD}; "
                "pass a utilisation such as 0.8 scaled 1e18",
            )
        if min(self.base, self.slope_1, self.slope_2) < 0:
            raise RateError(
                "rate is negative",
                f"{self.base}, {self.slope_1}, {self.slope_2}; pass rates per second scaled 1e18",
            )
        top = line_down(self.rate_at_kink, self.slope_2, WAD - self.kink)
        if max(self.slope_1, self.slope_2) > MAX_SLOPE or top > MAX_RATE:
            raise RateError(
                "rate is too high",
                f"{top} per second when all is lent out (limit {MAX_RATE}, 300 % a year); "
                "lower the base or the slopes",
            )

    @property
    def rate_at_kink(self) -> int:
        """The rate where the slope changes, per second scaled 1e18."""
        return line_down(self.base, self.slope_1, self.kink)

    def borrow_rate(self, cash: int, debt: int) -> int:
        """Return the rate of a market with `cash` idle and `debt` lent out, per second.

        >>> year = SECONDS_PER_YEAR
        >>> curve = KinkedRate(0, 8 * WAD // 10, 5 * WAD // 100 // year, 2 * WAD // year)
        >>> round(curve.borrow_rate(cash=10, debt=90) * year / WAD, 6)
        0.24
        """
        utilisation = utilisation_down(cash, debt)
        if utilisation <= self.kink:
            return line_down(self.base, self.slope_1, utilisation)
        return line_down(self.rate_at_kink, self.slope_2, utilisation - self.kink)
