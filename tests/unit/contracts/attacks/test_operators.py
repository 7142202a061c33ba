"""Operators who take more than they were given: further powers, other accounts, time past."""

from __future__ import annotations

from collections.abc import Callable

from ringfence.evm import Engine, Receipt
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    MAX_UINT256,
    OPERATOR,
    REDUCE,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    WITHDRAW,
    Market,
    deploy_market,
    position_id,
)
from tests.unit.contracts.attacks.catalogue import attack

OPERATORS = "modules/operators.vy"
ID = position_id(TRADER)
FUNDS = 10_000 * USDC
LACKS = (0, "caller lacks permission")


def attempt(market: Market, act: Callable[[Market], Receipt]) -> tuple[int, str | None]:
    """The operator acts; his gain at 2,000 USDC a WETH, asset units, and why he was refused."""
    receipt = act(market)
    gained = market.collateral.balanceOf(OPERATOR) * 2_000 * USDC // WETH
    return gained + market.asset.balanceOf(OPERATOR) - FUNDS, receipt.revert_reason


def stage_market(engine: Engine, artifact: Artifact) -> Market:
    """The trader's 1 WETH against 1,000 USDC; the operator has money to repay with."""
    market = deploy_market(engine, artifact=artifact)
    market.deposit(CASH)
    market.open(WETH, 1_000 * USDC)
    market.give(market.asset, OPERATOR, FUNDS)
    return market


def repay_and_take(market: Market) -> Receipt:
    """With leave to reduce: repay it all, and take all the collateral."""
    market.vault.set_operator(OPERATOR, REDUCE, 100, sender=TRADER)
    receipt: Receipt = market.vault.adjust(
        ID, -WETH, -MAX_UINT256 // 4, OPERATOR, b"", sender=OPERATOR, check=False
    )
    return receipt


@attack(
    "operator escalation",
    guard="collateral that a reducer takes out is bounded by what he repaid (operators)",
    breaks=(Break(OPERATORS, "            bound = unsafe_add(_MAX_BPS, max_loss_bps)\n"),),
    without="leave to reduce takes 2,000 USDC of collateral for 1,000 USDC of debt",
    here="the operator is refused past his bound",
)
def test_reducer__takes_all_that_his_repayment_frees__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = attempt(stage_market(engine, broken), repay_and_take)
    assert works == (1_000 * USDC, None), f"the double stands it: {works}"
    market = stage_market(engine, real)
    fails = attempt(market, repay_and_take)
    assert fails == (0, "operator loss bound exceeded"), "AUTH-1: a reducer withdrew"
    assert market.slot(ID).collateral == WETH, "ISO-4: collateral fell without permission"


def close_to_himself(market: Market) -> Receipt:
    """With leave to reduce alone: close, and be the receiver."""
    market.vault.set_operator(OPERATOR, REDUCE, 0, sender=TRADER)
    receipt: Receipt = market.vault.close(ID, OPERATOR, b"", sender=OPERATOR, check=False)
    return receipt


@attack(
    "operator escalation",
    guard="to close takes leave to reduce and leave to withdraw (operators)",
    breaks=(
        Break(
            OPERATORS,
            "IMarginVault.Permission.REDUCE | IMarginVault.Permission.WITHDRAW)",
            "IMarginVault.Permission.REDUCE)",
        ),
    ),
    without="leave to reduce closes to the operator's own account: 1,000 USDC",
    here="the operator is refused",
)
def test_reducer__closes_to_himself__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = attempt(stage_market(engine, broken), close_to_himself)
    assert works == (1_000 * USDC, None), f"the double stands it: {works}"
    market = stage_market(engine, real)
    assert attempt(market, close_to_himself) == LACKS, "AUTH-1: a reducer closed"
    market.vault.set_operator(OPERATOR, WITHDRAW, 0, sender=TRADER)
    closed = market.vault.close(ID, OPERATOR, b"", sender=OPERATOR, check=False)
    assert closed.revert_reason == LACKS[1], "AUTH-1: leave to withdraw closed"


