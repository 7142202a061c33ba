"""set_operator and its signed form: who may act for an account, and how far."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, EncodingError, load
from tests.support.market import (
    DAY,
    INCREASE,
    LENDER,
    MAX_UINT256,
    NOBODY,
    OPERATOR,
    REDUCE,
    STRANGER,
    TRADER,
    WETH,
    WITHDRAW,
    Market,
    deploy_market,
    position_id,
    reverts,
    sign_operator,
)


@pytest.mark.parametrize("permissions", range(8))
@pytest.mark.parametrize("max_loss_bps", [0, 1, 10_000])
def test_set_operator__any_permissions__stored_in_one_word(
    market: Market, vault: Contract, permissions: int, max_loss_bps: int
) -> None:
    vault.set_operator(OPERATOR, REDUCE, 77, sender=TRADER)
    receipt = vault.set_operator(OPERATOR, permissions, max_loss_bps, sender=TRADER)
    assert tuple(vault.operator_permissions(TRADER, OPERATOR)) == (permissions, max_loss_bps)
    changed = receipt.state_diff[vault.address]
    assert [after for _before, after in changed.values()] == [max_loss_bps << 3 | permissions]
    assert market.events(receipt) == [
        (
            "OperatorSet",
            {
                "owner": TRADER.address,
                "operator": OPERATOR.address,
                "permissions": permissions,
                "max_loss_bps": max_loss_bps,
            },
        )
    ]


def test_set_operator__for_one_owner__leaves_others(vault: Contract) -> None:
    vault.set_operator(OPERATOR, INCREASE, 5, sender=TRADER)
    assert tuple(vault.operator_permissions(LENDER, OPERATOR)) == (0, 0)
    assert tuple(vault.operator_permissions(TRADER, STRANGER)) == (0, 0)
    assert tuple(vault.operator_permissions(OPERATOR, TRADER)) == (0, 0)


def test_set_operator__loss_bound_above_all__reverts(vault: Contract) -> None:
    for max_loss_bps in (10_001, MAX_UINT256):
        with reverts("loss bound exceeds 10000 bps"):
            vault.set_operator(OPERATOR, REDUCE, max_loss_bps, sender=TRADER)


@pytest.mark.parametrize("permissions", [8, 2**255])
def test_set_operator__unknown_permission__reverts(vault: Contract, permissions: int) -> None:
    try:
        receipt = vault.set_operator(OPERATOR, permissions, 0, sender=TRADER, check=False)
    except EncodingError:
        return
    assert not receipt.success
    assert tuple(vault.operator_permissions(TRADER, OPERATOR)) == (0, 0)


def test_set_operator__by_an_operator__is_for_itself_only(vault: Contract) -> None:
    vault.set_operator(OPERATOR, 7, 10_000, sender=TRADER)
    vault.set_operator(STRANGER, 7, 10_000, sender=OPERATOR)
    assert tuple(vault.operator_permissions(TRADER, STRANGER)) == (0, 0), (
        "AUTH-1: an operator set an operator"
    )


# Signed


def test_set_operator_with_signature__owners__sets_once(market: Market, vault: Contract) -> None:
    signed = sign_operator(market, TRADER, operator=OPERATOR, permissions=REDUCE, max_loss_bps=50)
    receipt = vault.set_operator_with_signature(*signed, sender=STRANGER)
    assert tuple(vault.operator_permissions(TRADER, OPERATOR)) == (REDUCE, 50)
    assert vault.nonces(TRADER) == 1
    assert len(market.written(receipt)) == 2
    assert [name for name, _fields in market.events(receipt)] == ["OperatorSet"]
    vault.set_operator(OPERATOR, 0, 0, sender=TRADER)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed, sender=STRANGER)
    assert tuple(vault.operator_permissions(TRADER, OPERATOR)) == (0, 0), "AUTH-1: replayed"


def test_set_operator_with_signature__after_its_deadline__reverts(
    market: Market, vault: Contract
) -> None:
    signed = sign_operator(market, TRADER, operator=OPERATOR, permissions=7)
    market.engine.advance(DAY + 1)
    with reverts("signature has expired"):
        vault.set_operator_with_signature(*signed, sender=OPERATOR)
    fresh = sign_operator(market, TRADER, operator=OPERATOR, permissions=7)
    market.engine.advance(DAY)
    vault.set_operator_with_signature(*fresh, sender=OPERATOR)
    assert tuple(vault.operator_permissions(TRADER, OPERATOR)) == (7, 0)


def test_set_operator_with_signature__wrong_signer__reverts(
    market: Market, vault: Contract
) -> None:
    forged = sign_operator(market, OPERATOR, owner=TRADER, operator=OPERATOR, permissions=7)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*forged, sender=OPERATOR)


@pytest.mark.parametrize("changed", [{"chain_id": 5}, {"vault": NOBODY}, {"nonce": 1}])
def test_set_operator_with_signature__signed_for_elsewhere__reverts(
    market: Market, vault: Contract, changed: dict[str, object]
) -> None:
    signed = sign_operator(market, TRADER, operator=OPERATOR, permissions=7, **changed)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed, sender=OPERATOR)
    assert vault.nonces(TRADER) == 0


def test_set_operator_with_signature__of_another_vault__reverts(
    market: Market, vault: Contract
) -> None:
    other = deploy_market(market.engine)
    signed = sign_operator(other, TRADER, operator=OPERATOR, permissions=7)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed, sender=OPERATOR)
    other.vault.set_operator_with_signature(*signed, sender=OPERATOR)


@pytest.mark.parametrize(
    "changed",
    [
        {"permissions": 7},
        {"max_loss_bps": 51},
        {"operator": STRANGER.address},
        {"owner": LENDER.address},
    ],
)
def test_set_operator_with_signature__other_arguments_than_signed__reverts(
    market: Market, vault: Contract, changed: dict[str, object]
) -> None:
    signed = sign_operator(market, TRADER, operator=OPERATOR, permissions=REDUCE, max_loss_bps=50)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed._replace(**changed), sender=OPERATOR)
    later = signed._replace(deadline=signed.deadline + 1)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*later, sender=OPERATOR)


def test_set_operator_with_signature__zero_owner__reverts(market: Market, vault: Contract) -> None:
    signed = sign_operator(market, TRADER, owner=NOBODY, operator=OPERATOR, permissions=7)
    for v in (signed.v, 0):
        with reverts("signature is invalid"):
            vault.set_operator_with_signature(*signed._replace(v=v), sender=OPERATOR)


def test_set_operator_with_signature__loss_bound_above_all__reverts(
    market: Market, vault: Contract
) -> None:
    signed = sign_operator(
        market, TRADER, operator=OPERATOR, permissions=REDUCE, max_loss_bps=10_001
    )
    with reverts("loss bound exceeds 10000 bps"):
        vault.set_operator_with_signature(*signed, sender=OPERATOR)


def test_set_operator_with_signature__contract_wallet__by_its_owner(
    market: Market, vault: Contract
) -> None:
    wallet = market.engine.deploy(load("ContractWallet"), TRADER)
    signed = sign_operator(
        market, TRADER, owner=wallet, operator=OPERATOR, permissions=INCREASE | WITHDRAW
    )
    forged = sign_operator(market, OPERATOR, owner=wallet, operator=OPERATOR, permissions=7)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*forged, sender=OPERATOR)
    vault.set_operator_with_signature(*signed, sender=OPERATOR)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed, sender=OPERATOR)
    market.give(market.collateral, OPERATOR, WETH)
    opened = position_id(wallet)
    vault.adjust(opened, WETH, 100 * 10**6, OPERATOR, b"", sender=OPERATOR)
    market.opened.append(opened)
    assert market.slot(opened).collateral == WETH


def test_set_operator_with_signature__refusing_wallet__reverts(
    market: Market, vault: Contract
) -> None:
    wallet = market.engine.deploy(load("RefusingWallet"))
    signed = sign_operator(market, TRADER, owner=wallet, operator=OPERATOR, permissions=7)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed, sender=OPERATOR)


def test_set_operator_with_signature__shares_nonces_with_permit(
    market: Market, vault: Contract
) -> None:
    first = sign_operator(market, TRADER, operator=OPERATOR, permissions=1)
    second = sign_operator(market, TRADER, operator=OPERATOR, permissions=3, nonce=1)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*second, sender=OPERATOR)
    vault.set_operator_with_signature(*first, sender=OPERATOR)
    vault.set_operator_with_signature(*second, sender=OPERATOR)
    assert tuple(vault.operator_permissions(TRADER, OPERATOR)) == (3, 0)
