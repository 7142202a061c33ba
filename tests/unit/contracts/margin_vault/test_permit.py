"""permit: an allowance by signature (ERC-2612), of keys and of contract wallets."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from ringfence.evm import Contract, load
from tests.support.market import (
    DAY,
    LENDER,
    NOBODY,
    STRANGER,
    Market,
    deploy_market,
    reverts,
    sign_permit,
)


def test_permit__owners_signature__allows_once(market: Market, vault: Contract) -> None:
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700)
    receipt = vault.permit(*signed, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == 700
    assert vault.nonces(LENDER) == 1
    assert len(market.written(receipt)) == 2
    allowed = {"owner": LENDER.address, "spender": STRANGER.address, "value": 700}
    assert market.events(receipt) == [("Approval", allowed)]
    with reverts("signature is invalid"):
        vault.permit(*signed, sender=STRANGER)
    assert vault.nonces(LENDER) == 1


def test_permit__at_its_deadline__counts_and_a_second_later_not(
    market: Market, vault: Contract
) -> None:
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700)
    market.engine.advance(DAY + 1)
    with reverts("signature has expired"):
        vault.permit(*signed, sender=STRANGER)
    fresh = sign_permit(market, LENDER, spender=STRANGER, value=700)
    market.engine.advance(DAY)
    vault.permit(*fresh, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == 700


def test_permit__wrong_signer__reverts(market: Market, vault: Contract) -> None:
    forged = sign_permit(market, STRANGER, owner=LENDER, spender=STRANGER, value=700)
    with reverts("signature is invalid"):
        vault.permit(*forged, sender=STRANGER)
    assert vault.allowance(LENDER, STRANGER) == 0


@pytest.mark.parametrize("changed", [{"value": 701}, {"spender": NOBODY}])
def test_permit__other_arguments_than_signed__reverts(
    market: Market, vault: Contract, changed: dict[str, object]
) -> None:
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700)
    with reverts("signature is invalid"):
        vault.permit(*signed._replace(**changed), sender=STRANGER)
    later = signed._replace(deadline=signed.deadline + 1)
    with reverts("signature is invalid"):
        vault.permit(*later, sender=STRANGER)


@pytest.mark.parametrize("changed", [{"chain_id": 2}, {"vault": NOBODY}, {"nonce": 1}])
def test_permit__signed_for_elsewhere__reverts(
    market: Market, vault: Contract, changed: dict[str, object]
) -> None:
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700, **changed)
    with reverts("signature is invalid"):
        vault.permit(*signed, sender=STRANGER)


def test_permit__of_another_vault__reverts(market: Market, vault: Contract) -> None:
    other = deploy_market(market.engine)
    signed = sign_permit(other, LENDER, spender=STRANGER, value=700)
    with reverts("signature is invalid"):
        vault.permit(*signed, sender=STRANGER)
    other.vault.permit(*signed, sender=STRANGER)
    assert other.vault.allowance(LENDER, STRANGER) == 700


def test_permit__zero_owner__reverts(market: Market, vault: Contract) -> None:
    signed = sign_permit(market, LENDER, owner=NOBODY, spender=STRANGER, value=700)
    for v in (signed.v, 0, 29):
        with reverts("signature is invalid"):
            vault.permit(*signed._replace(v=v), sender=STRANGER)


def test_permit__second_form_of_a_used_signature__reverts(market: Market, vault: Contract) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700)
    mirrored = (order - int.from_bytes(signed.s, "big")).to_bytes(32, "big")
    twin = signed._replace(v=55 - signed.v, s=mirrored)
    vault.permit(*signed, sender=STRANGER)
    for used in (signed, twin):
        receipt = vault.permit(*used, sender=STRANGER, check=False)
        assert receipt.revert_reason == "signature is invalid", "AUTH-1: a signature counts twice"


def test_permit__contract_wallet__accepts_what_its_owner_signed(
    market: Market, vault: Contract
) -> None:
    wallet = market.engine.deploy(load("ContractWallet"), LENDER)
    signed = sign_permit(market, LENDER, owner=wallet, spender=STRANGER, value=700)
    forged = sign_permit(market, STRANGER, owner=wallet, spender=STRANGER, value=700)
    with reverts("signature is invalid"):
        vault.permit(*forged, sender=STRANGER)
    vault.permit(*signed, sender=STRANGER)
    assert vault.allowance(wallet, STRANGER) == 700
    with reverts("signature is invalid"):
        vault.permit(*signed, sender=STRANGER)


def test_permit__refusing_wallet__reverts(market: Market, vault: Contract) -> None:
    wallet = market.engine.deploy(load("RefusingWallet"))
    signed = sign_permit(market, LENDER, owner=wallet, spender=STRANGER, value=700)
    with reverts("signature is invalid"):
        vault.permit(*signed, sender=STRANGER)


def test_domain_separator__of_this_chain_and_vault__eip712(market: Market, vault: Contract) -> None:
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    words = [
        keccak(text=kind),
        keccak(text=vault.name()),
        keccak(text="1"),
        market.engine.chain_id.to_bytes(32, "big"),
        bytes.fromhex(vault.address[2:]).rjust(32, b"\0"),
    ]
    assert vault.DOMAIN_SEPARATOR() == keccak(b"".join(words))
