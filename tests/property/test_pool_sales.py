"""`PoolState` against real pools and QuoterV2: sales within a tick spacing, to the unit."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.evm import Contract, InProcessEngine, load
from ringfence.evm.uniswap import Pool, Uniswap, deploy_uniswap
from ringfence.math.uniswap import TICK_SPACINGS, PoolState

PLENTY = 10**30
FEES = [*TICK_SPACINGS]


class Market:
    """A pool of each fee, one step of liquidity around the price and a thin one everywhere."""

    def __init__(self, engine: InProcessEngine, price: int) -> None:
        self.engine, self.trader = engine, engine.accounts[1]
        self.uniswap: Uniswap = deploy_uniswap(engine)
        self.tokens: list[Contract] = [
            engine.deploy(load("TestToken"), name, name, 18) for name in ("A", "B")
        ]
        for token in self.tokens:
            token.mint(self.trader, 10**60)
        self.pools: list[Pool] = []
        for fee in FEES:
            pool = self.uniswap.create_pool(*self.tokens, fee=fee, amounts=(10**12, price))
            for width, amount in ((Fraction(2**256), 10**22), (Fraction(101, 100), 10**21)):
                plenty = {token.address: amount for token in self.tokens}
                self.uniswap.fund_pool(pool, plenty, self.trader, width=width)
            self.pools.append(pool)


def state_of(pool: Pool) -> PoolState:
    return PoolState(pool.sqrt_price, pool.tick, int(pool.contract.liquidity()), pool.fee)


@pytest.fixture(scope="module", params=[1, 10**12, 2 * 10**21])
def standing(in_process: InProcessEngine, request: pytest.FixtureRequest) -> Market:
    return Market(in_process, request.param)


@settings(max_examples=150)
@given(
    fee=st.sampled_from(FEES),
    sells_0=st.booleans(),
    before=st.tuples(st.booleans(), st.integers(0, 10**24)),
    share=st.fractions(0, Fraction(11, 10)),
)
def test_sell__within_the_spacing__what_the_quoter_says(
    standing: Market, fee: int, sells_0: bool, before: tuple[bool, int], share: Fraction
) -> None:
    """After any trade that moved the price; just past the spacing it declines."""
    market = standing
    pool = market.pools[FEES.index(fee)]
    mark = market.engine.snapshot()
    try:
        if before[1]:
            path = pool.path(pool.token_0 if before[0] else pool.token_1)
            market.uniswap.sell(market.trader, path, before[1])
        state = state_of(pool)
        edge = _edge(state, sells_0)
        amount = int(edge * share)
        found = state.sell(amount, zero_for_one=sells_0)
        assert (found is None) == (amount > edge or not edge)
        if found is not None and amount:
            path = pool.path(pool.token_0 if sells_0 else pool.token_1)
            assert found == market.uniswap.quote_sale(path, amount)
            assert found == market.uniswap.sell(market.trader, path, amount).value
    finally:
        market.engine.restore(mark)


def _edge(state: PoolState, sells_0: bool) -> int:
    """The largest sale that stays, by bisection; 0 where even none does not."""
    low, high = 0, PLENTY
    while high - low > 1:
        middle = (low + high) // 2
        if state.sell(middle, zero_for_one=sells_0) is None:
            high = middle
        else:
            low = middle
    return low


@settings(max_examples=60)
@given(
    fee=st.sampled_from(FEES),
    sells_0=st.booleans(),
    first=st.integers(1, 10**20),
    second=st.integers(1, 10**20),
)
def test_quoter__two_sales_in_a_row__give_what_their_sum_gives(
    standing: Market, fee: int, sells_0: bool, first: int, second: int
) -> None:
    """Within the rounding of a step more: a unit of each of two tokens at the price there is."""
    market = standing
    pool = market.pools[FEES.index(fee)]
    path = pool.path(pool.token_0 if sells_0 else pool.token_1)
    both = market.uniswap.quote_sale(path, first + second)
    mark = market.engine.snapshot()
    try:
        gave = [market.uniswap.sell(market.trader, path, one).value for one in (first, second)]
    finally:
        market.engine.restore(mark)
    price = pool.price_of(pool.token_0 if sells_0 else pool.token_1)
    assert 0 <= both - sum(gave) <= 3 * price + 3


@given(
    cost=st.fractions(Fraction(9, 10), Fraction(11, 10)),
    sells_0=st.booleans(),
    fee=st.sampled_from(FEES),
)
def test_best_sale__at_its_cost__no_neighbour_earns_more(
    cost: Fraction, sells_0: bool, fee: int
) -> None:
    """A pool so deep that the spacing is wide: where a size is best, it is the one."""
    state = PoolState(2**96, 0, 10**24, fee)
    best = state.best_sale(cost, zero_for_one=sells_0)

    def earned(amount: int) -> Fraction | None:
        gave = state.sell(amount, zero_for_one=sells_0)
        return None if gave is None else gave - cost * amount

    here = earned(best)
    if here is None:
        assert state.sell(best, zero_for_one=sells_0) is None
        return
    for other in (best - best // 50, best + best // 50 + 10**6):
        assert best == 0 or here >= (earned(other) or 0) - 2
