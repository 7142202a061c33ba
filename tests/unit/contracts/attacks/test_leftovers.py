"""What a call of the periphery leaves behind, or finds there: allowances, ether, tokens."""

from __future__ import annotations

import pytest

from ringfence.evm import Receipt, load
from ringfence.evm.artifacts import Artifact
from ringfence.evm.uniswap import Pool
from tests.support.broken import Break
from tests.support.broken_periphery import trust, with_liquidator, with_router
from tests.support.market import (
    KEEPER,
    MAX_UINT256,
    OTHER_TRADER,
    RECEIVER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    position_id,
)
from tests.support.periphery import ALL, DAI, NO_GRANT, NO_PERMIT, Stage, add_market, fund, sell
from tests.unit.contracts.attacks.catalogue import attack

ROUTER = "periphery/LeverageRouter.vy"


def add_tether(stage: Stage) -> tuple[Market, Pool]:
    """A market that takes DAI and lends a token with USDT's approvals, and their pool."""
    tether = stage.engine.deploy(load("ApproveFromZeroToken"), "Tether", "USDT", 18)
    market = add_market(stage, stage.dai, tether)
    pool = stage.uniswap.create_pool(stage.dai, tether, fee=500, amounts=(1, 1))
    for token in (stage.dai, tether):
        token.mint(STRANGER, 10**6 * DAI)
    amounts = {stage.dai.address: 10**5 * DAI, tether.address: 10**5 * DAI}
    stage.uniswap.fund_pool(pool, amounts, STRANGER)
    tether.approve(market.vault, MAX_UINT256, sender=STRANGER)
    market.vault.deposit(10**5 * DAI, STRANGER, sender=STRANGER)
    return market, pool


def close_after_another(stage: Stage) -> tuple[int, str | None]:
    """A stranger buys 50 more than he owes to repay with; then a trader wants to close.

    Returns the allowance that the router has left to the vault, and why the trader was refused.
    """
    market, pool = add_tether(stage)
    stage.dai.mint(TRADER, 100 * DAI)
    for account in (TRADER, STRANGER):
        stage.dai.approve(stage.router, MAX_UINT256, sender=account)
        market.vault.set_operator(stage.router, ALL, 0, sender=account)
        stage.open(market, 100 * DAI, sell(pool.path(market.asset), 100 * DAI), trader=account)
    back = pool.path(market.collateral)
    stage.decrease(market, 0, sell(back, 150 * DAI), trader=STRANGER)
    left: int = market.asset.allowance(stage.router, market.vault)
    closed: Receipt = stage.router.close(
        market.vault, 1, back, False, 0, stage.soon, False, NO_GRANT, sender=TRADER, check=False
    )
    return left, closed.revert_reason


