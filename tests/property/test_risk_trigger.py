"""The trigger is where the mirror's verdict turns: at every width, in both directions."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ringfence.math.fixed_point import WAD
from ringfence.math.position_slot import MAX_COLLATERAL, MAX_SCALED_DEBT
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.trigger import MAX_ANSWER, trigger
from tests.support.model.strategies import collaterals, debt_indices, scaled_debts, wide
from tests.support.risk import LIQUIDATION_LTV, holds, risk_market

markets = st.builds(
    risk_market,
    st.sampled_from((2, 6, 8, 18)),
    st.sampled_from((2, 6, 8, 18)),
    falls=st.booleans(),
    still=st.one_of(st.just(10**8), wide(10**14, 1)),
)
ltvs = wide(WAD - 1, 1)

LONG, SHORT = risk_market(), risk_market(6, 18, falls=False)


def bisected(market: RiskMarket, held: int, owed: int, index: int, ltv: int) -> int:
    """The trigger by the mirror alone, from nothing but monotony."""

    def healthy(answer: int) -> bool:
        return holds(market, held, owed, index, ltv, answer)

    low, high = 1, MAX_ANSWER + 1
    while low < high:
        middle = (low + high) // 2
        if healthy(middle) == market.falls:
            high = middle
        else:
            low = middle + 1
    return low if market.falls else low - 1


@given(market=markets, held=collaterals, owed=scaled_debts, index=debt_indices, ltv=ltvs)
@example(LONG, 0, 0, WAD, LIQUIDATION_LTV)
@example(SHORT, 0, 1, WAD, LIQUIDATION_LTV)
@example(LONG, 1, MAX_SCALED_DEBT, WAD, 1)
@example(LONG, MAX_COLLATERAL, 1, WAD, LIQUIDATION_LTV)
def test_trigger__any_position__is_where_the_mirror_turns(
    market: RiskMarket, held: int, owed: int, index: int, ltv: int
) -> None:
    at = trigger(market, held, owed, index, ltv)
    assert at == bisected(market, held, owed, index, ltv)
    inside, outside = (at, at - 1) if market.falls else (at, at + 1)
    if 1 <= inside <= MAX_ANSWER:
        assert holds(market, held, owed, index, ltv, inside)
    if 1 <= outside <= MAX_ANSWER:
        assert not holds(market, held, owed, index, ltv, outside)


@given(
    market=markets,
    answer=st.integers(10**5, 10**15),
    held=st.integers(1, 10**12),
    index=st.integers(WAD, 2 * WAD),
    share=st.integers(1, 150),
)
def test_trigger__real_sizes__turns_between_two_answers(
    market: RiskMarket, answer: int, held: int, index: int, share: int
) -> None:
    collateral = held * 10**market.collateral_decimals
    debt = collateral * market.price(answer) // 10**36 * share // 100
    owed = debt * WAD // index
    at = trigger(market, collateral, owed, index, LIQUIDATION_LTV)
    worse = -1 if market.falls else 1
    for step in range(-3, 4):
        if 1 <= at + step <= MAX_ANSWER:
            healthy = holds(market, collateral, owed, index, LIQUIDATION_LTV, at + step)
            assert healthy == (step * worse <= 0)
