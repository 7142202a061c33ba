"""transfer, transferFrom and approve of lenders' shares."""

from __future__ import annotations

from ringfence.evm import Contract
from tests.support.market import (
    CASH,
    LENDER,
    MAX_UINT256,
    NOBODY,
    RECEIVER,
    STRANGER,
    Market,
    reverts,
)


def test_transfer__part__moves_shares_and_nothing_else(market: Market, vault: Contract) -> None:
    receipt = vault.transfer(RECEIVER, 300, sender=LENDER)
    assert receipt.value is True
    assert market.shares_of(LENDER) == CASH - 300
    assert market.shares_of(RECEIVER) == 300
    assert market.written(receipt) == {LENDER.address, RECEIVER}
    assert market.flows(receipt) == {}
    moved = {"sender": LENDER.address, "receiver": RECEIVER, "value": 300}
    assert market.events(receipt) == [("Transfer", moved)]


def test_transfer__to_oneself__changes_nothing(market: Market, vault: Contract) -> None:
    receipt = vault.transfer(LENDER, CASH, sender=LENDER)
    assert receipt.state_diff == {}
    assert market.shares_of(LENDER) == CASH


def test_transfer__zero_amount__succeeds(market: Market, vault: Contract) -> None:
    receipt = vault.transfer(RECEIVER, 0, sender=STRANGER)
    assert receipt.value is True
    assert receipt.state_diff == {}
    assert market.shares_of(RECEIVER) == 0


def test_transfer__more_than_owned__reverts(market: Market, vault: Contract) -> None:
    with reverts("not enough shares"):
        vault.transfer(RECEIVER, CASH + 1, sender=LENDER)
    with reverts("not enough shares"):
        vault.transfer(RECEIVER, 1, sender=STRANGER)
    vault.transfer(RECEIVER, CASH, sender=LENDER)
    assert market.shares_of(LENDER) == 0


def test_transfer__to_nobody__reverts(vault: Contract) -> None:
    with reverts("receiver is zero"):
        vault.transfer(NOBODY, 1, sender=LENDER)


def test_transfer_from__within_allowance__moves_shares_and_runs_down(
    market: Market, vault: Contract
) -> None:
    vault.approve(STRANGER, 500, sender=LENDER)
    receipt = vault.transferFrom(LENDER, RECEIVER, 200, sender=STRANGER)
    assert receipt.value is True
    assert market.shares_of(RECEIVER) == 200
    assert market.shares_of(LENDER) == CASH - 200
    assert vault.allowance(LENDER, STRANGER) == 300
    moved = {"sender": LENDER.address, "receiver": RECEIVER, "value": 200}
    assert market.events(receipt) == [("Transfer", moved)]
    with reverts("not enough allowance"):
        vault.transferFrom(LENDER, RECEIVER, 301, sender=STRANGER)
    vault.transferFrom(LENDER, RECEIVER, 300, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == 0


def test_transfer_from__unlimited_allowance__stays(vault: Contract) -> None:
    vault.approve(STRANGER, MAX_UINT256, sender=LENDER)
    vault.transferFrom(LENDER, RECEIVER, 200, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == MAX_UINT256


def test_transfer_from__without_allowance__reverts_for_the_owner_too(vault: Contract) -> None:
    with reverts("not enough allowance"):
        vault.transferFrom(LENDER, RECEIVER, 1, sender=STRANGER)
    with reverts("not enough allowance"):
        vault.transferFrom(LENDER, RECEIVER, 1, sender=LENDER)


def test_transfer_from__more_than_owned_or_to_nobody__reverts(vault: Contract) -> None:
    vault.approve(STRANGER, MAX_UINT256, sender=LENDER)
    with reverts("not enough shares"):
        vault.transferFrom(LENDER, RECEIVER, CASH + 1, sender=STRANGER)
    with reverts("receiver is zero"):
        vault.transferFrom(LENDER, NOBODY, 1, sender=STRANGER)


def test_approve__any_amount__replaces_the_last(market: Market, vault: Contract) -> None:
    for amount in (5, MAX_UINT256, 0):
        receipt = vault.approve(STRANGER, amount, sender=LENDER)
        assert receipt.value is True
        assert vault.allowance(LENDER, STRANGER) == amount
        allowed = {"owner": LENDER.address, "spender": STRANGER.address, "value": amount}
        assert market.events(receipt) == [("Approval", allowed)]
