"""The router between a trader and everybody who would like to be one."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, load
from ringfence.evm.artifacts import Artifact
from ringfence.evm.decoding import decode_revert
from tests.support.broken import Break
from tests.support.broken_periphery import with_router
from tests.support.market import (
    MAX_UINT256,
    OTHER_TRADER,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Slot,
    position_id,
    reverts,
)
from tests.support.periphery import (
    ALL,
    NO_GRANT,
    NO_PERMIT,
    Stage,
    buy,
    changes_nothing,
    fund,
    sell,
)
from tests.unit.contracts.attacks.catalogue import attack

ID = position_id(TRADER)
ROUTER = "periphery/LeverageRouter.vy"


def opening(stage: Stage, salt: int, margin: int, borrowed: int) -> bytes:
    swap = sell(stage.path(stage.long), borrowed)
    encoded: bytes = stage.router.open.encode(
        stage.long.vault, salt, stage.weth, margin, swap, stage.soon, NO_PERMIT, NO_GRANT
    )
    return encoded


def closing(stage: Stage, salt: int, exact_in: bool) -> bytes:
    path = stage.path(stage.long, to_asset=True)
    encoded: bytes = stage.router.close.encode(
        stage.long.vault, salt, path, exact_in, 0, stage.soon, False, NO_GRANT
    )
    return encoded


@pytest.fixture
def account(stage: Stage) -> Contract:
    """A smart account that makes several calls in one transaction, with margin for the router."""
    account = stage.engine.deploy(load("CallbackAttacker"))
    fund(stage.engine, stage.weth, account, 10 * WETH)
    for target, call in (
        (stage.weth, stage.weth.approve.encode(stage.router, MAX_UINT256)),
        (stage.usdc, stage.usdc.approve.encode(stage.router, MAX_UINT256)),
        (stage.long.vault, stage.long.vault.set_operator.encode(stage.router, ALL, 0)),
    ):
        account.execute(target, call, sender=STRANGER)
    return account


def run(account: Contract, calls: list[tuple[Contract, bytes]]) -> list[tuple[bool, str | None]]:
    """Make the calls in one transaction; how each ended."""
    account.arm([(target.address, data) for target, data in calls])
    account.on_adjust(0, 0, 0, b"", sender=STRANGER)
    return [(one.succeeded, decode_revert(one.output)) for one in account.outcomes()]


def test_several_calls_in_one_transaction__each_starts_from_nothing(
    stage: Stage, account: Contract
) -> None:
    """Transient books outlive a call: what one left must not become the next one's."""
    router, vault = stage.router, stage.long.vault
    part = sell(stage.path(stage.long, to_asset=True), WETH // 4)
    shrink = router.decrease.encode(vault, 1, 0, part, stage.soon, False, NO_GRANT)
    too_much = sell(stage.path(stage.long, to_asset=True), 10**9 * WETH)
    absurd = router.decrease.encode(vault, 1, 0, too_much, stage.soon, False, NO_GRANT)
    callback = router.uniswapV3SwapCallback.encode(-1, WETH, b"")
    outcomes = run(
        account,
        [
            (router, opening(stage, 1, WETH, 4_000 * USDC)),
            (router, callback),
            (router, opening(stage, 2, WETH, 2_000 * USDC)),
            (router, shrink),
            (router, absurd),
            (router, closing(stage, 1, exact_in=False)),
            (router, closing(stage, 2, exact_in=True)),
            (router, callback),
        ],
    )
    assert [ok for ok, _ in outcomes] == [True, False, True, True, False, True, True, False]
    assert outcomes[1][1] == outcomes[7][1] == "caller is not the pool"
    for salt in (1, 2):
        assert stage.long.slot(position_id(account, salt)) == Slot()
    assert stage.holdings() == {}, "ISO-2: something was left behind"


def test_several_calls_in_one_transaction__give_what_each_gives_alone(
    stage: Stage, account: Contract
) -> None:
    calls = [
        (stage.router, opening(stage, 1, WETH, 4_000 * USDC)),
        (stage.router, closing(stage, 1, exact_in=True)),
        (stage.router, opening(stage, 2, WETH, 3_000 * USDC)),
        (stage.router, closing(stage, 2, exact_in=False)),
    ]
    mark = stage.engine.snapshot()
    for target, data in calls:
        account.execute(target, data, sender=STRANGER)
    apart = stage.wealth(account)
    stage.engine.restore(mark)
    assert all(ok for ok, _ in run(account, calls))
    assert stage.wealth(account) == apart, "ISO-2: a call profited from the one before"


def test_open__with_anothers_permit_and_grant__spends_nothing_of_theirs(stage: Stage) -> None:
    """Signatures seen in the pool of transactions, used by a stranger in calls of his own."""
    stage.fund(OTHER_TRADER, weth=WETH, usdc=10_000 * USDC)
    permit = stage.permit(stage.usdc, 10_000 * USDC, signer=OTHER_TRADER)
    grant = stage.grant(stage.long, signer=OTHER_TRADER)
    swap = sell(stage.path(stage.long), 4_000 * USDC)
    with changes_nothing(stage, OTHER_TRADER, STRANGER), reverts("signature is invalid"):
        stage.open(stage.long, 2_000 * USDC, swap, token=stage.usdc, trader=STRANGER, grant=grant)
    stage.long.vault.set_operator(stage.router, ALL, 0, sender=STRANGER)
    with changes_nothing(stage, OTHER_TRADER, STRANGER), reverts("permit is invalid"):
        stage.open(stage.long, 2_000 * USDC, swap, token=stage.usdc, trader=STRANGER, permit=permit)


def test_open__permit_and_grant_front_run__still_opens_and_nobody_else_can(stage: Stage) -> None:
    stage.fund(OTHER_TRADER, usdc=2_000 * USDC)
    permit = stage.permit(stage.usdc, 2_000 * USDC, signer=OTHER_TRADER)
    grant = stage.grant(stage.long, signer=OTHER_TRADER)
    amount, deadline, v, r, s = permit
    stage.usdc.permit(OTHER_TRADER, stage.router, amount, deadline, v, r, s, sender=STRANGER)
    stage.long.vault.set_operator_with_signature(
        OTHER_TRADER, stage.router, *grant, sender=STRANGER
    )
    swap = sell(stage.path(stage.long), 5_000 * USDC)
    with changes_nothing(stage, OTHER_TRADER), pytest.raises(Exception, match=r"balance|allowance"):
        stage.open(stage.long, 2_000 * USDC, swap, token=stage.usdc, trader=STRANGER)
    stage.open(
        stage.long,
        2_000 * USDC,
        swap,
        token=stage.usdc,
        trader=OTHER_TRADER,
        permit=permit,
        grant=grant,
    )
    assert stage.long.slot(position_id(OTHER_TRADER)).scaled_debt == 3_000 * USDC


@pytest.mark.parametrize("exact_in", [True, False])
def test_open__pool_moved_before__reverts_at_the_limit_and_costs_nothing(
    stage: Stage, exact_in: bool
) -> None:
    path = stage.path(stage.long)
    fair = stage.uniswap.quote_sale(path, 4_000 * USDC)
    swap = sell(path, 4_000 * USDC, fair) if exact_in else buy(path, fair, 4_000 * USDC)
    stage.move_pool(2_020)
    reason = "bought is below the limit" if exact_in else "sold is above the limit"
    with changes_nothing(stage), reverts(reason):
        stage.open(stage.long, WETH, swap)


def test_router_as_an_owner__has_positions_that_nobody_reaches(stage: Stage) -> None:
    """Positions of the router's own address: its calls act for their caller alone."""
    stage.open_standard(stage.long)
    owned = position_id(stage.router)
    market = stage.long
    for account in (TRADER, STRANGER):
        with reverts("caller lacks permission"):
            market.vault.adjust(owned, WETH, 0, account, b"", sender=account)
    with reverts("position is not open"):
        market.vault.top_up(owned, 1, sender=TRADER)
    stage.close(stage.long, exact_in=True)
    assert market.slot(owned) == Slot()


def hand_in_and_revoke(stage: Stage) -> tuple[int, str | None]:
    """Hand in a signature for what stands already, revoke it; then a stranger plays it.

    Returns what the router may do thereafter, and why the stranger was refused.
    """
    grant, vault = stage.grant(stage.long), stage.long.vault
    assert vault.operator_permissions(TRADER, stage.router)[0] == ALL
    stage.open(stage.long, WETH, sell(stage.path(stage.long), 2_000 * USDC), grant=grant)
    vault.set_operator(stage.router, 0, 0, sender=TRADER)
    played = vault.set_operator_with_signature(
        TRADER, stage.router, *grant, sender=STRANGER, check=False
    )
    return vault.operator_permissions(TRADER, stage.router)[0], played.revert_reason


@attack(
    "grant to the router turned on its giver",
    guard="a grant is handed on to the vault, which uses its nonce, even if it stands (_use_grant)",
    breaks=(
        Break(
            ROUTER,
            "    success: bool = raw_call(\n",
            "    if (staticcall IMarginVault(vault).operator_permissions(msg.sender, self))[0] == "
            "grant.permissions:\n        return\n    success: bool = raw_call(\n",
        ),
    ),
    contract="LeverageRouter",
    without="the signature outlives its call, and a stranger undoes a later revocation with it",
    here="the signature is used up in the call that it came with",
)
def test_open__grant_that_stood_already__is_used_up_and_undoes_no_revocation(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    works = hand_in_and_revoke(with_router(stage, broken))
    assert works == (ALL, None), f"the double stands it: {works}"
    stage.engine.restore(mark)
    fails = hand_in_and_revoke(with_router(stage, real))
    assert fails == (0, "signature is invalid"), (
        "AUTH-1: a grant that was handed in undid a revocation"
    )


def close_from_a_hook(stage: Stage) -> tuple[int, str | None]:
    """A trader grants and opens in one call, and later moves a token that calls the router.

    Returns what the token got, USDC units, and why it was refused.
    """
    grant = stage.grant(stage.long, signer=OTHER_TRADER)
    stage.weth.approve(stage.router, WETH, sender=OTHER_TRADER)
    swap = sell(stage.path(stage.long), 2_000 * USDC)
    stage.open(stage.long, WETH, swap, trader=OTHER_TRADER, grant=grant)
    rogue = stage.engine.deploy(load("ReenteringToken"), "Airdrop", "AIR", 18)
    rogue.mint(OTHER_TRADER, 1)
    rogue.arm(stage.router, closing(stage, 1, exact_in=True))
    rogue.transfer(STRANGER, 1, sender=OTHER_TRADER)
    return stage.usdc.balanceOf(rogue), decode_revert(rogue.call_output())


@attack(
    "grant to the router turned on its giver",
    guard="the router acts for who calls it, not for who sent the transaction (_begin)",
    breaks=(
        Break(
            ROUTER,
            "order.position_id = (convert(msg.sender, uint256)",
            "order.position_id = (convert(tx.origin, uint256)",
        ),
    ),
    contract="LeverageRouter",
    without="a token that a trader moves closes his position, and has more than 1,990 USDC of it",
    here="the token has no position to close",
    seen="SWC-115, authorization through tx.origin",
)
def test_close__from_a_hook_in_the_granters_transaction__is_refused(
    stage: Stage, broken: Artifact, real: Artifact
) -> None:
    mark = stage.engine.snapshot()
    gain, reason = close_from_a_hook(with_router(stage, broken))
    assert gain > 1_990 * USDC, f"the double stands it: {gain}, {reason}"
    stage.engine.restore(mark)
    fails = close_from_a_hook(with_router(stage, real))
    assert fails == (0, "position is not open"), "AUTH-1: a grant was used for another"
    assert stage.long.slot(position_id(OTHER_TRADER)).scaled_debt == 2_000 * USDC
