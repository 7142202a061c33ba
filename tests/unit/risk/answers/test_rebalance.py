"""Trading back to a leverage: what a trade does, what it costs, when it comes too late."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from ringfence.risk.answers.rebalance import Policy, Rebalanced, rebalance, traded_to
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.market import RiskMarket
from tests.support.risk import risk_market

LONG, SHORT = risk_market(), risk_market(6, 18, falls=False)
POLICY = Policy(target=3.0, band=0.1, fee=0.003, slippage=0.002)


@pytest.mark.parametrize("collateral", [2.4, 3.0, 4.5])
def test_traded_to__any_leverage__comes_to_the_target_and_pays_the_cost(collateral: float) -> None:
    debt = collateral - 1.0
    sold = traded_to(collateral, debt, POLICY.target, POLICY.cost)
    kept = 1 - POLICY.cost
    if sold > 0:
        left, owed = collateral - sold, debt - sold * kept
    else:
        left, owed = collateral - sold * kept, debt - sold
    assert left / (left - owed) == pytest.approx(3.0)
    assert 1.0 - (left - owed) == pytest.approx(abs(sold) * POLICY.cost)


@pytest.mark.parametrize("market", [LONG, SHORT], ids=["long", "short"])
def test_rebalance__random_paths__is_a_plain_loop_s(market: RiskMarket) -> None:
    rng = np.random.default_rng(2)
    logs = rng.normal(0, 0.12, (50, 60))
    logs[:, 0] = 0
    paths = np.exp(np.cumsum(logs, axis=1))
    run = rebalance(market, POLICY, paths)
    assert 0 < run.liquidated.sum() < 50
    for number, path in enumerate(paths.tolist()):
        held, owed, paid, trades, over = 3.0, 2.0, 0.0, 0, False
        for before, after in pairwise(path):
            if market.falls:
                held *= after / before
            else:
                owed *= after / before
            if owed / held > market.liquidation_ltv:
                over = True
                break
            equity = held - owed
            if abs(held / equity - 3.0) > 0.3:
                low = held > 3 * equity
                divisor = 1 - 3 * 0.005 if low else 1 - 0.005 + 3 * 0.005
                size = abs(held - 3 * equity) / divisor
                held += -size if low else size * 0.995
                owed += -size * 0.995 if low else size
                paid, trades = paid + size * 0.005, trades + 1
        assert run.liquidated[number] == over
        assert run.trades[number] == trades
        assert run.paid[number] == pytest.approx(paid)
        assert run.equity[number] == pytest.approx(max(held - owed, 0.0))


@pytest.mark.parametrize("market", [LONG, SHORT], ids=["long", "short"])
def test_rebalance__slow_ruin__survives_where_standing_still_does_not(market: RiskMarket) -> None:
    down = np.linspace(1, 0.5, 200)[None, :]
    paths = down if market.falls else 1 / down
    idle = rebalance(market, Policy(3.0, band=1e9), paths)
    assert idle.liquidated.all()
    assert not idle.trades.any()
    run = rebalance(market, POLICY, paths)
    assert not run.liquidated.any()
    assert run.trades.min() > 1
    assert (run.paid == run.traded * POLICY.cost).all()


def test_rebalance__gap_beyond_the_liquidation_ltv__comes_too_late() -> None:
    run = rebalance(LONG, POLICY, np.array([[1.0, 0.7, 2.0]]))
    assert run.liquidated.all()
    assert run.trades.tolist() == [0]
    assert run.equity.tolist() == [pytest.approx(3 * 0.7 - 2)]


def test_join__batches__is_the_whole() -> None:
    paths = np.exp(np.random.default_rng(3).normal(0, 0.1, (6, 9)))
    paths[:, 0] = 1
    parts = [rebalance(LONG, POLICY, paths[:2]), rebalance(LONG, POLICY, paths[2:])]
    whole, joined = rebalance(LONG, POLICY, paths), Rebalanced.join(parts)
    for name in ("liquidated", "trades", "traded", "paid", "equity"):
        assert getattr(joined, name).tobytes() == getattr(whole, name).tobytes()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(6.0, 0.1), "a target of 6"),
        (Policy(0.9, 0.1), "a target of 0.9"),
        (Policy(3.0, -0.1), "band -0.1"),
        (Policy(3.0, 0.1, fee=0.1, slippage=0.05), "cost all that is left"),
        (Policy(3.0, 0.1, fee=-0.1), "fee -0.1"),
        (Policy(3.0, 0.1, slippage=-0.1), "slippage -0.1"),
        (Policy(math.nan, 0.1), "a target of nan"),
        (Policy(3.0, math.nan), "band nan"),
        (Policy(3.0, 0.1, fee=math.nan), "fee nan"),
        (Policy(3.0, 0.1, slippage=math.nan), "slippage nan"),
    ],
)
def test_rebalance__impossible_policy__is_refused(policy: Policy, words: str) -> None:
    with pytest.raises(RiskError, match=words):
        rebalance(LONG, policy, np.ones((1, 2)))
