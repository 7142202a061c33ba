"""`liquidate_batch`: what can be liquidated is, the rest is reported and left alone."""

from fractions import Fraction
from typing import Any

import pytest

from ringfence.evm import Receipt, Reverted, load
from ringfence.evm.decoding import decode_revert
from ringfence.evm.uniswap import encode_path
from tests.support.market import (
    BOOKS,
    LENDER,
    LIQUIDATOR,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    position_id,
    reverts,
)
from tests.support.periphery import ALL, Stage, add_market, fund, sell

LIQUIDATED, HEALTHY, FAILED = 1, 2, 4
UNKNOWN = position_id(STRANGER, 77)


def target(position: int, min_profit: int = 0, max_repay: int = MAX_UINT256) -> tuple[int, ...]:
    return position, max_repay, min_profit


def batch(
    stage: Stage,
    market: Market,
    *targets: tuple[int, ...],
    min_profit: int = 0,
    receiver: str = RECEIVER,
    **options: Any,
) -> Receipt:
    receipt: Receipt = stage.liquidator.liquidate_batch(
        market.vault,
        targets,
        options.pop("path", stage.path(market, to_asset=True)),
        receiver,
        min_profit,
        sender=LIQUIDATOR,
        **options,
    )
    return receipt


def crash(stage: Stage, market: Market) -> None:
    stage.set_price(1_700 if market is stage.long else 2_350)
    stage.engine.advance(1)


@pytest.fixture
def positions(stage: Stage, market: Market) -> tuple[int, int, int]:
    """Two unhealthy positions, and a healthy one."""
    unhealthy = [stage.open_standard(market, salt=salt, leverage=4) for salt in (1, 2)]
    healthy = stage.open_standard(market, salt=3, leverage=2)
    crash(stage, market)
    return unhealthy[0], unhealthy[1], healthy


def open_directly(stage: Stage, market: Market, ltv: Fraction) -> int:
    """A position of 8,000 dollars at 2,000, or 4 WETH, at this LTV at the oracle's price."""
    position = position_id(TRADER, 9)
    collateral = 4 * WETH if market is stage.long else 8_000 * USDC
    price = Fraction(market.oracle.quote()[0], 10**36)
    market.collateral.approve(market.vault, collateral, sender=TRADER)
    debt = int(collateral * price * ltv)
    market.vault.adjust(position, collateral, debt, TRADER, b"", sender=TRADER)
    return position


def statuses(receipt: Receipt) -> list[int]:
    return [outcome.status for outcome in receipt.value[0]]


def reasons(stage: Stage, receipt: Receipt) -> list[tuple[int, int, str]]:
    """What was skipped: position, status, reason."""
    events = receipt.events(stage.liquidator, "LiquidationSkipped")
    return [(event["position_id"], event["status"], event["reason"]) for event in events]