def act_on_anothers(market: Market) -> Receipt:
    """Be one's own operator, with every permission, and name the trader's position."""
    market.vault.set_operator(OPERATOR, 7, 0, sender=OPERATOR)
    receipt: Receipt = market.vault.adjust(
        ID, -WETH // 4, 0, OPERATOR, b"", sender=OPERATOR, check=False
    )
    return receipt


@attack(
    "operator escalation",
    guard="permissions are read for the owner that the position's id names (operators)",
    breaks=(
        Break(
            OPERATORS,
            "permissions, max_loss_bps = self._unpack(self._words[owner][msg.sender])",
            "permissions, max_loss_bps = self._unpack(self._words[msg.sender][msg.sender])",
        ),
    ),
    without="whoever permits himself may empty any position: 500 USDC",
    here="permissions of one account reach no other's positions",
)
def test_operator__of_one_account_acts_on_anothers_position__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = attempt(stage_market(engine, broken), act_on_anothers)
    assert works == (500 * USDC, None), f"the double stands it: {works}"
    market = stage_market(engine, real)
    assert attempt(market, act_on_anothers) == LACKS, "AUTH-1: another's operator acted"
    assert market.slot(ID).collateral == WETH, "ISO-4: collateral fell without permission"


def act_when_revoked(market: Market) -> Receipt:
    """Withdraw after the owner has taken the permission back."""
    market.vault.set_operator(OPERATOR, WITHDRAW, 0, sender=TRADER)
    market.vault.set_operator(OPERATOR, 0, 0, sender=TRADER)
    receipt: Receipt = market.vault.adjust(
        ID, -WETH // 4, 0, OPERATOR, b"", sender=OPERATOR, check=False
    )
    return receipt


@attack(
    "operator escalation",
    guard="what an owner sets takes the place of what stood (operators)",
    breaks=(
        Break(
            OPERATORS,
            "self._words[owner][operator] = (max_loss_bps",
            "self._words[owner][operator] |= (max_loss_bps",
        ),
    ),
    without="permissions add up, and a revoked operator withdraws 500 USDC",
    here="a revoked operator is refused",
)
def test_operator__revoked__is_refused(engine: Engine, broken: Artifact, real: Artifact) -> None:
    works = attempt(stage_market(engine, broken), act_when_revoked)
    assert works == (500 * USDC, None), f"the double stands it: {works}"
    fails = attempt(stage_market(engine, real), act_when_revoked)
    assert fails == LACKS, "AUTH-1: a revoked operator acted"


def borrow_for_himself(market: Market) -> Receipt:
    """With leave to reduce alone: borrow, and be the receiver."""
    market.vault.set_operator(OPERATOR, REDUCE, 10_000, sender=TRADER)
    receipt: Receipt = market.vault.adjust(
        ID, 0, 500 * USDC, OPERATOR, b"", sender=OPERATOR, check=False
    )
    return receipt


@attack(
    "operator escalation",
    guard="to borrow takes leave to increase (operators)",
    breaks=(
        Break(
            OPERATORS,
            "        needed = IMarginVault.Permission.INCREASE",
            "        needed = empty(IMarginVault.Permission)",
        ),
    ),
    without="any permission at all borrows 500 USDC to the operator",
    here="the operator is refused, and a stranger too",
)
def test_reducer__borrows_to_himself__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = attempt(stage_market(engine, broken), borrow_for_himself)
    assert works == (500 * USDC, None), f"the double stands it: {works}"
    market = stage_market(engine, real)
    assert attempt(market, borrow_for_himself) == LACKS, "AUTH-1: a reducer borrowed"
    stranger = market.vault.adjust(ID, 0, 1, STRANGER, b"", sender=STRANGER, check=False)
    assert stranger.revert_reason == LACKS[1], "ISO-4: a stranger raised a debt"
