# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Price Maths
@license GNU Affero General Public License v3.0 only
@notice How feeds' answers become a price, and when a price is near enough to the one expected.
@dev Pure; mirrored by ringfence/math/oracles.py.
"""

from snekmate.utils import math


PRICE_DECIMALS: constant(uint256) = 36
WAD: constant(uint256) = 10**18
MAX_EXPONENT: constant(uint256) = 77  # 10**77 < 2**256 < 10**78
MAX_TOLERANCE: constant(uint256) = 5 * 10**17  # 50 %


@pure
@internal
def _scale_factor(numerator_decimals: uint256, denominator_decimals: uint256) -> uint256:
    """
    @notice What the quotient of the feeds' answers is multiplied by, the same number as Morpho's Chainlink oracle has:
            10 ** (36 + asset + quote feeds - collateral - base feeds), all decimals.
    @dev WBTC (8) in USDC (6), each by a feed of 8 decimals: 10 ** (36 + 6 + 8 - 8 - 8) = 10 ** 34.
    @param numerator_decimals Decimals of the asset and of the quote feeds, summed; at most 1,000.
    @param denominator_decimals Decimals of the collateral and of the base feeds, summed; at most 1,000.
    @return The scale, a power of ten between 1 and 10 ** 77.
    """
    numerator: uint256 = PRICE_DECIMALS + numerator_decimals
    assert numerator >= denominator_decimals, "scale is out of range"
    exponent: uint256 = numerator - denominator_decimals
    assert exponent <= MAX_EXPONENT, "scale is out of range"
    return 10**exponent


@pure
@internal
def _price_down(scale: uint256, base: uint256, quote: uint256) -> uint256:
    """
    @notice floor(scale * base / quote), exact also where the product does not fit 256 bits: four feeds of WBTC in SHIB
            make 10 ** 56 times 10 ** 21.
    @dev Rounded down once, at the end, like Morpho's: the price errs by less than one part in itself.
    @param scale The scale factor, above zero.
    @param base Product of the base feeds' answers.
    @param quote Product of the quote feeds' answers, above zero.
    @return Asset units per collateral unit, scaled 1e36. Must fit 256 bits: `_fits` says when.
    """
    # The branch is taken only when the product fits; neither divisor is zero.
    if base <= unsafe_div(max_value(uint256), scale):
        return unsafe_div(unsafe_mul(scale, base), quote)
    return math._mul_div(scale, base, quote, False)


@pure
@internal
def _fits(scale: uint256, base: uint256, quote: uint256) -> bool:
    """
    @notice Whether `_price_down` surely fits 256 bits: base / quote < floor(base / quote) + 1 <= floor(max / scale), so
            scale * base / quote <= max. What is turned down is at least scale * floor(max / scale) > 2 ** 255 - 1.
    @param scale The scale factor, above zero.
    @param base Product of the base feeds' answers.
    @param quote Product of the quote feeds' answers, above zero.
    @return True when the price fits.
    """
    return base // quote < max_value(uint256) // scale


@pure
@internal
def _require_near(price: uint256, reference: uint256, tolerance: uint256):
    """
    @notice Refuse a price that is further from the expected one than tolerated: a feed upside down, a decimal lost.
    @param price The price found, asset units per collateral unit scaled 1e36.
    @param reference The price expected, same scale.
    @param tolerance Greatest distance as a fraction of `reference`, scaled 1e18; at most 50 %.
    """
    assert tolerance <= MAX_TOLERANCE, "tolerance is too wide"
    distance: uint256 = max(price, reference) - min(price, reference)
    assert distance <= math._mul_div(reference, tolerance, WAD, False), "price is off the reference"
