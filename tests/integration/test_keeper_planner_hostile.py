"""Vaults, tokens, pools and nodes that are up to no good: what they cost, and whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ringfence.evm import Contract, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act import planner
from ringfence.keeper.act.policy import GasModel, Policy
from tests.integration.test_keeper_planner import due_dollars
from tests.support.market import DEPLOYER, KEEPER, USDC, WETH
from tests.support.periphery import DAI
from tests.support.planning import Desk, desk, staged

__all__ = ["desk", "staged"]

BURNS = "5b5f56"
REVERTS = "5f5ffd"
NONSENSE = "5f195f5260205ff3"
NOTHING = "00"
LONG_ANSWER = "620f42405ff3"
"""What a token does whatever it is asked; the last answers a megabyte."""


def hostile_market(desk: Desk) -> tuple[Contract, Contract, int]:
    """A market of two tokens that have a pool and, by hand, a price; its one position is due."""
    stage = desk.stage
    one, two = (stage.engine.deploy(load("TestToken"), name, name, 18) for name in ("ONE", "TWO"))
    for token in (one, two):
        token.mint(DEPLOYER, 10**7 * DAI)
    pool = stage.uniswap.create_pool(one, two, fee=500, amounts=(1, 1))
    stage.uniswap.fund_pool(pool, {one.address: 10**6 * DAI, two.address: 10**6 * DAI}, DEPLOYER)
    _, position = due_dollars(desk, one, two)
    desk.give_price(two, 2_000 * DAI)
    return one, two, position


@pytest.mark.parametrize(
    ("code", "which"),
    [
        *[(code, which) for code in (BURNS, REVERTS, NONSENSE, LONG_ANSWER) for which in (0, 1)],
        # An asset that says nothing and moves nothing pays what it was said to be worth.
        (NOTHING, 0),
    ],
)
def test_bids__token_turns_hostile__its_vault_alone_is_skipped(
    desk: Desk, code: str, which: int
) -> None:
    stage = desk.stage
    *tokens, position = hostile_market(desk)
    good = desk.open(stage.long)
    desk.crash(stage.long)
    both = desk.plan()
    assert {bid.targets[0][1] for bid in both.bids} == {position, good}
    stage.engine.set_code(tokens[which], bytes.fromhex(code))
    desk.restart()
    plan = desk.plan()
    [bid] = plan.bids
    assert bid.targets == ((address_bytes(stage.long.vault), good),)
    assert desk.skipped(plan).keys() == {position}
    assert desk.skipped(plan)[position]
    assert len(desk.watcher.batches) <= 6
    before = stage.usdc.balanceOf(KEEPER)
    assert desk.send(bid).success
    assert stage.usdc.balanceOf(KEEPER) - before == plan.batches[0].profit


def test_bids__vault_that_failed__comes_after_the_others(desk: Desk) -> None:
    stage = desk.stage
    one, _, position = hostile_market(desk)
    desk.open(stage.long)
    desk.crash(stage.long, long=1_740)
    order = [bid.targets[0][1] for bid in desk.plan().bids]
    assert order[0] == position, "it has the higher LTV"
    sound = stage.engine.code_at(one)
    # Pools quote it still.
    stage.engine.set_code(one, bytes.fromhex(NONSENSE))
    failed = desk.plan()
    assert len(failed.bids) == 1
    assert desk.skipped(failed)[position].startswith("its transaction would fail: ")
    stage.engine.set_code(one, sound)
    assert [bid.targets[0][1] for bid in desk.plan().bids] == order[::-1]
    assert [bid.targets[0][1] for bid in desk.plan().bids] == order


def spoil_when(match: Callable[[str, Json], bool], answer: Json) -> Callable[..., list[Json]]:
    def spoil(requests: list[Request], answers: list[Json]) -> list[Json]:
        return [
            answer if match(method, params) else given
            for (method, params), given in zip(requests, answers, strict=True)
        ]

    return spoil


BAD_ANSWERS = [RpcError("eth_call", "no answer: TimeoutError", None), None, "0x", "0xzz", 7, {}]


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_bids__node_answers_nothing_of_use__no_bid_and_a_reason(desk: Desk, answer: Json) -> None:
    position = desk.open(desk.stage.long)
    desk.crash(desk.stage.long)
    tick = desk.tick()
    desk.watcher.counting.spoil = spoil_when(lambda _method, _params: True, answer)
    plan = desk.plan(tick)
    assert plan.bids == ()
    assert desk.skipped(plan)[position].startswith("its pools could not be found: ")


def bad_at(*methods: str, answer: Json, to: str = "") -> Callable[..., list[Json]]:
    """Spoil what is asked by some methods; of a contract only, where one is named."""
    return spoil_when(
        lambda method, params: method in methods and (not to or params[0].get("to", to) == to),
        answer,
    )


def methods(desk: Desk) -> list[str]:
    """Return what was asked of the Liquidator, in its order."""
    liquidator = desk.stage.liquidator.address.lower()
    return [
        method
        for batch in desk.watcher.batches
        for method, params in batch
        if method != "eth_call" or params[0]["to"] == liquidator
    ]


NO_METHOD = (
    "Method not found",
    "the method eth_simulateV1 does not exist/is not available",
    "Unsupported method: eth_simulateV1. See available methods",
    "method eth_simulateV1 is not whitelisted",
)


@pytest.mark.parametrize("words", NO_METHOD)
def test_bids__node_without_simulate__each_by_itself_and_not_asked_again(
    desk: Desk, words: str
) -> None:
    """What they earn is the plan's own figure where two sell in one pool."""
    ids = [desk.open(desk.stage.long) for _ in range(3)]
    desk.crash(desk.stage.long)
    policy = Policy(targets=2)
    expected = desk.plan(policy=policy)
    desk.watcher.counting.spoil = bad_at(
        "eth_simulateV1", answer=RpcError("eth_simulateV1", words, None)
    )
    plan = desk.plan()
    pair = ["eth_call", "eth_estimateGas"]
    assert methods(desk) == ["eth_simulateV1", *pair, *pair]
    assert [bid.targets for bid in plan.bids] == [bid.targets for bid in expected.bids]
    assert [one.position_id for batch in plan.batches for one in batch.targets] == ids
    assert plan.batches[0] == expected.batches[0]
    assert 0 <= expected.batches[1].profit - plan.batches[1].profit <= 3 * 1_700
    for bid, wanted in zip(plan.bids, expected.bids, strict=True):
        assert bid.charged * 19 // 20 <= wanted.charged <= bid.charged * 21 // 20
    assert desk.plan().bids == plan.bids
    assert methods(desk) == [*pair, *pair]
    for bid in plan.bids:
        assert desk.send(bid).success


