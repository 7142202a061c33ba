"""Re-entry through every selector that the vault has, whatever it is called."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.evm import Contract, load
from tests.support.market import (
    LIQUIDATOR,
    MAX_UINT256,
    STRANGER,
    TRADER,
    USDC,
    WETH,
    Market,
    position_id,
    price_of,
)

ARMED_AT_ONCE = 8
NEVER_CHANGE = {"name", "symbol", "decimals"}
"""What the constructor wrote into the code: answered at any time, since it cannot be stale."""


def functions() -> list[dict[str, Any]]:
    return [dict(entry) for entry in load("MarginVault").abi if entry["type"] == "function"]


def call_of(vault: Contract, entry: dict[str, Any]) -> bytes:
    """A call with zeros for arguments: outside the lock it succeeds, or says why not."""
    blank = {"address": bytes(20), "bytes32": bytes(32), "bytes": b""}
    arguments = [blank.get(part["type"], 0) for part in entry["inputs"]]
    return getattr(vault, entry["name"]).encode(*arguments)


@pytest.fixture
def attacker(market: Market) -> Contract:
    attacker = market.engine.deploy(load("CallbackAttacker"))
    for token in (market.collateral, market.asset):
        token.mint(attacker, 10**24)
        attacker.execute(token, token.approve.encode(market.vault, MAX_UINT256), sender=STRANGER)
    opened = position_id(attacker)
    call = market.vault.adjust.encode(opened, WETH, 500 * USDC, attacker.address, b"")
    attacker.execute(market.vault, call, sender=STRANGER)
    market.opened.append(opened)
    return attacker


@pytest.mark.parametrize("outer", ["adjust", "close", "liquidate"])
def test_callback__calls_every_selector__none_runs(
    market: Market, vault: Contract, attacker: Contract, outer: str
) -> None:
    unhealthy = market.open(WETH, 1_600 * USDC, salt=8)
    market.engine.advance(1)
    market.set_price(price_of(1_800))
    outers = {
        "adjust": vault.adjust.encode(position_id(attacker), 1, 0, attacker.address, b"x"),
        "close": vault.close.encode(position_id(attacker), attacker.address, b"x"),
        "liquidate": vault.liquidate.encode(unhealthy, MAX_UINT256, 0, attacker.address, b"x"),
    }
    entries = functions()
    mark = market.engine.snapshot()
    for start in range(0, len(entries), ARMED_AT_ONCE):
        chosen = entries[start : start + ARMED_AT_ONCE]
        attacker.arm([(vault.address, call_of(vault, entry)) for entry in chosen])
        attacker.execute(vault, outers[outer], sender=STRANGER)
        for entry, outcome in zip(chosen, attacker.outcomes(), strict=True):
            if entry["name"] not in NEVER_CHANGE:
                assert not outcome.succeeded, f"AUTH-3: {entry['name']} answered within {outer}"
                assert outcome.output == b"", f"AUTH-3: {entry['name']} ran before it refused"
        market.engine.restore(mark)


def test_every_selector__outside_the_lock__succeeds_or_says_why(
    market: Market, vault: Contract
) -> None:
    """Without this, a bare revert above would prove nothing."""
    for entry in functions():
        mark = market.engine.snapshot()
        receipt = market.engine.transact(
            vault, data=call_of(vault, entry), sender=LIQUIDATOR, check=False
        )
        assert receipt.success or receipt.revert_reason, f"{entry['name']} gives no reason"
        market.engine.restore(mark)


def test_lock__after_a_call_that_reverted_inside__is_clear_in_the_same_transaction(
    market: Market, vault: Contract, attacker: Contract
) -> None:
    """A caller who catches the vault's revert must not find it locked, nor unlock it early."""
    failing = vault.adjust.encode(position_id(attacker), 0, 10**9 * USDC, attacker.address, b"")
    healing = vault.repay.encode(position_id(attacker), USDC)
    attacker.arm([(vault.address, failing), (vault.address, healing), (vault.address, failing)])
    attacker.on_adjust(0, 0, 0, b"", sender=TRADER)
    succeeded = [outcome.succeeded for outcome in attacker.outcomes()]
    assert succeeded == [False, True, False], "AUTH-3: the lock outlived a call that reverted"