def test_batch__healthy_unknown_and_unhealthy__each_reported(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    first, second, healthy = positions
    before = market.slot(healthy)
    market.opened.extend(positions)
    order = (first, healthy, UNKNOWN, second)
    receipt = batch(stage, market, *map(target, order))
    outcomes, profit = receipt.value
    assert statuses(receipt) == [LIQUIDATED, HEALTHY, HEALTHY, LIQUIDATED]
    assert tuple(outcomes[1]) == tuple(outcomes[2]) == (HEALTHY, 0, 0, 0)
    assert profit == sum(outcome.profit for outcome in outcomes) > 0
    assert market.asset.balanceOf(RECEIVER) == profit
    assert market.written(receipt) == {first, second, BOOKS}, "ISO-1: a batch wrote something else"
    assert market.slot(healthy) == before
    done = receipt.events(stage.liquidator, "FlashLiquidated")
    assert [(e["position_id"], e["profit"]) for e in done] == [
        (first, outcomes[0].profit),
        (second, outcomes[3].profit),
    ]
    skipped = "position is healthy"
    assert reasons(stage, receipt) == [(healthy, HEALTHY, skipped), (UNKNOWN, HEALTHY, skipped)]
    market.opened.clear()


@pytest.mark.parametrize("size", [0, 4, 67, 68, 99])
def test_batch__token_reverts_with_too_short_a_message__is_reported_without_reason(
    stage: Stage, size: int
) -> None:
    position = stage.open_standard(stage.long, leverage=4)
    crash(stage, stage.long)
    # The selector of Error(string), and revert with the first bytes of what should follow.
    code = f"6308c379a060e01b5f5260{size:02x}5ffd"
    sound = stage.engine.code_at(stage.weth)
    stage.engine.set_code(stage.weth, bytes.fromhex(code))
    receipt = batch(stage, stage.long, target(position))
    stage.engine.set_code(stage.weth, sound)
    assert statuses(receipt) == [FAILED]
    assert reasons(stage, receipt) == [(position, FAILED, "")]


def test_batch__one_fails__the_others_stand(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    first, second, _ = positions
    before = market.slot(first)
    receipt = batch(stage, market, target(first, min_profit=10**30), target(second))
    assert statuses(receipt) == [FAILED, LIQUIDATED]
    assert market.slot(first) == before, "ISO-1: a failed target changed"
    assert reasons(stage, receipt) == [(first, FAILED, "profit is below minimum")]
    assert market.asset.balanceOf(RECEIVER) == receipt.value[1] == receipt.value[0][1].profit


def test_batch__risk_rose_in_this_block__fails_alone(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    fresh = open_directly(stage, market, Fraction(79, 100))
    stage.set_price(1_550 if market is stage.long else 2_600)
    receipt = batch(stage, market, target(fresh), target(positions[0]))
    assert statuses(receipt) == [FAILED, LIQUIDATED]
    assert reasons(stage, receipt) == [(fresh, FAILED, "risk rose in this block")]


def test_batch__same_position_twice__second_is_healthy(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    receipt = batch(stage, market, target(positions[0]), target(positions[0]))
    assert statuses(receipt) == [LIQUIDATED, HEALTHY]


def test_batch__nothing_to_do__zero_profit_unless_more_is_wanted(
    stage: Stage, market: Market
) -> None:
    for targets in ((), (target(UNKNOWN),)):
        receipt = batch(stage, market, *targets)
        assert (statuses(receipt), receipt.value[1]) == ([HEALTHY] * len(targets), 0)
        with reverts("profit is below minimum"):
            batch(stage, market, *targets, min_profit=1)


def test_batch__minimum_profit__is_of_the_whole(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    targets = [target(position) for position in positions]
    mark = stage.engine.snapshot()
    profit = batch(stage, market, *targets).value[1]
    stage.engine.restore(mark)
    before = [market.slot(position) for position in positions]
    with reverts("profit is below minimum"):
        batch(stage, market, *targets, min_profit=profit + 1)
    assert [market.slot(position) for position in positions] == before
    batch(stage, market, *targets, min_profit=profit)


def test_batch__route_fails__every_target_says_why(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    wrong = encode_path((market.collateral, market.asset), (10_000,))
    receipt = batch(stage, market, *map(target, positions), path=wrong)
    assert statuses(receipt) == [FAILED, FAILED, HEALTHY]
    assert [reason for _, _, reason in reasons(stage, receipt)] == [
        "pool does not exist",
        "pool does not exist",
        "position is healthy",
    ]


def test_batch__loss_on_one__is_paid_by_the_profit_on_another_if_its_bound_allows(
    stage: Stage, market: Market
) -> None:
    """An insolvent one at the greatest bonus, a mild one at 2 %, a pool 4 % off the oracle."""
    good = stage.open_standard(market, leverage=4)
    bad = open_directly(stage, market, Fraction(63, 100))
    deep, percent = (1_450, 96) if market is stage.long else (2_750, 104)
    stage.set_oracles(deep)
    stage.move_pool(Fraction(deep * percent, 100))
    stage.engine.advance(1)
    bound = -1_000 * USDC if market is stage.long else -WETH

    refused = batch(stage, market, target(good, 10**30), target(bad, bound))
    assert statuses(refused) == [FAILED, FAILED]
    mark = stage.engine.snapshot()
    apart = batch(stage, market, target(good), target(bad))
    assert statuses(apart) == [LIQUIDATED, FAILED]
    stage.engine.restore(mark)
    receipt = batch(stage, market, target(good), target(bad, bound))
    assert statuses(receipt) == [LIQUIDATED, LIQUIDATED]
    gain, loss = (outcome.profit for outcome in receipt.value[0])
    assert bound < loss < 0 < gain + loss == receipt.value[1]
    assert market.asset.balanceOf(RECEIVER) == gain + loss


def test_batch__budget__covers_a_loss_and_the_rest_comes_back(stage: Stage, market: Market) -> None:
    position = stage.open_standard(market, leverage=4)
    deep = 1_450 if market is stage.long else 2_750
    stage.set_oracles(deep)
    stage.move_pool(deep * 85 // 100 if market is stage.long else deep * 115 // 100)
    stage.engine.advance(1)
    budget = 2_000 * USDC if market is stage.long else WETH
    fund(stage.engine, stage.weth, LIQUIDATOR, WETH)
    stage.usdc.mint(LIQUIDATOR, 2_000 * USDC)
    market.asset.approve(stage.liquidator, budget, sender=LIQUIDATOR)
    held = market.asset.balanceOf(LIQUIDATOR)
    refused = batch(stage, market, target(position))
    assert statuses(refused) == [FAILED]
    receipt = batch(stage, market, target(position, -budget), min_profit=-budget)
    assert statuses(receipt) == [LIQUIDATED]
    assert -budget < receipt.value[1] < 0
    assert market.asset.balanceOf(LIQUIDATOR) == held + receipt.value[1]
    assert market.asset.balanceOf(RECEIVER) == 0
    assert market.slot(position).word == 0


def test_batch__most_targets__one_more_is_refused(stage: Stage, market: Market) -> None:
    assert len(batch(stage, market, *[target(UNKNOWN)] * 128).value[0]) == 128
    with pytest.raises(Reverted):
        batch(stage, market, *[target(UNKNOWN)] * 129)


def test_batch__too_little_gas__reverts_instead_of_reporting_failures(
    stage: Stage, market: Market, positions: tuple[int, int, int]
) -> None:
    targets = [target(position) for position in positions]
    mark = stage.engine.snapshot()
    needed = batch(stage, market, *targets).gas_used
    stage.engine.restore(mark)
    for limit in range(100_000, needed * 2, 20_000):
        receipt = batch(stage, market, *targets, gas_limit=limit, check=False)
        if receipt.success:
            assert statuses(receipt) == [LIQUIDATED, LIQUIDATED, HEALTHY]
        stage.engine.restore(mark)
    assert receipt.success


def test_batch__bad_arguments__reasons(stage: Stage, market: Market) -> None:
    with reverts("receiver is zero"):
        batch(stage, market, receiver=NOBODY)
    with reverts("vault is unknown"):
        stage.liquidator.liquidate_batch(STRANGER, [], b"", RECEIVER, 0, sender=LIQUIDATOR)


def test_batch__vaults_own_token_calls_back__is_locked_out(stage: Stage) -> None:
    rogue = stage.engine.deploy(load("ReenteringToken"), "Rogue", "ROGUE", 18)
    market = add_market(stage, rogue, stage.dai)
    stage.dai.mint(STRANGER, 10**24)
    rogue.mint(STRANGER, 10**24)
    pool = stage.uniswap.create_pool(stage.dai, rogue, fee=500, amounts=(1, 1))
    amounts = {stage.dai.address: 10**22, rogue.address: 10**22}
    stage.uniswap.fund_pool(pool, amounts, STRANGER)
    for token in (rogue, stage.dai):
        token.approve(market.vault, MAX_UINT256, sender=STRANGER)
        token.approve(stage.router, MAX_UINT256, sender=STRANGER)
    market.vault.deposit(10**22, STRANGER, sender=STRANGER)
    market.vault.set_operator(stage.router, ALL, 0, sender=STRANGER)
    swap = sell(pool.path(stage.dai), 3 * 10**18)
    stage.open(market, 10**18, swap, trader=STRANGER)
    market.set_price(85 * 10**34)
    stage.engine.advance(1)
    position = position_id(STRANGER)
    calls = {
        "": stage.liquidator.liquidate_batch.encode(market.vault, [], b"", STRANGER, 0),
        "caller is not the vault": stage.liquidator.on_liquidate.encode(position, 1, 1, b"\x01"),
        "caller is not the pool": stage.liquidator.uniswapV3SwapCallback.encode(-1, 1, b""),
        "caller is not this contract": stage.liquidator.attempt.encode(
            market.vault, target(position)
        ),
    }
    mark = stage.engine.snapshot()
    for reason, call in calls.items():
        rogue.arm(stage.liquidator, call)
        receipt = batch(stage, market, target(position), path=pool.path(rogue))
        assert statuses(receipt) == [LIQUIDATED]
        assert not rogue.call_succeeded(), "AUTH-3: a token called back into the liquidator"
        assert decode_revert(rogue.call_output()) == reason
        assert stage.dai.balanceOf(RECEIVER) == receipt.value[1]
        assert stage.holdings() == {}
        stage.engine.restore(mark)


def test_batch__most_targets__in_the_gas_that_a_transaction_may_have(stage: Stage) -> None:
    market, most = stage.long, 128
    debt = 1_590 * USDC
    stage.fund(LENDER, usdc=2 * most * debt)
    market.asset.approve(market.vault, 2 * most * debt, sender=LENDER)
    market.vault.deposit(2 * most * debt, LENDER, sender=LENDER)
    stage.fund(TRADER, weth=most * WETH)
    market.collateral.approve(market.vault, most * WETH, sender=TRADER)
    ids = [position_id(TRADER, 100 + number) for number in range(most)]
    for position in ids:
        market.vault.adjust(position, WETH, debt, TRADER, b"", sender=TRADER)
    stage.set_price(1_800)
    stage.engine.advance(1)
    receipt = batch(stage, market, *map(target, ids), gas_limit=16_777_216)
    assert statuses(receipt) == [LIQUIDATED] * most