@pytest.mark.parametrize("answer", [*BAD_ANSWERS, [], [{}], [{"calls": [{}]}], [{"calls": []}]])
def test_bids__node_simulates_nonsense__each_by_itself_in_this_tick(
    desk: Desk, answer: Json
) -> None:
    desk.open(desk.stage.long)
    desk.crash(desk.stage.long)
    desk.watcher.counting.spoil = bad_at("eth_simulateV1", answer=answer)
    [bid] = desk.plan().bids
    assert methods(desk) == ["eth_simulateV1", "eth_call", "eth_estimateGas"]
    desk.watcher.counting.spoil = bad_at("none", answer=answer)
    assert [one.targets for one in desk.plan().bids] == [bid.targets]
    assert methods(desk) == ["eth_simulateV1"]
    assert desk.send(bid).success


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_bids__node_does_not_estimate__the_models_limit_does(desk: Desk, answer: Json) -> None:
    desk.open(desk.stage.long)
    desk.crash(desk.stage.long)
    desk.watcher.counting.spoil = bad_at("eth_simulateV1", "eth_estimateGas", answer=answer)
    [bid] = desk.plan().bids
    assert bid.charged == 0
    assert desk.send(bid).success


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_bids__node_runs_nothing__no_bid_and_a_reason(desk: Desk, answer: Json) -> None:
    position = desk.open(desk.stage.long)
    desk.crash(desk.stage.long)
    liquidator = desk.stage.liquidator.address.lower()
    desk.watcher.counting.spoil = bad_at(
        "eth_simulateV1", "eth_call", "eth_estimateGas", answer=answer, to=liquidator
    )
    plan = desk.plan()
    assert plan.bids == ()
    assert desk.skipped(plan)[position].startswith("its transaction would fail: ")


