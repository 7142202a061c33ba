"""Deciding what to liquidate: profit with gas counted, bounded losses, order, batches."""

from __future__ import annotations

import pytest

from ringfence.keeper import Candidate, MarketState, Policy, decide
from ringfence.keeper.decide import MAX_BATCH, REPAY_ALL, to_asset

PATH, OTHER_PATH = b"path", b"other path"
VAULT = "0x" + "11" * 20
USDC = 10**6
PER_ETHER = 2_000 * USDC
GAS = 10**5
GAS_PRICE = 10**10
GAS_COST = 2 * USDC
"""A thousandth of an ether at 2,000 dollars."""


def policy(**changes: int) -> Policy:
    return Policy(**{"gas_price": GAS_PRICE, "gas": GAS} | changes)


def state(*candidates: Candidate) -> list[MarketState]:
    return [MarketState(VAULT, PER_ETHER, candidates)]


def candidate(
    profit: int | None, *, loss: int = 0, position_id: int = 1, path: bytes = PATH
) -> Candidate:
    return Candidate(position_id, path, profit, loss)


def test_decide__nothing_due__does_nothing() -> None:
    assert decide(state(), policy()) == []


def test_decide__profit_covers_gas__liquidates_all_of_it() -> None:
    [action] = decide(state(candidate(GAS_COST)), policy())
    [target] = action.targets
    assert (action.vault, action.path) == (VAULT, PATH)
    assert (target.position_id, target.max_repay) == (1, REPAY_ALL)


def test_decide__profit_below_gas__leaves_it() -> None:
    assert decide(state(candidate(GAS_COST - 1)), policy()) == []


def test_decide__minimum_profit__comes_on_top_of_gas() -> None:
    wanted = policy(min_profit=10**15)
    bound = GAS_COST + 2 * USDC
    assert decide(state(candidate(bound - 1)), wanted) == []
    [action] = decide(state(candidate(bound)), wanted)
    assert action.min_profit == bound


def test_decide__would_revert__leaves_it() -> None:
    assert decide(state(candidate(None, loss=10**12)), policy(max_loss=10**18)) == []


def test_decide__solvent_at_a_loss__leaves_it_whatever_the_policy() -> None:
    assert decide(state(candidate(-1)), policy(max_loss=10**18)) == []


@pytest.mark.parametrize(("profit", "sent"), [(-98 * USDC, True), (-98 * USDC - 1, False)])
def test_decide__insolvent__up_to_the_loss_that_the_policy_bears(profit: int, sent: bool) -> None:
    """A twentieth of an ether is 100 dollars, and gas takes two of them."""
    actions = decide(state(candidate(profit, loss=1)), policy(max_loss=5 * 10**16))
    assert bool(actions) == sent
    if sent:
        assert actions[0].min_profit == -98 * USDC


def test_decide__insolvent_at_a_profit__risks_nothing_on_chain() -> None:
    [action] = decide(state(candidate(1, loss=1)), policy(max_loss=5 * 10**16))
    assert action.min_profit == 0


def test_decide__several__insolvent_first_then_by_profit() -> None:
    found = decide(
        state(
            candidate(10 * USDC, position_id=1),
            candidate(20 * USDC, position_id=2),
            candidate(5 * USDC, loss=7, position_id=3),
            candidate(5 * USDC, loss=9, position_id=4),
        ),
        policy(),
    )
    assert [action.targets[0].position_id for action in found] == [4, 3, 2, 1]


def test_decide__batches__hold_targets_of_one_route() -> None:
    found = decide(
        state(
            candidate(9 * USDC, position_id=1),
            candidate(8 * USDC, position_id=2, path=OTHER_PATH),
            candidate(7 * USDC, position_id=3),
            candidate(6 * USDC, position_id=4),
        ),
        policy(batch_size=2),
    )
    assert [(a.path, [t.position_id for t in a.targets]) for a in found] == [
        (PATH, [1, 3]),
        (PATH, [4]),
        (OTHER_PATH, [2]),
    ]
    assert found[0].min_profit == 2 * GAS_COST


def test_decide__batch_too_large__stops_at_what_the_liquidator_takes() -> None:
    many = [candidate(9 * USDC, position_id=n) for n in range(MAX_BATCH + 1)]
    found = decide(state(*many), policy(batch_size=1_000))
    assert [len(action.targets) for action in found] == [MAX_BATCH, 1]


def test_to_asset__fraction_of_a_unit__rounds_up() -> None:
    assert to_asset(1, PER_ETHER) == 1
    assert to_asset(0, PER_ETHER) == 0
