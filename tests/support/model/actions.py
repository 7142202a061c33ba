"""What can happen in a market, as plain data: a failing run can be replayed and cut down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from ringfence.evm.abi import checksum

POSITION_CALLS = ("adjust", "close", "top_up", "repay", "liquidate")
"""Entry points whose first argument is a position's id."""

VAULT_CALLS = (
    *POSITION_CALLS,
    "deposit",
    "mint",
    "withdraw",
    "redeem",
    "transfer",
    "transferFrom",
    "approve",
    "permit",
    "accrue",
    "fund_reserve",
    "set_operator",
    "set_operator_with_signature",
    "set_caps",
    "pause_new_risk",
    "set_guardian",
    "transfer_curator",
    "accept_curator",
    "announce_reserve_collection",
    "collect_reserve",
)
"""Every entry point of the vault that is no view."""


CALLBACK_DATA = b"pay"
"""What HonestCallback hands to the vault to be called back."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens: a call of the vault, or something in the world around it.

    `name` is an entry point, or `warp` (seconds), `set_quote` (low, high), `break_oracle` (how),
    `set_rate` (per second), `break_rate` (how), and of a token, 0 or 1, `donate`, `give`,
    `allow` (token, amount). Accounts are integers. `signed` is what a signature is over, its nonce
    included, and `signer` the account that it speaks for. `garble` is a call that the vault must
    refuse (calldata, wei); `odd` says what is odd about an honest one, see hostile.py.
    """

    name: str
    caller: int
    args: tuple[Any, ...]
    signed: tuple[Any, ...] | None = None
    signer: int = 0
    odd: tuple[str, str] | None = None

    def __repr__(self) -> str:
        tail = f", {self.signed}, {self.signer:#x}" if self.signed else ""
        tail += f", odd={self.odd}" if self.odd else ""
        return f"Action({self.name!r}, {self.caller:#x}, {self.args}{tail})"


_FIELDS = {
    "permit": ("Permit", ("owner", "spender", "value", "nonce", "deadline")),
    "set_operator_with_signature": (
        "SetOperator",
        ("owner", "operator", "permissions", "max_loss_bps", "nonce", "deadline"),
    ),
}
_ACCOUNT_FIELDS = ("owner", "spender", "operator")


def as_address(account: int) -> str:
    return checksum(account.to_bytes(20, "big"))


def domain_separator(domain: dict[str, Any]) -> bytes:
    """Return the hash of an EIP-712 domain."""
    return encode_typed_data(domain, {"Empty": []}, {}).header


def sign(
    name: str, key: bytes, message: tuple[int, ...], domain: dict[str, Any]
) -> tuple[int, bytes, bytes]:
    """Sign the fields of `permit` or `set_operator_with_signature`; return v, r, s."""
    title, fields = _FIELDS[name]
    types = [
        {"name": field, "type": "address" if field in _ACCOUNT_FIELDS else "uint256"}
        for field in fields
    ]
    values = {
        field: as_address(value) if field in _ACCOUNT_FIELDS else value
        for field, value in zip(fields, message, strict=True)
    }
    signature = Account.sign_message(encode_typed_data(domain, {title: types}, values), key)
    return (
        signature.v,
        signature.r.to_bytes(32, "big"),
        signature.s.to_bytes(32, "big"),
    )