def test_bids__model_too_low__runs_again_with_what_is_enough(desk: Desk) -> None:
    position = desk.open(desk.stage.long)
    desk.crash(desk.stage.long)
    expected = desk.plan()
    plan = desk.plan(policy=Policy(gas=GasModel(shared=28_000)))
    assert methods(desk)[:2] == ["eth_simulateV1"] * 2
    [bid], [wanted] = plan.bids, expected.bids
    assert [one for _, one in bid.targets] == [position]
    assert bid.charged == wanted.charged
    assert bid.charged * 5 // 4 < bid.gas <= bid.charged * 3 // 2
    assert desk.send(bid).success


def test_bids__one_of_three_fails__those_after_it_are_exact(desk: Desk) -> None:
    """The first one's vault holds a token that has stopped to move: its transaction fails."""
    stage = desk.stage
    one, _, hostile = hostile_market(desk)
    ids = [desk.open(stage.long) for _ in range(2)]
    desk.crash(stage.long, long=1_740)
    assert desk.plan(policy=Policy(targets=1)).bids[0].targets[0][1] == hostile
    stage.engine.set_code(one, bytes.fromhex(NONSENSE))
    plan = desk.plan()
    assert desk.skipped(plan).keys() == {hostile}
    assert [bid.targets[0][1] for bid in plan.bids] == ids
    for batch, done in zip(plan.batches, desk.mine(plan.bids), strict=True):
        assert [profit for _, profit in done.profits] == [one.profit for one in batch.targets]


def test_bids__pool_with_a_foolish_price_for_gas__the_cheapest_counts(desk: Desk) -> None:
    """Anyone can make a pool that sells ether at a million: gas is not priced by that one."""
    stage = desk.stage
    due_dollars(desk, stage.usdc, stage.dai)
    foolish = (WETH, 1_000_000 * DAI)
    pool = stage.uniswap.create_pool(stage.weth, stage.dai, fee=500, amounts=foolish)
    stage.fund(DEPLOYER, weth=10 * WETH, dai=10**7 * DAI)
    amounts = {stage.weth.address: WETH, stage.dai.address: 10**6 * DAI}
    stage.uniswap.fund_pool(pool, amounts, DEPLOYER)
    [batch] = desk.plan().batches
    assert batch.market.asset_per_ether == pytest.approx(2_000 * DAI / 0.997, rel=1e-5)


def test_bids__more_due_in_a_vault_without_a_name__a_share_and_after_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million due positions that do not pay would hold up what matters."""
    monkeypatch.setattr(planner, "_STRANGERS", 2)
    stage = desk.stage
    good = [desk.open(stage.long) for _ in range(3)]
    strange = sorted(desk.open(stage.short, ltv=79) for _ in range(3))
    desk.crash(stage.long, long=1_600)
    stage.short.set_price(10**72 // (2_400 * USDC * 10**18))
    desk.tick()
    trusted = frozenset([address_bytes(stage.long.vault)])
    assets = frozenset(map(address_bytes, (stage.weth, stage.usdc)))
    plan = desk.plan(policy=Policy(borne=trusted, assets=assets))
    assert desk.skipped(plan) == {
        strange[2]: "it waits: 2 positions of its vault, which has no name, are looked at first"
    }
    assert [sorted(one for _, one in bid.targets) for bid in plan.bids] == [
        sorted(good),
        strange[:2],
    ]


def test_bids__asset_of_no_vault_with_a_name__left_unless_the_policy_says_so(desk: Desk) -> None:
    """A token that nobody wants looks dear in a pool of its maker's, and costs real gas."""
    _, token, position = hostile_market(desk)
    good = desk.open(desk.stage.long)
    desk.crash(desk.stage.long)
    trusted = Policy(borne=frozenset([address_bytes(desk.stage.long.vault)]))
    plan = desk.plan(policy=trusted)
    assert [one for bid in plan.bids for _, one in bid.targets] == [good]
    assert desk.skipped(plan) == {position: "the policy does not take its asset, TWO"}
    assets = frozenset(map(address_bytes, (token, desk.stage.usdc)))
    plan = desk.plan(policy=replace(trusted, assets=assets))
    assert {one for bid in plan.bids for _, one in bid.targets} == {good, position}
