"""Prices composed from Chainlink feeds, to the last unit of the contract.

Mirrors contracts/oracles/price_math.vy and ChainlinkOracle.vy: same names, order and reasons. A
price is in asset units per collateral unit, scaled 1e36; answers are scaled by their feed's
decimals; times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.errors import RingfenceError
from ringfence.math.fixed_point import MAX_UINT256, WAD

PRICE_DECIMALS = 36
MAX_EXPONENT = 77
MAX_TOLERANCE = WAD // 2
MAX_ANSWER = 2**128 - 1
MAX_HEARTBEAT = 7 * 86_400
SEQUENCER_IS_UP = 0


class PriceError(RingfenceError, ValueError):
    """There is no price now, or never with such settings; `reason` is the contract's word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def scale_factor(numerator_decimals: int, denominator_decimals: int) -> int:
    """Return what the quotient of the answers is multiplied by, a power of ten.

    `numerator_decimals` sums those of the asset and the quote feeds, `denominator_decimals` those
    of the collateral and the base feeds. Raises PriceError when the power is not 0 to 77.

    >>> scale_factor(6 + 8, 8 + 8) == 10**34
    True
    """
    exponent = PRICE_DECIMALS + numerator_decimals - denominator_decimals
    if not 0 <= exponent <= MAX_EXPONENT:
        raise PriceError("scale is out of range", f"10 ** {exponent} (limits 0 and {MAX_EXPONENT})")
    return int(10**exponent)


def price_down(scale: int, base: int, quote: int) -> int:
    """Return floor(scale * base / quote), of products of answers."""
    return scale * base // quote


def fits(scale: int, base: int, quote: int) -> bool:
    """Return whether `price_down` surely fits 256 bits."""
    return base // quote < MAX_UINT256 // scale


def is_near(price: int, reference: int, tolerance: int) -> bool:
    """Return whether `price` is within `tolerance` of `reference`, a fraction of it scaled 1e18.

    Raises PriceError for a tolerance above one half.
    """
    if tolerance > MAX_TOLERANCE:
        raise PriceError("tolerance is too wide", f"{tolerance} (limit {MAX_TOLERANCE})")
    return abs(price - reference) <= reference * tolerance // WAD


@dataclass(frozen=True, slots=True)
class Round:
    """What a feed's `latestRoundData` returns."""

    round_id: int
    answer: int
    started_at: int
    updated_at: int
    answered_in_round: int


@dataclass(frozen=True, slots=True)
class FeedBounds:
    """What an oracle believes of one feed: the age of its answers in seconds, and their range.

    Raises PriceError for what the contract's constructor refuses.
    """

    heartbeat: int
    min_answer: int
    max_answer: int

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat <= MAX_HEARTBEAT:
            raise PriceError(
                "heartbeat is out of range", f"{self.heartbeat} s (limits 1 and {MAX_HEARTBEAT})"
            )
        if not 0 < self.min_answer < self.max_answer:
            raise PriceError(
                "bounds are out of order",
                f"{self.min_answer} and {self.max_answer}; pass a least answer above 0 and a "
                "greater one",
            )
        if self.max_answer > MAX_ANSWER:
            raise PriceError("bounds are too wide", f"{self.max_answer} (limit {MAX_ANSWER})")


def feed_answer(bounds: FeedBounds, latest: Round, now: int) -> int:
    """Return the answer of a feed's last round at the time `now`; raise PriceError if unusable."""
    if latest.updated_at == 0 or latest.answered_in_round < latest.round_id:
        raise PriceError(
            "round is incomplete",
            f"round {latest.round_id}, answered in {latest.answered_in_round}; wait for the feed",
        )
    if latest.updated_at > now:
        raise PriceError(
            "price is from the future", f"updated at {latest.updated_at}, {now} is now"
        )
    if now - latest.updated_at > bounds.heartbeat:
        raise PriceError(
            "price is stale",
            f"{now - latest.updated_at} s old (limit {bounds.heartbeat}); wait for the feed",
        )
    if latest.answer <= 0:
        raise PriceError("price is not positive", f"the answer is {latest.answer}")
    if not bounds.min_answer <= latest.answer <= bounds.max_answer:
        raise PriceError(
            "price is out of bounds",
            f"the answer is {latest.answer} (limits {bounds.min_answer} and {bounds.max_answer})",
        )
    return latest.answer


def require_sequencer(latest: Round, grace_period: int, now: int) -> None:
    """Raise PriceError unless a layer-2 sequencer is up at `now`, and was for the grace period."""
    if latest.started_at == 0:
        raise PriceError("round is incomplete", "the sequencer's feed never reported")
    if latest.answer != SEQUENCER_IS_UP:
        raise PriceError("sequencer is down", f"since {latest.started_at}")
    if now <= latest.started_at + grace_period:
        raise PriceError(
            "sequencer grace period", f"no price until {latest.started_at + grace_period + 1}"
        )
