# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Kinked Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model of a base and two slopes, gentle up to the kink and steep beyond it.
@dev Holds no state, so that a vault's call costs little more than reaching it.
@custom:security Nothing can be changed after deployment, by anyone.
"""

from ..interfaces import IRateModel
from . import kinked_curve

implements: IRateModel


WAD: constant(uint256) = 10**18
SECONDS_PER_YEAR: constant(uint256) = 31_536_000
MAX_RATE: constant(uint256) = 3 * WAD // SECONDS_PER_YEAR  # 300 % a year
MAX_SLOPE: constant(uint256) = 2**128 - 1

base: public(immutable(uint256))
kink: public(immutable(uint256))
slope_1: public(immutable(uint256))
slope_2: public(immutable(uint256))
rate_at_kink: public(immutable(uint256))


@deploy
def __init__(base_rate: uint256, kink_utilisation: uint256, first_slope: uint256, second_slope: uint256):
    """
    @param base_rate Rate of a market that nobody borrows from, per second scaled 1e18.
    @param kink_utilisation Utilisation where the slope changes, scaled 1e18; above 0 and below 1.
    @param first_slope Rate gained over a whole unit of utilisation below the kink, per second scaled 1e18.
    @param second_slope The same beyond the kink.
    """
    assert 0 < kink_utilisation and kink_utilisation < WAD, "kink is out of range"
    assert max(first_slope, second_slope) <= MAX_SLOPE and base_rate <= MAX_RATE, "rate is too high"
    middle: uint256 = kinked_curve._line_down(base_rate, first_slope, kink_utilisation)
    top: uint256 = kinked_curve._line_down(middle, second_slope, WAD - kink_utilisation)
    assert top <= MAX_RATE, "rate is too high"

    base = base_rate
    kink = kink_utilisation
    slope_1 = first_slope
    slope_2 = second_slope
    rate_at_kink = middle


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice The rate for a market in the given state.
    @param cash Assets that lie idle in the vault, asset units, below 2 ** 128.
    @param debt Assets lent out with the interest accrued so far, asset units, below 2 ** 128.
    @return Interest per second as a fraction of the debt, scaled 1e18, rounded down.
    """
    utilisation: uint256 = kinked_curve._utilisation_down(cash, debt)
    if utilisation <= kink:
        return kinked_curve._line_down(base, slope_1, utilisation)
    return kinked_curve._line_down(rate_at_kink, slope_2, utilisation - kink)
