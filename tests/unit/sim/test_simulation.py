"""Simulations in process: keepers late, off and in competition, lenders, attackers, refusals."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.evm import InProcessEngine
from ringfence.math.fixed_point import WAD
from ringfence.sim.agents.lender import applies
from ringfence.sim.outcome import Outcome
from ringfence.sim.scenario import Withdraw
from ringfence.sim.stage import SimError
from tests.support.simulated import play, write

FALL = [2_000.0, 1_800.0, 1_800.0, 1_800.0]
"""Past the trigger of the position at 4.5x, well within solvency."""

LATE = """
[[keepers]]
account = "late"
latency = {latency}
gas_price_gwei = 30
min_profit = 0
max_loss = 0
"""


def run(folder: Path, prices: list[float], **parts: str) -> Outcome:
    return play(InProcessEngine(traced=False), write(folder, prices, **parts), folder)


def test_keeper__without_latency__liquidates_in_the_step_of_the_fall(tmp_path: Path) -> None:
    outcome = run(tmp_path, FALL)
    [sold] = outcome.liquidations
    assert (sold.time, sold.keeper) == (300, "keeper")
    assert sold.loss == 0
    assert sold.profit > 0
    [keeper] = outcome.keepers
    assert (keeper.liquidations, keeper.failed, keeper.usdc) == (1, 0, sold.profit)
    assert keeper.gas_cost == sold.gas * 20 * 10**9
    assert outcome.held


def test_keeper__off__leaves_it_until_it_is_back(tmp_path: Path) -> None:
    [sold] = run(tmp_path, FALL, keeper="off = [[0, 0.16]]").liquidations
    assert sold.time == 600


def test_keeper__late__comes_as_many_steps_later(tmp_path: Path) -> None:
    parts = {"keeper": "off = [[0, 9]]", "keepers": LATE.format(latency=2)}
    [sold] = run(tmp_path, FALL, **parts).liquidations
    assert (sold.time, sold.keeper) == (900, "late")


def test_keeper__late_behind_another__fails_and_pays_its_gas(tmp_path: Path) -> None:
    outcome = run(tmp_path, FALL, keepers=LATE.format(latency=1))
    late, first = outcome.keepers
    assert (late.account, late.liquidations, late.failed) == ("late", 0, 1)
    assert late.gas_cost > 0
    assert (late.usdc, first.liquidations) == (0, 1)


def test_keeper__pays_more_for_gas_at_the_same_time__is_first(tmp_path: Path) -> None:
    outcome = run(tmp_path, FALL, keepers=LATE.format(latency=0))
    [sold] = outcome.liquidations
    assert sold.keeper == "late"
    assert [one.failed for one in outcome.keepers] == [0, 1]


@pytest.mark.parametrize(("time", "applied"), [(359, False), (360, True)])
def test_applies__at_an_hour__from_then_on(time: int, applied: bool) -> None:
    rule = Withdraw(do="withdraw", at=Decimal("0.1"), share=Decimal(1))
    assert applies(rule, time, 0) is applied


@pytest.mark.parametrize(("above", "applied"), [(0, False), (1, True)])
def test_applies__utilisation__only_above_the_bound(above: int, applied: bool) -> None:
    rule = Withdraw(do="withdraw", above_utilisation=Decimal("0.9"), share=Decimal(1))
    assert applies(rule, 0, 9 * WAD // 10 + above) is applied


def test_lender__withdraws_all__gets_what_cash_there_is(tmp_path: Path) -> None:
    rules = """, rules = [
        { do = "withdraw", at = 0.1, share = 1 },
        { do = "deposit", at = 0.2, amount = 5_000 }] """
    rules = " ".join(rules.split())
    outcome = run(tmp_path, [2_000.0] * 4, rules=rules)
    [lender] = [one for one in outcome.lenders if one.account == "lender-2"]
    assert lender.lent == 14_000 * 10**6
    assert lender.withdrawn >= 9_000 * 10**6
    assert 0 <= lender.gain < 10**6
    told = [(one.time, one.what, one.refused) for one in outcome.deeds if one.who == "lender-2"]
    assert told == [(600, "withdraw", None), (900, "deposit", None)]


def test_share_inflation__gift_before_the_lenders__is_lost(tmp_path: Path) -> None:
    attackers = """
[[attackers]]
attack = "share inflation"
account = "inflator"
market = "weth-usdc-conservative"
gift = 1_000
"""
    outcome = run(tmp_path, [2_000.0] * 2, attackers=attackers)
    [attack] = outcome.attacks
    assert attack.gain == attack.result == -1_000 * 10**6
    assert all(one.claim >= one.lent - 1 for one in outcome.lenders)
    assert outcome.held


def test_self_liquidation__solvent__costs_the_cut_and_the_pools_fee(tmp_path: Path) -> None:
    attackers = """
