# pragma version 0.4.3
"""
@title uniswap_swaps
@license GNU Affero General Public License v3.0 only
@notice Trades along a route of Uniswap v3 pools that is paid for last: what the route delivers is here before the first
        pool asks for its money, so that the money may come out of a vault that has just taken the delivery.
@dev A route is token, fee (3 bytes), token, and so on, in the order of selling, for exact amounts in and out alike.
     Exact in: the first pool's callback runs the other pools, each paid at once with what the one before delivered, and
     then the first is owed. Exact out: from the last pool backwards, each one's callback buys what it is owed, and the
     innermost owes the route's first token.
     The contract that imports this passes each `uniswapV3SwapCallback` to `_proceed`; when that says so, the contract
     owes the calling pool `_sold` of the route's first token, and holds `_bought` of its last.
@custom:security A callback is taken from the one pool that is being called, and once; pools are the factory's. The
                 importing contract must be locked against re-entry, its callback excepted.
"""

from ..interfaces import IUniswapV3Factory
from ..interfaces import IUniswapV3Pool
from ..modules import tokens


# Three pools.
MAX_PATH: constant(uint256) = 89
_TOKEN: constant(uint256) = 20
_HOP: constant(uint256) = 23

# One inside Uniswap's own bounds: no limit.
_LOWEST_SQRT_PRICE: constant(uint160) = 4_295_128_740
_HIGHEST_SQRT_PRICE: constant(uint160) = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_341

_FACTORY: immutable(address)

# The pool whose callback is awaited, and what it was asked for: positive to sell, negative to buy, token units.
_pool: transient(address)
_asked: transient(int256)
# Set while a pool in the middle of an exact-in route trades: it is paid in this token from what is here.
_hop_token: transient(address)
_exact_in: transient(bool)
# Least bought when exact in, most sold when exact out, token units.
_limit: transient(uint256)
_sold: transient(uint256)
_bought: transient(uint256)


@deploy
def __init__(factory: address):
    _FACTORY = factory


@internal
def _swap(
    path: Bytes[MAX_PATH], token_in: address, token_out: address, exact_in: bool, amount: uint256, limit: uint256
) -> (uint256, uint256):
    """
    @notice Sell exactly `amount` of `token_in` for no less than `limit`, or buy exactly `amount` of `token_out` for no
            more than `limit`; returns what was sold and bought, token units.
    """
    size: uint256 = len(path)
    assert size >= _TOKEN + _HOP and (size - _TOKEN) % _HOP == 0, "path is malformed"
    assert self._token_at(path, 0) == token_in, "path does not fit the tokens"
    assert self._token_at(path, size - _TOKEN) == token_out, "path does not fit the tokens"
    assert amount != 0, "amount is zero"
    self._exact_in = exact_in
    self._limit = limit
    if exact_in:
        self._trade_in(path, amount, slice(path, _HOP, size - _HOP))
    else:
        self._bought = amount
        self._trade_out(path, self, amount)
    return self._sold, self._bought


@internal
def _proceed(amount_0_delta: int256, amount_1_delta: int256, data: Bytes[MAX_PATH]) -> bool:
    """
    @notice A pool's callback; true when the route has delivered and the calling pool is owed `_sold`.
    """
    assert self._pool != empty(address) and msg.sender == self._pool, "caller is not the pool"
    self._pool = empty(address)
    owed: uint256 = self._owed(amount_0_delta, amount_1_delta)
    delivered: uint256 = self._delivered(amount_0_delta, amount_1_delta)
    # A pool that runs out of liquidity trades less.
    assert self._asked == self._signed(owed) or self._asked == -self._signed(delivered), "pool is too thin"
    if self._hop_token != empty(address):
        token: address = self._hop_token
        self._hop_token = empty(address)
        tokens._push(token, msg.sender, owed)
        return False
    path: Bytes[MAX_PATH] = data
    if self._exact_in:
        self._sold = owed
        bought: uint256 = delivered
        for _: uint256 in range(MAX_PATH // _HOP):
            if len(path) == _TOKEN:
                break
            self._hop_token = self._token_at(path, 0)
            bought = self._trade_in(path, bought, b"")
            path = slice(path, _HOP, len(path) - _HOP)
        assert bought >= self._limit, "bought is below the limit"
        self._bought = bought
        return True
    if len(path) != _TOKEN:
        self._trade_out(path, msg.sender, owed)
        return False
    assert owed <= self._limit, "sold is above the limit"
    self._sold = owed
    return True


@internal
def _trade_in(path: Bytes[MAX_PATH], amount: uint256, data: Bytes[MAX_PATH]) -> uint256:
    """
    @notice Sell `amount` to the first pool of the route; returns what it delivered, token units.
    """
    amount_0_delta: int256 = 0
    amount_1_delta: int256 = 0
    amount_0_delta, amount_1_delta = self._trade(path, 0, self, self._signed(amount), data)
    return self._delivered(amount_0_delta, amount_1_delta)


@internal
def _trade_out(path: Bytes[MAX_PATH], recipient: address, amount: uint256):
    """
    @notice Have the last pool of the route deliver `amount` to `recipient`.
    """
    before: uint256 = len(path) - _HOP
    self._trade(path, before - _TOKEN, recipient, -self._signed(amount), slice(path, 0, before))


@internal
def _trade(
    path: Bytes[MAX_PATH], start: uint256, recipient: address, amount: int256, data: Bytes[MAX_PATH]
) -> (int256, int256):
    """
    @notice One trade with the pool that stands at `start` of the route.
    """
    token_in: address = self._token_at(path, start)
    token_out: address = self._token_at(path, start + _HOP)
    fee: uint24 = convert(convert(slice(path, start + _TOKEN, 3), bytes3), uint24)
    pool: address = staticcall IUniswapV3Factory(_FACTORY).getPool(token_in, token_out, fee)
    assert pool != empty(address), "pool does not exist"
    self._pool = pool
    self._asked = amount
    zero_for_one: bool = convert(token_in, uint256) < convert(token_out, uint256)
    sqrt_price_limit: uint160 = _HIGHEST_SQRT_PRICE
    if zero_for_one:
        sqrt_price_limit = _LOWEST_SQRT_PRICE
    return extcall IUniswapV3Pool(pool).swap(recipient, zero_for_one, amount, sqrt_price_limit, data)


@internal
@pure
def _token_at(path: Bytes[MAX_PATH], start: uint256) -> address:
    return convert(convert(slice(path, start, 20), bytes20), address)


@internal
@pure
def _signed(amount: uint256) -> int256:
    assert amount <= convert(max_value(int256), uint256), "amount exceeds its width"
    return convert(amount, int256)


@internal
@pure
def _owed(amount_0_delta: int256, amount_1_delta: int256) -> uint256:
    """
    @notice What the pool takes: one delta is positive, the other negative or zero.
    """
    return convert(max(amount_0_delta, amount_1_delta), uint256)


@internal
@pure
def _delivered(amount_0_delta: int256, amount_1_delta: int256) -> uint256:
    """
    @notice What the pool gives.
    """
    return convert(-min(amount_0_delta, amount_1_delta), uint256)