@attack(
    "leftover allowance",
    guard="what the vault did not take of its allowance is taken back (_settle_reduction)",
    breaks=(
        Break(
            ROUTER,
            "    if repaid != offered:\n        self._approve(order.asset, order.vault, 0)\n",
        ),
    ),
    contract="LeverageRouter",
    without="one trader who repays more than he owes stops all others' exits, if the asset is USDT",
    here="no allowance is left, and the next trader closes",
    seen="USDT, whose approve goes from zero or to zero; a common finding of audits",
)
def test_close__after_another_bought_more_than_he_owed__goes_through(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    left, reason = close_after_another(with_router(stage, broken))
    assert left > 49 * DAI, f"the double stands it: {left}"
    assert reason == "allowance is not zero", f"the double stands it: {reason}"
    stage.engine.restore(mark)
    fails = close_after_another(with_router(stage, real))
    assert fails == (0, None), "ISO-2: an allowance was left behind"


def liquidate_after_another(stage: Stage) -> tuple[int, str | None]:
    """Two unhealthy positions, one liquidation after the other.

    Returns the allowance that the first has left to the vault, and why the second was refused.
    """
    market, pool = add_tether(stage)
    stage.dai.approve(market.vault, MAX_UINT256, sender=STRANGER)
    for salt in (1, 2):
        market.vault.adjust(
            position_id(STRANGER, salt), 100 * DAI, 79 * DAI, STRANGER, b"", sender=STRANGER
        )
    market.set_price(9 * 10**35)
    stage.engine.advance(1)
    path = pool.path(stage.dai)
    first, second = ((position_id(STRANGER, salt), MAX_UINT256, 0) for salt in (1, 2))
    stage.liquidator.liquidate(market.vault, first, path, RECEIVER, sender=KEEPER)
    left: int = market.asset.allowance(stage.liquidator, market.vault)
    receipt = stage.liquidator.liquidate(
        market.vault, second, path, RECEIVER, sender=KEEPER, check=False
    )
    return left, receipt.revert_reason


@attack(
    "leftover allowance",
    guard="the vault is approved for what it is about to pull, and no more (on_liquidate)",
    breaks=(
        Break(
            "periphery/Liquidator.vy",
            "approve(msg.sender, paid, default_return_value=True)",
            "approve(msg.sender, max_value(uint256), default_return_value=True)",
        ),
    ),
    contract="Liquidator",
    without="the first liquidation in a market of USDT is the last that goes through here",
    here="no allowance is left, and the second goes through",
    seen="USDT, whose approve goes from zero or to zero; a common finding of audits",
)
def test_liquidate__after_another__goes_through(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    works = liquidate_after_another(with_liquidator(stage, broken))
    assert works == (MAX_UINT256, "allowance is not zero"), f"the double stands it: {works}"
    stage.engine.restore(mark)
    fails = liquidate_after_another(with_liquidator(stage, real))
    assert fails == (0, None), "ISO-2: an allowance was left behind"


def claim_anothers_ether(stage: Stage) -> tuple[int, list[str | None]]:
    """A trader sends 2 ether for a margin of 1; a stranger sends 1 wei for such a margin, closes.

    Returns the stranger's gain, wei, and why each was refused.
    """
    reasons: list[str | None] = []
    held = stage.engine.balance(STRANGER)
    for trader, value in ((OTHER_TRADER, 2 * WETH), (STRANGER, 1)):
        trust(stage, stage.router, trader)
        stage.engine.set_balance(trader, stage.engine.balance(trader) + value)
        swap = sell(stage.path(stage.long), 1_000 * USDC)
        opened: Receipt = stage.router.open(
            stage.long.vault, 1, stage.weth, WETH, swap, stage.soon, NO_PERMIT, NO_GRANT,
            sender=trader, value=value, check=False,
        )  # fmt: skip
        reasons.append(opened.revert_reason)
        if trader == STRANGER and opened.success:
            stage.close(stage.long, exact_in=False, native=True, trader=trader)
    return stage.engine.balance(STRANGER) - held, reasons


@attack(
    "ether of another's in the router",
    guard="the ether sent along is the margin, to the wei (_take_margin)",
    breaks=(
        Break(
            ROUTER,
            "assert token == weth and msg.value == amount, ",
            "assert token == weth, ",
        ),
    ),
    contract="LeverageRouter",
    without="who sends 1 wei takes the ether that another sent too much: more than 0.99",
    here="neither call goes through",
    seen="ether left in Uniswap's SwapRouter, collected by bots (reported in December 2022)",
)
def test_open__on_ether_that_another_sent_too_much__is_refused(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    gain, reasons = claim_anothers_ether(with_router(stage, broken))
    assert gain > 99 * WETH // 100, f"the double stands it: {gain}, {reasons}"
    stage.engine.restore(mark)
    there = with_router(stage, real)
    gain, reasons = claim_anothers_ether(there)
    # The wei that he was given to send, unspent.
    assert gain == 1, "ISO-2: another's ether was a margin"
    assert reasons == ["value is not the margin"] * 2
    assert stage.engine.balance(there.router) == 0, "ISO-2: ether was left behind"


def close_beside(stage: Stage, native: bool) -> int:
    """Close where 5 ether and 1 WETH lie that are not the trader's; what he gains beyond his own.

    Ether can be forced upon any contract.
    """
    stage.open_standard(stage.long)
    stage.engine.set_balance(stage.router, 5 * WETH)
    fund(stage.engine, stage.weth, RECEIVER, WETH)
    stage.weth.transfer(stage.router, WETH, sender=RECEIVER)
    before = stage.wealth(TRADER)
    paid: int = stage.close(stage.long, exact_in=False, native=native).value[0]
    kind = 0 if native else 1
    return stage.wealth(TRADER)[kind] - before[kind] - paid


@attack(
    "ether of another's in the router",
    guard="the router pays what the call has left, not what it holds (_pay)",
    breaks=(
        Break(ROUTER, "value=amount, revert_on_failure=False", "value=self.balance, "
              "revert_on_failure=False"),
        Break(
            ROUTER,
            "tokens._push(token, msg.sender, amount)",
            "tokens._push(token, msg.sender, staticcall IERC20(token).balanceOf(self))",
        ),
    ),
    contract="LeverageRouter",
    without="who closes next has the 5 ether, or the WETH, that lay there by mistake",
    here="they stay, and are paid to nobody",
)  # fmt: skip
@pytest.mark.parametrize("native", [True, False])
def test_ether_forced_in__stays_and_is_paid_to_nobody(
    stage: Stage, broken: Artifact, real: Artifact, native: bool
) -> None:
    mark = stage.engine.snapshot()
    works = close_beside(with_router(stage, broken), native)
    assert works == (5 if native else 1) * WETH, f"the double stands it: {works}"
    stage.engine.restore(mark)
    there = with_router(stage, real)
    assert close_beside(there, native) == 0, "ISO-2: the router paid out what it was not owed"
    assert stage.engine.balance(there.router) == 5 * WETH
    assert stage.weth.balanceOf(there.router) == WETH
