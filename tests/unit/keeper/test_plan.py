"""Planning without a chain: order, sizes, what pays and what does not, bounds, batches."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from ringfence.client.units import Token
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.market import REPAY_ALL, Market
from ringfence.keeper.act.plan import Plan, plan, wanted
from ringfence.keeper.act.policy import MAX_TARGETS, GasModel, Policy
from ringfence.keeper.act.sale import Route, Sales
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams, liquidate
from ringfence.math.position_slot import PositionSlot, pack
from ringfence.math.uniswap import PoolState, sqrt_price, tick_at_sqrt_price

USDC = 10**6
PERCENT = WAD // 100
RISK = RiskParams(86 * PERCENT, 80 * PERCENT, PERCENT, 108 * PERCENT, 10 * PERCENT, 100 * USDC)
WETH_ADDRESS, USDC_ADDRESS = b"\x01" * 20, b"\x02" * 20
VAULT, OTHER_VAULT = b"\x11" * 20, b"\x22" * 20
PRICE = 1_800 * 10**24
FEES = Fees(base=9 * 10**9, tip=10**9)
PER_ETHER = 1_800 * USDC
DEEP, THIN = 10**24, 3 * 10**15
NEVER_LOSES = Policy()


def pool_at(dollars: int, liquidity: int = DEEP, fee: int = 500) -> PoolState:
    root = sqrt_price(10**18, dollars * USDC)
    return PoolState(root, tick_at_sqrt_price(root), liquidity, fee)


def sales(*pools: PoolState, quotes: dict[int, int | None] | None = None) -> Sales:
    tokens = (WETH_ADDRESS, *(bytes([7 + n]) * 20 for n in range(len(pools) - 1)), USDC_ADDRESS)
    return Sales(Route(tokens, tuple(one.fee for one in pools)), pools, quotes or {})


def position(position_id: int, debt: int, ether: Fraction = Fraction(1)) -> tuple[int, int]:
    """Some ether against dollars of debt."""
    return position_id, pack(PositionSlot(int(ether * WAD), debt * USDC, 0))


def market(*due: tuple[int, int], **changes: Any) -> Market:
    fields: dict[str, Any] = {
        "vault": VAULT,
        "risk": RISK,
        "price": PRICE,
        "debt_index": WAD,
        "due": due,
        "asset": Token("0x" + "02" * 20, "USDC", 6),
        "asset_per_ether": PER_ETHER,
        "sales": (sales(pool_at(1_800)),),
    }
    return Market(**fields | changes)


def ids(found: Plan) -> list[list[int]]:
    return [[one.position_id for one in batch.targets] for batch in found.batches]


def reasons(found: Plan) -> dict[int, str]:
    return {one.position_id: one.reason for one in found.skipped}


def gas(count: int, pools: int = 1) -> int:
    """What a batch's gas costs, asset units rounded up."""
    model = GasModel()
    wei = (model.shared + count * model.per_target(pools)) * FEES.price
    return -(-wei * PER_ETHER // WAD)


# What is earned


def test_plan__nothing_due__nothing() -> None:
    assert plan([], FEES, NEVER_LOSES) == plan([market()], FEES, NEVER_LOSES) == Plan()


def test_plan__deep_pool__all_of_it_and_what_the_sale_leaves() -> None:
    one = market(position(1, 1_590))
    [batch] = plan([one], FEES, NEVER_LOSES).batches
    [target] = batch.targets
    moved = liquidate(PositionSlot(WAD, 1_590 * USDC, 0), WAD, PRICE, REPAY_ALL, RISK)
    gave = pool_at(1_800).sell(moved.seized, zero_for_one=True)
    assert gave is not None
    assert (target.max_repay, target.seized) == (REPAY_ALL, moved.seized)
    assert target.profit == batch.profit == gave - moved.repaid - moved.cut > 0


def test_plan__two_in_one_batch__second_is_sold_at_the_price_that_the_first_left() -> None:
    pool = pool_at(1_800, liquidity=10**18)
    due = (position(1, 1_590), position(2, 1_580))
    [batch] = plan([market(*due, sales=(sales(pool),))], FEES, NEVER_LOSES).batches
    first, second = batch.targets
    both = pool.sell(first.seized + second.seized, zero_for_one=True)
    assert both == batch.profit + first.paid + second.paid
    alone = pool.sell(second.seized, zero_for_one=True)
    assert alone is not None
    assert second.profit < alone - second.paid


def test_plan__two_vaults_of_one_pool__second_is_sold_after_the_first() -> None:
    pool = pool_at(1_800, liquidity=10**18)
    vaults = [
        market(position(1, 1_590), vault=vault, sales=(sales(pool),))
        for vault in (VAULT, OTHER_VAULT)
    ]
    first, second = plan(vaults, FEES, NEVER_LOSES).batches
    assert (first.market.vault, second.market.vault) == (VAULT, OTHER_VAULT)
    assert second.profit < first.profit


def test_plan__several__worst_first() -> None:
    due = [position(n, debt) for n, debt in ((1, 1_560), (2, 1_790), (3, 1_600), (4, 2_500))]
    assert ids(plan([market(*due)], FEES, NEVER_LOSES)) == [[4, 2, 3, 1]]


def test_plan__some_on_their_way__those_of_a_transaction_apart_from_the_rest() -> None:
    """A bid that shares a target with what was sent is held back whole."""
    due = [position(number, 1_610 - number) for number in range(1, 7)]
    waiting = {(VAULT, 2): 7, (VAULT, 3): 8, (VAULT, 5): 7, (OTHER_VAULT, 1): 7}
    found = plan([market(*due)], FEES, NEVER_LOSES, waiting)
    assert sorted(ids(found)) == [[1, 4, 6], [2, 5], [3]]
    assert found.skipped == ()


def test_plan__two_routes__each_position_on_the_better_one() -> None:
    cheap, dear = pool_at(1_800, fee=500), pool_at(1_800, fee=3_000)
    found = plan([market(position(1, 1_590), sales=(sales(dear), sales(cheap)))], FEES, NEVER_LOSES)
    assert [batch.sales.route.fees for batch in found.batches] == [(500,)]


def test_plan__further_pool__costs_its_gas() -> None:
    """Two pools in a row, of which the second gives dollars for dollars, at next to no fee."""
    dollars = PoolState(2**96, 0, 10**30, 100)
    found = plan(
        [market(position(1, 1_590), sales=(sales(pool_at(1_800), dollars),))], FEES, Policy()
    )
    [batch] = found.batches
    [target] = batch.targets
    own = GasModel().per_target(2) * FEES.price
    assert target.min_profit == target.own_gas == -(-own * PER_ETHER // WAD)


# What does not pay


def test_plan__pool_below_the_oracle__says_what_the_best_size_loses() -> None:
    found = plan([market(position(1, 1_590), sales=(sales(pool_at(1_700)),))], FEES, NEVER_LOSES)
    assert found.batches == ()
    assert re.fullmatch(
        r"the pool is too thin: the best of \d+ sizes loses [\d.]+ USDC", reasons(found)[1]
    )


def test_plan__thin_pool__the_size_that_earns_most() -> None:
    """A pool whose quotes say that only a part is sold well."""
    quotes: dict[int, int | None] = {
        WAD * n // 100: int(Fraction(1_800 * USDC * n, 100) / (1 + Fraction(n, 2_000)))
        for n in range(1, 60)
    }
    pool = pool_at(1_800, liquidity=0)
    one = market(position(1, 1_590), sales=(sales(pool, quotes=quotes),))
    [batch] = plan([one], FEES, NEVER_LOSES).batches
    [target] = batch.targets
    slot = PositionSlot(WAD, 1_590 * USDC, 0)
    profits = {}
    for max_repay in range(5 * USDC, 866 * USDC, 5 * USDC):
        moved = liquidate(slot, WAD, PRICE, max_repay, RISK)
        gave = one.sales[0].give(moved.seized)
        assert gave is not None
        profits[max_repay] = gave - moved.repaid - moved.cut
    assert 100 * USDC < target.max_repay < 865 * USDC
    assert target.profit >= max(profits.values()) - 2


def test_plan__pool_that_cannot_take_it__says_so() -> None:
    empty = sales(pool_at(1_800, liquidity=0), quotes={WAD: None})
    found = plan([market(position(1, 1_590), sales=(empty,))], FEES, NEVER_LOSES)
    assert reasons(found) == {1: "the pool is too thin: it cannot take any size"}


@pytest.mark.parametrize(("more", "sent"), [(0, True), (1, False)])
def test_plan__least_profit__comes_on_top_of_all_gas(more: int, sent: bool) -> None:
    one = market(position(1, 1_590))
    [batch] = plan([one], FEES, NEVER_LOSES).batches
    spare = (batch.profit - gas(1)) * WAD // PER_ETHER
    # Two conversions round up.
    policy = Policy(least_profit=spare - 10**12 + more * 2 * 10**12)
    found = plan([one], FEES, policy)
    assert bool(found.batches) == sent
    if not sent:
        assert re.fullmatch(
            r"it earns [\d.]+ USDC after gas, the policy wants [\d.]+ USDC", reasons(found)[1]
        )


def test_plan__gas_above_the_bonus__says_both() -> None:
    found = plan([market(position(1, 1_590))], Fees(10**12, 0), NEVER_LOSES)
    assert re.fullmatch(
        r"gas costs more than it earns: [\d.]+ USDC of gas, [\d.]+ USDC earned", reasons(found)[1]
    )


def test_plan__own_gas_paid_but_not_the_transactions__only_in_company() -> None:
    """One alone earns its own gas and half of what is around it; three do."""
    alone = market(position(1, 1_590))
    [batch] = plan([alone], FEES, NEVER_LOSES).batches
    model = GasModel()
    price = batch.profit * WAD // PER_ETHER // (model.target + model.shared // 2)
    fees = Fees(price, 0)
    assert plan([alone], fees, NEVER_LOSES).batches == ()
    together = market(*[position(n, 1_590) for n in (1, 2, 3)])
    assert ids(plan([together], fees, NEVER_LOSES)) == [[1, 2, 3]]


def test_plan__no_pool__says_so() -> None:
    assert reasons(plan([market(position(1, 1_590), sales=())], FEES, NEVER_LOSES)) == {
        1: "no pool trades the pair"
    }


def test_plan__asset_that_the_policy_does_not_take__left() -> None:
    one = market(position(1, 1_590))
    found = plan([one], FEES, Policy(assets=frozenset({WETH_ADDRESS})))
    assert reasons(found) == {1: "the policy does not take its asset, USDC"}
    assert ids(plan([one], FEES, Policy(assets=frozenset({USDC_ADDRESS})))) == [[1]]


def test_plan__gas_without_a_price__says_so_and_the_other_vault_is_planned() -> None:
    unpriced = market(position(1, 1_590), asset_per_ether="nobody sells it")
    other = market(position(2, 1_590), vault=OTHER_VAULT)
    found = plan([unpriced, other], FEES, NEVER_LOSES)
    assert reasons(found) == {1: "gas has no price in the asset: nobody sells it"}
    assert ids(found) == [[2]]
    assert wanted([unpriced], NEVER_LOSES) == {}


# Insolvent


def test_plan__insolvent__earns_like_any_other_without_the_policys_help() -> None:
    """Sold pro rata: the lenders bear the loss, the liquidator gets his bonus."""
    [batch] = plan([market(position(1, 1_900))], FEES, NEVER_LOSES).batches
    [target] = batch.targets
    assert target.allowed == 0
    assert target.seized == WAD
    assert target.profit > 100 * USDC


def insolvent_at_a_loss() -> Market:
    """The pool stands a tenth below the oracle."""
    return market(position(1, 1_900), sales=(sales(pool_at(1_620)),))


def test_plan__insolvent_at_a_loss__left_without_the_policys_help() -> None:
    found = plan([insolvent_at_a_loss()], FEES, NEVER_LOSES)
    assert found.batches == ()
    assert re.fullmatch(
        r"insolvent: would lose [\d.]+ USDC, gas included, the policy allows 0 USDC",
        reasons(found)[1],
    )


def test_plan__insolvent_at_a_loss_that_the_policy_bears__all_of_it_alone() -> None:
    """The others do not pay for it, nor does it make them wait."""
    policy = Policy(most_loss=10**17)
    found = plan([insolvent_at_a_loss()], FEES, policy)
    [batch] = found.batches
    [target] = batch.targets
    assert target.profit < 0
    assert target.max_repay == REPAY_ALL
    loss = gas(1) - target.profit
    assert loss <= 180 * USDC
    assert target.min_profit == batch.min_profit(FEES, policy)
    assert gas(1) - 180 * USDC - 2 <= target.min_profit <= target.profit
    assert batch.worth(batch.profit, policy) == batch.profit * WAD // PER_ETHER + 10**17
    smaller = Policy(most_loss=(loss - 2) * WAD // PER_ETHER)
    [batch] = plan([insolvent_at_a_loss()], FEES, smaller).batches
    assert batch.targets[0].max_repay < REPAY_ALL, "a part, as much as the policy bears"


def test_plan__insolvent_that_pays_but_not_for_the_transaction__goes_alone_if_borne() -> None:
    """It earns its own gas, not what is around it."""
    one = market(position(1, 1_900))
    [batch] = plan([one], FEES, NEVER_LOSES).batches
    fees = Fees(batch.profit * WAD // PER_ETHER // (GasModel().target + 1), 0)
    assert plan([one], fees, NEVER_LOSES).batches == ()
    policy = Policy(most_loss=10**18)
    found = plan([one], fees, policy)
    [alone] = found.batches
    [target] = alone.targets
    assert found.skipped == ()
    assert (target.allowed, target.min_profit) == (PER_ETHER, 0)
    assert alone.worth(alone.profit, policy) > GasModel().target * fees.price


def test_plan__solvent_at_a_loss__left_whatever_the_policy() -> None:
    one = market(position(1, 1_590), sales=(sales(pool_at(1_700)),))
    assert plan([one], FEES, Policy(most_loss=10**20)).batches == ()


# The smallest debt


def thin_for(debt: int, risk: RiskParams) -> Plan:
    """Half an ether is sold well, more of it is not."""
    gave = {WAD // 4: 450 * USDC, WAD // 2: 895 * USDC, 2 * WAD: 900 * USDC}
    pool = sales(pool_at(1_800, liquidity=0), quotes={**gave})
    return plan([market(position(1, debt), sales=(pool,), risk=risk)], FEES, NEVER_LOSES)


@pytest.mark.parametrize("debt", [1_700, 1_900])
def test_plan__part_of_a_debt__leaves_min_debt_and_the_contract_takes_it(debt: int) -> None:
    [batch] = thin_for(debt, RISK).batches
    [target] = batch.targets
    slot = PositionSlot(WAD, debt * USDC, 0)
    moved = liquidate(slot, WAD, PRICE, target.max_repay, RISK)
    assert (moved.seized, moved.repaid + moved.cut) == (target.seized, target.paid)
    assert 0 < moved.scaled_retired < slot.scaled_debt
    assert slot.scaled_debt - moved.scaled_retired >= RISK.min_debt


def test_plan__only_the_whole_can_be_liquidated__no_part_is_tried() -> None:
    """Insolvent, and no part of its debt may stand alone: all or nothing."""
    risk = RiskParams(*(getattr(RISK, n) for n in RISK.__slots__[:-1]), 1_000 * USDC)
    found = thin_for(1_900, risk)
    assert found.batches == ()
    assert reasons(found)[1].startswith("insolvent: would lose ")


# Batches and bounds


def test_plan__one_more_than_a_batch__two_batches_of_the_worst_and_the_rest() -> None:
    due = [position(n, 1_600 + n) for n in range(MAX_TARGETS + 1)]
    found = plan([market(*due)], FEES, NEVER_LOSES)
    assert [len(batch.targets) for batch in found.batches] == [MAX_TARGETS, 1]
    assert [one for batch in ids(found) for one in batch] == [*range(MAX_TARGETS, -1, -1)]


@pytest.mark.parametrize(
    ("policy", "sizes"),
    [
        (Policy(targets=2), [2, 2, 1]),
        (Policy(gas_cap=GasModel().limit(3, 1)), [3, 2]),
        (Policy(gas_cap=GasModel().limit(3, 1) - 1), [2, 2, 1]),
        (Policy(gas_cap=1), [1, 1, 1, 1, 1]),
    ],
)
def test_plan__policy_or_gas_cap__holds_a_batch_down(policy: Policy, sizes: list[int]) -> None:
    found = plan([market(*[position(n, 1_600) for n in range(5)])], FEES, policy)
    assert [len(batch.targets) for batch in found.batches] == sizes


def test_plan__more_than_a_vaults_share_of_transactions__the_rest_waits() -> None:
    due = [position(n, 1_600) for n in range(10)]
    found = plan([market(*due)], FEES, Policy(targets=2, batches=3))
    assert ids(found) == [[0, 1], [2, 3], [4, 5]]
    assert reasons(found) == dict.fromkeys(
        range(6, 10), "it waits: 3 transactions of its vault go first"
    )


def test_plan__more_than_the_lane_has_room_for__the_rest_waits() -> None:
    due = [position(n, 1_600) for n in range(5)]
    others = [position(n, 1_600) for n in range(10, 13)]
    policy = Policy(targets=2, at_once=4)
    found = plan([market(*due), market(*others, vault=OTHER_VAULT)], FEES, policy)
    assert ids(found) == [[0, 1], [2, 3], [4], [10, 11]]
    assert reasons(found) == {12: "it waits: 4 transactions go first"}


@pytest.mark.parametrize("count", [1, 5])
def test_bounds__each_pays_its_gas_and_one_that_is_left_pays_the_transactions(count: int) -> None:
    policy = Policy(least_profit=10**15)
    one = market(*[position(n, 1_600) for n in range(count)])
    [batch] = plan([one], FEES, policy).batches
    own = -(-GasModel().target * FEES.price * PER_ETHER // WAD)
    assert [target.min_profit for target in batch.targets] == [own] * count
    around = -(-(GasModel().shared * FEES.price + 10**15) * PER_ETHER // WAD)
    assert batch.min_profit(FEES, policy) == around + own
    left = batch.without(target.position_id for target in batch.targets[1:])
    assert left.min_profit(FEES, policy) == around + own <= left.profit
