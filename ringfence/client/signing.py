"""The fields of a signed transaction: who signs, how much gas, at what price; and a node's refusal.

Shared by the client's sender and the deployer, whatever else they do differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from eth_account.signers.local import LocalAccount
from web3 import Web3

from ringfence.evm.decoding import decode_revert

Signer: TypeAlias = Callable[[Mapping[str, Any]], bytes]
"""Signs a transaction: its fields as eth_sendTransaction names them, in; the raw bytes, out."""

_MARGIN = 6, 5
_ACCRUAL_GAS = 150_000


def key_signer(account: LocalAccount) -> Signer:
    """Return a signer with a private key at hand: for local chains, tests and automation."""

    def sign(fields: Mapping[str, Any]) -> bytes:
        wanted = {name: value for name, value in fields.items() if name != "from"}
        return bytes(account.sign_transaction(wanted).raw_transaction)

    return sign


def gas_limit(estimate: int) -> int:
    """Return the gas to send along, by the node's estimate: a fifth more, and an accrual.

    A position's word may turn from empty to full meanwhile. And an estimate made in the block of a
    vault's accrual leaves out the rate model's call, which in the next block may use up its whole
    allowance (modules/accrual.vy), though a sound one uses little of it.

    >>> gas_limit(100_000)
    270000
    """
    return estimate * _MARGIN[0] // _MARGIN[1] + _ACCRUAL_GAS


def fee_fields(web3: Web3) -> dict[str, int]:
    """Return what a unit of gas may cost now, in wei: twice the base fee and a tip."""
    base_fee = web3.eth.get_block("latest").get("baseFeePerGas")
    if base_fee is None:
        return {"gasPrice": int(web3.eth.gas_price)}
    tip = int(web3.eth.max_priority_fee)
    return {"type": 2, "maxFeePerGas": 2 * int(base_fee) + tip, "maxPriorityFeePerGas": tip}


def highest_price(fields: Mapping[str, int]) -> int:
    """Return the most that a unit of gas costs by `fee_fields`, in wei."""
    return fields["gasPrice"] if "gasPrice" in fields else fields["maxFeePerGas"]


def revert_reason(error: Exception) -> str:
    """Return why a node's call reverted, in the contract's words where it has any."""
    data = getattr(error, "data", None)
    if isinstance(data, str) and data.startswith("0x") and len(data) > 2:
        return decode_revert(bytes.fromhex(data[2:]))
    message = str(getattr(error, "message", None) or error)
    return message.removeprefix("execution reverted").lstrip(": ").strip()
