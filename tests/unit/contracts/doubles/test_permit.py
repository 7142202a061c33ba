"""PermitToken.permit: the owner's signature, once, in time, for this token."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from ringfence.evm import Contract, Engine, Reverted
from tests.support.doubles import DeployToken
from tests.support.feeds import NOBODY

AMOUNT = 250


def sign(token: Contract, owner: Any, spender: Any, nonce: int, deadline: int) -> tuple[Any, ...]:
    fields = ["owner address", "spender address", "value uint256", "nonce uint256"]
    message = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Permit": [
                {"name": name, "type": kind}
                for name, kind in (field.split() for field in [*fields, "deadline uint256"])
            ],
        },
        "primaryType": "Permit",
        "domain": {
            "name": token.name(),
            "version": "1",
            "chainId": token.engine.chain_id,
            "verifyingContract": token.address,
        },
        "message": {
            "owner": owner.address,
            "spender": spender.address,
            "value": AMOUNT,
            "nonce": nonce,
            "deadline": deadline,
        },
    }
    signed = Account.sign_message(encode_typed_data(full_message=message), owner.key)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


@pytest.fixture
def token(deploy_token: DeployToken) -> Contract:
    return deploy_token("PermitToken")


def test_permit__owner_signed__sets_the_allowance_once(
    engine: Engine, token: Contract, trader: Any, vault: Any
) -> None:
    deadline = engine.timestamp
    signature = sign(token, trader, vault, 0, deadline)

    token.permit(trader, vault, AMOUNT, deadline, *signature, sender=vault)

    assert token.allowance(trader, vault) == AMOUNT
    assert token.nonces(trader) == 1
    with pytest.raises(Reverted, match=r"^signature is invalid$"):
        token.permit(trader, vault, AMOUNT, deadline, *signature, sender=vault)


def test_permit__deadline_passed__reverts(
    engine: Engine, token: Contract, trader: Any, vault: Any
) -> None:
    deadline = engine.timestamp
    signature = sign(token, trader, vault, 0, deadline)
    engine.advance(1)

    with pytest.raises(Reverted, match=r"^signature has expired$"):
        token.permit(trader, vault, AMOUNT, deadline, *signature)


def test_permit__another_signer_or_nobody__reverts(
    engine: Engine, token: Contract, trader: Any, vault: Any
) -> None:
    deadline = engine.timestamp
    signature = sign(token, vault, vault, 0, deadline)

    with pytest.raises(Reverted, match=r"^signature is invalid$"):
        token.permit(trader, vault, AMOUNT, deadline, *signature)
    with pytest.raises(Reverted, match=r"^signature is invalid$"):
        token.permit(NOBODY, vault, AMOUNT, deadline, 27, bytes(32), bytes(32))
