"""Signed permissions of operators: the message an owner signs, and the plan that submits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.client.errors import InputError
from ringfence.client.market import Market, moment
from ringfence.client.plan import Plan, transaction

_FIELDS = ("owner", "operator", "permissions", "max_loss_bps", "nonce", "deadline")


@dataclass(frozen=True, slots=True)
class OperatorGrant:
    """What an owner lets an operator do: flags, loss bound in 1e4, deadline in unix seconds."""

    owner: str
    operator: str
    permissions: int
    max_loss_bps: int
    deadline: int


def typed_data(market: Market, grant: OperatorGrant) -> dict[str, Any]:
    """Return the EIP-712 message of a grant, with the owner's present nonce on this chain.

    As wallets and `eth_account.Account.sign_typed_data(key, full_message=...)` take it.
    """
    message: Mapping[str, Any] = {
        "owner": grant.owner,
        "operator": grant.operator,
        "permissions": grant.permissions,
        "max_loss_bps": grant.max_loss_bps,
        "nonce": int(market.read("nonces", grant.owner)),
        "deadline": grant.deadline,
    }
    kinds = {"owner": "address", "operator": "address"}
    domain_kinds = {"chainId": "uint256", "verifyingContract": "address"}
    domain = {
        "name": market.name,
        "version": "1",
        "chainId": market.node.chain_id,
        "verifyingContract": market.address,
    }
    return {
        "types": {
            "EIP712Domain": [
                {"name": name, "type": domain_kinds.get(name, "string")} for name in domain
            ],
            "SetOperator": [{"name": name, "type": kinds.get(name, "uint256")} for name in _FIELDS],
        },
        "primaryType": "SetOperator",
        "domain": domain,
        "message": dict(message),
    }


def submit(market: Market, submitter: str, grant: OperatorGrant, signature: bytes) -> Plan:
    """Plan to submit an owner's signed grant; anybody may. Raises InputError unless 65 bytes."""
    if len(signature) != 65:
        raise InputError(f"a signature has 65 bytes, this has {len(signature)}; sign again")
    one = transaction(
        "MarginVault",
        market.address,
        f"let {grant.operator} act on the positions of {grant.owner}",
        "set_operator_with_signature",
        grant.owner,
        grant.operator,
        grant.permissions,
        grant.max_loss_bps,
        grant.deadline,
        signature[64],
        signature[:32],
        signature[32:64],
        facts={
            "signature has expired": (None, moment(grant.deadline)),
            "signature is invalid": (f"not {grant.owner}'s for this vault and nonce", None),
        },
    )
    return Plan(market.node, submitter, (one,))
