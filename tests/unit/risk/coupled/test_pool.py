"""Pools in floats against the exact mirror, Uniswap v2's formula and v3's bytecode."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from ringfence.evm import Contract, InProcessEngine, load
from ringfence.evm.uniswap import Pool as RealPool
from ringfence.evm.uniswap import deploy_uniswap
from ringfence.math.uniswap import (
    FEE_SCALE,
    TICK_SPACINGS,
    PoolState,
    sqrt_price,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from ringfence.risk.coupled import pool as floats
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.errors import RiskError


def _bound(gave: float, crossed: int, pool: Pool) -> float:
    """What a sale may be off by, asset units."""
    reserves = pool.liquidity.max() * pool.place.root
    return float(
        floats.RELATIVE * gave
        + floats.UNITS * (crossed + 1) * (1 + pool.price)
        + crossed * floats.CROSSING * reserves
    )


def test_sell__v2__within_the_bound_of_the_contracts_integers() -> None:
    random = Random(1)
    for _ in range(2_000):
        x, y = (int(10 ** random.uniform(12, 30)) for _ in "xy")
        amount = int(x * 10 ** random.uniform(-9, 1)) + 1
        exact = amount * 997 * y // (x * 1_000 + amount * 997)
        pool = Pool.v2(x, y)
        assert abs(-pool.sell(amount).asset - exact) <= _bound(exact, 0, pool)


def test_compound__v2_sales_in_a_row__reserves_are_the_contracts() -> None:
    x, y = 10**22, 2 * 10**13
    pool = Pool.v2(x, y)
    place, liquidity = pool.place, pool.liquidity.copy()
    for _ in range(500):
        amount = 10**19
        gave = amount * 997 * y // (x * 1_000 + amount * 997)
        x, y = x + amount, y - gave
        trade = floats.sell(pool.roots, liquidity, pool.fee, place, float(amount))
        assert -trade.asset == pytest.approx(gave, rel=1e-9)
        place = floats.compound(liquidity, trade)
    assert liquidity[0] / place.root == pytest.approx(x, rel=1e-9)
    assert liquidity[0] * place.root == pytest.approx(y, rel=1e-9)


@pytest.mark.parametrize("sells_0", [True, False])
@pytest.mark.parametrize("fee", TICK_SPACINGS)
def test_sell__v3_within_a_spacing__within_the_bound_of_the_mirror(fee: int, sells_0: bool) -> None:
    random, found = Random(fee), 0
    spacing = TICK_SPACINGS[fee]
    while found < 500:
        root = sqrt_price(10**18, int(10 ** random.uniform(9, 24)))
        liquidity = int(10 ** random.uniform(18, 26))
        tick = tick_at_sqrt_price(root)
        state = PoolState(root, tick, liquidity, fee)
        low = tick // spacing * spacing
        pool = Pool.v3([(low, low + spacing, liquidity)], root, fee, sells_0=sells_0)
        amount = int(pool.holdings()[1] / pool.price * random.random())
        exact = state.sell(amount, zero_for_one=sells_0)
        if exact is not None and amount:
            found += 1
            assert abs(-pool.sell(amount).asset - exact) <= _bound(exact, 0, pool)


@pytest.fixture(scope="module")
def real(in_process: InProcessEngine) -> tuple[RealPool, list[tuple[int, int, int]], object]:
    """A pool of five positions, one within the other, and its ranges."""
    engine, provider = in_process, in_process.accounts[1]
    uniswap = deploy_uniswap(engine)
    tokens: list[Contract] = [engine.deploy(load("TestToken"), n, n, 18) for n in ("A", "B")]
    for token in tokens:
        token.mint(provider, 10**40)
    pool = uniswap.create_pool(*tokens, fee=3_000, amounts=(10**18, 2_000 * 10**18))
    ranges = []
    for width in (
        Fraction(2**256),
        Fraction(2),
        Fraction(3, 2),
        Fraction(11, 10),
        Fraction(51, 50),
    ):
        amounts = {tokens[0].address: 10**22, tokens[1].address: 2 * 10**25}
        token_id = uniswap.fund_pool(pool, amounts, provider, width=width)
        held = uniswap.positions.positions(token_id)
        ranges.append((int(held.tickLower), int(held.tickUpper), int(held.liquidity)))
    return pool, ranges, uniswap


@pytest.mark.parametrize("sells_0", [True, False])
def test_sell__v3_bytecode_across_ranges__within_the_bound(
    real: tuple[RealPool, list[tuple[int, int, int]], object], sells_0: bool
) -> None:
    """Sales from a thousandth of the innermost range to far past the last, and small ones."""
    state, ranges, uniswap = real
    path = state.path(state.token_0 if sells_0 else state.token_1)
    pool = Pool.v3(ranges, state.sqrt_price, state.fee, sells_0=sells_0)
    crossings = set()
    for exponent in range(12, 28):
        for digit in range(1, 10):
            amount = digit * 10**exponent
            exact = uniswap.quote_sale(path, amount)  # type: ignore[attr-defined]
            trade = pool.sell(amount)
            crossed = pool.place.range - trade.place.range
            crossings.add(crossed)
            assert trade.left == 0
            assert abs(-trade.asset - exact) <= _bound(exact, crossed, pool), (amount, exact, trade)
    assert {0, 1, 2, 3, 4} <= crossings


def test_move__down_or_up__what_selling_as_much_does() -> None:
    ranges = [(-6_000, 6_000, 10**20), (-1_200, 600, 10**22)]
    pool = Pool.v3(ranges, 2**96, 3_000, sells_0=True)
    for target in (0.999, 0.93, 0.8):
        moved = floats.move(pool.roots, pool.liquidity, pool.fee, pool.place, target)
        sold = pool.sell(moved.collateral)
        assert sold.asset == pytest.approx(moved.asset, rel=1e-12)
        assert sold.place.root == pytest.approx(target, rel=1e-12)
        there = Pool(pool.roots, pool.liquidity, 0.0, moved.place)
        back = floats.move(there.roots, there.liquidity, 0.0, there.place, 1.0)
        assert back.collateral == pytest.approx(-moved.collateral + moved.fee, rel=1e-12)
        assert back.asset == pytest.approx(-moved.asset, rel=1e-12)
        assert back.place == pool.place
    beyond = floats.move(pool.roots, pool.liquidity, pool.fee, pool.place, 1e-9)
    assert beyond.place.root == pool.roots[0]


def test_sell__gap_between_ranges__jumps_over_it() -> None:
    """Nothing lies between -60 and -600: the two ranges alone give what they hold."""
    pool = Pool.v3([(-60, 60, 10**20), (-1_200, -600, 10**20)], 2**96, 3_000, sells_0=True)
    near, far = (
        Pool.v3([ticks], sqrt_price_at_tick(top), 3_000, sells_0=True)
        for ticks, top in (((-60, 60, 10**20), 0), ((-1_200, -600, 10**20), -601))
    )
    first = floats.move(near.roots, near.liquidity, near.fee, near.place, near.roots[0])
    trade = pool.sell(first.collateral + 10.0**17)
    assert trade.place.range == 0
    assert trade.place.root < pool.roots[1]
    rest = -trade.asset + first.asset
    assert rest == pytest.approx(-far.sell(10.0**17).asset, rel=1e-3)


def test_sell__more_than_the_ranges_take__the_rest_is_left() -> None:
    pool = Pool.v3([(-60, 60, 10**20)], 2**96, 3_000, sells_0=True)
    trade = pool.sell(10**20)
    assert trade.place.root == pool.roots[0]
    assert trade.collateral + trade.left == pytest.approx(10**20, rel=1e-12)
    assert -trade.asset == pytest.approx(pool.holdings()[1], rel=1e-12)


def test_v3__price_outside_every_position__risk_error() -> None:
    with pytest.raises(RiskError, match="no position holds"):
        Pool.v3([(60, 120, 10**18)], 2**96, 3_000, sells_0=True)


def test_v2__no_reserve__risk_error() -> None:
    with pytest.raises(RiskError, match="both reserves must be above 0"):
        Pool.v2(0, 1)


def test_fee_scale__of_v3__a_part_of_one() -> None:
    assert Pool.v3([(-60, 60, 1)], 2**96, 500, sells_0=True).fee == 500 / FEE_SCALE
