"""Signatures: turned round, sent twice, sent elsewhere, signed by nobody."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, load
from tests.support.market import (
    MAX_UINT256,
    NOBODY,
    OPERATOR,
    STRANGER,
    TRADER,
    Market,
    reverts,
    sign_operator,
    sign_permit,
)

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Of secp256k1: for each signature (r, s) there is another, (r, ORDER - s)."""


def twin(v: int, s: bytes) -> tuple[int, bytes]:
    """The other signature of the same key on the same message."""
    return 55 - v, (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")


def test_set_operator__malleable_twin_first__the_original_is_refused(
    market: Market, vault: Contract
) -> None:
    signed = sign_operator(market, TRADER, operator=OPERATOR, permissions=2)
    v, s = twin(signed.v, signed.s)
    vault.set_operator_with_signature(*signed._replace(v=v, s=s), sender=STRANGER)
    vault.set_operator(OPERATOR, 0, 0, sender=TRADER)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(*signed, sender=STRANGER)
    assert vault.operator_permissions(TRADER, OPERATOR)[0] == 0, "AUTH-1: worked twice"


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
@pytest.mark.parametrize("r", [bytes(32), b"\xff" * 32, b"\x01".rjust(32, b"\0")])
def test_permit__unrecoverable_signature_of_nobody__is_refused(
    market: Market, vault: Contract, v: int, r: bytes
) -> None:
    """Where recovery fails it answers zero, which must not sign for the zero address."""
    deadline = market.engine.timestamp
    with reverts("signature is invalid"):
        vault.permit(NOBODY, STRANGER, MAX_UINT256, deadline, v, r, r, sender=STRANGER)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(
            NOBODY, STRANGER, 7, 0, deadline, v, r, r, sender=STRANGER
        )
    assert vault.nonces(NOBODY) == 0, "AUTH-1: a refused signature used a nonce"


def test_permit__signature_of_an_operator_grant__is_refused(
    market: Market, vault: Contract
) -> None:
    """One nonce serves both messages: only the type tells them apart."""
    granted = sign_operator(market, TRADER, operator=STRANGER, permissions=7)
    with reverts("signature is invalid"):
        vault.permit(
            TRADER, STRANGER, 7, granted.deadline, granted.v, granted.r, granted.s, sender=STRANGER
        )
    permit = sign_permit(market, TRADER, spender=STRANGER, value=7)
    with reverts("signature is invalid"):
        vault.set_operator_with_signature(
            TRADER, STRANGER, 7, 0, permit.deadline, permit.v, permit.r, permit.s, sender=STRANGER
        )


def test_permit__for_the_vault_itself_or_a_token__is_refused(
    market: Market, vault: Contract
) -> None:
    """Contracts that approve nothing (ERC-1271) cannot be spoken for."""
    for owner in (vault, market.asset, market.oracle):
        receipt = vault.permit(
            owner,
            STRANGER,
            MAX_UINT256,
            market.engine.timestamp,
            27,
            b"\1" * 32,
            b"\1" * 32,
            sender=STRANGER,
            check=False,
        )
        assert not receipt.success, "AUTH-1: a contract was spoken for"
        assert vault.allowance(owner, STRANGER) == 0


def test_permit__wallet_of_the_same_key__is_another_signer(market: Market, vault: Contract) -> None:
    """A message that the key signed for itself does not speak for its wallet, nor the other way."""
    wallet = market.engine.deploy(load("ContractWallet"), TRADER)
    own = sign_permit(market, TRADER, spender=STRANGER, value=5)
    with reverts("signature is invalid"):
        vault.permit(*own._replace(owner=wallet.address), sender=STRANGER)
    wallets = sign_permit(market, TRADER, owner=wallet, spender=STRANGER, value=5)
    with reverts("signature is invalid"):
        vault.permit(*wallets._replace(owner=TRADER.address), sender=STRANGER)
    vault.permit(*wallets, sender=STRANGER)
    assert vault.allowance(wallet, STRANGER) == 5
    assert vault.allowance(TRADER, STRANGER) == 0, "AUTH-1: a wallet's message spoke for its key"
