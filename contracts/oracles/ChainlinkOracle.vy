# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Chainlink Oracle
@license GNU Affero General Public License v3.0 only
@notice The price of one token in another, from up to two feeds for each: collateral = base_1 * base_2 and
        asset = quote_1 * quote_2, both in the same third currency.
@dev Both prices of a quote are the same one: floor(scale * base / quote). It reverts rather than answer from a feed that
     is stale, not positive, out of its bounds or not complete, or while a layer-2 sequencer is down or was until lately.
     The least and the greatest price that the bounds admit are checked at deployment, so that a quote neither overflows
     nor is ever zero.
@custom:security Nothing can be changed after deployment, by anyone. A feed that dies leaves the oracle without a price
                 for good.
"""

from ethereum.ercs import IERC20Detailed

from ..interfaces import IAggregator
from ..interfaces import IPriceOracle
from . import price_math

implements: IPriceOracle


struct FeedConfig:
    # Chainlink aggregator or its proxy; empty when unused, and then every field is
    feed: address
    # Greatest age of an answer, seconds
    heartbeat: uint256
    # Smallest answer believed, scaled by the feed's decimals, above zero
    min_answer: uint256
    # Greatest answer believed, same scale, below 2 ** 128
    max_answer: uint256


struct SequencerConfig:
    # Chainlink uptime feed of a layer-2 sequencer; empty on a chain that has none
    feed: address
    # How long after the sequencer came back no price is given, seconds
    grace_period: uint256


MAX_ANSWER: constant(uint256) = 2**128 - 1
MAX_HEARTBEAT: constant(uint256) = 7 * 86_400
MAX_GRACE_PERIOD: constant(uint256) = 86_400
SEQUENCER_IS_UP: constant(int256) = 0

collateral: public(immutable(address))
asset: public(immutable(address))
scale: public(immutable(uint256))
base_1: public(immutable(FeedConfig))
base_2: public(immutable(FeedConfig))
quote_1: public(immutable(FeedConfig))
quote_2: public(immutable(FeedConfig))
sequencer: public(immutable(SequencerConfig))


@deploy
def __init__(
    collateral_token: address,
    asset_token: address,
    first_base: FeedConfig,
    second_base: FeedConfig,
    first_quote: FeedConfig,
    second_quote: FeedConfig,
    uptime: SequencerConfig,
    reference_price: uint256,
    tolerance: uint256,
):
    """
    @param collateral_token Token that is priced.
    @param asset_token Token that it is priced in.
    @param first_base Feed of the collateral; all fields empty when unused.
    @param second_base Feed that the first base is multiplied by; all fields empty when unused.
    @param first_quote Feed of the asset; all fields empty when unused.
    @param second_quote Feed that the first quote is multiplied by; all fields empty when unused.
    @param uptime Feed of the sequencer's state; all fields empty on a chain that has none.
    @param reference_price The price expected, asset units per collateral unit scaled 1e36.
    @param tolerance Greatest distance from it, as a fraction scaled 1e18; at most 50 %.
    """
    assert collateral_token.is_contract and asset_token.is_contract, "token is missing"
    assert collateral_token != asset_token, "tokens are the same"
    any_feed: bool = False
    for config: FeedConfig in [first_base, second_base, first_quote, second_quote]:
        any_feed = self._validate_feed(config) or any_feed
    assert any_feed, "feed is missing"
    self._validate_sequencer(uptime)

    collateral = collateral_token
    asset = asset_token
    base_1 = first_base
    base_2 = second_base
    quote_1 = first_quote
    quote_2 = second_quote
    sequencer = uptime
    scale = price_math._scale_factor(
        self._token_decimals(asset_token) + self._feed_decimals(first_quote) + self._feed_decimals(second_quote),
        self._token_decimals(collateral_token) + self._feed_decimals(first_base) + self._feed_decimals(second_base),
    )
    self._validate_range()
    price_math._require_near(self._price(), reference_price, tolerance)


@view
@internal
def _validate_feed(config: FeedConfig) -> bool:
    if config.feed == empty(address):
        assert config.heartbeat | config.min_answer | config.max_answer == 0, "feed is missing"
        return False
    assert config.feed.is_contract, "feed is missing"
    assert 0 < config.heartbeat and config.heartbeat <= MAX_HEARTBEAT, "heartbeat is out of range"
    assert 0 < config.min_answer and config.min_answer < config.max_answer, "bounds are out of order"
    assert config.max_answer <= MAX_ANSWER, "bounds are too wide"
    return True


@view
@internal
def _validate_sequencer(config: SequencerConfig):
    if config.feed == empty(address):
        assert config.grace_period == 0, "feed is missing"
        return
    assert config.feed.is_contract, "feed is missing"
    assert config.grace_period <= MAX_GRACE_PERIOD, "grace period is too long"


@view
@internal
def _validate_range():
    # An unused feed counts as one, not as the zeros of its bounds. Two answers of 128 bits multiply within 256.
    base_min: uint256 = unsafe_mul(max(base_1.min_answer, 1), max(base_2.min_answer, 1))
    base_max: uint256 = unsafe_mul(max(base_1.max_answer, 1), max(base_2.max_answer, 1))
    quote_min: uint256 = unsafe_mul(max(quote_1.min_answer, 1), max(quote_2.min_answer, 1))
    quote_max: uint256 = unsafe_mul(max(quote_1.max_answer, 1), max(quote_2.max_answer, 1))
    assert price_math._fits(scale, base_max, quote_min), "price range is too wide"
    assert price_math._price_down(scale, base_min, quote_max) != 0, "price range is too wide"


@view
@internal
def _token_decimals(token: address) -> uint256:
    return convert(staticcall IERC20Detailed(token).decimals(), uint256)


@view
@internal
def _feed_decimals(config: FeedConfig) -> uint256:
    if config.feed == empty(address):
        return 0
    return convert(staticcall IAggregator(config.feed).decimals(), uint256)


@view
@external
def quote() -> (uint256, uint256):
    """
    @notice The price of one unit of collateral, twice.
    @return low Asset units per collateral unit, scaled 1e36, rounded down; above zero.
    @return high The same number.
    """
    price: uint256 = self._price()
    return price, price


@view
@internal
def _price() -> uint256:
    if sequencer.feed != empty(address):
        self._require_sequencer()
    # An answer is 1 to 2 ** 128 - 1: a product of two fits, and none is zero.
    base: uint256 = 1
    quote: uint256 = 1
    if base_1.feed != empty(address):
        base = self._answer(base_1)
    if base_2.feed != empty(address):
        base = unsafe_mul(base, self._answer(base_2))
    if quote_1.feed != empty(address):
        quote = self._answer(quote_1)
    if quote_2.feed != empty(address):
        quote = unsafe_mul(quote, self._answer(quote_2))
    return price_math._price_down(scale, base, quote)


@view
@internal
def _require_sequencer():
    round_id: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in: uint80 = 0
    round_id, answer, started_at, updated_at, answered_in = staticcall IAggregator(sequencer.feed).latestRoundData()
    # Before its first report an uptime feed answers "up" since the year 1970.
    assert started_at != 0, "round is incomplete"
    assert answer == SEQUENCER_IS_UP, "sequencer is down"
    # A start ahead of this chain's clock is within the grace period too. A timestamp cannot come near 2 ** 256.
    assert block.timestamp > unsafe_add(started_at, sequencer.grace_period), "sequencer grace period"


@view
@internal
def _answer(config: FeedConfig) -> uint256:
    round_id: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in: uint80 = 0
    round_id, answer, started_at, updated_at, answered_in = staticcall IAggregator(config.feed).latestRoundData()
    # A round that timed out repeats the answer of an earlier one under a new time.
    assert updated_at != 0 and answered_in >= round_id, "round is incomplete"
    assert updated_at <= block.timestamp, "price is from the future"
    # The line above bounds the difference.
    assert unsafe_sub(block.timestamp, updated_at) <= config.heartbeat, "price is stale"
    assert answer > 0, "price is not positive"
    price: uint256 = convert(answer, uint256)
    assert config.min_answer <= price and price <= config.max_answer, "price is out of bounds"
    return price
