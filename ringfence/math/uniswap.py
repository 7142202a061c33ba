"""Prices and ticks of Uniswap v3, in exact integers.

A pool keeps the root of its price: `sqrt_price = sqrt(token_1 units per token_0 unit) * 2**96`,
token_0 being the one of the lower address. Tick i stands for the price 1.0001**i. Source: Uniswap
v3-core, TickMath, SwapMath and SqrtPriceMath; their very integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

MIN_TICK = -887_272
MAX_TICK = 887_272
MIN_SQRT_PRICE = 4_295_128_739
"""The root price of MIN_TICK; a pool's price is never below."""

MAX_SQRT_PRICE = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
"""The root price of MAX_TICK; a pool's price is always below."""

TICK_SPACINGS = {100: 1, 500: 10, 3_000: 60, 10_000: 200}
"""Fee in 1e-6 of the amount sold -> distance of usable ticks."""

FEE_SCALE = 1_000_000
"""What a pool's fee is a part of."""

_Q96 = 1 << 96
_MAX_UINT256 = 2**256 - 1

# Powers of 1.0001**-0.5, exponents 2**0 to 2**19, scaled 2**128: each rounded as TickMath has it.
_POWERS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)


def sqrt_price(amount_0: int, amount_1: int) -> int:
    """Return the root price, rounded down, at which two amounts are worth the same.

    Raises ValueError when no pool can have it.

    >>> sqrt_price(10**18, 2_000 * 10**6)  # 1 WETH for 2,000 USDC, WETH the lower address
    3543191142285914205922034
    """
    if amount_0 <= 0 or amount_1 <= 0:
        raise ValueError(f"amounts are {amount_0} and {amount_1}; both must be above 0")
    root = isqrt((amount_1 << 192) // amount_0)
    if not MIN_SQRT_PRICE <= root < MAX_SQRT_PRICE:
        raise ValueError(
            f"root price {root} is outside {MIN_SQRT_PRICE} to {MAX_SQRT_PRICE - 1}; "
            "check the tokens' decimals"
        )
    return root


def price(root: int) -> Fraction:
    """Return token_1 units per token_0 unit at a root price, exactly."""
    return Fraction(root * root, 1 << 192)


def sqrt_price_at_tick(tick: int) -> int:
    """Return the root price of a tick, rounded up; mirrors TickMath.getSqrtRatioAtTick.

    >>> sqrt_price_at_tick(0) == 2**96, sqrt_price_at_tick(MIN_TICK) == MIN_SQRT_PRICE
    (True, True)
    """
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is outside {MIN_TICK} to {MAX_TICK}")
    ratio = 1 << 128
    for bit, power in enumerate(_POWERS):
        if abs(tick) >> bit & 1:
            ratio = ratio * power >> 128
    if tick > 0:
        ratio = _MAX_UINT256 // ratio
    return -(-ratio >> 32)


def tick_at_sqrt_price(root: int) -> int:
    """Return the greatest tick whose root price is at most `root`, as the pool reports it."""
    if not MIN_SQRT_PRICE <= root < MAX_SQRT_PRICE:
        raise ValueError(f"root price {root} is outside {MIN_SQRT_PRICE} to {MAX_SQRT_PRICE - 1}")
    low, high = MIN_TICK, MAX_TICK
    while high - low > 1:
        middle = (low + high) // 2
        if sqrt_price_at_tick(middle) <= root:
            low = middle
        else:
            high = middle
    return low


def usable_tick_down(tick: int, spacing: int) -> int:
    """Return the greatest multiple of `spacing` that is at most `tick` and within the limits."""
    return max(tick // spacing * spacing, -(MAX_TICK // spacing) * spacing)


def usable_tick_up(tick: int, spacing: int) -> int:
    """Return the least multiple of `spacing` that is at least `tick` and within the limits."""
    return min(-(-tick // spacing) * spacing, MAX_TICK // spacing * spacing)


def range_around(root: int, spacing: int, width: Fraction) -> tuple[int, int]:
    """Return usable ticks that enclose the prices from price / width to price * width.

    `width` is at least 1; the range holds the price itself unless no usable range can.
    """
    if width < 1:
        raise ValueError(f"width is {width}; a range is at least 1 wide")
    ratio = isqrt(width.numerator * _Q96 * _Q96 // width.denominator)
    low = max(root * _Q96 // ratio, MIN_SQRT_PRICE)
    high = min(root * ratio // _Q96, MAX_SQRT_PRICE - 1)
    lower = usable_tick_down(tick_at_sqrt_price(low), spacing)
    upper = usable_tick_up(tick_at_sqrt_price(high) + 1, spacing)
    return lower, upper


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a pool's sales depend on within the tick spacing that its price lies in.

    Root price scaled 2**96, the tick that the pool reports, liquidity in range, fee in 1e-6.
    """

    sqrt_price: int
    tick: int
    liquidity: int
    fee: int

    def sell(self, amount: int, zero_for_one: bool) -> int | None:
        """Return what the pool gives for exactly `amount` of a token, units of the other.

        `zero_for_one` sells token_0. None where the sale would leave the tick spacing, beyond which
        liquidity may be another. One step of UniswapV3Pool.swap.

        >>> pool = PoolState(sqrt_price(10**18, 2_000 * 10**6), -200_312, 10**18, 500)
        >>> pool.sell(10**18, zero_for_one=True), pool.sell(10**22, zero_for_one=True)
        (1998910650, None)
        """
        after = self._after(amount, zero_for_one)
        if after is None:
            return None
        if zero_for_one:
            return self.liquidity * (self.sqrt_price - after) // _Q96
        # As the pool does it: two divisions.
        return (self.liquidity << 96) * (after - self.sqrt_price) // after // self.sqrt_price

    def _after(self, amount: int, zero_for_one: bool) -> int | None:
        """Return the root price after a sale, None where that is not within the spacing."""
        limit, root, liquidity = self._limit(zero_for_one), self.sqrt_price, self.liquidity
        taken = amount * (FEE_SCALE - self.fee) // FEE_SCALE
        if taken >= self._room(limit, zero_for_one):
            return None
        if not zero_for_one:
            return root + (taken << 96) // liquidity
        shifted = liquidity << 96
        if taken * root + shifted <= _MAX_UINT256:
            return -(-shifted * root // (shifted + taken * root))
        return -(-shifted // (shifted // root + taken))

    def _limit(self, zero_for_one: bool) -> int:
        spacing = TICK_SPACINGS[self.fee]
        tick = self.tick // spacing * spacing + (0 if zero_for_one else spacing)
        return sqrt_price_at_tick(max(MIN_TICK, min(tick, MAX_TICK)))

    def _room(self, limit: int, zero_for_one: bool) -> int:
        """Return what takes the price to `limit`, units sold before the fee, rounded up."""
        if not zero_for_one:
            return max(-(-self.liquidity * (limit - self.sqrt_price) // _Q96), 0)
        above = -(-(self.liquidity << 96) * (self.sqrt_price - limit) // self.sqrt_price)
        return max(-(-above // limit), 0)

    def best_sale(self, cost: Fraction, zero_for_one: bool) -> int:
        """Return about how much to sell while a unit of it costs `cost` units of what it gives.

        The pool's price after the sale, less its fee, is then that cost. The spacing is not looked
        at: past it, it is a guess.
        """
        kept = Fraction(FEE_SCALE - self.fee, FEE_SCALE)
        ratio = cost / kept if zero_for_one else kept / cost
        root = isqrt((ratio.numerator << 192) // ratio.denominator)
        if root == 0 or (root < self.sqrt_price) != zero_for_one:
            return 0
        if zero_for_one:
            sold = (self.liquidity << 96) * (self.sqrt_price - root) // root // self.sqrt_price
        else:
            sold = self.liquidity * (root - self.sqrt_price) // _Q96
        return int(sold / kept)
