"""What oracles and rate models refuse, when they are asked and when they are created."""

from __future__ import annotations

from ringfence.client.refusals.base import RefusedError


class StalePriceError(RefusedError, reason="price is stale", step="wait for the feed"):
    """A feed is older than its heartbeat."""


class FuturePriceError(RefusedError, reason="price is from the future", step="wait for the feed"):
    """A feed's answer bears a time that has not come."""


class PriceSignError(RefusedError, reason="price is not positive", step="wait for the feed"):
    """A feed answers zero or less."""


class PriceBoundsError(
    RefusedError,
    reason="price is out of bounds",
    step="wait for the feed, or deploy a market with other bounds",
):
    """A feed's answer is outside of what is believed."""


class RoundError(RefusedError, reason="round is incomplete", step="wait for the feed"):
    """A feed is in the middle of a round."""


class SequencerDownError(
    RefusedError,
    reason="sequencer is down",
    step="wait until it runs, and for the grace period after that",
):
    """The chain's sequencer has stopped."""


class SequencerGraceError(
    RefusedError, reason="sequencer grace period", step="wait for the end of the grace period"
):
    """The chain's sequencer has only just come back."""


class ReferencePriceError(
    RefusedError,
    reason="price is off the reference",
    step="check feeds and decimals, or correct the reference",
):
    """The oracle does not give the price it was deployed for."""


class ScaleError(RefusedError, reason="scale is out of range", step="check the decimals"):
    """The tokens' and the feeds' decimals do not fit together."""


class ToleranceError(RefusedError, reason="tolerance is too wide", step="lower the tolerance"):
    """Any price would match such a reference."""


class FeedMissingError(RefusedError, reason="feed is missing", step="check the feed's address"):
    """There is no contract where a feed should be."""


class HeartbeatError(
    RefusedError,
    reason="heartbeat is out of range",
    step="take the heartbeat from the feed's own page",
):
    """A heartbeat is above zero and not longer than the oracle allows."""


class BoundsOrderError(RefusedError, reason="bounds are out of order", step="swap them"):
    """The lowest believed answer is below the highest."""


class BoundsWidthError(RefusedError, reason="bounds are too wide", step="narrow them"):
    """Bounds so wide believe anything."""


class PriceRangeError(
    RefusedError, reason="price range is too wide", step="narrow the feeds' bounds"
):
    """The composed price could leave its width."""


class GraceError(RefusedError, reason="grace period is too long", step="shorten it"):
    """The oracle allows no such grace period."""


class KinkError(RefusedError, reason="kink is out of range", step="set it between them"):
    """The kink is a utilisation between zero and one."""


class RateTooHighError(RefusedError, reason="rate is too high", step="lower base or slopes"):
    """Rates are at most 300 % a year."""
