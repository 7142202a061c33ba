"""The liquidator holds nothing, so there must be nothing to get from it."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, load
from ringfence.evm.decoding import decode_revert
from tests.support.market import (
    KEEPER,
    LIQUIDATOR,
    MAX_UINT256,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    Market,
    position_id,
    reverts,
)
from tests.support.periphery import Stage, add_market

ID = position_id(TRADER)
FAILED = 4


@pytest.fixture
def crashed(stage: Stage) -> Market:
    """Two unhealthy longs."""
    for salt in (1, 2):
        stage.open_standard(stage.long, salt=salt, leverage=4)
    stage.set_price(1_700)
    stage.engine.advance(1)
    return stage.long


def test_attempt__by_anybody__is_refused(stage: Stage, crashed: Market) -> None:
    target = (ID, MAX_UINT256, -(2**255))
    for account in (STRANGER, LIQUIDATOR, TRADER, crashed.vault):
        with reverts("caller is not this contract"):
            stage.liquidator.attempt(crashed.vault, target, sender=account)


def test_two_liquidations_in_one_transaction__second_starts_from_nothing(
    stage: Stage, crashed: Market
) -> None:
    """What the first earned, or a callback it still awaited, must not serve the second."""
    account = stage.engine.deploy(load("CallbackAttacker"))
    path = stage.path(crashed, to_asset=True)

    def one(salt: int, least: int) -> bytes:
        target = (position_id(TRADER, salt), MAX_UINT256, least)
        encoded: bytes = stage.liquidator.liquidate.encode(crashed.vault, target, path, RECEIVER)
        return encoded

    calls = [
        one(1, 0),
        stage.liquidator.on_liquidate.encode(ID, 1, 0, b""),
        stage.liquidator.uniswapV3SwapCallback.encode(-1, 1, b""),
        one(2, 10**6 * USDC),
        one(1, 0),
        one(2, 0),
    ]
    account.arm([(stage.liquidator.address, call) for call in calls])
    account.on_adjust(0, 0, 0, b"", sender=STRANGER)
    outcomes = [(one.succeeded, decode_revert(one.output)) for one in account.outcomes()]
    assert [ok for ok, _ in outcomes] == [True, False, False, False, False, True]
    assert [reason for ok, reason in outcomes if not ok] == [
        "caller is not the vault",
        "caller is not the pool",
        "profit is below minimum",
        "position is healthy",
    ]
    assert stage.holdings() == {}, "ISO-2: something was left behind"


def test_liquidate__tokens_lie_here_by_mistake__pay_for_nobodys_loss(
    stage: Stage, crashed: Market
) -> None:
    """A sale that does not cover the price must not be covered by what is not the caller's."""
    stage.usdc.mint(stage.liquidator, 10**6 * USDC)
    stage.move_pool(1_200)
    target = (ID, MAX_UINT256, 0)
    path = stage.path(crashed, to_asset=True)
    with reverts("profit is below minimum"):
        stage.liquidator.liquidate(crashed.vault, target, path, RECEIVER, sender=STRANGER)
    outcomes, profit = stage.liquidator.liquidate_batch(
        crashed.vault, [target], path, RECEIVER, 0, sender=STRANGER
    ).value
    assert outcomes[0].status == FAILED
    assert profit == 0
    assert stage.usdc.balanceOf(RECEIVER) == 0, "ISO-2: a stranger's tokens were paid out"
    assert stage.usdc.balanceOf(stage.liquidator) == 10**6 * USDC
    stage.usdc.transfer(RECEIVER, 10**6 * USDC, sender=stage.liquidator)


def test_budget__of_another_caller__cannot_be_spent(stage: Stage, crashed: Market) -> None:
    """A keeper's standing allowance pays for the keeper's own calls only."""
    stage.fund(KEEPER, usdc=10_000 * USDC)
    stage.usdc.approve(stage.liquidator, MAX_UINT256, sender=KEEPER)
    stage.move_pool(1_200)
    path = stage.path(crashed, to_asset=True)
    target = (ID, MAX_UINT256, -5_000 * USDC)
    before = stage.wealth(KEEPER)
    for account in (STRANGER, TRADER):
        receipt = stage.liquidator.liquidate(
            crashed.vault, target, path, account, sender=account, check=False
        )
        assert not receipt.success
    assert stage.wealth(KEEPER) == before, "ISO-2: another's allowance was spent"


@pytest.mark.parametrize("rogue_is_asset", [True, False])
def test_hostile_market__reaches_no_allowance_and_leaves_nothing(
    stage: Stage, rogue_is_asset: bool
) -> None:
    """Anybody may list a market of a token of his own: its hook runs while the liquidator works."""
    rogue: Contract = stage.engine.deploy(load("ReenteringToken"), "Rogue", "ROGUE", 18)
    for token in (rogue, stage.dai):
        token.mint(STRANGER, 10**24)
    pair = (stage.dai, rogue) if rogue_is_asset else (rogue, stage.dai)
    market = add_market(stage, *pair)
    pool = stage.uniswap.create_pool(stage.dai, rogue, fee=500, amounts=(1, 1))
    stage.uniswap.fund_pool(pool, {stage.dai.address: 10**22, rogue.address: 10**22}, STRANGER)
    for token in pair:
        token.approve(market.vault, MAX_UINT256, sender=STRANGER)
    market.vault.deposit(10**20, STRANGER, sender=STRANGER)
    bait = position_id(STRANGER)
    market.vault.adjust(bait, 10**18, 79 * 10**16, STRANGER, b"", sender=STRANGER)
    market.set_price(9 * 10**35)
    stage.engine.advance(1)
    stage.fund(KEEPER, usdc=1_000 * USDC)
    stage.usdc.approve(stage.liquidator, MAX_UINT256, sender=KEEPER)
    path = pool.path(market.collateral)
    own = stage.liquidator.liquidate.encode(
        market.vault, (bait, MAX_UINT256, 0), path, STRANGER.address
    )
    attacks = [
        (stage.usdc, stage.usdc.transferFrom.encode(KEEPER, STRANGER, 1)),
        (stage.liquidator, own),
        (stage.liquidator, stage.liquidator.on_liquidate.encode(bait, 0, 0, b"")),
        (stage.liquidator, stage.liquidator.uniswapV3SwapCallback.encode(-1, 1, b"")),
    ]
    mark = stage.engine.snapshot()
    for target, call in attacks:
        rogue.arm(target, call)
        stage.liquidator.liquidate(
            market.vault, (bait, MAX_UINT256, 0), path, RECEIVER, sender=KEEPER
        )
        assert rogue.has_called()
        assert not rogue.call_succeeded(), "AUTH-3: a token called back into the liquidator"
        for token in (*pair, stage.usdc):
            assert token.balanceOf(stage.liquidator) == 0, "ISO-2: something was left behind"
            assert token.allowance(stage.liquidator, market.vault) == 0
        stage.engine.restore(mark)
    assert stage.usdc.balanceOf(KEEPER) == 1_000 * USDC