[[attackers]]
attack = "self-liquidation"
account = "self-liquidator"
market = "weth-usdc-conservative"
margin = 2
"""
    outcome = run(tmp_path, FALL, attackers=attackers)
    [attack] = outcome.attacks
    assert (attack.tried, attack.done, attack.bonus) == (1, 1, 0)
    assert -100 * 10**6 < attack.gain < 0
    assert not attack.paid
    assert outcome.held


LAG = """
[[attackers]]
attack = "oracle lag"
account = "laggard"
market = "{market}"
stake = {stake}
lag = {lag}
then = "{then}"
"""
CONSERVATIVE, SHORT = "weth-usdc-conservative", "usdc-weth-short"
SHIPPED = "0.005"
"""The deviation of ETH / USD on mainnet, and of the scenarios that are shipped."""


def lagging(folder: Path, prices: list[float], deviation: str, **table: object) -> Outcome:
    """A laggard among the others, 12 bp of lag enough for it to try."""
    given = {"market": CONSERVATIVE, "stake": 10_000, "lag": 0.0012, "then": "walk away", **table}
    return run(folder, prices, attackers=LAG.format(**given), deviation=deviation)


def bounded(outcome: Outcome) -> bool:
    [check] = [one for one in outcome.checks if one.name == "oracle_lag_within_gap"]
    return check.held


@pytest.mark.parametrize("then", ["walk away", "self-liquidation"])
@pytest.mark.parametrize(("market", "stake", "up"), [(CONSERVATIVE, 10_000, -1), (SHORT, 5, 1)])
def test_oracle_lag__shipped_deviation__does_not_pay(
    tmp_path: Path, market: str, stake: int, up: int, then: str
) -> None:
    """Just within the deviation, where the feed is silent; later far past every trigger."""
    prices = [2_000.0, 2_000 * (1 + up * 0.0049), 2_000 * (1 + up * 0.0055), 2_000 * (1 + up * 0.1)]
    told = lagging(tmp_path, [*prices, prices[-1]], SHIPPED, market=market, stake=stake, then=then)
    [attack] = told.attacks
    assert attack.done == attack.tried > 0
    # The pool's fee is what it pays; nothing else is worth more than it was.
    assert -100 * 10**6 < attack.gain < 0
    assert not attack.paid
    assert bounded(told)
    assert told.held


@pytest.mark.parametrize(("market", "stake"), [(CONSERVATIVE, 10_000), (SHORT, 5)])
def test_oracle_lag__deviation_wider_than_the_initial_ltvs_gap__pays_out_of_lenders_money(
    tmp_path: Path, market: str, stake: int
) -> None:
    """An LTV of 0.80 on an answer that overstates collateral by 24 %: 0.80 / 0.76 is borrowed."""
    after = 2_000 * 0.76 if market == CONSERVATIVE else 2_000 / 0.76
    told = lagging(tmp_path, [2_000.0, after, after], "0.4", market=market, stake=stake, lag=0.22)
    [attack] = told.attacks
    assert (attack.tried, attack.done) == (1, 1)
    staked = 10_000 if market == CONSERVATIVE else 5 * after
    # It buys at a fee past the market, pays another, and moves the pool by as much.
    kept = (1 - 0.0005) ** 3
    assert attack.gain == pytest.approx((0.80 / 0.76 * kept - 1) * staked * 10**6, rel=0.01)
    assert attack.paid
    assert not bounded(told)
    assert not told.held


def test_oracle_lag__feed_answers_afterwards__lenders_lose_what_it_gained(tmp_path: Path) -> None:
    """Reserve and keepers between them: the loss is the gain and what the liquidation costs."""
    prices = [2_000.0, 1_520.0, 1_490.0, 1_490.0]
    told = lagging(tmp_path, prices, "0.25", lag=0.22)
    [attack] = told.attacks
    [sold] = [one for one in told.liquidations if int(one.position, 16) % 2**96 == 10_000]
    assert sold.loss > attack.gain > 0


def test_oracle_lag__between_the_two_gaps__pays_only_who_liquidates_himself(tmp_path: Path) -> None:
    """15 % of lag: past 1 - 0.80 * 1.077, short of 1 - 0.80."""
    prices = [2_000.0, 1_700.0, 1_670.0, 1_670.0]
    walks = lagging(tmp_path, prices, "0.16", lag=0.14)
    sells = lagging(tmp_path, prices, "0.16", lag=0.14, then="self-liquidation")
    assert [one.attacks[0].paid for one in (walks, sells)] == [False, True]
    assert [bounded(one) for one in (walks, sells)] == [True, False]
    assert sells.attacks[0].done == 2


def test_oracle_lag__jump_within_a_step__is_a_lag_that_no_deviation_bounds(tmp_path: Path) -> None:
    """The feed answers in the same step, after the pool has moved: between the two it is old."""
    told = lagging(tmp_path, [2_000.0, 1_500.0, 1_500.0], SHIPPED, lag=0.22)
    assert told.attacks[0].paid
    assert told.steps[1].answer == 1_500 * 10**8
    assert not bounded(told)


def test_oracle_lag__less_than_it_waits_for__is_not_tried(tmp_path: Path) -> None:
    told = lagging(tmp_path, [2_000.0, 1_995.0], SHIPPED, lag=0.0026)
    assert (told.attacks[0].tried, told.attacks[0].gain) == (0, 0)


def test_position__that_the_vault_refuses__is_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    more = """
[[positions]]
account = "greedy"
market = "usdc-weth-short"
at = 0
margin = 900_000
leverage = 3
"""
    outcome = run(tmp_path, FALL, more=more)
    assert [one.account for one in outcome.positions] == ["long", "short", "long"]
    refused = [(one.who, one.refused) for one in outcome.deeds if one.refused]
    assert refused == [("greedy", "not enough cash")]
    assert outcome.liquidations


def test_position__pool_too_thin_for_the_one_before_it__one_line_says_what_to_do(
    tmp_path: Path,
) -> None:
    """The long's buying lifts the pool's price fivefold: what the short sells there is dear."""
    scenario = write(tmp_path, FALL)
    thin = scenario.read_text().replace("weth = 10_000", "weth = 2")
    scenario.write_text(thin)
    with pytest.raises(SimError) as refused:
        play(InProcessEngine(traced=False), scenario, tmp_path)
    line = str(refused.value)
    assert line.startswith("usdc-weth-short: the pool sells collateral that the oracle values at ")
    assert "(limit: below 1.29, one over the LTV wanted); deepen the pool" in line
    assert "\n" not in line
